/** The instruction set: every family, in one list. */
import { AES } from "./aes.ts";
import { ALU } from "./alu.ts";
import { BITS } from "./bits.ts";
import { CACHE } from "./cache.ts";
import { CONTROL } from "./control.ts";
import { IDENTIFICATION } from "./cpuid.ts";
import { DECIMAL } from "./decimal.ts";
import { DESCRIPTOR_TABLES } from "./descriptor-table.ts";
import { FLAGS } from "./flags.ts";
import type { Form, Instruction } from "./instruction.ts";
import { INTERRUPT } from "./interrupt.ts";
import { IO } from "./io.ts";
import { JUMPS } from "./jump.ts";
import { MOVE } from "./move.ts";
import { MULTIPLY_DIVIDE } from "./muldiv.ts";
import { SEGMENT } from "./segment.ts";
import { SHA } from "./sha.ts";
import { SHIFTS } from "./shift.ts";
import { SMAP } from "./smap.ts";
import { SSE_ARITHMETIC } from "./sse-arithmetic.ts";
import { SSE_COMPARE } from "./sse-compare.ts";
import { SSE_CONTROL } from "./sse-control.ts";
import { SSE_CONVERT } from "./sse-convert.ts";
import { SSE_ELEMENT } from "./sse-element.ts";
import { SSE_INTEGER } from "./sse-integer.ts";
import { SSE_MOVE } from "./sse-move.ts";
import { SSE_MULTIPLY } from "./sse-multiply.ts";
import { SSE_ROUND } from "./sse-round.ts";
import { SSE_SHIFT } from "./sse-shift.ts";
import { SSE_SHUFFLE } from "./sse-shuffle.ts";
import { SSE_STRING } from "./sse-string.ts";
import { STACK } from "./stack.ts";
import { STRING } from "./string.ts";
import { TRANSFER } from "./transfer.ts";
import { X87 } from "./x87.ts";
import { XSAVE } from "./xsave.ts";

export const INSTRUCTIONS: readonly Instruction[] = [
  ...ALU,
  ...MOVE,
  ...STACK,
  ...JUMPS,
  ...SHIFTS,
  ...MULTIPLY_DIVIDE,
  ...BITS,
  ...STRING,
  ...DECIMAL,
  ...FLAGS,
  ...X87,
  ...SSE_MOVE,
  ...SSE_ARITHMETIC,
  ...SSE_COMPARE,
  ...SSE_CONVERT,
  ...SSE_ROUND,
  ...SSE_INTEGER,
  ...SSE_SHIFT,
  ...SSE_SHUFFLE,
  ...SSE_MULTIPLY,
  ...SSE_ELEMENT,
  ...SSE_STRING,
  ...SSE_CONTROL,
  ...AES,
  ...SHA,
  ...SEGMENT,
  ...TRANSFER,
  ...INTERRUPT,
  ...DESCRIPTOR_TABLES,
  ...CONTROL,
  ...SMAP,
  ...IDENTIFICATION,
  ...CACHE,
  ...IO,
  ...XSAVE,
];

/** Every form of every instruction; a form's `id` is its index. */
export const FORMS: readonly Form[] = INSTRUCTIONS.flatMap((instruction) => instruction.parsed);
FORMS.forEach((form, id) => {
  form.id = id;
});
