/**
 * What handlers of an interpreter that is watched note in memory: where control went, and which RAM they wrote. Each is a
 * ring of 32-bit words behind a count of all that were noted.
 */
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";

/** Words of a ring: enough for what runs between two looks at it. */
const ENTRIES = 1 << 14;
const RING = 4 * (ENTRIES + 4);
export const TRACE_SIZE = 2 * RING;

/** Distances of the rings from the start of the trace. */
export const TRACE = {
  /** Offsets in the code segment of what runs next, cut to 32 bits. */
  path: 0,
  /** Addresses in the shared memory of what was written; where it was not written in place there is no entry. */
  writes: RING,
} as const;

/** Builds code that notes `value` (i32) in the ring at `ring`. */
export function note(f: FunctionBuilder, ring: number, value: Value): void {
  const count = f.load("i32", 0, ring);
  f.store("i32", count.and(ENTRIES - 1).shl(2), value, ring + 4);
  f.store("i32", 0, count.add(1), ring);
}

/** Reads one ring. */
export class RingReader {
  readonly #words: Int32Array;
  readonly #at: number;
  #seen = 0;

  constructor(buffer: ArrayBufferLike, ring: number) {
    this.#words = new Int32Array(buffer);
    this.#at = ring >> 2;
  }

  /** What was noted since the last call, first to last, unsigned: the end of it where it was too much. */
  take(): number[] {
    const count = (this.#words[this.#at] as number) >>> 0;
    const length = Math.min((count - this.#seen) >>> 0, ENTRIES);
    this.#seen = count;
    return Array.from(
      { length },
      (_, i) => (this.#words[this.#at + 1 + ((count - length + i) & (ENTRIES - 1))] as number) >>> 0,
    );
  }
}
