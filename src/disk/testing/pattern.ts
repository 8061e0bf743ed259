/** Repeatable content for disk tests. */
import { SeededRandom } from "../../bits/testing/seeded-random.ts";

/** `length` bytes without a visible order, the same for each `seed`. */
export function pattern(seed: number, length: number): Uint8Array {
  const numbers = new SeededRandom(seed);
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = numbers.below(256);
  return bytes;
}
