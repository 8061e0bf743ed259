/**
 * The x87 instructions against the FPU of the computer that runs the tests. Where its maker is AMD, whose processors
 * the conventions follow in what the manuals leave undefined, everything is compared; on others only what is defined.
 */
import assert from "node:assert/strict";
import { cpus } from "node:os";
import { test } from "node:test";
import { type Comparison, compare } from "./testing/differential.ts";
import { GuestFpu } from "./testing/guest-fpu.ts";
import { hostFpu } from "./testing/node/host-fpu.ts";
import { IMAGE, RECORD } from "./testing/record.ts";

const host = hostFpu();
const skip = typeof host === "string" ? host : false;
const strict = cpus()[0]?.model.includes("AMD") ?? false;
const guest = new GuestFpu();
const CASES = 30_000;

const [C0, C1, C2, C3] = [0x100, 0x200, 0x400, 0x4000];
const CODES = C0 | C1 | C2 | C3;

interface Variant extends Partial<Comparison> {
  /** The condition codes that the manual defines; C1 unless given. */
  readonly codes?: number;
}
type Case = readonly [instruction: readonly number[], options?: Variant];

/** One test for instructions that each leave the state that the host's FPU leaves. */
function likeHost(sentence: string, cases: readonly Case[]): void {
  test(sentence, { skip }, () => {
    if (typeof host === "string") return;
    for (const [instruction, options = {}] of cases) {
      const { codes = C1, ...variant } = options;
      const comparison: Comparison = {
        instruction,
        cases: CASES,
        seed: instruction.reduce((sum, byte) => sum * 31 + byte, 7),
        masked: !strict,
        ...variant,
        ignoredStatus: (variant.ignoredStatus ?? 0) | (strict ? 0 : CODES & ~codes),
      };
      const { differing, first } = compare(host, guest, comparison);
      assert.equal(differing, 0, `${instruction.map((byte) => byte.toString(16)).join(" ")}: ${first}`);
    }
  });
}

/** An instruction with the memory operand [RSI]. */
const memory = (opcode: number, digit: number): number[] => [opcode, (digit << 3) | 6];
const OPERATION_DIGITS = [0, 1, 4, 5, 6, 7];

likeHost(
  "FADD, FMUL, FSUB, FSUBR, FDIV and FDIVR between registers",
  OPERATION_DIGITS.flatMap((digit): Case[] => [
    [[0xd8, 0xc1 + 8 * digit]],
    [[0xd8, 0xc0 + 8 * digit]],
    [[0xdc, 0xc3 + 8 * digit]],
    [[0xde, 0xc1 + 8 * digit]],
  ]),
);

likeHost(
  "FADD, FMUL, FSUB, FSUBR, FDIV and FDIVR with memory of all formats",
  OPERATION_DIGITS.flatMap((digit): Case[] => [
    [memory(0xd8, digit), { memory: "f32" }],
    [memory(0xdc, digit), { memory: "f64" }],
    [memory(0xda, digit), { memory: "i32" }],
    [memory(0xde, digit), { memory: "i16" }],
  ]),
);

likeHost("FSQRT, FRNDINT, FSCALE and FXTRACT", [[[0xd9, 0xfa]], [[0xd9, 0xfc]], [[0xd9, 0xfd]], [[0xd9, 0xf4]]]);

likeHost("FPREM and FPREM1 with the quotient's bits in the condition codes", [
  [[0xd9, 0xf8], { codes: CODES }],
  [[0xd9, 0xf5], { codes: CODES }],
]);

const COMPARES = { codes: C0 | C2 | C3 };
likeHost("FCOM, FUCOM, FICOM, FTST and FXAM, with one pop, two or none", [
  [[0xd8, 0xd1], COMPARES],
  [[0xd8, 0xd9], COMPARES],
  [[0xdc, 0xd3], COMPARES],
  [[0xdc, 0xdb], COMPARES],
  [[0xde, 0xd3], COMPARES],
  [[0xde, 0xd9], COMPARES],
  [[0xdd, 0xe1], COMPARES],
  [[0xdd, 0xe9], COMPARES],
  [[0xda, 0xe9], COMPARES],
  [memory(0xd8, 2), { memory: "f32", ...COMPARES }],
  [memory(0xd8, 3), { memory: "f32", ...COMPARES }],
  [memory(0xdc, 2), { memory: "f64", ...COMPARES }],
  [memory(0xdc, 3), { memory: "f64", ...COMPARES }],
  [memory(0xda, 2), { memory: "i32", ...COMPARES }],
  [memory(0xda, 3), { memory: "i32", ...COMPARES }],
  [memory(0xde, 2), { memory: "i16", ...COMPARES }],
  [memory(0xde, 3), { memory: "i16", ...COMPARES }],
  [[0xd9, 0xe4], COMPARES],
  [[0xd9, 0xe5], { codes: CODES }],
]);

likeHost(
  "FCOMI, FCOMIP, FUCOMI and FUCOMIP set ZF, PF and CF",
  // C1, which the manual clears, is left alone by AMD's processors.
  [
    [0xdb, 0xf1],
    [0xdf, 0xf1],
    [0xdb, 0xe9],
    [0xdf, 0xe9],
  ].map((bytes): Case => [bytes, { ignoredStatus: C1 }]),
);

likeHost("FLD, FILD, FBLD and the constants push", [
  [memory(0xd9, 0), { memory: "f32" }],
  [memory(0xdd, 0), { memory: "f64" }],
  [memory(0xdb, 5), { memory: "f80" }],
  [[0xd9, 0xc1]],
  [[0xd9, 0xc7]],
  [memory(0xdf, 0), { memory: "i16" }],
  [memory(0xdb, 0), { memory: "i32" }],
  [memory(0xdf, 5), { memory: "i64" }],
  [memory(0xdf, 4), { memory: "bcd" }],
  ...(strict ? ([[memory(0xdf, 4)]] as Case[]) : []),
  ...[0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee].map((modrm): Case => [[0xd9, modrm]]),
]);

likeHost("FST, FSTP, FIST, FISTP, FISTTP and FBSTP store, or leave memory alone where an exception is not masked", [
  [memory(0xd9, 2)],
  [memory(0xd9, 3)],
  [memory(0xdd, 2)],
  [memory(0xdd, 3)],
  [memory(0xdb, 7)],
  [memory(0xdf, 2)],
  [memory(0xdf, 3)],
  [memory(0xdb, 2)],
  [memory(0xdb, 3)],
  [memory(0xdf, 7)],
  [memory(0xdf, 1)],
  [memory(0xdb, 1)],
  [memory(0xdd, 1)],
  [memory(0xdf, 6)],
  [[0xdd, 0xd3]],
  [[0xdd, 0xdb]],
  [[0xdd, 0xd8]],
  [[0xd9, 0xdb]],
  [[0xdf, 0xd3]],
  [[0xdf, 0xdb]],
]);

likeHost("FXCH, FCMOVcc, FFREE, FINCSTP, FDECSTP, FNOP, FCHS and FABS", [
  ...[0xd9, 0xdd, 0xdf].map((opcode): Case => [[opcode, 0xc9]]),
  [[0xd9, 0xc8]],
  ...[0xc1, 0xc9, 0xd1, 0xd9].flatMap((modrm): Case[] => [[[0xda, modrm]], [[0xdb, modrm]]]),
  [[0xdd, 0xc3]],
  [[0xdf, 0xc3]],
  [[0xdf, 0xc0]],
  [[0xd9, 0xf7]],
  [[0xd9, 0xf6]],
  [[0xd9, 0xd0]],
  [[0xd9, 0xe0]],
  [[0xd9, 0xe1]],
]);

/** Forgets the exceptions that a new control word might unmask. */
const clearExceptions = (record: DataView) => {
  record.setUint16(IMAGE.status, record.getUint16(IMAGE.status, true) & ~0x3f, true);
};

likeHost("FLDCW, FNSTCW, FNSTSW, FNCLEX, FNINIT and what is left of the 8087's interrupt control", [
  [memory(0xd9, 5), { prepare: clearExceptions, codes: CODES }],
  [memory(0xd9, 7), { codes: CODES }],
  [memory(0xdd, 7), { codes: CODES }],
  [[0xdf, 0xe0], { codes: CODES }],
  [[0xdb, 0xe2]],
  [[0xdb, 0xe3], { codes: CODES }],
  ...[0xe0, 0xe1, 0xe4].map((modrm): Case => [[0xdb, modrm], { codes: CODES }]),
]);

const IMAGES = { codes: CODES, cases: 4000 };
/** Newer Intel processors store zeros for the selectors, and for the opcode beside one. @spec SDM 1, 8.1.8 */
const without =
  (...fields: readonly number[]) =>
  (at: number) =>
    strict || !fields.includes(at & ~1);
const [WIDE, NARROW] = [without(16, 18, 24), without(8, 12)];
likeHost("FNSTENV and FNSAVE store the environment with 32 and 16 bits", [
  [memory(0xd9, 6), { ...IMAGES, memoryBytes: 32, comparesMemory: WIDE }],
  [[0x66, ...memory(0xd9, 6)], { ...IMAGES, memoryBytes: 16, comparesMemory: NARROW }],
  [memory(0xdd, 6), { ...IMAGES, memoryBytes: 112, comparesMemory: WIDE }],
  [[0x66, ...memory(0xdd, 6)], { ...IMAGES, memoryBytes: 96, comparesMemory: NARROW }],
]);

likeHost("FLDENV and FRSTOR find out which of the loaded exceptions are pending", [
  [memory(0xd9, 4), { ...IMAGES, memoryBytes: 32 }],
  [[0x66, ...memory(0xd9, 4)], { ...IMAGES, memoryBytes: 16 }],
  [memory(0xdd, 4), { ...IMAGES, memoryBytes: 112 }],
  [[0x66, ...memory(0xdd, 4)], { ...IMAGES, memoryBytes: 96 }],
]);

/** FXSAVE's areas; the processor's pointers and the XMM registers are not the test's. */
const FX = { mxcsr: 24, registers: 32, xmm: 160, bytes: 512 } as const;

likeHost("FXSAVE stores the control, status and abridged tag words and the stack", [
  [
    [0x0f, 0xae, 0x06],
    { ...IMAGES, memoryBytes: FX.bytes, comparesMemory: (at) => at < 6 || (at >= FX.registers && at < FX.xmm) },
  ],
]);

likeHost("FXRSTOR loads the control, status and abridged tag words and the stack", [
  [
    [0x0f, 0xae, 0x0e],
    {
      ...IMAGES,
      memoryBytes: FX.bytes,
      prepare: (record) => record.setUint32(RECORD.memory + FX.mxcsr, 0x1f80, true),
    },
  ],
]);

/** Keeps ST(0) within the range that the instruction is defined for. */
const limitExponent = (largest: number) => (record: DataView) => {
  const at = IMAGE.registers + 8;
  const se = record.getUint16(at, true);
  if ((se & 0x7fff) > largest && (se & 0x7fff) < 0x7fff)
    record.setUint16(at, (se & 0x8000) | (largest - (se & 31)), true);
};
const TRANSCENDENTAL = { tolerance: 1, ignoredStatus: C1, mayUnderflow: !strict };

likeHost("FSIN, FCOS, FSINCOS, FPTAN and FPATAN are within a unit in the last place", [
  [[0xd9, 0xfe], { ...TRANSCENDENTAL, codes: C2 }],
  [[0xd9, 0xff], { ...TRANSCENDENTAL, codes: C2 }],
  [[0xd9, 0xfb], { ...TRANSCENDENTAL, codes: C2 }],
  [[0xd9, 0xf2], { ...TRANSCENDENTAL, codes: C2 }],
  [[0xd9, 0xf3], { ...TRANSCENDENTAL }],
]);

likeHost("F2XM1, FYL2X and FYL2XP1 are within a unit in the last place", [
  [[0xd9, 0xf0], strict ? TRANSCENDENTAL : { ...TRANSCENDENTAL, prepare: limitExponent(0x3ffe) }],
  [[0xd9, 0xf1], TRANSCENDENTAL],
  [[0xd9, 0xf9], strict ? TRANSCENDENTAL : { ...TRANSCENDENTAL, prepare: limitExponent(0x3ffc) }],
]);
