import { SeededRandom } from "../../bits/testing/seeded-random.ts";

/** `length` bytes without a visible order, the same for each `seed`. */
export function pattern(seed: number, length: number): Uint8Array {
  const numbers = new SeededRandom(seed);
  return Uint8Array.from({ length }, () => numbers.below(256));
}
