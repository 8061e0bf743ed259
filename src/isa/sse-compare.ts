/** SSE floating-point comparison: CMPPS and its kin, COMISS, UCOMISS, COMISD, UCOMISD. */
import { type Feature, type Instruction, instruction } from "./instruction.ts";
import type { Semantics } from "./semantics.ts";
import {
  callSoft,
  DOUBLE,
  declareSoft,
  type FloatFormat,
  lanesOrdinary,
  lowNumber,
  nativeOr,
  SINGLE,
  scalarsOrdinary,
  toBits,
} from "./sse-native.ts";
import { immediate, low, vector } from "./sse-operand.ts";
import type { Value } from "./value.ts";

/**
 * Lanes that fulfil predicate 0–7 (EQ, LT, LE, UNORD, NEQ, NLT, NLE, ORD), all ones each; no lane is NaN. The
 * last four are the first four negated.
 */
function fulfilled(o: Semantics, format: FloatFormat, a: Value, b: Value, predicate: Value): Value {
  const { vector: shape } = format;
  const { constant } = predicate;
  if (constant !== undefined) {
    const name = ["eq", "lt", "le", undefined][Number(constant) & 3];
    const mask = name === undefined ? a.op("v128.xor", a) : a.op(`${shape}.${name}`, b);
    return Number(constant) & 4 ? mask.op("v128.not") : mask;
  }
  const none = a.op("v128.xor", a);
  const less = a.op(`${shape}.lt`, b).when(predicate.and(3), none);
  const equal = a.op(`${shape}.eq`, b).when(predicate.and(1).eqz(), none);
  const mask = none.when(predicate.and(3).eq(3), less.op("v128.or", equal));
  return mask.op("v128.xor", o.i32(0).sub(predicate.shrU(2)).op("i32x4.splat"));
}

interface Comparison {
  readonly name: string;
  readonly prefix: string;
  readonly operand: string;
  readonly feature: Feature;
  readonly format: FloatFormat;
}

const PACKED: readonly Comparison[] = [
  { name: "cmpps", prefix: "NP", operand: "Wdq", feature: "sse", format: SINGLE },
  { name: "cmppd", prefix: "66", operand: "Wdq", feature: "sse2", format: DOUBLE },
];
const SCALAR: readonly Comparison[] = [
  { name: "cmpss", prefix: "F3", operand: "Wss", feature: "sse", format: SINGLE },
  { name: "cmpsd", prefix: "F2", operand: "Wsd", feature: "sse2", format: DOUBLE },
];

/** One for packed and scalar: a scalar is compared in all lanes, of which one is kept. */
function compare({ name, prefix, operand, feature, format }: Comparison, scalar: boolean): Instruction {
  const parameter = scalar ? format.bits : "v128";
  const soft = declareSoft(name, [parameter, parameter, "i32"]);
  return instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`${prefix} 0F C2 /r Vdq,${operand},Ib`],
    feature,
    unit: "sse",
    meaning(o, dst, src, control) {
      const predicate = immediate(o, control).and(7);
      if (scalar) {
        const y = o.getNumber(src);
        const old = o.get(dst);
        const x = lowNumber(format, old);
        const splat = (number: Value) => number.op(`${format.vector}.splat`);
        const native = low(fulfilled(o, format, splat(x), splat(y), predicate), format.width);
        const result = nativeOr(o, scalarsOrdinary(o, format, x, y), native, () =>
          callSoft(o, format.bits, soft, toBits(format, x), toBits(format, y), predicate),
        );
        o.numbers.assume(format.type, x, y);
        o.put(dst, old.lane(`${format.integer}.replace_lane`, 0, result));
      } else {
        const b = vector(o, src);
        const a = o.get(dst);
        const native = fulfilled(o, format, a, b, predicate);
        const soften = () => callSoft(o, "v128", soft, a, b, predicate);
        const result = nativeOr(o, lanesOrdinary(o, format, a, b), native, soften);
        o.numbers.assume(format.type, a, b);
        o.put(dst, result);
      }
    },
  });
}

/** How two numbers compare, as the soft functions tell it. */
const LESS = 1;
const EQUAL = 2;
const UNORDERED = 8;

const SOFT_RELATION = {
  f32: declareSoft("relation32", ["i32", "i32", "i32"]),
  f64: declareSoft("relation64", ["i64", "i64", "i32"]),
};

/** Sets ZF, PF and CF; COMIS signals invalid for quiet NaNs too. */
function compareFlags(name: string, form: string, feature: Feature, format: FloatFormat): Instruction {
  const signaling = name.startsWith("u") ? 0 : 1;
  return instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [form],
    feature,
    unit: "sse",
    meaning(o, dst, src) {
      const y = o.getNumber(src);
      const x = lowNumber(format, o.get(dst));
      const native = x.op(`${format.type}.lt`, y).or(x.eq(y).shl(1));
      const relation = nativeOr(o, scalarsOrdinary(o, format, x, y), native, () =>
        callSoft(o, "i32", SOFT_RELATION[format.type], toBits(format, x), toBits(format, y), signaling),
      );
      o.numbers.assume(format.type, x, y);
      const none = o.i32(0);
      o.setFlags({
        z: relation.and(EQUAL | UNORDERED).ne(0),
        p: relation.and(UNORDERED).ne(0),
        c: relation.and(LESS | UNORDERED).ne(0),
        o: none,
        s: none,
        a: none,
      });
    },
  });
}

export const SSE_COMPARE: readonly Instruction[] = [
  ...PACKED.map((row) => compare(row, false)),
  ...SCALAR.map((row) => compare(row, true)),
  compareFlags("ucomiss", "NP 0F 2E /r Vdq,Wss", "sse", SINGLE),
  compareFlags("ucomisd", "66 0F 2E /r Vdq,Wsd", "sse2", DOUBLE),
  compareFlags("comiss", "NP 0F 2F /r Vdq,Wss", "sse", SINGLE),
  compareFlags("comisd", "66 0F 2F /r Vdq,Wsd", "sse2", DOUBLE),
];
