/** x87 comparisons and classification. @spec SDM 1, 8.3.6 */
import { type Instruction, type InstructionSpec, instruction } from "./instruction.ts";
import type { Operand } from "./semantics.ts";
import {
  FPU_COMPARE,
  FPU_COMPARE_FLAGS,
  FPU_EXAMINE,
  FPU_OPERAND_INTEGER,
  FPU_REGISTER,
  fpuOf,
  OPTIONS,
  topOf,
} from "./x87-functions.ts";
import { floatOperand, integerOperand, noteInstruction } from "./x87-operand.ts";

const { pop, popTwice, quiet, memory } = OPTIONS;

/** A comparison that sets the condition codes. */
function compare(name: string, forms: readonly string[], options: number): Instruction {
  return instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms,
    feature: "fpu",
    unit: "x87",
    meaning(o, other?: Operand) {
      const inMemory = other?.isMemory === true;
      // FCOMPP and FUCOMPP have no operands.
      const pointer = inMemory ? floatOperand(o, other) : other ? o.slot(other) : o.call(FPU_REGISTER, fpuOf(o), 1);
      o.call(FPU_COMPARE, fpuOf(o), topOf(o), pointer, options | (inMemory ? memory : 0));
      noteInstruction(o, other);
    },
  });
}

function compareInteger(name: string, forms: readonly string[], options: number): Instruction {
  return instruction(name, {
    spec: "SDM 2, FICOM/FICOMP",
    forms,
    feature: "fpu",
    unit: "x87",
    meaning(o, other) {
      o.call(FPU_COMPARE, fpuOf(o), topOf(o), integerOperand(o, other), options | memory);
      noteInstruction(o, other);
    },
  });
}

/** A comparison that sets ZF, PF and CF. */
function compareFlags(name: string, form: string, options: number): Instruction {
  return instruction(name, {
    spec: "SDM 2, FCOMI/FCOMIP/FUCOMI/FUCOMIP",
    forms: [form],
    feature: "cmov",
    unit: "x87",
    meaning(o, first, second) {
      const codes = o.call(FPU_COMPARE_FLAGS, fpuOf(o), o.slot(first), o.slot(second), options);
      const zero = o.i32(0);
      o.setFlags({ c: codes.and(1), p: codes.shrU(2).and(1), z: codes.shrU(6).and(1), a: zero, s: zero, o: zero });
      noteInstruction(o);
    },
  });
}

const FTST: InstructionSpec = {
  spec: "SDM 2, FTST",
  forms: ["D9 E4"],
  feature: "fpu",
  unit: "x87",
  meaning(o) {
    const zero = o.call(FPU_OPERAND_INTEGER, fpuOf(o), o.i64(0));
    o.call(FPU_COMPARE, fpuOf(o), topOf(o), zero, memory);
    noteInstruction(o);
  },
};

const FXAM: InstructionSpec = {
  spec: "SDM 2, FXAM",
  forms: ["D9 E5"],
  feature: "fpu",
  unit: "x87",
  meaning(o) {
    o.call(FPU_EXAMINE, fpuOf(o));
    noteInstruction(o);
  },
};

export const X87_COMPARISONS: readonly Instruction[] = [
  // DC /2, DC /3 and DE /2 with a register are undocumented aliases.
  compare("fcom", ["D8 /2 Md", "DC /2 Mq", "D8 /2 STi", "DC /2 STi"], 0),
  compare("fcomp", ["D8 /3 Md", "DC /3 Mq", "D8 /3 STi", "DC /3 STi", "DE /2 STi"], pop),
  compare("fucom", ["DD /4 STi"], quiet),
  compare("fucomp", ["DD /5 STi"], quiet | pop),
  compareInteger("ficom", ["DE /2 Mw", "DA /2 Md"], 0),
  compareInteger("ficomp", ["DE /3 Mw", "DA /3 Md"], pop),
  compare("fcompp", ["DE D9"], popTwice),
  compare("fucompp", ["DA E9"], quiet | popTwice),
  compareFlags("fcomi", "DB /6 ST0,STi", 0),
  compareFlags("fcomip", "DF /6 ST0,STi", pop),
  compareFlags("fucomi", "DB /5 ST0,STi", quiet),
  compareFlags("fucomip", "DF /5 ST0,STi", quiet | pop),
  instruction("ftst", FTST),
  instruction("fxam", FXAM),
];
