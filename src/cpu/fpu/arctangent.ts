/** FPATAN. @spec SDM 1, 8.3.8 and 8.3.10; SDM 2, FPATAN and table 3-30 */
import { declareFunction } from "../../isa/functions.ts";
import { FPU_ARCTANGENT } from "../../isa/x87-functions.ts";
import type { Value } from "../../wasm/value.ts";
import { normalise, raiseDenormal } from "./arithmetic.ts";
import { type F80, type FpuBodies, type FpuCode, isInfinity, signOf } from "./code.ts";
import { arctangent as arctangentOf, pi, ratio } from "./constants.ts";
import {
  belowHalf,
  COEFFICIENT_BITS,
  divideFloating,
  type Floating,
  fraction,
  multiplyFloating,
  normal,
  normalAny,
  polynomial,
  returnFloating,
  roundInexact,
  toFixed,
} from "./fixed.ts";
import { binaryOperands } from "./logarithm.ts";
import { finish } from "./stack.ts";
import { addWide, lessWide, multiplyHigh, shiftRightSticky, shiftRightWide, subtractWide, type Wide } from "./wide.ts";

/**
 * (fpu, smaller significand, its exponent, larger significand, its exponent, swapped, obtuse) → upper half of
 * arctan(smaller / larger), or pi/2 minus it where swapped, or pi minus that where obtuse. The rest is at its places.
 */
const ANGLE = declareFunction("fpuAngleOf", {
  in: "wasm",
  params: ["i32", "i64", "i32", "i64", "i32", "i32", "i32"],
  result: "i64",
});

/** arctan(s) / 2s for |s| up to 1/15: 1/2 - s^2/6 + s^4/10 ... */
const TERMS = 13;
const COEFFICIENTS = Array.from({ length: TERMS }, (_, k) => ratio(1n, 2n * BigInt(2 * k + 1), COEFFICIENT_BITS));
const LARGEST_SQUARE = -7.8;

/** Known angles: arctan(i / 8). Angles here have 2 bits in front of the point. */
const STEPS = 8;
const ANGLE_BITS = 126;
const KNOWN = Array.from({ length: STEPS + 1 }, (_, i) => arctangentOf(BigInt(i), BigInt(STEPS), ANGLE_BITS));
const PI = pi(ANGLE_BITS);

/** Room above the significands for eight times them and more. */
const ROOM = 8;
/** Ratios of exponents beyond which the nearest known angle is 0. */
const FAR = 6;

function knownAngle(c: FpuCode, index: Value): Wide {
  const hi = c.variable("i64", 0);
  const lo = c.variable("i64", 0);
  c.f.block((end) => {
    for (const [i, angle] of KNOWN.entries()) {
      if (i === 0) continue;
      const value = fraction(c, angle);
      c.if(index.eq(i), () => {
        hi.set(value.hi);
        lo.set(value.lo);
        c.f.branch(end);
      });
    }
  });
  return { hi: hi.get(), lo: lo.get() };
}

function angle(
  c: FpuCode,
  a: Value,
  aExponent: Value,
  b: Value,
  bExponent: Value,
  swapped: Value,
  obtuse: Value,
): void {
  const distance = bExponent.sub(aExponent);
  const near = distance.ltS(FAR);
  // The nearest multiple of an eighth to the ratio.
  const ratioOf = a.op("f64.convert_i64_u").op("f64.div", b.op("f64.convert_i64_u"));
  const scale = c
    .i32(1023)
    .sub(distance)
    .when(near, 1023 - FAR)
    .extendU()
    .shl(52)
    .op("f64.reinterpret_i64");
  const eighths = ratioOf.mul(scale).mul(STEPS).op("f64.nearest").op("i32.trunc_sat_f64_u");
  const index = eighths.when(near, 0);
  const operands: Ratio = { a, aExponent, b, bExponent, distance, index };
  const dividend = dividendOf(c, operands);
  const s = divideFloating(c, dividend, divisorOf(c, operands));
  const square = toFixed(c, multiplyFloating(c, s, s));
  const sum = belowHalf(polynomial(c, square, LARGEST_SQUARE, c.i64(-1), COEFFICIENTS));
  const part = multiplyFloating(c, s, normal(sum, c.i32(1)));
  const simple = index.eqz().and(swapped.eqz()).and(obtuse.eqz());
  c.if(simple, () => returnFloating(c, part));
  const known = knownAngle(c, index);
  const fixed = shiftRightSticky(c, part, c.i32(128 - ANGLE_BITS).sub(part.exponent));
  const nothing: Wide = { hi: c.i64(0), lo: c.i64(0) };
  const change = select(dividend.hi.eqz(), nothing, fixed);
  const acute = select(dividend.minus, subtractWide(known, change), addWide(known, change));
  const first = select(swapped, subtractWide(fraction(c, PI >> 1n), acute), acute);
  const total = select(obtuse, subtractWide(fraction(c, PI), first), first);
  returnFloating(c, normal(total, c.i32(128 - ANGLE_BITS)));
}

/** Two significands with exponents, the second number not below the first, and what is known of their ratio. */
interface Ratio {
  readonly a: Value;
  readonly aExponent: Value;
  readonly b: Value;
  readonly bExponent: Value;
  /** The exponents' difference. */
  readonly distance: Value;
  /** The ratio in eighths, rounded; 0 where it is far below. */
  readonly index: Value;
}

/** a - index/8 · b and its sign; `a` itself where the index is 0. */
function dividendOf(c: FpuCode, { a, aExponent, b, bExponent, distance, index }: Ratio): Floating & { minus: Value } {
  const [left, right] = [times(a, distance, c.i64(STEPS)), times(b, c.i32(0), index.extendU())];
  const minus = lessWide(left, right);
  const difference = select(minus, subtractWide(right, left), subtractWide(left, right));
  const scaled = normalAny(difference, bExponent.add(ROOM - Math.log2(STEPS)));
  const plain = index.eqz();
  return {
    ...select(plain, { hi: a, lo: c.i64(0) }, scaled),
    exponent: aExponent.when(plain, scaled.exponent),
    minus,
  };
}

/** b + index/8 · a; `b` itself where the index is 0. */
function divisorOf(c: FpuCode, { a, b, bExponent, distance, index }: Ratio): Floating {
  const sum = addWide(times(b, c.i32(0), c.i64(STEPS)), times(a, distance, index.extendU()));
  const scaled = normal(sum, bExponent.add(ROOM - Math.log2(STEPS)));
  const plain = index.eqz();
  return {
    ...select(plain, { hi: b, lo: c.i64(0) }, scaled),
    exponent: bExponent.when(plain, scaled.exponent),
  };
}

/** A small multiple of a significand that is shifted right, with ROOM bits above it. */
function times(significand: Value, shift: Value, factor: Value): Wide {
  const roomy = { hi: significand.shrU(ROOM), lo: significand.shl(64 - ROOM) };
  return multiple(shiftRightWide(roomy, shift.and(63).extendU()), factor);
}
const multiple = ({ hi, lo }: Wide, factor: Value): Wide => ({
  hi: hi.mul(factor).add(multiplyHigh(lo, factor)),
  lo: lo.mul(factor),
});
const select = (condition: Value, x: Wide, y: Wide): Wide => ({
  hi: x.hi.when(condition, y.hi),
  lo: x.lo.when(condition, y.lo),
});

/** The larger of two numbers' magnitudes is the second: whether they must change places. */
const isLarger = (x: F80, y: F80): Value => {
  const [a, b] = [normalise(x), normalise(y)];
  return a.exponent.gtS(b.exponent).or(a.exponent.eq(b.exponent).and(a.m.gtU(b.m)));
};

export const ARCTANGENT: FpuBodies = {
  [ANGLE]: angle,

  [FPU_ARCTANGENT](c) {
    const { x, y } = binaryOperands(c);
    const target = c.st(1);
    const sign = signOf(y);
    const obtuse = signOf(x).ne(0);
    raiseDenormal(c, x, y);
    const finishAngle = (value: Floating) => finish(c, target, roundInexact(c, sign, value), 1);
    // Multiples of pi/4 where an operand is 0 or infinite.
    const [xInfinite, yInfinite] = [isInfinity(x), isInfinity(y)];
    const flat = y.m.eqz().or(xInfinite.and(yInfinite.eqz()));
    c.if(flat.and(obtuse.eqz()), () => {
      c.setResultExponent(sign);
      finish(c, target, c.i64(0), 1);
    });
    const diagonal = xInfinite.and(yInfinite);
    const upright = x.m.eqz().or(yInfinite);
    c.if(flat.or(diagonal).or(upright), () => {
      const quarters = c.i32(4).when(flat, c.i32(3).when(obtuse, 1).when(diagonal, 2));
      const quarter = fraction(c, PI >> 2n);
      finishAngle(normal(multiple(quarter, quarters.extendU()), c.i32(128 - ANGLE_BITS)));
    });
    const swapped = isLarger(y, x);
    const [nx, ny] = [normalise(x), normalise(y)];
    const hi = c.call(
      ANGLE,
      ...[nx.m.when(swapped, ny.m), nx.exponent.when(swapped, ny.exponent)],
      ...[ny.m.when(swapped, nx.m), ny.exponent.when(swapped, nx.exponent)],
      ...[swapped, obtuse],
    );
    finishAngle({ hi, lo: c.low(), exponent: c.resultExponent() });
  },
};
