/** Where a test's memory operand and its stack are. */
import type { Decoded } from "../../src/cpu/decode/decoder.ts";
import { RSP, SS } from "../../src/isa/semantics.ts";
import { type Bits, FIELD, segmentBase } from "./record.ts";

/** The linear address of the instruction's memory operand in the state of `input`; undefined where it has none. */
export function linearAddress(decoded: Decoded, input: DataView, bits: Bits): bigint | undefined {
  const { memory, addressSize } = decoded;
  if (!memory) return undefined;
  const register = (index: number) => (index < 0 ? 0n : input.getBigUint64(FIELD.gpr + 8 * index, true));
  const next = input.getBigUint64(FIELD.rip, true) + BigInt(decoded.length);
  const base = memory.ripRelative ? next : register(memory.base);
  const sum = base + (register(memory.index) << BigInt(memory.scale)) + BigInt(memory.displacement);
  const offset = BigInt.asUintN(addressSize, sum);
  return BigInt.asUintN(64, offset + segmentBase(bits, memory.segment));
}

/** The linear address of the top of the stack in the state of `input`. */
export function stackAddress(input: DataView, bits: Bits): bigint {
  const pointer = BigInt.asUintN(bits, input.getBigUint64(FIELD.gpr + 8 * RSP, true));
  return pointer + segmentBase(bits, SS);
}
