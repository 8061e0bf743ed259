import assert from "node:assert/strict";
import { test } from "node:test";
import { byteOffset } from "../bits/units.ts";
import { MemoryStore } from "./memory-store.ts";

test("memory is taken only where something is written", async () => {
  const store = new MemoryStore(2 ** 40);
  assert.equal(store.memory, 0);
  await store.write(byteOffset(2 ** 39), new Uint8Array(10).fill(1));
  const one = store.memory;
  assert.ok(one > 0);
  await store.writeZeroes(byteOffset(0), 2 ** 40);
  assert.equal(store.memory, 0);
});

test("a write beyond the end makes the store grow with zeros in between", async () => {
  const store = MemoryStore.of(Uint8Array.of(1, 2));
  await store.write(byteOffset(4), Uint8Array.of(5));
  assert.deepEqual([...store.toBytes()], [1, 2, 0, 0, 5]);
});

test("what was cut off does not come back when the store is extended", async () => {
  const store = MemoryStore.of(Uint8Array.of(1, 2, 3, 4));
  await store.resize(2);
  await store.resize(4);
  assert.deepEqual([...store.toBytes()], [1, 2, 0, 0]);
});

test("zeroes do not make the store grow", async () => {
  const store = MemoryStore.of(Uint8Array.of(1, 2, 3, 4));
  await store.writeZeroes(byteOffset(3), 10);
  await store.writeZeroes(byteOffset(10), 10);
  assert.deepEqual([...store.toBytes()], [1, 2, 3, 0]);
});
