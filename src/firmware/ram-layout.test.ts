import assert from "node:assert/strict";
import { test } from "node:test";
import { guestPhysical, MIB } from "../bits/units.ts";
import { PlainMemory } from "../machine/testing/rig.ts";
import { BootError } from "./boot-error.ts";
import { memoryMap } from "./memory-map.ts";
import { RamLayout } from "./ram-layout.ts";

function rig(size = 4 * MIB) {
  const memory = new PlainMemory(size);
  return { memory, layout: new RamLayout(memory, memoryMap(size)) };
}
const noRoom = (text: RegExp) => (error: Error) =>
  error instanceof BootError && error.kind === "no-room" && text.test(error.message) && !error.message.includes("\n");

test("two pieces never share a byte, and the message names the other", () => {
  const { layout } = rig();
  layout.claim(MIB, 0x2000, "the kernel");
  assert.equal(layout.claim(MIB + 0x2000, 0x1000, "the next"), MIB + 0x2000);
  assert.throws(() => layout.claim(MIB + 0x1fff, 1, "a module"), noRoom(/a module .* would overwrite the kernel/));
});

test("nothing goes into the BIOS data area, the adapter area or beyond RAM", () => {
  const { layout } = rig();
  for (const [address, size] of [
    [0xfff, 1],
    [0x9fc00, 1],
    [0xf0000, 16],
    [0x9f000, 0x100000],
    [4 * MIB, 4096],
    [-4096, 4096],
    [2 ** 40, 1],
  ] as const) {
    assert.throws(() => layout.claim(address, size, "a piece"), BootError);
  }
});

test("a kernel that is too large is told how much RAM it would take", () => {
  const { layout } = rig();
  assert.throws(() => layout.claim(MIB, 16 * MIB, "the kernel"), noRoom(/has 4 MiB, give it more than 17 MiB/));
});

test("pieces go as high or as low as asked, aligned, and skip what is taken", () => {
  const { layout } = rig();
  const top = 4 * MIB - 64 * 1024;
  assert.equal(layout.claimBelow(2 ** 32, 0x1001, 0x1000, "a"), top - 0x2000);
  assert.equal(layout.claimBelow(2 ** 32, 0x1000, 0x1000, "b"), top - 0x3000);
  assert.equal(layout.claimBelow(2 * MIB, 0x1000, 0x1000, "c"), 2 * MIB - 0x1000);
  assert.equal(layout.claimAbove(0x1000, 3, 16, "d"), 0x1000);
  assert.equal(layout.claimAbove(0x1000, 3, 16, "e"), 0x1010);
  assert.equal(layout.claimAbove(0x9fbff, 16, 16, "f"), MIB);
  assert.throws(() => layout.claimBelow(2 ** 32, 8 * MIB, 1, "g"), noRoom(/no room for g/));
  assert.throws(() => layout.claimAbove(0, 8 * MIB, 1, "g"), noRoom(/no room for g/));
});

test("what is written is followed by zeros up to its size", () => {
  const { layout, memory } = rig();
  memory.bytes.fill(0xaa);
  layout.write(guestPhysical(0x2000), Uint8Array.of(1, 2), 4);
  assert.deepEqual([...memory.bytes.subarray(0x1fff, 0x2005)], [0xaa, 1, 2, 0, 0, 0xaa]);
});

test("a piece that moves up can go wherever it fits, itself included, and nowhere else", () => {
  const places = (choice: number) => {
    const { layout } = rig(8 * MIB);
    const piece = layout.claim(2 * MIB, MIB, "the kernel");
    layout.claim(MIB, 0x1000, "a piece below");
    layout.claim(5 * MIB, 0x1000, "a piece above");
    let count = 0;
    const address = layout.moveUp(piece, MIB, (places) => {
      count = places;
      return choice;
    });
    assert.equal(count, 4);
    assert.throws(() => layout.claim(address, 1, "another"), noRoom(/would overwrite the kernel/));
    if (address !== piece) layout.claim(piece, 0x1000, "another");
    return address / MIB;
  };
  // The top of 8 MiB is kept for tables.
  assert.deepEqual([0, 1, 2, 3].map(places), [2, 3, 4, 6]);
});
