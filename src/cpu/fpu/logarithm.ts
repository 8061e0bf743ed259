/** FYL2X and FYL2XP1. @spec SDM 1, 8.3.10; SDM 2, FYL2X and FYL2XP1 */
import { declareFunction } from "../../isa/functions.ts";
import { FPU_LOGARITHM, FPU_LOGARITHM_PLUS_1 } from "../../isa/x87-functions.ts";
import type { Value } from "../../wasm/value.ts";
import { normalise, PROPAGATE, raiseDenormal } from "./arithmetic.ts";
import {
  BIAS,
  exponentOf,
  type F80,
  type FpuBodies,
  type FpuCode,
  INTEGER_BIT,
  isInfinity,
  isNanOrUnsupported,
  MAX_EXPONENT,
  PE,
  SIGN,
  signOf,
  UE,
  ZE,
} from "./code.ts";
import { logarithmOf2, ratio } from "./constants.ts";
import {
  COEFFICIENT_BITS,
  divideFloating,
  type Floating,
  multiplyFloating,
  normal,
  normalAny,
  polynomial,
  roundInexact,
  toFixed,
} from "./fixed.ts";
import { roundFull } from "./round.ts";
import { finish, underflowIf } from "./stack.ts";
import { addWide, multiplyWide, shiftRightSticky, subtractWide, type Wide } from "./wide.ts";

/**
 * (fpu, y, dividend, its exponent, divisor, its exponent, sign of the quotient, whole) → significand of
 * y · (whole + log2((1 + s) / (1 - s))), where s is the quotient.
 */
const SERIES = declareFunction("fpuLogarithmSeries", {
  in: "wasm",
  params: ["i32", "i64", "i32", "i64", "i64", "i32", "i64", "i64", "i32", "i32", "i32"],
  result: "i64",
});
/** (fpu, y, x, exponent) → significand of y · log2(x) for x = hi:lo / 2^127 · 2^exponent, not 1. */
const LOGARITHM = declareFunction("fpuLogarithmOf", {
  in: "wasm",
  params: ["i32", "i64", "i32", "i64", "i64", "i32"],
  result: "i64",
});

/** log2((1 + s) / (1 - s)) / 4s for |s| up to 0.2: artanh's series times 1 / 2 ln 2. */
const TERMS = 19;
const DOUBLE_LN2 = 2n * logarithmOf2(COEFFICIENT_BITS);
const COEFFICIENTS = Array.from({ length: TERMS }, (_, k) => {
  return ratio(1n << BigInt(COEFFICIENT_BITS), DOUBLE_LN2 * BigInt(2 * k + 1), COEFFICIENT_BITS);
});
/** Just above log2(0.2^2). */
const LARGEST_SQUARE = -4.64;
/** Where the significand is halved: the square root of 2, near enough. */
const ROOT_OF_2 = 0xb504_f333_f9de_6484n;
/** Bits in front of the point in sums with the whole part, which is below 2^15. */
const WHOLE_BITS = 16;

function series(
  c: FpuCode,
  yM: Value,
  ySe: Value,
  aHi: Value,
  aLo: Value,
  aExponent: Value,
  bHi: Value,
  bLo: Value,
  bExponent: Value,
  minus: Value,
  whole: Value,
): void {
  const y: F80 = { m: yM, se: ySe };
  const dividend: Floating = { hi: aHi, lo: aLo, exponent: aExponent };
  const divisor: Floating = { hi: bHi, lo: bLo, exponent: bExponent };
  const s = divideFloating(c, dividend, divisor);
  const square = toFixed(c, multiplyFloating(c, s, s));
  const sum = polynomial(c, square, LARGEST_SQUARE, c.i64(0), COEFFICIENTS);
  const part = multiplyFloating(c, s, normal(sum, c.i32(2)));
  const hi = c.variable("i64", part.hi);
  const lo = c.variable("i64", part.lo);
  const exponent = c.variable("i32", part.exponent);
  const sign = c.variable("i32", minus);
  c.if(whole, () => {
    const negative = whole.ltS(0);
    const magnitude = whole.neg().when(negative, whole);
    const integer: Wide = { hi: magnitude.extendU().shl(64 - WHOLE_BITS), lo: c.i64(0) };
    const aligned = shiftRightSticky(c, part, c.i32(WHOLE_BITS).sub(part.exponent));
    const [more, less] = [addWide(integer, aligned), subtractWide(integer, aligned)];
    const grows = negative.eq(minus.ne(0));
    const total = normal({ hi: more.hi.when(grows, less.hi), lo: more.lo.when(grows, less.lo) }, c.i32(WHOLE_BITS));
    hi.set(total.hi);
    lo.set(total.lo);
    exponent.set(total.exponent);
    sign.set(c.bitsIf(negative, SIGN));
  });
  const factor = normalise(y);
  const logarithm: Floating = { hi: hi.get(), lo: lo.get(), exponent: exponent.get() };
  const result = multiplyFloating(c, logarithm, {
    hi: factor.m,
    lo: c.i64(0),
    exponent: factor.exponent.sub(BIAS - 1),
  });
  c.f.return(roundInexact(c, sign.get().xor(signOf(y)), result));
}

/** y · whole, exactly; only the flags tell of an inexact result, as they do of any other logarithm. */
function multiple(c: FpuCode, y: F80, whole: Value): Value {
  const negative = whole.ltS(0);
  const factor = normalise(y);
  const { hi, lo } = multiplyWide(
    factor.m,
    whole
      .neg()
      .when(negative, whole)
      .extendU()
      .shl(64 - WHOLE_BITS),
  );
  const product = normal({ hi, lo }, factor.exponent.add(WHOLE_BITS));
  c.raise(c.i32(PE | UE).when(product.exponent.ltS(1), PE));
  return roundFull(c, signOf(y).xor(c.bitsIf(negative, SIGN)), product.exponent, product);
}

function logarithm(c: FpuCode, yM: Value, ySe: Value, xHi: Value, xLo: Value, exponent: Value): void {
  c.if(xHi.shl(1).or(xLo).eqz(), () => {
    c.f.return(multiple(c, { m: yM, se: ySe }, exponent));
  });
  // Between the root of a half and that of two: the significand, or half of it.
  const halved = xHi.geU(ROOT_OF_2);
  const one: Wide = { hi: c.i64(INTEGER_BIT).when(halved.eqz(), 0), lo: c.i64(0) };
  const x: Wide = { hi: xHi, lo: xLo };
  // Twice the significand where it is halved: 1 is then 2^128, whose difference is the negated significand.
  const above = subtractWide(x, one);
  const dividend: Wide = { hi: above.hi.not().when(halved, above.hi), lo: above.lo.not().when(halved, above.lo) };
  const exact = addWide(dividend, { hi: c.i64(0), lo: halved.extendU() });
  // The sum with 1 has 129 bits: it is halved.
  const divisor: Wide = {
    hi: xHi.shrU(1).add(c.i64(INTEGER_BIT).when(halved, 1n << 62n)),
    lo: xLo.shrU(1).or(xHi.shl(63)),
  };
  const shifted = normalAny(exact, c.i32(0));
  c.returnCall(
    SERIES,
    ...[yM, ySe, shifted.hi, shifted.lo, shifted.exponent, divisor.hi, divisor.lo, c.i32(1)],
    ...[c.bitsIf(halved, SIGN), exponent.add(halved)],
  );
}

/** The end that both instructions share: the result replaces ST(1), and ST(0) is popped. */
function finishBinary(c: FpuCode, significand: Value): void {
  finish(c, c.st(1), significand, 1);
}

/** What an operation on ST(1) and ST(0) begins with: stack faults and NaNs. */
export function binaryOperands(c: FpuCode): { x: F80; y: F80 } {
  const [top, next] = [c.st(0), c.st(1)];
  underflowIf(c, c.isEmpty(top).or(c.isEmpty(next)), next, 1);
  const [x, y] = [c.read(top), c.read(next)];
  c.setRaised(0);
  c.if(isNanOrUnsupported(x).or(isNanOrUnsupported(y)), () => finishBinary(c, c.call(PROPAGATE, x.m, x.se, y.m, y.se)));
  return { x, y };
}

const isZero = (x: F80): Value => x.m.eqz();
const isOne = (x: F80): Value => x.m.eq(INTEGER_BIT).and(exponentOf(x).eq(BIAS));

function finishInvalidBinary(c: FpuCode, condition: Value): void {
  c.if(condition, () => {
    c.setRaised(1);
    c.setResultExponent(0xffff);
    finishBinary(c, c.i64(3n << 62n));
  });
}

/** Ends with 0 or infinity of the given sign where `condition` holds. */
function finishSimple(c: FpuCode, condition: Value, sign: Value, infinite: boolean): void {
  c.if(condition, () => {
    c.setResultExponent(sign.and(SIGN).or(infinite ? MAX_EXPONENT : 0));
    finishBinary(c, c.i64(infinite ? INTEGER_BIT : 0));
  });
}

export const LOGARITHMS: FpuBodies = {
  [SERIES]: series,
  [LOGARITHM]: logarithm,

  [FPU_LOGARITHM](c) {
    const { x, y } = binaryOperands(c);
    const sign = signOf(y);
    // The logarithm is negative, zero or positive.
    const zero = isOne(x);
    const negative = exponentOf(x).ltU(BIAS);
    const resultSign = sign.xor(c.bitsIf(negative, SIGN));
    finishInvalidBinary(
      c,
      signOf(x)
        .and(c.bitsIf(isZero(x).eqz(), SIGN))
        .or(isInfinity(y).and(zero))
        .or(isZero(y).and(isZero(x).or(isInfinity(x)))),
    );
    c.if(isZero(x).and(isInfinity(y).eqz()), () => c.setRaised(ZE));
    finishSimple(c, isZero(x), resultSign, true);
    raiseDenormal(c, x, y);
    finishSimple(c, isInfinity(x).or(isInfinity(y)), resultSign, true);
    finishSimple(c, zero.or(isZero(y)), sign.when(zero, resultSign), false);
    const { m, exponent } = normalise(x);
    finishBinary(c, c.call(LOGARITHM, y.m, y.se, m, c.i64(0), exponent.sub(BIAS)));
  },

  [FPU_LOGARITHM_PLUS_1](c) {
    const { x, y } = binaryOperands(c);
    const sign = x.se.xor(y.se).and(SIGN);
    const minusInfinity = isInfinity(x).and(signOf(x).ne(0));
    const infiniteTimesZero = isInfinity(x)
      .and(isZero(y))
      .or(isInfinity(y).and(isZero(x)));
    finishInvalidBinary(c, minusInfinity.or(infiniteTimesZero));
    raiseDenormal(c, x, y);
    finishSimple(c, isInfinity(x).or(isInfinity(y)), sign, true);
    finishSimple(c, isZero(x).or(isZero(y)), sign, false);
    // Below -1, where there is no logarithm, the operand stays.
    c.if(signOf(x).ne(0).and(exponentOf(x).geU(BIAS)), () => {
      c.raise(PE);
      c.setResultExponent(x.se);
      finishBinary(c, x.m);
    });
    const { m, exponent } = normalise(x);
    const scale = exponent.sub(BIAS - 1);
    const fraction: Floating = { hi: m, lo: c.i64(0), exponent: scale };
    const minus = signOf(x).ne(0);
    // Up to a quarter 1 + x needs no reduction: the quotient is x / (2 + x).
    c.if(scale.ltS(-1), () => {
      const part = shiftRightSticky(c, fraction, c.i32(2).sub(scale));
      const two: Wide = { hi: c.i64(INTEGER_BIT), lo: c.i64(0) };
      const [more, less] = [addWide(two, part), subtractWide(two, part)];
      const divisor = normal({ hi: less.hi.when(minus, more.hi), lo: less.lo.when(minus, more.lo) }, c.i32(2));
      const result = c.call(
        SERIES,
        ...[y.m, y.se, m, c.i64(0), scale, divisor.hi, divisor.lo, divisor.exponent],
        ...[signOf(x), c.i32(0)],
      );
      finishBinary(c, result);
    });
    const sum = onePlus(c, fraction, minus);
    finishBinary(c, c.call(LOGARITHM, y.m, y.se, sum.hi, sum.lo, sum.exponent.sub(1)));
  },
};

/** 1 + x, or 1 - x, for x from a quarter up (below 1 where it is subtracted). */
function onePlus(c: FpuCode, x: Floating, minus: Value): Floating {
  const large = x.exponent.gtS(0);
  // The larger of the two with a bit to spare, the smaller aligned to it.
  const exponent = x.exponent.when(large, 1);
  const one: Wide = { hi: c.i64(INTEGER_BIT), lo: c.i64(0) };
  const alignedOne = shiftRightSticky(c, one, exponent);
  const alignedX = shiftRightSticky(c, x, exponent.sub(x.exponent).add(1));
  const [more, less] = [addWide(alignedOne, alignedX), subtractWide(alignedOne, alignedX)];
  return normalAny({ hi: less.hi.when(minus, more.hi), lo: less.lo.when(minus, more.lo) }, exponent.add(1));
}
