import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { byteOffset } from "../../bits/units.ts";
import { MemoryStore } from "../memory-store.ts";
import { RawDisk } from "../raw/raw-disk.ts";
import { atOnce, blockDeviceContract, type OpenDisk } from "../testing/contract.ts";
import { CLUSTER, OverlayDisk } from "./overlay-disk.ts";

const open: OpenDisk = async (content) =>
  new OverlayDisk({ base: new RawDisk(MemoryStore.of(content, { readOnly: true })), limit: 1024 * CLUSTER });

describe("an overlay", () => {
  for (const part of blockDeviceContract) test(part.name, () => part.run(open));
  describe("at once where it can", () => {
    for (const part of blockDeviceContract) test(part.name, () => part.run(atOnce(open)));
  });
});

function rig({ clusters = 8, limit = 4 } = {}) {
  const content = new Uint8Array(clusters * CLUSTER).fill(7);
  const store = MemoryStore.of(content);
  const disk = new OverlayDisk({ base: new RawDisk(store), limit: limit * CLUSTER });
  const at = async (offset: number) => {
    const byte = new Uint8Array(1);
    await disk.read(byteOffset(offset), byte);
    return byte[0];
  };
  return { store, disk, at };
}

test("the base is never written", async () => {
  const { store, disk } = rig();
  await disk.write(byteOffset(100), new Uint8Array(CLUSTER));
  await disk.writeZeroes(byteOffset(3 * CLUSTER), 2 * CLUSTER);
  await disk.discard(byteOffset(0), CLUSTER);
  await disk.flush();
  assert.ok(store.toBytes().every((byte) => byte === 7));
});

test("a write beyond the limit fails as on a full disk, and what was written stays", async () => {
  const { disk, at } = rig();
  for (let i = 0; i < 4; i++) await disk.write(byteOffset(i * CLUSTER), Uint8Array.of(1));
  await assert.rejects(disk.write(byteOffset(4 * CLUSTER), Uint8Array.of(1)), { kind: "no-space" });
  await disk.write(byteOffset(5), Uint8Array.of(2));
  assert.deepEqual([await at(0), await at(5), await at(4 * CLUSTER)], [1, 2, 7]);
});

test("discarding and zeroing whole clusters gives their memory back", async () => {
  const { disk, at } = rig();
  for (let i = 0; i < 4; i++) await disk.write(byteOffset(i * CLUSTER), Uint8Array.of(1));
  assert.equal(disk.allocated, 4 * CLUSTER);
  await disk.discard(byteOffset(0), 2 * CLUSTER);
  await disk.writeZeroes(byteOffset(2 * CLUSTER), CLUSTER);
  assert.equal(disk.allocated, CLUSTER);
  assert.deepEqual([await at(0), await at(2 * CLUSTER), await at(3 * CLUSTER)], [0, 0, 1]);
});

test("zeroing clusters that only the base has takes no memory", async () => {
  const { disk, at } = rig({ limit: 0 });
  await disk.writeZeroes(byteOffset(CLUSTER), 2 * CLUSTER);
  assert.equal(disk.allocated, 0);
  assert.deepEqual([await at(CLUSTER - 1), await at(CLUSTER), await at(3 * CLUSTER)], [7, 0, 7]);
});

test("a base that cannot be read fails the write that needs it and not the next", async () => {
  const { disk: base } = rig();
  let broken = true;
  const read = base.read.bind(base);
  base.read = async (offset, target) => {
    if (broken) throw new Error("unreadable");
    return read(offset, target);
  };
  const disk = new OverlayDisk({ base, limit: CLUSTER });
  await assert.rejects(disk.write(byteOffset(1), Uint8Array.of(1)), /unreadable/);
  assert.equal(disk.allocated, 0);
  broken = false;
  await disk.write(byteOffset(1), Uint8Array.of(1));
});
