import assert from "node:assert/strict";
import { test } from "node:test";
import { SwitchedMemory } from "../../machine/testing/switched-memory.ts";
import { SHADOW_START, ShadowRam } from "./shadow-ram.ts";

const F_SEGMENT = { start: 0xf_0000, length: 0x1_0000 };
const ROM = Uint8Array.from({ length: 0x4_0000 }, (_, i) => (i * 7) ^ (i >> 8));

function rig() {
  const memory = new SwitchedMemory(0x10_0000);
  const shadow = new ShadowRam({ memory, rom: ROM });
  const show = (readRam: boolean, writeRam: boolean, area = F_SEGMENT) => shadow.switch({ ...area, readRam, writeRam });
  return { memory, shadow, show };
}

test("the last 128 KiB of the ROM show up to 1 MiB, and nothing below", () => {
  const { memory, show } = rig();
  show(false, false, { start: SHADOW_START, length: 0x4_0000 });
  assert.deepEqual(memory.bytes.subarray(0xe_0000), ROM.subarray(0x2_0000));
  assert.ok(memory.bytes.subarray(0xc_0000, 0xe_0000).every((byte) => byte === 0xff));
  assert.equal(memory.kindOf(0xf_0000), "rom");
});

test("RAM is there with what it held before, whenever it shows", () => {
  const { memory, show } = rig();
  memory.bytes.fill(0x55, 0xf_0000, 0x10_0000);
  show(false, false);
  assert.equal(memory.bytes[0xf_1234], ROM[0x3_1234]);
  show(true, true);
  assert.ok(memory.bytes.subarray(0xf_0000).every((byte) => byte === 0x55));
  assert.equal(memory.kindOf(0xf_0000), "ram");
});

test("a BIOS copies itself in place: it reads the ROM and writes RAM at the same addresses", () => {
  const { memory, shadow, show } = rig();
  show(false, true);
  for (let at = 0; at < 0x1_0000; at += 4) {
    const offset = F_SEGMENT.start - SHADOW_START + at;
    shadow.writeMemory(offset, 4, shadow.readMemory(offset, 4) ^ 1);
    assert.equal(memory.bytes[0xf_0000 + at], ROM[0x3_0000 + at]);
  }
  show(true, false);
  for (let at = 0; at < 0x1_0000; at++) {
    assert.equal(memory.bytes[0xf_0000 + at], (ROM[0x3_0000 + at] as number) ^ (at % 4 === 0 ? 1 : 0));
  }
  assert.equal(memory.kindOf(0xf_0000), "rom");
});

test("writes are dropped where they go to the ROM", () => {
  const { memory, shadow, show } = rig();
  memory.bytes[0xf_0010] = 0x77;
  show(true, false);
  shadow.writeMemory(0x3_0010, 1, 0x11);
  assert.equal(memory.bytes[0xf_0010], 0x77);
  show(false, false);
  shadow.writeMemory(0x3_0010, 1, 0x22);
  assert.equal(memory.bytes[0xf_0010], ROM[0x3_0010]);
  show(true, true);
  assert.equal(memory.bytes[0xf_0010], 0x77);
});

test("areas switch each by themselves", () => {
  const { memory, show } = rig();
  memory.bytes.fill(1, 0xe_0000, 0x10_0000);
  show(false, false, { start: 0xe_4000, length: 0x4000 });
  assert.equal(memory.bytes[0xe_3fff], 1);
  assert.equal(memory.bytes[0xe_4000], ROM[0x2_4000]);
  assert.equal(memory.bytes[0xe_7fff], ROM[0x2_7fff]);
  assert.equal(memory.bytes[0xe_8000], 1);
});

test("a snapshot's RAM and ROM stay where they are when the host bridge tells of its areas again", () => {
  const saved = rig();
  saved.memory.bytes.fill(0x5a, 0xf_0000);
  saved.show(false, false);
  const { memory, shadow, show } = rig();
  memory.bytes.set(saved.memory.bytes);
  Object.assign(shadow.state, structuredClone(saved.shadow.state));
  show(false, false);
  assert.equal(memory.bytes[0xf_0000], ROM[0x3_0000]);
  show(true, true);
  assert.equal(memory.bytes[0xf_0000], 0x5a);
});
