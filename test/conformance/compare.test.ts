/** What a difference between processors is, and what is none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "../../src/cpu/decode/decoder.ts";
import { compare } from "./compare.ts";
import { FIELD, FX, NO_VECTOR, OUTPUT_SIZE, PLACE } from "./record.ts";

const BREAKPOINT = 3;
const CODE = BigInt(PLACE.code);

/** States before and after an instruction that changes nothing, as the host and our processor give them. */
function states(bytes: readonly number[]) {
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
    compare({ bits: 64, decoded, input, vendor: "other", strict: false }, host, guest).map(({ what }) => what);
  return { input, host, guest, differences };
}

const NOP = [0x90];
const SHIFT_LEFT_BY_CL = [0xd3, 0xe0];

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
