/**
 * Functions of the floating-point unit that the x87 instructions call; src/cpu/fpu builds them. The first parameter of
 * each is the address of the registers (`fpu` below); a register is given by its address.
 * `options` are OPTIONS; where no parameters are told, there are none.
 */
import { declareFunction, type FunctionSpec } from "./functions.ts";
import type { Semantics } from "./semantics.ts";
import type { Value, ValueType } from "./value.ts";

const fpu = (name: string, params: readonly ValueType[], result?: ValueType): string => {
  const spec: FunctionSpec = { in: "wasm", params: ["i32", ...params] };
  return declareFunction(name, result ? { ...spec, result } : spec);
};

/** What an instruction does besides its operation. */
export const OPTIONS = {
  pop: 1,
  /** The second operand is what FPU_OPERAND_... made of a memory operand. */
  memory: 2,
  /** A comparison that takes quiet NaNs without an exception. */
  quiet: 4,
  /** A comparison that pops both operands. */
  popTwice: 8,
} as const;

/** Address of the registers, which every function takes. */
export const fpuOf = (o: Semantics): Value => o.slot("fpu");

/** Address of ST(0). */
export const topOf = (o: Semantics): Value => fpuOf(o).add(o.state("fpuTop").shl(4));
/** (fpu, index) → address of the register ST(index). */
export const FPU_REGISTER = fpu("fpuRegister", ["i32"], "i32");

// Operands from memory: (fpu, bits) → address of the operand for the second parameter of an operation.
export const FPU_OPERAND_32 = fpu("fpuOperand32", ["i32"], "i32");
export const FPU_OPERAND_64 = fpu("fpuOperand64", ["i64"], "i32");
/** The same of a signed integer. */
export const FPU_OPERAND_INTEGER = fpu("fpuOperandInteger", ["i64"], "i32");

// Loads: push a number. (fpu, bits).
export const FPU_PUSH_32 = fpu("fpuPush32", ["i32"]);
export const FPU_PUSH_64 = fpu("fpuPush64", ["i64"]);
export const FPU_PUSH_INTEGER = fpu("fpuPushInteger", ["i64"]);
/** (fpu, digits 0–15, digits 16 and 17 with the sign in bit 15). */
export const FPU_PUSH_BCD = fpu("fpuPushBcd", ["i64", "i32"]);
/** (fpu, significand, sign and exponent). */
export const FPU_PUSH = fpu("fpuPush", ["i64", "i32"]);
/** (fpu, register): FLD ST(i). */
export const FPU_LOAD = fpu("fpuLoad", ["i32"]);

// Stores are three steps, because the store may fault: ST(0) in the memory format; a look at `fpuRaised`, whether the
// store takes place; and its effects on the state, with (fpu, pop). A number of 80 bits is given by the address of its
// image.
export const FPU_TAKE_32 = fpu("fpuTake32", [], "i32");
export const FPU_TAKE_64 = fpu("fpuTake64", [], "i64");
/** (fpu, bits, truncate) → the integer. */
export const FPU_TAKE_INTEGER = fpu("fpuTakeInteger", ["i32", "i32"], "i64");
export const FPU_TAKE_80 = fpu("fpuTake80", [], "i32");
export const FPU_TAKE_BCD = fpu("fpuTakeBcd", [], "i32");
export const FPU_STORED = fpu("fpuStored", ["i32"]);

// Moves between registers.
/** (fpu, target, options): FST ST(i). */
export const FPU_STORE = fpu("fpuStore", ["i32", "i32"]);
/** (fpu, target): FSTP ST(i) that ignores an empty ST(0). */
export const FPU_STORE_IF_FILLED = fpu("fpuStoreIfFilled", ["i32"]);
/** (fpu, register): FXCH. */
export const FPU_EXCHANGE = fpu("fpuExchange", ["i32"]);
/** (fpu, register, condition): FCMOVcc. */
export const FPU_MOVE_IF = fpu("fpuMoveIf", ["i32", "i32"]);
/** (fpu, mask to keep, mask to flip): changes the sign of ST(0). */
export const FPU_CHANGE_SIGN = fpu("fpuChangeSign", ["i32", "i32"]);
/** (fpu, register, pop): FFREE. */
export const FPU_FREE = fpu("fpuFree", ["i32", "i32"]);
/** (fpu, distance): moves the top of the stack. */
export const FPU_ROTATE = fpu("fpuRotate", ["i32"]);

// Control: (fpu, word). Both find out which exceptions are pending now.
export const FPU_SET_CONTROL = fpu("fpuSetControl", ["i32"]);
export const FPU_SET_STATUS = fpu("fpuSetStatus", ["i32"]);
/** → the tag word with two bits for each register. */
export const FPU_TAG_WORD = fpu("fpuTagWord", [], "i32");

export type FpuOperation = "add" | "subtract" | "multiply" | "divide";

/** An operation, which may take its operands the other way round, and its functions. */
interface Operation {
  readonly operation: FpuOperation;
  readonly reversed: boolean;
  /** (fpu, target, first, second, options): in their order, whichever way round they are. The target is one of them. */
  readonly registers: string;
  /** (fpu, bits): of ST(0) and a number from memory. */
  readonly single: string;
  readonly double: string;
  /** What makes an operand of such a number. */
  readonly operands: { readonly single: string; readonly double: string };
}

const REGISTERS: Record<FpuOperation, string> = {
  add: fpu("fpuAdd", ["i32", "i32", "i32", "i32"]),
  subtract: fpu("fpuSubtract", ["i32", "i32", "i32", "i32"]),
  multiply: fpu("fpuMultiply", ["i32", "i32", "i32", "i32"]),
  divide: fpu("fpuDivide", ["i32", "i32", "i32", "i32"]),
};
function operation(name: string, kind: FpuOperation, reversed = false): Operation {
  return {
    operation: kind,
    reversed,
    registers: REGISTERS[kind],
    single: fpu(`${name}32`, ["i32"]),
    double: fpu(`${name}64`, ["i64"]),
    operands: { single: FPU_OPERAND_32, double: FPU_OPERAND_64 },
  };
}

export const OPERATIONS = {
  add: operation("fpuAdd", "add"),
  mul: operation("fpuMultiply", "multiply"),
  sub: operation("fpuSubtract", "subtract"),
  subr: operation("fpuSubtractReversed", "subtract", true),
  div: operation("fpuDivide", "divide"),
  divr: operation("fpuDivideReversed", "divide", true),
} as const;

// Comparisons: (fpu, first, second, options).
export const FPU_COMPARE = fpu("fpuCompare", ["i32", "i32", "i32"]);
/** → CF in bit 0, PF in bit 2, ZF in bit 6. */
export const FPU_COMPARE_FLAGS = fpu("fpuCompareFlags", ["i32", "i32", "i32"], "i32");
export const FPU_EXAMINE = fpu("fpuExamine", []);

// Operations on ST(0), and ST(1) where there are two operands.
export const FPU_SQUARE_ROOT = fpu("fpuSquareRoot", []);
export const FPU_ROUND_INTEGER = fpu("fpuRoundInteger", []);
export const FPU_SCALE = fpu("fpuScale", []);
export const FPU_EXTRACT = fpu("fpuExtract", []);
/** (fpu, 1 to round the quotient to nearest). */
export const FPU_REMAINDER = fpu("fpuRemainder", ["i32"]);

// Transcendental functions.
/** 2^ST(0) - 1. */
export const FPU_EXPONENTIAL = fpu("fpuExponential", []);
/** ST(1) · log2(ST(0)) and ST(1) · log2(ST(0) + 1). */
export const FPU_LOGARITHM = fpu("fpuLogarithm", []);
export const FPU_LOGARITHM_PLUS_1 = fpu("fpuLogarithmPlus1", []);
/** (fpu, 1 for the cosine). */
export const FPU_SINE = fpu("fpuSine", ["i32"]);
export const FPU_SINE_AND_COSINE = fpu("fpuSineAndCosine", []);
export const FPU_TANGENT = fpu("fpuTangent", []);
export const FPU_ARCTANGENT = fpu("fpuArctangent", []);
