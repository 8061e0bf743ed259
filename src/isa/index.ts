/** The instruction set: every family, in one list. */
import { ALU } from "./alu.ts";
import { BITS } from "./bits.ts";
import { DECIMAL } from "./decimal.ts";
import { FLAGS } from "./flags.ts";
import type { Form, Instruction } from "./instruction.ts";
import { JUMPS } from "./jump.ts";
import { MOVE } from "./move.ts";
import { MULTIPLY_DIVIDE } from "./muldiv.ts";
import { SEGMENT } from "./segment.ts";
import { SHIFTS } from "./shift.ts";
import { SSE_ELEMENT } from "./sse-element.ts";
import { SSE_INTEGER } from "./sse-integer.ts";
import { SSE_MOVE } from "./sse-move.ts";
import { SSE_MULTIPLY } from "./sse-multiply.ts";
import { SSE_SHIFT } from "./sse-shift.ts";
import { SSE_SHUFFLE } from "./sse-shuffle.ts";
import { STACK } from "./stack.ts";
import { STRING } from "./string.ts";

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
  ...SEGMENT,
  ...SSE_MOVE,
  ...SSE_INTEGER,
  ...SSE_SHIFT,
  ...SSE_SHUFFLE,
  ...SSE_MULTIPLY,
  ...SSE_ELEMENT,
];

/** Every form of every instruction; a form's `id` is its index. */
export const FORMS: readonly Form[] = INSTRUCTIONS.flatMap((instruction) => instruction.parsed);
FORMS.forEach((form, id) => {
  form.id = id;
});
