/**
 * FSTENV, FLDENV, FSAVE and FRSTOR: the x87 state in memory, in the layouts of real and protected mode with 16 and
 * 32 bits. @spec SDM 1, 8.1.10 and figures 8-9 to 8-12
 */
import { type Instruction, type InstructionSpec, instruction } from "./instruction.ts";
import type { Operand, Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";
import { initialise, statusWord } from "./x87-control.ts";
import { FPU_REGISTER, FPU_SET_CONTROL, FPU_SET_STATUS, FPU_TAG_WORD, fpuOf } from "./x87-functions.ts";
import { requireWritable } from "./x87-operand.ts";

/** Bytes of each of the seven words of an environment. */
const wordSize = (o: Semantics): 2 | 4 => (o.operandSize === 16 ? 2 : 4);

const PE = 1;
const VM = 1 << 17;
const OPCODE_BITS = 0x7ff;
const EXCEPTION_MASKS = 0x3f;

/** i32: not 0 in real-address and virtual-8086 mode. */
const isReal = (o: Semantics): Value => o.state("cr0").wrap().and(PE).eqz().or(o.state("eflagsSystem").and(VM));

/** Seven words: control, status, tags, instruction pointer in two and data pointer in two. */
function storeEnvironment(o: Semantics, dst: Operand): void {
  const size = wordSize(o);
  const real = isReal(o);
  const [ip, cs, opcode] = [o.state("fpuIp").wrap(), o.state("fpuCs"), o.state("fpuOpcode")];
  const [dp, ds] = [o.state("fpuDp").wrap(), o.state("fpuDs")];
  // Real mode keeps linear addresses: their upper bits are in bits 12 and up of the second word.
  const [linearIp, linearDp] = [cs.shl(4).add(ip), ds.shl(4).add(dp)];
  const upper = (linear: Value) => (size === 2 ? linear.shrU(16).and(15) : linear.shrU(16)).shl(12);
  const selector = size === 2 ? cs : cs.or(opcode.shl(16));
  const words = [
    o.state("fpuControl"),
    statusWord(o),
    o.call(FPU_TAG_WORD, fpuOf(o)),
    linearIp.and(0xffff).when(real, ip),
    upper(linearIp).or(opcode).when(real, selector),
    linearDp.and(0xffff).when(real, dp),
    upper(linearDp).when(real, ds),
  ];
  // Upper halves without a meaning read as ones.
  const filled = [0, 1, 2, 6];
  for (const [i, word] of words.entries()) {
    if (size === 2) {
      o.storeAt(dst, 2 * i, 16, word);
    } else {
      const ones = o.i32(i === 6 ? 0xf000_0000 : 0xffff_0000);
      const protectedWord = filled.includes(i) ? word.or(0xffff_0000) : word;
      const realWord = i === 4 ? word : word.or(ones);
      o.storeAt(dst, 4 * i, 32, realWord.when(real, protectedWord));
    }
  }
}

/** Reads the seven words; the function that it returns makes them the state. */
function loadEnvironment(o: Semantics, src: Operand): () => void {
  const size = wordSize(o);
  const words = Array.from({ length: 7 }, (_, i) => o.loadAt(src, size * i, 8 * size));
  const [control, status, tags, ipLow, ipHigh, dpLow, dpHigh] = words as [
    Value,
    Value,
    Value,
    Value,
    Value,
    Value,
    Value,
  ];
  return () => {
    const real = isReal(o);
    const linear = (low: Value, high: Value) => low.and(0xffff).or(high.shrU(12).and(0xffff).shl(16));
    o.setState("fpuIp", linear(ipLow, ipHigh).when(real, ipLow).extendU());
    o.setState("fpuDp", linear(dpLow, dpHigh).when(real, dpLow).extendU());
    o.setState("fpuCs", o.i32(0).when(real, ipHigh.and(0xffff)));
    o.setState("fpuDs", o.i32(0).when(real, dpHigh.and(0xffff)));
    const protectedOpcode = size === 2 ? o.state("fpuOpcode") : ipHigh.shrU(16);
    o.setState("fpuOpcode", ipHigh.when(real, protectedOpcode).and(OPCODE_BITS));
    o.setState("fpuTop", status.shrU(11).and(7));
    o.setState("fpuTag", emptyRegisters(tags));
    o.call(FPU_SET_STATUS, fpuOf(o), status);
    o.call(FPU_SET_CONTROL, fpuOf(o), control);
  };
}

/** One bit for each tag that is 3, from the tag word's two bits for each register. */
function emptyRegisters(tags: Value): Value {
  const pairs = tags.and(tags.shrU(1)).and(0x5555);
  const fours = pairs.or(pairs.shrU(1)).and(0x3333);
  const eights = fours.or(fours.shrU(2)).and(0x0f0f);
  return eights.or(eights.shrU(4)).and(0xff);
}

const FNSTENV: InstructionSpec = {
  spec: "SDM 2, FSTENV/FNSTENV",
  forms: ["D9 /6 M"],
  feature: "fpu",
  unit: "x87-nowait",
  meaning(o, dst) {
    requireWritable(o, dst, 7 * wordSize(o));
    storeEnvironment(o, dst);
    o.call(FPU_SET_CONTROL, fpuOf(o), o.state("fpuControl").or(EXCEPTION_MASKS));
  },
};

const FLDENV: InstructionSpec = {
  spec: "SDM 2, FLDENV",
  forms: ["D9 /4 M"],
  feature: "fpu",
  unit: "x87",
  meaning: (o, src) => loadEnvironment(o, src)(),
};

const FNSAVE: InstructionSpec = {
  spec: "SDM 2, FSAVE/FNSAVE",
  forms: ["DD /6 M"],
  feature: "fpu",
  unit: "x87-nowait",
  meaning(o, dst) {
    requireWritable(o, dst, 7 * wordSize(o) + 8 * 10);
    storeEnvironment(o, dst);
    for (let i = 0; i < 8; i++) {
      const register = o.call(FPU_REGISTER, fpuOf(o), i);
      const at = 7 * wordSize(o) + 10 * i;
      o.storeAt(dst, at, 64, o.loadState("i64", register));
      o.storeAt(dst, at + 8, 16, o.loadState("i32.16u", register, 8));
    }
    initialise(o);
  },
};

const FRSTOR: InstructionSpec = {
  spec: "SDM 2, FRSTOR",
  forms: ["DD /4 M"],
  feature: "fpu",
  unit: "x87",
  meaning(o, src) {
    const commit = loadEnvironment(o, src);
    const registers = Array.from({ length: 8 }, (_, i) => {
      const at = 7 * wordSize(o) + 10 * i;
      return { significand: o.loadAt(src, at, 64), exponent: o.loadAt(src, at + 8, 16) };
    });
    commit();
    for (const [i, { significand, exponent }] of registers.entries()) {
      const register = o.call(FPU_REGISTER, fpuOf(o), i);
      o.storeState("i64", register, significand);
      o.storeState("i32.16", register, exponent, 8);
    }
  },
};

export const X87_ENVIRONMENT: readonly Instruction[] = [
  instruction("fnstenv", FNSTENV),
  instruction("fldenv", FLDENV),
  instruction("fnsave", FNSAVE),
  instruction("frstor", FRSTOR),
];
