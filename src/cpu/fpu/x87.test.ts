import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { EXIT } from "../state.ts";
import { execute, NEAREST_64, number, toDouble } from "./testing/execute.ts";
import { GuestFpu } from "./testing/guest-fpu.ts";

const guest = new GuestFpu();

const [IE, DE, ZE, OE, UE, PE, SF, ES, C1, BUSY] = [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x200, 0x8000];
const PENDING = ES | BUSY;
const INDEFINITE = { m: 3n << 62n, se: 0xffff };
const ONE = number(1);
const FDIV = [0xd8, 0xf1];
const FADD_M64 = [0xdc, 0x06];
const FSTP_M32 = [0xd9, 0x1e];
const unmasked = (...exceptions: number[]) => NEAREST_64 & ~exceptions.reduce((a, b) => a | b, 0);

const CR0_PE = 1;
beforeEach(() => {
  guest.setField("cr0", CR0_PE);
  guest.setField("exit", 0);
});

function double(value: number): Uint8Array {
  return new Uint8Array(new Float64Array([value]).buffer);
}

test("a quotient has as many bits as precision control says", () => {
  const thirds = [0x300, 0x200, 0].map((precision) => {
    const { st, status } = execute(guest, FDIV, { control: 0x7f | precision, st: [ONE, number(3)] });
    return { m: st(0).m.toString(16), up: (status & C1) !== 0 };
  });
  assert.deepEqual(thirds, [
    { m: "aaaaaaaaaaaaaaab", up: true },
    { m: "aaaaaaaaaaaaa800", up: false },
    { m: "aaaaab0000000000", up: true },
  ]);
});

test("a quotient is rounded as rounding control says", () => {
  const last = [0, 1, 2, 3].map((rounding) => {
    const { st } = execute(guest, FDIV, { control: NEAREST_64 | (rounding << 10), st: [number(-1), number(3)] });
    return st(0).m & 15n;
  });
  assert.deepEqual(last, [0xbn, 0xbn, 0xan, 0xan]);
});

test("division by zero gives infinity where it is masked, and otherwise leaves the operands and waits", () => {
  const masked = execute(guest, FDIV, { st: [number(-2), number(0)] });
  assert.equal(toDouble(masked.st(0)), Number.NEGATIVE_INFINITY);
  assert.equal(masked.status, ZE);
  const pending = execute(guest, FDIV, { control: unmasked(ZE), st: [number(-2), number(0)] });
  assert.equal(toDouble(pending.st(0)), -2);
  assert.equal(pending.status, ZE | PENDING);
  assert.notEqual(guest.field("x87Trap"), 0);
  assert.notEqual(guest.field("waitTrap"), 0);
});

test("an unmasked overflow leaves the result with its exponent 24576 lower", () => {
  const largest = { m: (1n << 64n) - 1n, se: 0x7ffe };
  const { st, status } = execute(guest, [0xd8, 0xc9], { control: unmasked(OE), st: [largest, number(2)] });
  assert.deepEqual(st(0), { m: largest.m, se: 0x7fff - 24576 });
  assert.equal(status, OE | PENDING);
});

test("an instruction on an empty register gives the indefinite and tells of stack underflow", () => {
  const { st, status, tags } = execute(guest, FDIV, { st: [ONE] });
  assert.deepEqual(st(0), INDEFINITE);
  assert.equal(status, IE | SF);
  assert.equal(tags, 0xbfff);
});

test("a push on a full stack overwrites the oldest number and tells of overflow by C1", () => {
  const { st, status, top } = execute(guest, [0xd9, 0xe8], { st: Array(8).fill(number(7)) });
  assert.deepEqual(st(0), INDEFINITE);
  assert.equal(status, IE | SF | C1);
  assert.equal(top, 7);
});

test("an unmasked stack overflow pushes nothing", () => {
  const { st, status, top } = execute(guest, [0xd9, 0xe8], { control: unmasked(IE), st: Array(8).fill(number(7)) });
  assert.equal(toDouble(st(0)), 7);
  assert.equal(status, IE | SF | C1 | PENDING);
  assert.equal(top, 0);
});

test("a store that underflows unmasked leaves memory and the stack as they are", () => {
  const memory = new Uint8Array([1, 2, 3, 4]);
  const {
    memory: after,
    status,
    top,
  } = execute(guest, FSTP_M32, { control: unmasked(UE), st: [number(1e-40)], memory });
  assert.equal(after.getUint32(0, true), 0x04030201);
  assert.equal(status, UE | PENDING);
  assert.equal(top, 7);
});

test("a store that is inexact unmasked takes place all the same", () => {
  const { memory, status, top } = execute(guest, FSTP_M32, { control: unmasked(PE), st: [number(0.1)] });
  assert.equal(memory.getFloat32(0, true), Math.fround(0.1));
  assert.equal(status & ~C1, PE | PENDING);
  assert.equal(top, 0);
});

test("a denormal operand in memory is reported", () => {
  const { st, status } = execute(guest, FADD_M64, { st: [ONE], memory: double(5e-324) });
  assert.equal(toDouble(st(0)), 1);
  assert.equal(status, DE | PE);
});

test("a control word that unmasks an exception that happened makes it pending", () => {
  const memory = new Uint8Array(new Uint16Array([unmasked(PE)]).buffer);
  const { status } = execute(guest, [0xd9, 0x2e], { status: PE, memory });
  assert.equal(status, PE | PENDING);
  assert.notEqual(guest.field("x87Trap"), 0);
});

test("FNCLEX ends what is pending and keeps the condition codes", () => {
  const { status } = execute(guest, [0xdb, 0xe2], { control: unmasked(ZE), status: ZE | C1 | PENDING });
  assert.equal(status, C1);
  assert.equal(guest.field("x87Trap"), 0);
  assert.equal(guest.field("waitTrap"), 0);
});

test("FXAM tells all kinds of contents apart", () => {
  const [C0, C2, C3] = [0x100, 0x400, 0x4000];
  const kinds = [
    [{ m: 1n, se: 0x3fff }, 0],
    [INDEFINITE, C0 | C1],
    [number(-1), C2 | C1],
    [number(Number.POSITIVE_INFINITY), C2 | C0],
    [number(0), C3],
    [{ m: 1n, se: 0x8000 }, C3 | C2 | C1],
  ] as const;
  for (const [content, codes] of kinds) assert.equal(execute(guest, [0xd9, 0xe5], { st: [content] }).status, codes);
  assert.equal(execute(guest, [0xd9, 0xe5], {}).status, C3 | C0);
});

test("FBSTP stores 18 decimal digits and a sign, and FBLD loads them", () => {
  const { memory } = execute(guest, [0xdf, 0x36], { st: [number(-123456789012345)] });
  const digits = Array.from({ length: 10 }, (_, i) =>
    memory
      .getUint8(9 - i)
      .toString(16)
      .padStart(2, "0"),
  ).join("");
  assert.equal(digits, "80000123456789012345");
  const image = new Uint8Array(memory.buffer, memory.byteOffset, 10);
  assert.equal(toDouble(execute(guest, [0xdf, 0x26], { memory: image }).st(0)), -123456789012345);
});

test("the pointers tell of the last instruction and its operand, which control instructions leave alone", () => {
  guest.setField("ip", 0x1234);
  execute(guest, FADD_M64, { st: [ONE], memory: double(1) });
  assert.equal(guest.field("fpuIp"), 0x1234);
  assert.equal(guest.field("fpuCs"), 0x33);
  assert.equal(guest.field("fpuDp"), guest.memoryAt);
  execute(guest, [0xd9, 0x7e], {});
  assert.equal(guest.field("fpuIp"), 0);
});

test("FNSTENV masks all exceptions, and ends what is pending", () => {
  const { control, status } = execute(guest, [0xd9, 0x76], { control: unmasked(ZE), status: ZE | PENDING });
  assert.equal(control, NEAREST_64);
  assert.equal(status, ZE);
});

test("in real mode the environment holds linear addresses", () => {
  guest.setField("cr0", 0);
  const pointers = { fpuIp: 0xfff0, fpuCs: 0xf234, fpuDp: 0x10, fpuDs: 0xabcd, fpuOpcode: 0x5c6 };
  const store = (instruction: readonly number[]) => {
    const image = new Uint8Array(128 + 512);
    const record = new DataView(image.buffer);
    record.setUint32(0, NEAREST_64, true);
    record.setUint32(8, 0xffff, true);
    record.setUint32(12, pointers.fpuIp, true);
    record.setUint32(16, pointers.fpuCs | (pointers.fpuOpcode << 16), true);
    record.setUint32(20, pointers.fpuDp, true);
    record.setUint32(24, pointers.fpuDs, true);
    guest.run(instruction, image, image.length);
    return new DataView(image.buffer, 128);
  };
  const small = store([0x66, 0xd9, 0x76]);
  // F2340 + FFF0 is 102330, of which a 16-bit environment keeps 20 bits; ABCD0 + 10 is ABCE0.
  assert.deepEqual(
    [6, 8, 10, 12].map((at) => small.getUint16(at, true)),
    [0x2330, 0x05c6, 0xbce0, 0xa000],
  );
  const large = store([0xd9, 0x76]);
  assert.deepEqual(
    [12, 16, 20, 24].map((at) => large.getUint32(at, true)),
    [0xffff2330, 0x000105c6, 0xffffbce0, 0xf000a000],
  );
});

test("FXSAVE and FXRSTOR with REX.W keep 64 bits of the pointers", () => {
  const memory = new Uint8Array(512);
  const view = new DataView(memory.buffer);
  view.setUint16(0, NEAREST_64, true);
  view.setBigUint64(8, 0xffff_8000_1234_5678n, true);
  view.setBigUint64(16, 0x7fff_1234_5678_9abcn, true);
  view.setUint32(24, 0x1f80, true);
  view.setUint8(4, 0xff);
  view.setBigUint64(32, 1n << 63n, true);
  view.setUint16(40, 0x3fff, true);
  view.setBigUint64(160 + 15 * 16, 0x0123_4567_89ab_cdefn, true);
  const { st } = execute(guest, [0x48, 0x0f, 0xae, 0x0e], { memory });
  assert.equal(toDouble(st(0)), 1);
  assert.equal(guest.view.getBigUint64(guest.addressOf("fpuIp"), true), 0xffff_8000_1234_5678n);
  assert.equal(guest.field("mxcsr"), 0x1f80);
  const saved = execute(guest, [0x48, 0x0f, 0xae, 0x06], {}).memory;
  assert.equal(saved.getBigUint64(160 + 15 * 16, true), 0x0123_4567_89ab_cdefn);
  assert.equal(saved.getUint32(24, true), 0x1f80);
});

test("FXRSTOR of an MXCSR with reserved bits is a general protection fault that changes nothing", () => {
  const memory = new Uint8Array(512).fill(0xff);
  const { st, control } = execute(guest, [0x0f, 0xae, 0x0e], { st: [ONE], memory });
  assert.equal(guest.field("exit"), EXIT.fault);
  assert.equal(guest.field("faultVector"), 13);
  assert.deepEqual(st(0), ONE);
  assert.equal(control, NEAREST_64);
});
