/** What a difference between processors is, and what is none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "../../src/cpu/decode/decoder.ts";
import { compare } from "./compare.ts";
import type { Vendor } from "./native/features.ts";
import { FIELD, FX, NO_VECTOR, OUTPUT_SIZE, PLACE } from "./record.ts";

const BREAKPOINT = 3;
const CODE = BigInt(PLACE.code);

/** States before and after an instruction that changes nothing, as the host and our processor give them. */
function states(bytes: readonly number[], vendor: Vendor = "other") {
  const input = new DataView(new ArrayBuffer(OUTPUT_SIZE));
  input.setBigUint64(FIELD.rip, CODE, true);
  const host = new DataView(new ArrayBuffer(OUTPUT_SIZE));
  // The host meets the breakpoint behind the instruction.
  host.setBigUint64(FIELD.rip, CODE + BigInt(bytes.length) + 1n, true);
  host.setUint32(FIELD.vector, BREAKPOINT, true);
  const guest = new DataView(new ArrayBuffer(OUTPUT_SIZE));
  guest.setBigUint64(FIELD.rip, CODE + BigInt(bytes.length), true);
  guest.setUint32(FIELD.vector, NO_VECTOR, true);
  const code = Uint8Array.from([...bytes, ...new Array(16).fill(0xcc)]);
  const decoded = decode(code, 0, code.length, { long: true, code32: false }, () => true);
  const differences = () =>
    compare({ bits: 64, decoded, input, vendor, strict: false }, host, guest).map(({ what }) => what);
  return { input, host, guest, differences };
}

/** Makes `state` one in which the instruction has raised an exception. */
function fault(state: DataView, vector: number, errorCode = 0): void {
  state.setUint32(FIELD.vector, vector, true);
  state.setUint32(FIELD.errorCode, errorCode, true);
  state.setBigUint64(FIELD.rip, CODE, true);
}

const NOP = [0x90];
const SHIFT_LEFT_BY_CL = [0xd3, 0xe0];
const REP_STOSB_BY_ECX = [0x67, 0xf3, 0xaa];
const REP_MOVSB = [0xf3, 0xa4];
const FSTP_DWORD_AT_RAX = [0xd9, 0x18];
const POP_FS = [0x0f, 0xa1];
const PUSH_FS = [0x0f, 0xa0];
const FSIN = [0xd9, 0xfe];
const DPPS = [0x66, 0x0f, 0x3a, 0x40, 0xc1, 0xff];
const GP = 13;
const PF = 14;

test("equal states do not differ", () => {
  assert.deepEqual(states(NOP).differences(), []);
});

test("a bit anywhere in registers, flags, vectors or memory is a difference", () => {
  const places: [number, string][] = [
    [FIELD.gpr + 8 * 9 + 7, "r9"],
    [FIELD.rflags, "rflags"],
    [FIELD.rip, "outcome"],
    [FIELD.selectors + 2 * 3, "ds"],
    [FIELD.fx + FX.control, "x87 control word"],
    [FIELD.fx + FX.status + 1, "x87 status word"],
    [FIELD.fx + FX.tag, "x87 tags"],
    [FIELD.fx + FX.mxcsr, "mxcsr"],
    [FIELD.fx + FX.st + 16 * 7 + 9, "st(7)"],
    [FIELD.fx + FX.xmm + 16 * 15 + 15, "xmm15"],
    [FIELD.memory + PLACE.windowSize - 1, `memory at 0x${(PLACE.window + PLACE.windowSize - 1).toString(16)}`],
  ];
  for (const [at, what] of places) {
    const { guest, differences } = states(NOP);
    guest.setUint8(at, guest.getUint8(at) ^ 0x40);
    assert.deepEqual(differences(), [what]);
  }
});

test("an exception that only one processor raises is a difference", () => {
  const { guest, differences } = states(NOP);
  guest.setUint32(FIELD.vector, 6, true);
  assert.deepEqual(differences(), ["outcome"]);
});

test("OF after a shift by two is undefined, after a shift by one it is not", () => {
  for (const [count, expected] of [
    [2, []],
    [1, ["rflags"]],
  ] as const) {
    const { input, guest, differences } = states(SHIFT_LEFT_BY_CL);
    input.setUint8(FIELD.gpr + 8, count);
    guest.setUint16(FIELD.rflags, 0x800, true);
    assert.deepEqual(differences(), expected);
  }
});

test("AMD's processors leave the upper halves of RCX and RDI where a repeated instruction does nothing", () => {
  for (const [vendor, count, expected] of [
    ["amd", 0, []],
    ["amd", 1, ["rdi"]],
    ["intel", 0, ["rdi"]],
  ] as const) {
    const { input, host, guest, differences } = states(REP_STOSB_BY_ECX, vendor);
    for (const state of [input, host, guest]) state.setUint8(FIELD.gpr + 8, count);
    host.setUint8(FIELD.gpr + 8 * 7 + 4, 1);
    assert.deepEqual(differences(), expected);
    host.setUint8(FIELD.gpr + 8 * 7, 1);
    assert.deepEqual(differences(), ["rdi"]);
  }
});

test("AMD's processors may fault where an exception keeps ours from storing ST(0), and only there", () => {
  for (const [vendor, summary, expected] of [
    ["amd", 0x80, []],
    ["amd", 0, ["outcome"]],
    ["intel", 0x80, ["outcome"]],
  ] as const) {
    const { host, guest, differences } = states(FSTP_DWORD_AT_RAX, vendor);
    for (const state of [host, guest]) state.setUint8(FIELD.fx + FX.status, summary);
    fault(host, PF, 6);
    assert.deepEqual(differences(), expected);
  }
});

test("Intel's processors may pop a selector without its upper bytes, but refuse no other selector than ours", () => {
  for (const [vendor, errorCode, expected] of [
    ["intel", 0, []],
    ["intel", 0x1234, ["outcome"]],
    ["amd", 0, ["outcome"]],
  ] as const) {
    const { guest, differences } = states(POP_FS, vendor);
    fault(guest, GP, errorCode);
    assert.deepEqual(differences(), expected);
  }
});

test("what Intel's processors leave above a pushed selector is all of memory that is not compared", () => {
  const top = PLACE.windowSize / 2;
  for (const [at, same] of [
    [-9, false],
    [-7, false],
    [-6, true],
    [-1, true],
    [0, false],
  ] as const) {
    const { input, guest, differences } = states(PUSH_FS, "intel");
    input.setBigUint64(FIELD.gpr + 8 * 4, BigInt(PLACE.window + top), true);
    guest.setUint8(FIELD.memory + top + at, 1);
    assert.equal(differences().length === 0, same);
  }
});

test("Intel's processors may copy memory over itself in any order where it is mapped twice, and only there", () => {
  const [window, alias] = [BigInt(PLACE.window), PLACE.alias];
  for (const [vendor, source, destination, expected] of [
    ["intel", alias, window + 15n, 0],
    ["intel", alias, window + 16n, 1],
    ["intel", window, window + 15n, 1],
    ["amd", alias, window + 15n, 1],
  ] as const) {
    const { input, host, guest, differences } = states(REP_MOVSB, vendor);
    for (const state of [input, host, guest]) {
      state.setBigUint64(FIELD.gpr + 8 * 1, 16n, true);
      state.setBigUint64(FIELD.gpr + 8 * 6, source, true);
      state.setBigUint64(FIELD.gpr + 8 * 7, destination, true);
    }
    guest.setUint8(FIELD.memory + 16, 1);
    assert.equal(differences().length, expected);
  }
});

test("underflow is a matter of a result's last unit next to the smallest normal number only", () => {
  for (const [exponent, unit, expected] of [
    [1, 1, []],
    [1, 0, ["x87 status word"]],
    [2, 1, ["x87 status word"]],
  ] as const) {
    const { host, guest, differences } = states(FSIN);
    for (const state of [host, guest]) state.setUint16(FIELD.fx + FX.st + 8, exponent, true);
    guest.setUint8(FIELD.fx + FX.st, unit);
    guest.setUint8(FIELD.fx + FX.status, 0x10);
    assert.deepEqual(differences(), expected);
  }
});

test("a dot product of several NaNs may be any of them, but is one", () => {
  for (const [host32, guest32, expected] of [
    [0x7fc0_0000, 0xffc0_0001, []],
    [0x7fc0_0000, 0x3f80_0000, ["xmm0"]],
  ] as const) {
    const { host, guest, differences } = states(DPPS);
    host.setUint32(FIELD.fx + FX.xmm, host32, true);
    guest.setUint32(FIELD.fx + FX.xmm, guest32, true);
    assert.deepEqual(differences(), expected);
  }
});
