import assert from "node:assert/strict";
import { test } from "node:test";
import { bits } from "./fields.ts";
import { bytes, struct, u8, u16, u32, u64 } from "./struct.ts";

const Lsr = bits({ dataReady: 0, overrun: 1, fifo: [6, 7] });

test("fields of a register read as booleans and numbers", () => {
  assert.deepEqual(Lsr(0xc1), { dataReady: true, overrun: false, fifo: 3 });
});

test("packing sets the given fields and clears the others", () => {
  assert.equal(Lsr.pack({ overrun: true, fifo: 2 }), 0x82);
  assert.equal(Lsr.with(0xff, { fifo: 0 }), 0x3f);
  assert.equal(Lsr.mask.fifo, 0xc0);
});

test("a field may reach bit 31", () => {
  const Wide = bits({ top: 31, high: [16, 31] });
  assert.equal(Wide.pack({ top: true }), 0x8000_0000);
  assert.equal(Wide(0xabcd_0000).high, 0xabcd);
});

const Header = struct("BE", { magic: u32, kind: u8, size: u16, name: bytes(3), next: u64 });

test("a struct is packed and reads in its byte order", () => {
  assert.equal(Header.size, 18);
  assert.deepEqual(Header.offset, { magic: 0, kind: 4, size: 5, name: 7, next: 10 });
  const made = Header.make({ magic: 0x514649fb, size: 3, name: Uint8Array.of(1, 2), next: 5n });
  assert.deepEqual([...made.subarray(0, 7)], [0x51, 0x46, 0x49, 0xfb, 0, 0, 3]);
  assert.equal(made[17], 5);
});

test("a view writes through to the bytes it lies on", () => {
  const buffer = new Uint8Array(40);
  const header = Header.at(buffer, 16);
  header.size = 0x1234;
  assert.equal(buffer[16 + 5], 0x12);
  assert.equal(header.size, 0x1234);
  assert.throws(() => Header.at(buffer, 30), RangeError);
});
