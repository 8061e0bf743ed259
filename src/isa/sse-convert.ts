/** SSE conversions between integers and the two floating-point formats. */
import { type Feature, type Instruction, instruction } from "./instruction.ts";
import type { Operand, Semantics } from "./semantics.ts";
import {
  allSet,
  callSoft,
  DOUBLE,
  declareSoft,
  type FloatFormat,
  fromBits,
  isQuiet,
  isRegular,
  lanesNormal,
  lanesOrdinary,
  nativeOr,
  SINGLE,
  scalarsOrdinary,
  toBits,
  withLowNumber,
} from "./sse-native.ts";
import { lanes, low, putVector, vector, zeroExtended } from "./sse-operand.ts";
import type { Value } from "./value.ts";

const TO_SINGLE = declareSoft("cvtdq2ps", ["v128"]);
const TO_DWORDS = { f32: declareSoft("cvtps2dq", ["v128", "i32"]), f64: declareSoft("cvtpd2dq", ["v128", "i32"]) };
const NARROW = { packed: declareSoft("cvtpd2ps", ["v128"]), scalar: declareSoft("cvtsd2ss", ["i64"]) };
const WIDEN = { packed: declareSoft("cvtps2pd", ["v128"]), scalar: declareSoft("cvtss2sd", ["i32"]) };
/** From i64 to a scalar. */
const FROM_INTEGER = { f32: declareSoft("cvtsi2ss", ["i64"]), f64: declareSoft("cvtsi2sd", ["i64"]) };
/** From a scalar to an integer of 32 or 64 bits; the second parameter is 1 for truncation. */
const TO_INTEGER = {
  f32: { 32: declareSoft("cvtss2si32", ["i32", "i32"]), 64: declareSoft("cvtss2si64", ["i32", "i32"]) },
  f64: { 32: declareSoft("cvtsd2si32", ["i64", "i32"]), 64: declareSoft("cvtsd2si64", ["i64", "i32"]) },
} as const;

interface Row {
  readonly name: string;
  readonly form: string;
  readonly feature: Feature;
  readonly unit?: "mmx";
}

function define({ name, form, feature, unit }: Row, meaning: Instruction["meaning"]): Instruction {
  return instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [form],
    feature,
    unit: unit ?? "sse",
    meaning,
  });
}

/** Four signed dwords to single precision, which may round. */
function dwordsToSingle(o: Semantics, value: Value): Value {
  const native = value.op("f32x4.convert_i32x4_s");
  return nativeOr(o, isQuiet(o), native, () => callSoft(o, "v128", TO_SINGLE, value));
}

/** Two signed dwords to double precision, exactly. */
const dwordsToDouble = (value: Value) => value.op("f64x2.convert_low_i32x4_s");

const mmxToSingle: Instruction["meaning"] = (o, dst, src) =>
  putVector(o, dst, dwordsToSingle(o, zeroExtended(o, o.get(src as Operand))));

// Of those that take an MMX operand only the register form touches the x87 state.
const PACKED_FROM_INTEGER: readonly Instruction[] = [
  define({ name: "cvtdq2ps", form: "NP 0F 5B /r Vdq,Wdq", feature: "sse2" }, (o, dst, src) => {
    o.put(dst, dwordsToSingle(o, vector(o, src)));
  }),
  define({ name: "cvtpi2ps", form: "NP 0F 2A /r Vq,Nq", feature: "sse", unit: "mmx" }, mmxToSingle),
  define({ name: "cvtpi2ps", form: "NP 0F 2A /r Vq,Mq", feature: "sse" }, mmxToSingle),
  define({ name: "cvtdq2pd", form: "F3 0F E6 /r Vdq,Wq", feature: "sse2" }, (o, dst, src) => {
    o.put(dst, dwordsToDouble(vector(o, src)));
  }),
  define({ name: "cvtpi2pd", form: "66 0F 2A /r Vdq,Nq", feature: "sse2", unit: "mmx" }, (o, dst, src) => {
    o.put(dst, dwordsToDouble(vector(o, src)));
  }),
  define({ name: "cvtpi2pd", form: "66 0F 2A /r Vdq,Mq", feature: "sse2" }, (o, dst, src) => {
    o.put(dst, dwordsToDouble(vector(o, src)));
  }),
];

/** Signed dwords out of lanes; the lanes of doubles' result that are left over are zero. */
function toDwords(o: Semantics, format: FloatFormat, value: Value, truncate: boolean): Value {
  const { vector: shape, type } = format;
  const whole = truncate ? value : value.op(`${shape}.nearest`);
  const native = whole.op(type === "f32" ? "i32x4.trunc_sat_f32x4_s" : "i32x4.trunc_sat_f64x2_s_zero");
  // 2^31 - 1 and beyond are left to the soft function, for doubles also what rounds to 2^31.
  const bound = type === "f32" ? lanes(o, 32, 0x4f00_0000) : lanes(o, 64, 0x41df_ffff_ffc0_0000n);
  const inRange = value.op(`${shape}.abs`).op(`${shape}.lt`, bound);
  const fits = isQuiet(o).and(allSet(inRange));
  return nativeOr(o, fits, native, () => callSoft(o, "v128", TO_DWORDS[type], value, truncate ? 1 : 0));
}

function packedToInteger(row: Row, format: FloatFormat): Instruction {
  const truncate = row.name.startsWith("cvtt");
  return define(row, (o, dst, src) => {
    // Lanes that the operand does not have count as zeros, which raise nothing.
    const value = src.width === 64 ? zeroExtended(o, o.get(src)) : vector(o, src);
    putVector(o, dst, toDwords(o, format, value, truncate));
  });
}

const PACKED_TO_INTEGER: readonly Instruction[] = [
  packedToInteger({ name: "cvtps2dq", form: "66 0F 5B /r Vdq,Wdq", feature: "sse2" }, SINGLE),
  packedToInteger({ name: "cvttps2dq", form: "F3 0F 5B /r Vdq,Wdq", feature: "sse2" }, SINGLE),
  packedToInteger({ name: "cvtps2pi", form: "NP 0F 2D /r Pq,Wq", feature: "sse", unit: "mmx" }, SINGLE),
  packedToInteger({ name: "cvttps2pi", form: "NP 0F 2C /r Pq,Wq", feature: "sse", unit: "mmx" }, SINGLE),
  packedToInteger({ name: "cvtpd2dq", form: "F2 0F E6 /r Vdq,Wdq", feature: "sse2" }, DOUBLE),
  packedToInteger({ name: "cvttpd2dq", form: "66 0F E6 /r Vdq,Wdq", feature: "sse2" }, DOUBLE),
  packedToInteger({ name: "cvtpd2pi", form: "66 0F 2D /r Pq,Wdq", feature: "sse2", unit: "mmx" }, DOUBLE),
  packedToInteger({ name: "cvttpd2pi", form: "66 0F 2C /r Pq,Wdq", feature: "sse2", unit: "mmx" }, DOUBLE),
];

/** A general register or memory to a scalar; a dword always fits in a double. */
function scalarFromInteger(row: Row, format: FloatFormat): Instruction {
  return define(row, (o, dst, src) => {
    const value = o.get(src);
    const native = value.op(`${format.type}.convert_${value.type}_s`);
    const exact = value.type === "i32" && format.type === "f64";
    const number = exact
      ? native
      : nativeOr(o, isQuiet(o), native, () =>
          fromBits(format, callSoft(o, format.bits, FROM_INTEGER[format.type], value.extendS())),
        );
    o.numbers.assume(format.type, number);
    o.put(dst, withLowNumber(format, o.get(dst), number));
  });
}

/** A scalar to a general register: rounded as MXCSR says, or truncated. */
function scalarToInteger(row: Row, format: FloatFormat): Instruction {
  const truncate = row.name.startsWith("cvtt");
  const { type, bits } = format;
  return define(row, (o, dst, src) => {
    const number = o.getNumber(src);
    const width = dst.width as 32 | 64;
    const target = width === 64 ? "i64" : "i32";
    const whole = truncate ? number : number.op(`${type}.nearest`);
    const native = whole.op(`${target}.trunc_sat_${type}_s`);
    const limit = width === 64 ? LIMIT_64[bits] : LIMIT_32[bits];
    const inRange = number
      .op(`${type}.abs`)
      .op(`${type}.lt`, fromBits(format, bits === "i32" ? o.i32(Number(limit)) : o.i64(limit)));
    const result = nativeOr(o, inRange.and(isQuiet(o)), native, () =>
      callSoft(o, target, TO_INTEGER[type][width], toBits(format, number), truncate ? 1 : 0),
    );
    o.put(dst, result);
  });
}

/** Bits of numbers below which nothing rounds out of range: 2^31 (double: 2^31 - 1) and 2^63. */
const LIMIT_32 = { i32: 0x4f00_0000, i64: 0x41df_ffff_ffc0_0000n };
const LIMIT_64 = { i32: 0x5f00_0000, i64: 0x43e0_0000_0000_0000n };

const SCALAR_INTEGER: readonly Instruction[] = [
  scalarFromInteger({ name: "cvtsi2ss", form: "F3 0F 2A /r Vdq,Ey", feature: "sse" }, SINGLE),
  scalarFromInteger({ name: "cvtsi2sd", form: "F2 0F 2A /r Vdq,Ey", feature: "sse2" }, DOUBLE),
  scalarToInteger({ name: "cvttss2si", form: "F3 0F 2C /r Gy,Wss", feature: "sse" }, SINGLE),
  scalarToInteger({ name: "cvttsd2si", form: "F2 0F 2C /r Gy,Wsd", feature: "sse2" }, DOUBLE),
  scalarToInteger({ name: "cvtss2si", form: "F3 0F 2D /r Gy,Wss", feature: "sse" }, SINGLE),
  scalarToInteger({ name: "cvtsd2si", form: "F2 0F 2D /r Gy,Wsd", feature: "sse2" }, DOUBLE),
];

/** The low two lanes of a vector are looked at: both halves are the same. */
function lowTwice(value: Value): Value {
  return low(value, 64).op("i64x2.splat");
}

const BETWEEN_FORMATS: readonly Instruction[] = [
  define({ name: "cvtps2pd", form: "NP 0F 5A /r Vdq,Wq", feature: "sse2" }, (o, dst, src) => {
    const value = lowTwice(vector(o, src));
    const native = value.op("f64x2.promote_low_f32x4");
    const soft = () => callSoft(o, "v128", WIDEN.packed, value);
    const result = nativeOr(o, lanesOrdinary(o, SINGLE, value), native, soft);
    o.numbers.assume("f64", result);
    o.put(dst, result);
  }),
  define({ name: "cvtpd2ps", form: "66 0F 5A /r Vdq,Wdq", feature: "sse2" }, (o, dst, src) => {
    const value = vector(o, src);
    const native = value.op("f32x4.demote_f64x2_zero");
    // A denormal operand makes the result zero, which is none of these.
    const fits = isQuiet(o).and(allSet(lanesNormal(o, SINGLE, lowTwice(native))));
    o.put(
      dst,
      nativeOr(o, fits, native, () => callSoft(o, "v128", NARROW.packed, value)),
    );
  }),
  define({ name: "cvtss2sd", form: "F3 0F 5A /r Vdq,Wss", feature: "sse2" }, (o, dst, src) => {
    const number = o.getNumber(src);
    const result = nativeOr(o, scalarsOrdinary(o, SINGLE, number), number.op("f64.promote_f32"), () =>
      fromBits(DOUBLE, callSoft(o, "i64", WIDEN.scalar, toBits(SINGLE, number))),
    );
    o.numbers.assume("f32", number);
    o.numbers.assume("f64", result);
    o.put(dst, withLowNumber(DOUBLE, o.get(dst), result));
  }),
  define({ name: "cvtsd2ss", form: "F2 0F 5A /r Vdq,Wsd", feature: "sse2" }, (o, dst, src) => {
    const number = o.getNumber(src);
    const native = number.op("f32.demote_f64");
    // A denormal operand makes the result zero, which is not regular.
    const result = nativeOr(o, isRegular(SINGLE, native, o.numbers.limit()), native, () =>
      fromBits(SINGLE, callSoft(o, "i32", NARROW.scalar, toBits(DOUBLE, number))),
    );
    o.numbers.assume("f32", result);
    o.put(dst, withLowNumber(SINGLE, o.get(dst), result));
  }),
];

export const SSE_CONVERT: readonly Instruction[] = [
  ...PACKED_FROM_INTEGER,
  ...PACKED_TO_INTEGER,
  ...SCALAR_INTEGER,
  ...BETWEEN_FORMATS,
];
