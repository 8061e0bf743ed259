import assert from "node:assert/strict";
import { test } from "node:test";
import {
  descriptorOf,
  flatCode32,
  flatCode64,
  flatData,
  gdtOf,
  longModeState,
  protectedModeState,
  realModeState,
  SegmentAttributes,
} from "./boot-state.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).reverse().toString("hex");

test("flat segments have the descriptors that every boot loader uses", () => {
  assert.equal(hex(descriptorOf(flatCode32(0x10))), "00cf9b000000ffff");
  assert.equal(hex(descriptorOf(flatCode64(0x10))), "00af9b000000ffff");
  assert.equal(hex(descriptorOf(flatData(0x18))), "00cf93000000ffff");
});

test("a descriptor with byte granularity keeps base and limit", () => {
  const attributes = SegmentAttributes.pack({ type: 3, codeOrData: true, present: true });
  assert.equal(hex(descriptorOf({ selector: 8, base: 0x12345678, limit: 0xabcde, attributes })), "120a93345678bcde");
});

test("a GDT holds each segment at its selector and null descriptors elsewhere", () => {
  const table = gdtOf([flatCode32(0x10), flatData(0x18)]);
  assert.equal(table.length, 0x20);
  assert.ok(table.subarray(0, 0x10).every((byte) => byte === 0));
  assert.equal(hex(table.subarray(0x10, 0x18)), "00cf9b000000ffff");
});

test("real mode begins with segment bases of 16 times the selector and the BIOS's vectors", () => {
  const state = realModeState({ cs: 0x9020, ip: 0, ds: 0x9000, sp: 0xe000 });
  assert.equal(state.segments.cs.base, 0x90200);
  assert.equal(state.segments.ss.base, 0x90000);
  assert.equal(state.segments.cs.limit, 0xffff);
  assert.equal(state.segments.cs.attributes, 0x9b);
  assert.equal(state.registers.rsp, 0xe000n);
  assert.deepEqual(state.idt, { base: 0, limit: 0x3ff });
  assert.equal(state.cr0 & 1n, 0n);
  assert.equal(state.rflags, 2n);
});

test("protected mode begins without paging, long mode with it", () => {
  const at = { entry: 0x100000, code: 0x10, data: 0x18, registers: { rsi: 0x9_0000n } };
  const protectedMode = protectedModeState(at);
  assert.equal(protectedMode.cr0, 0x11n);
  assert.equal(protectedMode.efer, 0n);
  assert.equal(protectedMode.segments.cs.attributes, 0xc09b);
  assert.equal(protectedMode.registers.rsi, 0x9_0000n);
  const long = longModeState({ ...at, cr3: 0x1_0000 });
  assert.equal(long.cr0, 0x8000_0011n);
  assert.equal(long.cr4, 0x20n);
  assert.equal(long.efer, 0x500n);
  assert.equal(long.cr3, 0x1_0000n);
  assert.equal(long.segments.cs.attributes, 0xa09b);
  assert.equal(long.segments.tr.attributes & 0x9f, 0x8b);
});
