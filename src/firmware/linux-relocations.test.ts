import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../bits/testing/seeded-random.ts";
import { MIB } from "../bits/units.ts";
import { LinuxRelocations } from "./linux-relocations.ts";
import { relocationTable } from "./testing/kernel-images.ts";

const LINKED_FOR = 16 * MIB;
const EXTENTS = [
  { start: 0, end: 0x1000 },
  { start: 0x3000, end: 0x5000 },
];
const read = (lists: readonly (readonly number[])[]) =>
  LinuxRelocations.read(relocationTable(LINKED_FOR, lists), LINKED_FOR, EXTENTS);

test("addresses of 32 and 64 bits grow, distances to what stays shrink", () => {
  const lists = [
    [0x10, 0x101, 0x4ff8],
    [0x20, 0x3000],
    [0x33, 0x40, 0x4004],
  ] as const;
  for (const distance of [0x20_0000, 0x3f00_0000]) {
    const memory = new Uint8Array(0x5000);
    new SeededRandom(distance).fill(memory);
    const expected = memory.slice();
    const words = new DataView(expected.buffer);
    for (const at of lists[0]) words.setBigUint64(at, words.getBigUint64(at, true) + BigInt(distance), true);
    for (const at of lists[1]) words.setInt32(at, words.getInt32(at, true) - distance, true);
    for (const at of lists[2]) words.setInt32(at, words.getInt32(at, true) + distance, true);
    read(lists)!.apply(memory, distance);
    assert.deepEqual(memory, expected);
  }
});

test("kernels since 6.15 have no list of distances", () => {
  const memory = new Uint8Array(0x5000);
  read([[0x10], [0x20]])!.apply(memory, 0x20_0000);
  const words = new DataView(memory.buffer);
  assert.equal(words.getBigUint64(0x10, true), 0x20_0000n);
  assert.equal(words.getUint32(0x20, true), 0x20_0000);
  assert.equal(memory.filter((byte) => byte !== 0).length, 2);
});

test("a place that is not wholly the kernel's is refused", () => {
  assert.ok(read([[0xff8], [0xffc], [0x4ffc]]));
  assert.equal(read([[0xff9], [], []]), undefined);
  assert.equal(read([[], [0xffd], []]), undefined);
  assert.equal(read([[], [], [0x2000]]), undefined);
  assert.equal(read([[], [], [0x5000]]), undefined);
  assert.equal(read([[], [], [-4]]), undefined);
});

test("other lists than there can be are refused", () => {
  assert.equal(read([[0x10]]), undefined);
  assert.equal(read([[], [], [], []]), undefined);
  const table = relocationTable(LINKED_FOR, [[0x10], [0x20], [0x30]]);
  const refused = (bytes: Uint8Array) => assert.equal(LinuxRelocations.read(bytes, LINKED_FOR, EXTENTS), undefined);
  refused(table.subarray(4));
  refused(table.subarray(1));
  refused(new Uint8Array(0));
  assert.equal(LinuxRelocations.read(table, LINKED_FOR + MIB, EXTENTS), undefined, "linked for another address");
});
