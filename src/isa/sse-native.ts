/**
 * SSE floating point: where WebAssembly's own arithmetic gives the guest's result, and what runs elsewhere.
 *
 * WebAssembly rounds to nearest and has no exception flags, and its NaNs have no certain bits. So native
 * arithmetic serves where MXCSR could not come out differently: rounding to nearest with the inexact flag already set
 * and masked (it is after a program's first inexact operation), no operand denormal, results well within the normal
 * numbers. DAZ, FTZ and the other masks have nothing to act on then. All else is left to the functions of
 * src/cpu/sse, which compute result and flags for every setting of MXCSR.
 *
 * Both conditions on MXCSR and on results are one comparison, with `NumberKnowledge.limit`. Operands that are known to
 * be ordinary are not looked at; infinities and NaNs among the others show in the result.
 * @spec SDM 1, 10.2.3 (MXCSR), 11.5 (SIMD floating-point exceptions)
 */
import { declareFunction } from "./functions.ts";
import type { Semantics } from "./semantics.ts";
import { lanes } from "./sse-operand.ts";
import type { Argument, Value, ValueType } from "./value.ts";

/** A binary floating-point format as scalar and as lanes. */
export interface FloatFormat {
  readonly type: "f32" | "f64";
  /** The type of its bits. */
  readonly bits: "i32" | "i64";
  readonly width: 32 | 64;
  readonly vector: "f32x4" | "f64x2";
  readonly integer: "i32x4" | "i64x2";
  /** Twice the smallest normal number's and infinity's bits: magnitudes are compared without the sign bit, shifted out. */
  readonly smallest: bigint;
  readonly infinity: bigint;
}

export const SINGLE: FloatFormat = {
  type: "f32",
  bits: "i32",
  width: 32,
  vector: "f32x4",
  integer: "i32x4",
  smallest: 0x0100_0000n,
  infinity: 0xff00_0000n,
};
export const DOUBLE: FloatFormat = {
  type: "f64",
  bits: "i64",
  width: 64,
  vector: "f64x2",
  integer: "i64x2",
  smallest: 0x0020_0000_0000_0000n,
  infinity: 0xffe0_0000_0000_0000n,
};

const constant = (format: FloatFormat, value: bigint) => (format.width === 32 ? Number(value) : value);

/** i32: rounding to nearest, and another inexact result changes nothing (PE set, PM set). */
function roundsQuietly(o: Semantics): Value {
  return o.state("mxcsr").and(0x7020).eq(0x1020);
}

/** How far magnitudes reach above `FIRST`, as `isRegular` takes them. */
const QUIET_LIMIT = 0xfd00_0000 | 0;
/** Of singles and of doubles' upper halves, shifted left by one: the second of the exponents of normal numbers. */
const FIRST = { f32: 0x0200_0000, f64: 0x0040_0000 } as const;

/** i32: QUIET_LIMIT where native arithmetic serves, as far as MXCSR goes, else 0. */
export function quietLimit(o: Semantics): Value {
  return o.i32(QUIET_LIMIT).when(roundsQuietly(o), 0);
}

/** i32: MXCSR lets native arithmetic serve, and what is assumed of numbers holds. */
export const isQuiet = (o: Semantics): Value => o.numbers.limit().ne(0);

/**
 * i32: `limit` is not 0, and a result is normal, with some distance to both ends: numbers in it are looked at closely by the
 * function, since they may be what an underflow or overflow was rounded to.
 */
export function isRegular({ type }: FloatFormat, number: Value, limit: Value): Value {
  const bits = number.op(type === "f64" ? "i64.reinterpret_f64" : "i32.reinterpret_f32");
  const magnitude = type === "f64" ? bits.shrU(31).wrap() : bits.shl(1);
  return magnitude.sub(FIRST[type]).ltU(limit);
}

// Scalar checks take the number's bits and give an i32, 0 or 1.

function isDenormal(format: FloatFormat, bits: Value): Value {
  return bits
    .shl(1)
    .sub(1)
    .ltU(constant(format, format.smallest - 1n));
}

/** Zero or normal. */
function zeroOrNormal(format: FloatFormat, bits: Value): Value {
  return isDenormal(format, bits)
    .eqz()
    .and(bits.shl(1).ltU(constant(format, format.infinity)));
}

// Vector checks give a v128 with all ones in lanes that pass.

/**
 * Lanes whose magnitude, shifted left by one, lies in `from` to 2^width - 1 when counted from `origin` on (modulo
 * 2^width): an unsigned comparison made of a signed one, which processors have.
 */
function lanesFrom(o: Semantics, format: FloatFormat, value: Value, origin: bigint, from: bigint): Value {
  const { integer, width } = format;
  const top = 1n << BigInt(width - 1);
  const moved = value.op(`${integer}.shl`, o.i32(1)).op(`${integer}.add`, lanes(o, width, top - origin));
  return moved.op(`${integer}.ge_s`, lanes(o, width, from - origin + top));
}

export function lanesNotDenormal(o: Semantics, format: FloatFormat, value: Value): Value {
  return lanesFrom(o, format, value, 1n, format.smallest);
}

/**
 * Neither zero nor denormal, infinite or NaN. The smallest normal number does not pass: what was rounded up to it may
 * have been an underflow. Counted from infinity on, normal numbers come last.
 */
export function lanesNormal(o: Semantics, format: FloatFormat, value: Value): Value {
  return lanesFrom(o, format, value, format.infinity, format.smallest + 1n);
}

function lanesZeroOrNormal(o: Semantics, format: FloatFormat, value: Value): Value {
  const { vector } = format;
  const finite = value.op(`${vector}.abs`).op(`${vector}.lt`, lanes(o, format.width, format.infinity >> 1n));
  return lanesNotDenormal(o, format, value).op("v128.and", finite);
}

/** i32: all lanes of all masks are set. */
export function allSet(first: Value, ...rest: readonly Value[]): Value {
  return rest.reduce((all, mask) => all.op("v128.and", mask), first).op("i32x4.all_true");
}

/** Lanes that are not NaN. */
export function lanesOrdered(format: FloatFormat, value: Value): Value {
  return value.op(`${format.vector}.eq`, value);
}

/**
 * Declares a function of src/cpu/sse: operands, then pointers to MXCSR and to where the result goes
 * (`simdResult`). It sets MXCSR's flags and returns 0, or the unmasked exceptions; then there is no result.
 */
export function declareSoft(name: string, params: readonly ValueType[]): string {
  return declareFunction(`soft.${name}`, { in: "wasm", params: [...params, "i32", "i32"], result: "i32" });
}

/** In what such a function returns: the unmasked exceptions, and that a number was not ordinary, or MXCSR is not quiet. */
const UNMASKED = 0x3f;
const DOUBTFUL = 0x100;

/**
 * Calls such a function and reads its result. An unmasked exception is #XM, or #UD where the operating system
 * has not announced a handler for it (CR4.OSXMMEXCPT). MXCSR has the flags then; all else is as before.
 */
export function callSoft(o: Semantics, type: "i32" | "i64" | "v128", name: string, ...args: Argument[]): Value {
  const result = o.slot("simdResult");
  const status = o.call(name, ...args, o.slot("mxcsr"), result);
  o.ifRare(status.and(UNMASKED), () => {
    o.raiseIf(o.state("cr4").wrap().and(0x400), "XM");
    o.raise("UD");
  });
  o.numbers.doubt(status.and(DOUBTFUL));
  return o.loadState(type, result);
}

/** `native` where `fits` (i32), else what `soft` computes. */
export function nativeOr(o: Semantics, fits: Value, native: Value, soft: () => Value): Value {
  const result = o.variable(native.type, native);
  o.ifRare(fits.eqz(), () => result.set(soft()));
  return result.get();
}

const all = (conditions: readonly Value[]): Value => conditions.reduce((first, next) => first.and(next));

/** Of numbers those that are not known to be ordinary. */
const unknown = (o: Semantics, { type }: FloatFormat, numbers: readonly Value[]): Value[] =>
  numbers.filter((number) => !o.numbers.isAssumed(type, number));

/** A scalar operation that rounds: `native`, or what the function `soft` makes of the operands' bits. */
export function roundedScalar(
  o: Semantics,
  format: FloatFormat,
  native: Value,
  soft: string,
  operands: Value[],
): Value {
  // Branches of their own cost less than the sum of all conditions.
  const limit = o.variable("i32", o.numbers.limit());
  for (const number of unknown(o, format, operands)) {
    o.ifRare(isDenormal(format, toBits(format, number)), () => limit.set(0));
  }
  const bits = operands.map((number) => toBits(format, number));
  const result = nativeOr(o, isRegular(format, native, limit.get()), native, () =>
    fromBits(format, callSoft(o, format.bits, soft, ...bits)),
  );
  o.numbers.assume(format.type, ...operands, result);
  return result;
}

/** The same of all lanes. */
export function roundedLanes(o: Semantics, format: FloatFormat, native: Value, soft: string, operands: Value[]): Value {
  const checks = unknown(o, format, operands).map((vector) => lanesNotDenormal(o, format, vector));
  const fits = isQuiet(o).and(allSet(lanesNormal(o, format, native), ...checks));
  const result = nativeOr(o, fits, native, () => callSoft(o, "v128", soft, ...operands));
  o.numbers.assume(format.type, ...operands, result);
  return result;
}

/** i32: scalars are ordinary. */
export function scalarsOrdinary(o: Semantics, format: FloatFormat, ...numbers: Value[]): Value {
  const quiet = isQuiet(o);
  const checks = unknown(o, format, numbers).map((number) => zeroOrNormal(format, toBits(format, number)));
  return all(checks.length < numbers.length ? [quiet, ...checks] : checks);
}
/** i32: all lanes are. */
export function lanesOrdinary(o: Semantics, format: FloatFormat, ...vectors: Value[]): Value {
  const quiet = isQuiet(o);
  const checks = unknown(o, format, vectors).map((vector) => lanesZeroOrNormal(o, format, vector));
  const [first, ...others] = checks;
  if (first === undefined) return quiet;
  const ordinary = allSet(first, ...others);
  return checks.length < vectors.length ? ordinary.and(quiet) : ordinary;
}

/** A scalar's bits as a number, and back. */
export function fromBits(format: FloatFormat, bits: Value): Value {
  return bits.op(`${format.type}.reinterpret_${format.bits}`);
}
export function toBits(format: FloatFormat, number: Value): Value {
  return number.op(`${format.bits}.reinterpret_${format.type}`);
}

/** The low lane of a v128 as a number and as its bits. */
export function lowNumber(format: FloatFormat, value: Value): Value {
  return value.lane(`${format.vector}.extract_lane`, 0);
}
export function lowBits(format: FloatFormat, value: Value): Value {
  return value.lane(`${format.integer}.extract_lane`, 0);
}
/** `value` with its low lane replaced by a number. */
export function withLowNumber(format: FloatFormat, value: Value, number: Value): Value {
  return value.lane(`${format.vector}.replace_lane`, 0, number);
}
