/** Which status flags a test leaves undefined: what the definition says, made precise by the count of shifts. */
import type { Decoded } from "../../src/cpu/decode/decoder.ts";
import { type OperandSpec, resolveWidth } from "../../src/isa/operand.ts";
import { FIELD } from "./record.ts";

export const STATUS_FLAG = { c: 0x001, p: 0x004, a: 0x010, z: 0x040, s: 0x080, o: 0x800 } as const;
const ALL = 0x8d5;

const maskOf = (letters: string): number =>
  [...letters].reduce((mask, letter) => mask | (STATUS_FLAG[letter as keyof typeof STATUS_FLAG] ?? 0), 0);

/** A shift's count before it is masked. */
function countOf({ form, immediate }: Decoded, input: DataView): number {
  const last = form.operands.at(-1)?.text;
  if (last === "1") return 1;
  return last === "CL" ? input.getUint8(FIELD.gpr + 8) : Number(immediate & 0xffn);
}

export interface Undefined {
  /** Bits of RFLAGS. */
  readonly flags: number;
  /** The destination is undefined, too. */
  readonly result: boolean;
}

const NOTHING: Undefined = { flags: 0, result: false };

/** @spec SDM 2, "Flags Affected" of each instruction */
export function undefinedAfter(decoded: Decoded, input: DataView): Undefined {
  const { form, operandSize } = decoded;
  const { name } = form.instruction;
  const listed = maskOf(form.instruction.undefined ?? "");
  if (!/^(sh[lr]d?|sar|ro[lr]|rc[lr])$/.test(name)) return { flags: listed, result: false };
  const operandWidth = resolveWidth((form.operands[0] as OperandSpec).width, operandSize);
  const count = countOf(decoded, input) & (operandWidth === 64 ? 63 : 31);
  if (count === 0) return NOTHING;
  const overflow = count === 1 ? 0 : STATUS_FLAG.o;
  if (name.startsWith("r")) return { flags: overflow, result: false };
  if (name.endsWith("d") && count > operandWidth) return { flags: ALL, result: true };
  const carry = (name === "shl" || name === "shr") && count >= operandWidth ? STATUS_FLAG.c : 0;
  return { flags: STATUS_FLAG.a | overflow | carry, result: false };
}
