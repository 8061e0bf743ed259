/**
 * Random numbers of repeatable runs: the same sequence for the same seed, good enough for every statistical need of
 * a guest, and no secret.
 *
 * @spec D. Blackman, S. Vigna: "Scrambled Linear Pseudorandom Number Generators" (2021), xoshiro128**; seeded with
 * SplitMix, as they advise
 */
import type { RandomSource } from "../machine/device.ts";

const rotated = (word: number, by: number) => (word << by) | (word >>> (32 - by));

export class SeededRandom implements RandomSource {
  /** Four words of 32 bits, never all zero. */
  readonly state: Uint32Array;

  /** `seed` is 32 bits. */
  constructor(seed: number) {
    this.state = Uint32Array.from({ length: 4 }, (_, i) => {
      let word = (seed + Math.imul(i + 1, 0x9e37_79b9)) | 0;
      word = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
      word = Math.imul(word ^ (word >>> 13), 0xc2b2_ae35);
      return word ^ (word >>> 16);
    });
  }

  fill(target: Uint8Array): void {
    for (let at = 0; at < target.length; at += 4) {
      const word = this.#next();
      for (let i = 0; i < 4 && at + i < target.length; i++) target[at + i] = word >>> (8 * i);
    }
  }

  #next(): number {
    const { state } = this;
    const [a, b, c, d] = state as unknown as [number, number, number, number];
    const word = Math.imul(rotated(Math.imul(b, 5), 7), 9);
    state[0] = a ^ d ^ b;
    state[1] = b ^ c ^ a;
    state[2] = c ^ a ^ (b << 9);
    state[3] = rotated(d ^ b, 11);
    return word;
  }
}
