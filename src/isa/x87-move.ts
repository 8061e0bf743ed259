/** x87 moves between registers, sign changes, and the register stack's pointer and tags. @spec SDM 1, 8.3.3 and 8.3.11 */
import { type Instruction, type InstructionSpec, instruction } from "./instruction.ts";
import { FPU_CHANGE_SIGN, FPU_EXCHANGE, FPU_FREE, FPU_MOVE_IF, FPU_ROTATE, fpuOf } from "./x87-functions.ts";
import { noteInstruction } from "./x87-operand.ts";

const FXCH = instruction("fxch", {
  spec: "SDM 2, FXCH",
  // The last two are undocumented aliases.
  forms: ["D9 /1 STi", "DD /1 STi", "DF /1 STi"],
  feature: "fpu",
  unit: "x87",
  meaning(o, other) {
    o.call(FPU_EXCHANGE, fpuOf(o), o.slot(other));
    noteInstruction(o);
  },
});

/** FCMOVcc: the condition's name, the code it has in Jcc, and the encoding. */
function conditionalMove(condition: string, code: number, form: string): Instruction {
  return instruction(`fcmov${condition}`, {
    spec: "SDM 2, FCMOVcc",
    forms: [form],
    feature: "cmov",
    unit: "x87",
    meaning(o, _dst, src) {
      o.call(FPU_MOVE_IF, fpuOf(o), o.slot(src), o.condition(code));
      noteInstruction(o);
    },
  });
}

/** FABS and FCHS: which bits of sign and exponent stay, and which flip. */
function signChange(name: string, modrm: string, keep: number, flip: number): Instruction {
  return instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`D9 ${modrm}`],
    feature: "fpu",
    unit: "x87",
    meaning(o) {
      o.call(FPU_CHANGE_SIGN, fpuOf(o), keep, flip);
      noteInstruction(o);
    },
  });
}

const free = (name: string, form: string, pop: 0 | 1): Instruction =>
  instruction(name, {
    spec: "SDM 2, FFREE",
    forms: [form],
    feature: "fpu",
    unit: "x87",
    meaning(o, register) {
      o.call(FPU_FREE, fpuOf(o), o.slot(register), pop);
      noteInstruction(o);
    },
  });

const rotate = (name: string, modrm: string, distance: number): Instruction =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`D9 ${modrm}`],
    feature: "fpu",
    unit: "x87",
    meaning(o) {
      o.call(FPU_ROTATE, fpuOf(o), distance);
      noteInstruction(o);
    },
  });

const FNOP: InstructionSpec = {
  spec: "SDM 2, FNOP",
  forms: ["D9 D0"],
  feature: "fpu",
  unit: "x87",
  meaning: (o) => noteInstruction(o),
};

export const X87_MOVES: readonly Instruction[] = [
  FXCH,
  conditionalMove("b", 2, "DA /0 ST0,STi"),
  conditionalMove("e", 4, "DA /1 ST0,STi"),
  conditionalMove("be", 6, "DA /2 ST0,STi"),
  conditionalMove("u", 10, "DA /3 ST0,STi"),
  conditionalMove("nb", 3, "DB /0 ST0,STi"),
  conditionalMove("ne", 5, "DB /1 ST0,STi"),
  conditionalMove("nbe", 7, "DB /2 ST0,STi"),
  conditionalMove("nu", 11, "DB /3 ST0,STi"),
  signChange("fchs", "E0", 0xffff, 0x8000),
  signChange("fabs", "E1", 0x7fff, 0),
  free("ffree", "DD /0 STi", 0),
  // Undocumented.
  free("ffreep", "DF /0 STi", 1),
  rotate("fdecstp", "F6", -1),
  rotate("fincstp", "F7", 1),
  instruction("fnop", FNOP),
];
