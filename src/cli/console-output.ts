/**
 * The guest's serial output on its way to a stream. A guest sends byte by byte; bytes are gathered until the
 * machine next pauses. The machine waits at such a pause (`pacedHost`) while the stream's reader is behind, so that
 * a slow reader costs no memory.
 */
import type { Writable } from "node:stream";
import type { ByteSink } from "../machine/device.ts";
import type { Host } from "../vm/definition.ts";

const GATHERED = 16 * 1024;

export class ConsoleOutput implements ByteSink {
  readonly #stream: Writable;
  readonly #onError: (error: Error) => void;
  #gathered = new Uint8Array(GATHERED);
  #length = 0;
  #isScheduled = false;
  #isOpen = true;
  #drained: Promise<void> | undefined;
  #release: () => void = () => {};

  /** `onError` is told once where the stream's other end is gone or full; what follows is dropped. */
  constructor(stream: Writable, onError: (error: Error) => void) {
    this.#stream = stream;
    this.#onError = onError;
    stream.on("error", (error) => this.#fail(error));
    stream.on("drain", () => this.release());
  }

  write(bytes: Uint8Array): void {
    for (const byte of bytes) {
      this.#gathered[this.#length++] = byte;
      if (this.#length === GATHERED) this.flush();
    }
    if (this.#isScheduled || this.#length === 0) return;
    this.#isScheduled = true;
    // Microtasks run when the machine awaits its host.
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  /** Hands what was gathered to the stream. */
  flush(): void {
    if (this.#length === 0) return;
    const bytes = this.#gathered.slice(0, this.#length);
    this.#length = 0;
    if (!this.#isOpen || this.#stream.write(bytes) || this.#drained) return;
    this.#drained = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  /** Undefined, or a promise of the time when the stream takes more. */
  get drained(): Promise<void> | undefined {
    return this.#drained;
  }

  /** Lets the machine go on without the stream, so that it can be stopped. */
  release(): void {
    this.#drained = undefined;
    this.#release();
  }

  /** Resolves when all output has left this process, or can no longer leave it. */
  async finish(): Promise<void> {
    this.flush();
    if (!this.#isOpen) return;
    await new Promise<void>((resolve) => {
      this.#stream.once("error", () => resolve());
      this.#stream.write("", () => resolve());
    });
  }

  #fail(error: Error): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.release();
    this.#onError(error);
  }
}

/** `host` with pauses that last until `output` is drained, and that call `atPause`. */
export function pacedHost(host: Host, output: ConsoleOutput | undefined, atPause: () => void): Host {
  const pace = (pause: Promise<void>): Promise<void> =>
    pause.then(() => {
      atPause();
      return output?.drained;
    });
  return {
    ...host,
    yield: () => pace(host.yield()),
    sleep(ns) {
      const { done, wake } = host.sleep(ns);
      return { done: pace(done), wake };
    },
  };
}
