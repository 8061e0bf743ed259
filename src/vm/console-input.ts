/** Bytes on their way into a serial port or a console, held until its receiver has room. */

/** Beyond this the oldest unread bytes would only grow the host's memory; the newest are dropped. */
const CAPACITY = 1024 * 1024;

/** Takes bytes of the host; says how many it took, from the first on. */
export interface Receiver {
  receive(bytes: Uint8Array): number;
}

export class ConsoleInput {
  readonly #port: Receiver;
  #queue: Uint8Array[] = [];
  #length = 0;

  constructor(port: Receiver) {
    this.#port = port;
  }

  /** Bytes that the receiver has not taken yet. */
  get length(): number {
    return this.#length;
  }

  send(bytes: Uint8Array): void {
    if (this.#length + bytes.length > CAPACITY) return;
    this.#queue.push(bytes.slice());
    this.#length += bytes.length;
  }

  /** Hands over what the receiver takes. */
  pump(): void {
    for (;;) {
      const first = this.#queue[0];
      if (first === undefined) return;
      const taken = this.#port.receive(first);
      this.#length -= taken;
      if (taken < first.length) {
        this.#queue[0] = first.subarray(taken);
        return;
      }
      this.#queue.shift();
    }
  }
}
