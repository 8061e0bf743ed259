import assert from "node:assert/strict";
import { test } from "node:test";
import { FilesInMemory } from "./files-in-memory.ts";

test("a file in memory is read from anywhere, as far as it goes", async () => {
  const tree = new FilesInMemory(new Map([["a/b", Uint8Array.of(1, 2, 3, 4, 5)]]));
  const file = (await tree.open("a/b")) ?? assert.fail();
  assert.equal(file.size, 5);
  const target = new Uint8Array(3);
  assert.equal(await file.read(1, target), 3);
  assert.deepEqual([...target], [2, 3, 4]);
  assert.equal(await file.read(4, target), 1);
  assert.deepEqual([...target], [5, 3, 4]);
  assert.equal(await file.read(9, target), 0);
  await file.close();
  assert.equal(await tree.open("a"), undefined);
});
