/**
 * Segments that came before others which they follow. Few are kept: a cable keeps the order, and what is dropped comes
 * again.
 *
 * @spec RFC 9293 §3.10.7.4, "Seventh, process the segment text"
 */
import { distance, isAfter, plus, type Sequence } from "./sequence.ts";

/** Most segments that are kept. */
export const MOST_SEGMENTS = 64;

interface Held {
  readonly start: Sequence;
  readonly bytes: Uint8Array;
}

export class Reassembly {
  /** By where they start. */
  #held: Held[] = [];

  get isEmpty(): boolean {
    return this.#held.length === 0;
  }

  /** Keeps a copy of bytes that lie after `next`, unless there are enough. */
  add(start: Sequence, bytes: Uint8Array): void {
    if (this.#held.length >= MOST_SEGMENTS) return;
    const index = this.#held.findIndex((other) => distance(other.start, start) <= 0);
    const found = this.#held[index];
    if (found?.start === start && found.bytes.length >= bytes.length) return;
    this.#held.splice(index < 0 ? this.#held.length : index, 0, { start, bytes: Uint8Array.from(bytes) });
  }

  /** The bytes from `next` on that are there, if any, which are given once. */
  take(next: Sequence): Uint8Array | undefined {
    for (;;) {
      const first = this.#held[0];
      if (first === undefined || isAfter(first.start, next)) return undefined;
      this.#held.shift();
      const known = distance(first.start, next);
      if (isAfter(plus(first.start, first.bytes.length), next)) return first.bytes.subarray(known);
    }
  }
}
