import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { ALU } from "../../isa/alu.ts";
import { BITS } from "../../isa/bits.ts";
import { DECIMAL } from "../../isa/decimal.ts";
import { disassemble } from "../../isa/disassemble.ts";
import { FLAGS } from "../../isa/flags.ts";
import type { Form } from "../../isa/instruction.ts";
import { JUMPS } from "../../isa/jump.ts";
import { MOVE } from "../../isa/move.ts";
import { MULTIPLY_DIVIDE } from "../../isa/muldiv.ts";
import { generalName } from "../../isa/register-names.ts";
import { SHIFTS } from "../../isa/shift.ts";
import { STACK } from "../../isa/stack.ts";
import { STRING } from "../../isa/string.ts";
import { decode } from "../decode/decoder.ts";
import { legacyCase } from "./testing/legacy-cases.ts";
import { LegacyGuest } from "./testing/legacy-guest.ts";
import { runOnHost } from "./testing/node/legacy-host.ts";
import { CODE, COMPARED_FLAGS, FIELD, MEMORY_SIZE, NO_VECTOR, RECORD_SIZE } from "./testing/record.ts";

const INSTRUCTIONS = [ALU, MOVE, STACK, JUMPS, SHIFTS, MULTIPLY_DIVIDE, BITS, STRING, DECIMAL, FLAGS].flat();
const CASES_PER_FORM = 24;
const REPORTED = 10;
const FLAG_BITS: Record<string, number> = { c: 1, p: 4, a: 16, z: 64, s: 128, o: 2048 };

/** Intel and AMD processors differ: a 16-bit double shift by more than 16. */
function isUndefined(form: Form, record: DataView): boolean {
  if (!/^sh[lr]d$/.test(form.instruction.name)) return false;
  const length = record.getUint32(FIELD.length, true);
  const immediate = form.operands.at(-1)?.place === "immediate";
  const count = record.getUint8(immediate ? FIELD.code + length - 1 : FIELD.gpr + 4);
  return (count & 31) > 16;
}

/** What differs between the guest's and the host's state after a test. */
function differences(form: Form, guest: DataView, host: DataView): string[] {
  const found: string[] = [];
  const compare = (name: string, at: number, mask = 0xffff_ffff) => {
    const [ours, theirs] = [guest.getUint32(at, true) & mask, host.getUint32(at, true) & mask];
    if (ours !== theirs) found.push(`${name} is ${(ours >>> 0).toString(16)}, not ${(theirs >>> 0).toString(16)}`);
  };
  const vector = host.getUint32(FIELD.vector, true);
  const faults = vector !== NO_VECTOR;
  // How far POPA came, and flags of comparisons before the fault, differ between processors.
  const partly = faults && form.instruction.name === "popa|popad";
  if (!partly) for (let i = 0; i < 8; i++) compare(generalName(i, 32, false), FIELD.gpr + 4 * i);
  for (let i = 0; i < MEMORY_SIZE; i += 4) compare(`memory ${i}`, FIELD.memory + i);
  compare("vector", FIELD.vector);
  compare("ip", FIELD.ip);
  // A page fault's error code tells the privilege level, which differs.
  if (faults && vector !== 14) compare("error", FIELD.error);
  const defined = [...(form.instruction.undefined ?? "")].reduce(
    (mask, flag) => mask & ~(FLAG_BITS[flag] ?? 0),
    COMPARED_FLAGS,
  );
  if (!(faults && form.instruction.repeat === "repe")) compare("flags", FIELD.flags, defined);
  return found;
}

/** The first instruction of a test, and the registers before it. */
function describe(record: DataView): string {
  const bits = record.getUint32(FIELD.bits, true);
  const code = new Uint8Array(record.buffer, record.byteOffset + FIELD.code, record.getUint32(FIELD.length, true));
  const decoded = decode(code, 0, code.length, { long: false, code32: bits === 32 }, () => true);
  const text = typeof decoded === "string" ? decoded : disassemble(decoded, BigInt(bits === 16 ? 0 : CODE));
  const value = (at: number) => record.getUint32(at, true).toString(16);
  const registers = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => `${generalName(i, 32, false)}=${value(FIELD.gpr + 4 * i)}`);
  return `${bits}-bit ${Buffer.from(code).toString("hex")} ${text}; ${registers.join(" ")} flags=${value(FIELD.flags)}`;
}

test("integer instructions in 16-bit and 32-bit code do what the host's processor does", (t) => {
  const random = new SeededRandom(0x1e9ac1);
  const cases: { form: Form; record: DataView }[] = [];
  for (const form of INSTRUCTIONS.flatMap((instruction) => instruction.parsed)) {
    for (const bits of [16, 32] as const) {
      for (let i = 0; i < CASES_PER_FORM; i++) {
        const record = legacyCase(random, form, bits);
        if (record && !isUndefined(form, record)) cases.push({ form, record });
      }
    }
  }
  const input = new Uint8Array(cases.length * RECORD_SIZE);
  cases.forEach(({ record }, i) => {
    input.set(new Uint8Array(record.buffer), i * RECORD_SIZE);
  });
  const output = runOnHost(input);
  if (typeof output === "string") {
    t.skip(output);
    return;
  }
  const guest = new LegacyGuest();
  const wrong: string[] = [];
  cases.forEach(({ form, record }, i) => {
    const before = describe(record);
    guest.run(record);
    const found = differences(
      form,
      record,
      new DataView(output.buffer, output.byteOffset + i * RECORD_SIZE, RECORD_SIZE),
    );
    if (found.length > 0) wrong.push(`${before}: ${found.join("; ")}`);
  });
  assert.deepEqual(wrong.slice(0, REPORTED), [], `${wrong.length} of ${cases.length} differ`);
  assert.ok(cases.length > 10_000, `only ${cases.length} cases`);
});
