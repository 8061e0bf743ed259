import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize } from "../../machine/device.ts";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { SwitchedMemory } from "../../machine/testing/switched-memory.ts";
import { Command, Pflash } from "./pflash.ts";

const COMMANDS = Object.values(Command);

test("random accesses stay within the array, and what changes is told", () => {
  const random = new SeededRandom(28128);
  const memory = new SwitchedMemory(0x4000, 0xffff_0000);
  const told = new Uint8Array(0x4000);
  const flash = new Pflash(
    { address: 0xffff_0000, length: 0x4000 },
    {
      memory,
      changed: (offset, length) => void told.set(memory.bytes.subarray(offset, offset + length), offset),
      settled: () => {},
    },
  );
  flash.reset();
  for (let i = 0; i < 50_000; i++) {
    const size = (1 << random.below(3)) as AccessSize;
    const offset = random.below(0x4000 / size) * size;
    const command = COMMANDS[random.below(COMMANDS.length)] as number;
    if (random.below(3) > 0) flash.writeMemory(offset, size, random.below(4) > 0 ? command : random.next() >>> 0);
    const value = flash.readMemory(offset, size);
    assert.ok(value >= 0 && value < 2 ** (8 * size));
    assert.equal(memory.kindOf(0xffff_0000), flash.state.mode === "array" ? "rom" : "device");
  }
  assert.deepEqual(memory.bytes, told);
});
