/** What x87 instructions share: operands from memory, stores, and the record of the last instruction. */
import type { Operand, Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";
import { FPU_OPERAND_32, FPU_OPERAND_64, FPU_OPERAND_INTEGER, FPU_STORED, fpuOf } from "./x87-functions.ts";

/**
 * Keeps where the instruction and its memory operand are, for FSTENV and its like; to be called after all that can
 * fault. The operand's segment (FDS) is not kept, nor is the opcode (FOP), which processors since the Pentium 4 only
 * give in compatibility mode. @spec SDM 1, 8.1.8 and 8.1.9
 */
export function noteInstruction(o: Semantics, operand?: Operand): void {
  o.setState("fpuIp", o.thisIp());
  o.setState("fpuCs", o.state("csSelector"));
  if (operand?.isMemory) o.setState("fpuDp", o.address(operand));
}

/** Faults unless all of an image of up to a page can be written, so that none of it is where it cannot. */
export function requireWritable(o: Semantics, operand: Operand, bytes: number): void {
  for (const at of [0, bytes - 1]) o.updateAt(operand, at, 8, (old) => old);
}

/** Address of a floating-point number in memory as an operand of functions. */
export function floatOperand(o: Semantics, operand: Operand): Value {
  return o.call(operand.width === 32 ? FPU_OPERAND_32 : FPU_OPERAND_64, fpuOf(o), o.get(operand));
}

/** Address of an integer in memory as an operand of functions. */
export function integerOperand(o: Semantics, operand: Operand): Value {
  return o.call(FPU_OPERAND_INTEGER, fpuOf(o), signedInteger(o, operand));
}

/** An integer in memory, sign-extended to i64. */
export function signedInteger(o: Semantics, operand: Operand): Value {
  const value = o.get(operand);
  return operand.width === 64 ? value : value.signExtend(operand.width).extendS();
}

/** Exceptions that keep a number from being stored in memory where they are not masked: IE, OE and UE. */
const PREVENTING = 0x19;

/**
 * Ends a store of what the FPU has made of ST(0) by `write`. An unmasked exception prevents it, and memory is then not
 * even looked at, as in Intel's processors; AMD's find out first whether it can be written.
 */
export function storeResult(o: Semantics, operand: Operand, pop: boolean, write: () => void): void {
  const fpu = fpuOf(o);
  const prevented = o.state("fpuRaised").and(o.state("fpuControl").not()).and(PREVENTING);
  o.if(prevented.eqz(), write);
  o.call(FPU_STORED, fpu, pop ? 1 : 0);
  noteInstruction(o, operand);
}
