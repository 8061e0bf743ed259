/** x87 loads: floating-point numbers, integers, BCD and constants pushed on the register stack. @spec SDM 1, 8.3.3 and 8.3.4 */
import { type Instruction, instruction } from "./instruction.ts";
import {
  FPU_LOAD,
  FPU_PUSH,
  FPU_PUSH_32,
  FPU_PUSH_64,
  FPU_PUSH_BCD,
  FPU_PUSH_INTEGER,
  fpuOf,
} from "./x87-functions.ts";
import { noteInstruction, signedInteger } from "./x87-operand.ts";

const FLD = instruction("fld", {
  spec: "SDM 2, FLD",
  forms: ["D9 /0 Md", "DD /0 Mq", "DB /5 Mt", "D9 /0 STi"],
  feature: "fpu",
  unit: "x87",
  meaning(o, src) {
    const fpu = fpuOf(o);
    if (!src.isMemory) {
      o.call(FPU_LOAD, fpu, o.slot(src));
    } else if (src.width === 80) {
      const significand = o.loadAt(src, 0, 64);
      o.call(FPU_PUSH, fpu, significand, o.loadAt(src, 8, 16));
    } else {
      o.call(src.width === 32 ? FPU_PUSH_32 : FPU_PUSH_64, fpu, o.get(src));
    }
    noteInstruction(o, src);
  },
});

const FILD = instruction("fild", {
  spec: "SDM 2, FILD",
  forms: ["DF /0 Mw", "DB /0 Md", "DF /5 Mq"],
  feature: "fpu",
  unit: "x87",
  meaning(o, src) {
    o.call(FPU_PUSH_INTEGER, fpuOf(o), signedInteger(o, src));
    noteInstruction(o, src);
  },
});

const FBLD = instruction("fbld", {
  spec: "SDM 2, FBLD",
  forms: ["DF /4 Mt"],
  feature: "fpu",
  unit: "x87",
  meaning(o, src) {
    const low = o.loadAt(src, 0, 64);
    o.call(FPU_PUSH_BCD, fpuOf(o), low, o.loadAt(src, 8, 16));
    noteInstruction(o, src);
  },
});

/**
 * Pushes a constant: sign and exponent, the significand cut to 64 bits, and whether the exact number is nearer to the
 * next one. Rounding control applies; no exception tells that the constant is inexact.
 */
function constant(
  name: string,
  modrm: string,
  exponent: number,
  significand: bigint,
  nearerNext?: boolean,
): Instruction {
  return instruction(name, {
    spec: "SDM 2, FLD1/FLDL2T/FLDL2E/FLDPI/FLDLG2/FLDLN2/FLDZ",
    forms: [`D9 ${modrm}`],
    feature: "fpu",
    unit: "x87",
    meaning(o) {
      let value = o.i64(significand);
      if (nearerNext !== undefined) {
        const rounding = o.state("fpuControl").shrU(10).and(3);
        const next = nearerNext ? rounding.and(1).eqz() : rounding.eq(2);
        value = value.add(next.extendU());
      }
      o.call(FPU_PUSH, fpuOf(o), value, exponent);
      noteInstruction(o);
    },
  });
}

export const X87_LOADS: readonly Instruction[] = [
  FLD,
  FILD,
  FBLD,
  constant("fld1", "E8", 0x3fff, 0x8000_0000_0000_0000n),
  constant("fldl2t", "E9", 0x4000, 0xd49a_784b_cd1b_8afen, false),
  constant("fldl2e", "EA", 0x3fff, 0xb8aa_3b29_5c17_f0bbn, true),
  constant("fldpi", "EB", 0x4000, 0xc90f_daa2_2168_c234n, true),
  constant("fldlg2", "EC", 0x3ffd, 0x9a20_9a84_fbcf_f798n, true),
  constant("fldln2", "ED", 0x3ffe, 0xb172_17f7_d1cf_79abn, true),
  constant("fldz", "EE", 0, 0n),
];
