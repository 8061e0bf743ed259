import assert from "node:assert/strict";
import { test } from "node:test";
import { buffer, device, eisaId, integer, name, packageOf, path, scope } from "./aml.ts";
import { interrupts, io, irq, memoryWindow, resourceTemplate } from "./resources.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

test("names are padded, and paths carry their prefix for two or more segments", () => {
  assert.equal(text(path("_S5")), "_S5_");
  assert.equal(text(path("\\")), "\\\0");
  assert.equal(text(path("^LNKA")), "^LNKA");
  assert.equal(text(path("\\_SB.PCI0")), "\\\x2e_SB_PCI0");
  assert.equal(text(path("\\_SB.PCI0.ISA")), "\\\x2f\x03_SB_PCI0ISA_");
  for (const wrong of ["TOOLONG", "1ABC", "a", "A..B"]) assert.throws(() => path(wrong), RangeError);
});

test("integers take the shortest form", () => {
  assert.deepEqual(
    [0, 1, 2, 0xff, 0x100, 0x1_0000, 0xffff_ffff].map((value) => hex(integer(value))),
    ["00", "01", "0a02", "0aff", "0b0001", "0c00000100", "0cffffffff"],
  );
});

test("an EISA identifier is compressed with its bytes swapped", () => {
  assert.equal(hex(eisaId("PNP0A03")), "0c41d00a03");
  assert.equal(hex(eisaId("PNP0C0F")), "0c41d00c0f");
});

test("a package length takes one byte up to 63 and then as many as it needs", () => {
  const length = (content: number) => hex(buffer(new Uint8Array(content)).subarray(1, 5));
  // The length covers the buffer's size term (two or three bytes) and its own bytes.
  assert.equal(length(60).slice(0, 2), "3f");
  assert.equal(length(61).slice(0, 4), "4104");
  assert.equal(length(4000).slice(0, 4), "45fa");
  assert.equal(length(5000).slice(0, 6), "8e3801");
});

test("a device in a scope encodes as in the specification's grammar", () => {
  assert.equal(hex(scope("\\", device("A", name("_UID", integer(1))))), `10105c005b820b415f5f5f085f55494401`);
  assert.equal(hex(packageOf(integer(0), integer(5))), "120502000a05");
});

test("resource descriptors encode as in the specification's tables", () => {
  assert.equal(hex(io(0x3f8, 8)), "4701f803f8030108");
  assert.equal(hex(irq(4)), "221000");
  assert.equal(hex(interrupts(5, 10)), "890a00090205000000" + "0a000000");
  assert.equal(
    hex(memoryWindow(0xc000_0000, 0xfebf_ffff, false)),
    "8717000" + "00c01" + "00000000" + "000000c0" + "ffffbffe" + "00000000" + "0000c03e",
  );
  assert.equal(hex(resourceTemplate(irq(1))), "11080a05" + "220200" + "7900");
});
