import assert from "node:assert/strict";
import { test } from "node:test";
import { cut, fill, gather, lengthOf, scatter } from "./parts.ts";

test("any range of bytes in several places is cut out in place", () => {
  const bytes = Uint8Array.from({ length: 12 }, (_, i) => i);
  const parts = [bytes.subarray(0, 5), bytes.subarray(5, 5), bytes.subarray(5, 6), bytes.subarray(6)];
  assert.equal(lengthOf(parts), 12);
  for (let from = 0; from <= 12; from++) {
    for (let length = 0; from + length <= 12; length++) {
      const found = cut(parts, from, length).flatMap((part) => [...part]);
      assert.deepEqual(found, [...bytes.subarray(from, from + length)]);
    }
  }
  fill(cut(parts, 4, 3), 99);
  assert.deepEqual([...bytes], [0, 1, 2, 3, 99, 99, 99, 7, 8, 9, 10, 11]);
});

test("what is scattered is gathered again", () => {
  const parts = [new Uint8Array(3), new Uint8Array(0), new Uint8Array(6)];
  const source = Uint8Array.from({ length: 9 }, (_, i) => i + 1);
  scatter(parts, source);
  assert.deepEqual([[...(parts[0] ?? [])], parts[2]?.[0]], [[1, 2, 3], 4]);
  const target = new Uint8Array(9);
  gather(parts, target);
  assert.deepEqual(target, source);
});
