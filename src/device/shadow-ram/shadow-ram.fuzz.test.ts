import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { SwitchedMemory } from "../../machine/testing/switched-memory.ts";
import { ShadowRam } from "./shadow-ram.ts";

test("random switches and writes show either the ROM or what was last written to RAM", () => {
  const random = new SeededRandom(0x82441);
  const rom = new Uint8Array(0x4_0000).map(() => random.below(256));
  const memory = new SwitchedMemory(0x10_0000);
  const shadow = new ShadowRam({ memory, rom });
  const ram = new Uint8Array(0x4_0000);
  const areas = Array.from({ length: 16 }, () => ({ readRam: true, writeRam: true }));
  for (let i = 0; i < 20_000; i++) {
    const piece = random.below(16);
    if (random.below(8) === 0) {
      const area = { readRam: random.below(2) === 1, writeRam: random.below(2) === 1 };
      areas[piece] = area;
      shadow.switch({ start: 0xc_0000 + piece * 0x4000, length: 0x4000, ...area });
    }
    const offset = piece * 0x4000 + random.below(0x4000);
    const { readRam, writeRam } = areas[piece] as (typeof areas)[number];
    const value = random.below(256);
    shadow.writeMemory(offset, 1, value);
    if (writeRam) ram[offset] = value;
    const shown = offset < 0x2_0000 ? 0xff : rom[offset];
    assert.equal(memory.bytes[0xc_0000 + offset], readRam ? ram[offset] : shown);
  }
});
