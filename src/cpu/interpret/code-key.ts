/** What code is found again by in other processes, wherever it lies by then. */
import { hostAddress } from "../state.ts";

/** Bytes of it at the most. */
const LENGTH = 16;

/** A hash (32 bits, unsigned) of the mode `context`, the offset in the page, and the first bytes of the code at `physical`. */
export function codeKey(memory: Uint8Array, physical: number, context: number): number {
  const offset = physical % 4096;
  const at = hostAddress(physical);
  const end = at + Math.min(LENGTH, 4096 - offset);
  let hash = Math.imul(context ^ (offset << 16), 0x9e37_79b1);
  for (let i = at; i < end; i++) hash = Math.imul(hash ^ (memory[i] as number), 0x0100_0193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** A set of keys in few bytes: it may say that it has what it has not. */
export class KeySet {
  readonly #bits: Uint8Array;

  constructor(bits: Uint8Array = new Uint8Array(KeySet.SIZE)) {
    this.#bits = bits;
  }

  static readonly SIZE = 32768;

  get bits(): Uint8Array {
    return this.#bits;
  }
  add(key: number): void {
    const bit = key % (KeySet.SIZE * 8);
    this.#bits[bit >> 3] = (this.#bits[bit >> 3] as number) | (1 << (bit & 7));
  }
  has(key: number): boolean {
    const bit = key % (KeySet.SIZE * 8);
    return ((this.#bits[bit >> 3] as number) & (1 << (bit & 7))) !== 0;
  }
}
