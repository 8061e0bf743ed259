/** x87 arithmetic. @spec SDM 1, 8.3.5 */
import { type Instruction, instruction } from "./instruction.ts";
import type { Operand, Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";
import {
  FPU_EXTRACT,
  FPU_REMAINDER,
  FPU_ROUND_INTEGER,
  FPU_SCALE,
  FPU_SQUARE_ROOT,
  fpuOf,
  OPERATIONS,
  OPTIONS,
  topOf,
} from "./x87-functions.ts";
import { integerOperand, noteInstruction } from "./x87-operand.ts";

interface Encoding {
  readonly name: keyof typeof OPERATIONS;
  /** The ModR/M digit with a memory operand or the target ST(0), and that with another target. */
  readonly digit: number;
  readonly otherDigit: number;
}

const ENCODINGS: readonly Encoding[] = [
  { name: "add", digit: 0, otherDigit: 0 },
  { name: "mul", digit: 1, otherDigit: 1 },
  { name: "sub", digit: 4, otherDigit: 5 },
  { name: "subr", digit: 5, otherDigit: 4 },
  { name: "div", digit: 6, otherDigit: 7 },
  { name: "divr", digit: 7, otherDigit: 6 },
];

/** FADD, FADDP, FIADD and their like. */
function threeInstructions({ name, digit, otherDigit }: Encoding): Instruction[] {
  const { registers, single, double, reversed } = OPERATIONS[name];
  const execute = (o: Semantics, target: Value, second: Value, options: number) => {
    const [a, b] = reversed ? [second, target] : [target, second];
    o.call(registers, fpuOf(o), target, a, b, options);
  };
  const common = { spec: `SDM 2, F${name.toUpperCase()}`, feature: "fpu", unit: "x87" } as const;
  return [
    instruction(`f${name}`, {
      ...common,
      forms: [`D8 /${digit} Md`, `DC /${digit} Mq`, `D8 /${digit} ST0,STi`, `DC /${otherDigit} STi,ST0`],
      meaning(o, dst, src) {
        if (dst.isMemory) o.call(dst.width === 32 ? single : double, fpuOf(o), o.get(dst));
        else execute(o, o.slot(dst), o.slot(src as Operand), 0);
        noteInstruction(o, dst);
      },
    }),
    instruction(`f${name}p`, {
      ...common,
      forms: [`DE /${otherDigit} STi,ST0`],
      meaning(o, dst, src) {
        execute(o, o.slot(dst), o.slot(src as Operand), OPTIONS.pop);
        noteInstruction(o);
      },
    }),
    instruction(`fi${name}`, {
      ...common,
      forms: [`DE /${digit} Mw`, `DA /${digit} Md`],
      meaning(o, src) {
        execute(o, topOf(o), integerOperand(o, src), OPTIONS.memory);
        noteInstruction(o, src);
      },
    }),
  ];
}

/** An operation on ST(0), or on ST(0) and ST(1). */
export function stackOperation(name: string, modrm: string, compute: string, ...args: number[]): Instruction {
  return instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`D9 ${modrm}`],
    feature: "fpu",
    unit: "x87",
    meaning(o) {
      o.call(compute, fpuOf(o), ...args);
      noteInstruction(o);
    },
  });
}

export const X87_ARITHMETIC: readonly Instruction[] = [
  ...ENCODINGS.flatMap(threeInstructions),
  stackOperation("fxtract", "F4", FPU_EXTRACT),
  stackOperation("fprem1", "F5", FPU_REMAINDER, 1),
  stackOperation("fprem", "F8", FPU_REMAINDER, 0),
  stackOperation("fsqrt", "FA", FPU_SQUARE_ROOT),
  stackOperation("frndint", "FC", FPU_ROUND_INTEGER),
  stackOperation("fscale", "FD", FPU_SCALE),
];
