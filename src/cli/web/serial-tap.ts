/** Lets others see what a guest sends on its serial port, from what it said last. */
import type { ByteSink } from "../../machine/device.ts";

/** Bytes that who comes later is shown. */
const REMEMBERED = 128 * 1024;
const FLUSH_AT = 4096;

export class SerialTap implements ByteSink {
  readonly #on: ByteSink;
  readonly #watchers = new Set<(bytes: Uint8Array) => void>();
  #history: Uint8Array[] = [];
  #remembered = 0;
  #batch: number[] = [];
  #isScheduled = false;

  /** Passes all on to `on`. */
  constructor(on: ByteSink) {
    this.#on = on;
  }

  write(bytes: Uint8Array): void {
    this.#on.write(bytes);
    for (const byte of bytes) this.#batch.push(byte);
    if (this.#batch.length >= FLUSH_AT) this.#flush();
    else if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(() => {
        this.#isScheduled = false;
        this.#flush();
      });
    }
  }

  /** Calls `watcher` with what was said last, and then with all that comes; returns what ends it. */
  watch(watcher: (bytes: Uint8Array) => void): () => void {
    this.#flush();
    if (this.#remembered > 0) watcher(Buffer.concat(this.#history));
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  #flush(): void {
    if (this.#batch.length === 0) return;
    const bytes = Uint8Array.from(this.#batch);
    this.#batch = [];
    this.#history.push(bytes);
    this.#remembered += bytes.length;
    while (this.#remembered - (this.#history[0] as Uint8Array).length >= REMEMBERED) {
      this.#remembered -= (this.#history.shift() as Uint8Array).length;
    }
    for (const watcher of this.#watchers) watcher(bytes);
  }
}
