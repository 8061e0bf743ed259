import assert from "node:assert/strict";
import { test } from "node:test";
import { byteOffset } from "../bits/units.ts";
import { BlockError } from "../disk/block-device.ts";
import { MemoryStore } from "../disk/memory-store.ts";
import { ChangedBlocks, FlashFile } from "./flash-file.ts";

test("what a flash came to hold is in its file at the end, each change after the one before", async () => {
  const store = MemoryStore.of(new Uint8Array(0x4000));
  const order: number[] = [];
  const write = store.write.bind(store);
  store.write = async (offset, source) => {
    order.push(offset);
    await new Promise((resolve) => setImmediate(resolve));
    await write(offset, source);
  };
  const file = await FlashFile.open(store);
  for (const [offset, value] of [
    [0x1000, 1],
    [0, 2],
    [0x1000, 3],
  ] as const) {
    file.changed(offset, new Uint8Array(0x1000).fill(value));
  }
  let closed = false;
  store.close = async () => {
    closed = true;
  };
  await file.close();
  assert.ok(closed);
  assert.deepEqual(order, [0x1000, 0, 0x1000]);
  const bytes = new Uint8Array(0x2000);
  await store.read(byteOffset(0), bytes);
  assert.deepEqual([bytes[0], bytes[0xfff], bytes[0x1000], bytes[0x1fff]], [2, 2, 3, 3]);
});

test("a file that cannot be written leaves the machine alone, and is told at the end", async () => {
  const store = MemoryStore.of(new Uint8Array(0x1000));
  let writes = 0;
  store.write = async () => {
    writes++;
    throw new BlockError("no-space", "cannot write vars.fd: no space left");
  };
  const file = await FlashFile.open(store);
  file.changed(0, new Uint8Array(16));
  file.changed(16, new Uint8Array(16));
  await assert.rejects(file.close(), /no space left/);
  // What came later would leave a file that the flash never was.
  assert.equal(writes, 1);
});

test("changes are gathered in whole blocks, in the order in which they began", () => {
  const blocks = new ChangedBlocks();
  blocks.add(0x2ffe, 4);
  blocks.add(0x10, 1);
  blocks.add(0x2000, 1);
  const taken: [number, number][] = [];
  blocks.take((offset, length) => void taken.push([offset, length]));
  assert.deepEqual(taken, [
    [0x2000, 0x1000],
    [0x3000, 0x1000],
    [0, 0x1000],
  ]);
  blocks.take(() => assert.fail("they are taken"));
});
