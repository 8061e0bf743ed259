/**
 * What is typed or piped in, on its way to the guest. A terminal is raw meanwhile: the guest's own terminal driver
 * echoes and edits. The end of a pipe ends the input and not the machine.
 */
import type { Readable } from "node:stream";
import { EscapeKeys, type KeyAction } from "./escape-keys.ts";

/** Standard input, or a stand-in for it. */
export type InputStream = Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };

/** What input can do to a machine. */
export interface InputTarget {
  sendSerial(bytes: Uint8Array): void;
  /** Bytes sent that the guest has not read yet. */
  readonly serialBacklog: number;
}

/** Bytes that may wait for the guest; beyond them, a pipe is not read until it has caught up. */
const MOST_WAITING = 64 * 1024;

export class ConsoleInput {
  readonly #stream: InputStream;
  readonly #target: InputTarget;
  readonly #onAction: (action: Exclude<KeyAction, { kind: "send" }>) => void;
  readonly #keys = new EscapeKeys();
  #isOpen = false;

  constructor(
    stream: InputStream,
    target: InputTarget,
    onAction: (action: Exclude<KeyAction, { kind: "send" }>) => void,
  ) {
    this.#stream = stream;
    this.#target = target;
    this.#onAction = onAction;
  }

  open(): void {
    this.#isOpen = true;
    this.setRaw();
    this.#stream.on("data", this.#receive);
    this.#stream.on("end", this.#ended);
    // A terminal that went away, for example.
    this.#stream.on("error", this.#ended);
  }

  /** Reads on once the guest has caught up. */
  resume(): void {
    if (this.#isOpen && this.#stream.isPaused() && this.#target.serialBacklog < MOST_WAITING / 2) this.#stream.resume();
  }

  /** Makes a terminal raw, again where a shell has had it in between. */
  setRaw(): void {
    if (!this.#isOpen || !this.#stream.isTTY) return;
    this.#stream.setRawMode?.(false);
    this.#stream.setRawMode?.(true);
  }

  /** Puts the terminal back as it was. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stream.off("data", this.#receive);
    this.#stream.pause();
    if (this.#stream.isTTY) this.#stream.setRawMode?.(false);
  }

  readonly #ended = (): void => {
    this.#stream.off("data", this.#receive);
  };

  readonly #receive = (bytes: Uint8Array): void => {
    for (const action of this.#keys.feed(bytes)) {
      if (action.kind === "send") this.#target.sendSerial(action.bytes);
      else this.#onAction(action);
    }
    // A terminal is always read, for the key that quits a machine which no longer reads.
    if (!this.#stream.isTTY && this.#target.serialBacklog >= MOST_WAITING) this.#stream.pause();
  };
}
