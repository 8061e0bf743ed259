/** ROUNDPS, ROUNDPD, ROUNDSS and ROUNDSD: floating-point numbers rounded to whole ones. */
import { type Instruction, instruction } from "./instruction.ts";
import type { Semantics } from "./semantics.ts";
import {
  allSet,
  callSoft,
  DOUBLE,
  declareSoft,
  type FloatFormat,
  lanesNotDenormal,
  lanesOrdered,
  lowBits,
  nativeOr,
  SINGLE,
} from "./sse-native.ts";
import { immediate, low, vector, widen } from "./sse-operand.ts";
import type { Value } from "./value.ts";

/** Immediate: bits 1:0 the rounding mode, bit 2 MXCSR's mode instead, bit 3 no inexact exception. */
const USE_MXCSR = 4;
const SUPPRESS_INEXACT = 8;
/** Rounding modes by number: nearest even, down, up, towards zero. */
const NATIVE = ["nearest", "floor", "ceil", "trunc"] as const;

function rounded(o: Semantics, { vector: shape }: FloatFormat, value: Value, control: Value): Value {
  const { constant } = control;
  const native = (mode: number) => value.op(`${shape}.${NATIVE[mode]}`);
  if (constant !== undefined && (Number(constant) & USE_MXCSR) === 0) return native(Number(constant) & 3);
  const mode = o.state("mxcsr").shrU(13).when(control.and(USE_MXCSR), control);
  const low = mode.and(1);
  return native(3)
    .when(low, native(2))
    .when(mode.and(2), native(1).when(low, native(0)));
}

interface Row {
  readonly name: string;
  readonly opcode: string;
  readonly source: "Wdq" | "Wss" | "Wsd";
  readonly format: FloatFormat;
}

function round({ name, opcode, source, format }: Row): Instruction {
  const scalar = source !== "Wdq";
  const soft = declareSoft(name, [scalar ? format.bits : "v128", "i32"]);
  return instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`66 0F 3A ${opcode} /r Vdq,${source},Ib`],
    feature: "sse4_1",
    unit: "sse",
    meaning(o, dst, src, operand) {
      const control = immediate(o, operand);
      const input = scalar ? o.get(src) : vector(o, src);
      const value = scalar ? widen(input) : input;
      const quiet = o.state("mxcsr").and(0x1020).eq(0x1020).or(control.and(SUPPRESS_INEXACT));
      const fits = quiet.ne(0).and(allSet(lanesNotDenormal(o, format, value), lanesOrdered(format, value)));
      const native = rounded(o, format, value, control);
      if (scalar) {
        const result = nativeOr(o, fits, lowBits(format, native), () =>
          callSoft(o, format.bits, soft, low(value, format.width), control),
        );
        o.put(dst, o.get(dst).lane(`${format.integer}.replace_lane`, 0, result));
      } else {
        o.put(
          dst,
          nativeOr(o, fits, native, () => callSoft(o, "v128", soft, value, control)),
        );
      }
    },
  });
}

export const SSE_ROUND: readonly Instruction[] = [
  round({ name: "roundps", opcode: "08", source: "Wdq", format: SINGLE }),
  round({ name: "roundpd", opcode: "09", source: "Wdq", format: DOUBLE }),
  round({ name: "roundss", opcode: "0A", source: "Wss", format: SINGLE }),
  round({ name: "roundsd", opcode: "0B", source: "Wsd", format: DOUBLE }),
];
