import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "./seeded-random.ts";

const bytes = (seed: number, count: number) => {
  const target = new Uint8Array(count);
  new SeededRandom(seed).fill(target);
  return target;
};

test("the same seed gives the same bytes, another seed gives others", () => {
  assert.deepEqual(bytes(1, 64), bytes(1, 64));
  assert.notDeepEqual(bytes(1, 64), bytes(2, 64));
});

test("a short request gets the first bytes of a longer one", () => {
  assert.deepEqual(bytes(7, 5), bytes(7, 64).subarray(0, 5));
});

test("from a known state come the numbers of the reference algorithm", () => {
  const random = new SeededRandom(0);
  random.state.set([1, 2, 3, 4]);
  const words = new Uint32Array(4);
  random.fill(new Uint8Array(words.buffer));
  // b = 2: rotl(2 * 5, 7) * 9; then b = 2 ^ 3 ^ 1 = 0, which gives 0; and so on by hand.
  assert.deepEqual([...words.subarray(0, 2)], [11520, 0]);
});

test("every byte value comes about as often as any other", () => {
  const counts = new Uint32Array(256);
  for (const byte of bytes(3, 256 * 1000)) counts[byte]!++;
  // Six standard deviations of a binomial distribution around 1000.
  for (const count of counts) assert.ok(Math.abs(count - 1000) < 6 * Math.sqrt(1000), `${count}`);
});
