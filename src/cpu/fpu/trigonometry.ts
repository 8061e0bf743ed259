/** FSIN, FCOS, FSINCOS and FPTAN. @spec SDM 1, 8.3.8 and 8.3.10; SDM 2, FSIN, FCOS, FSINCOS and FPTAN */
import { declareFunction } from "../../isa/functions.ts";
import { FPU_SINE, FPU_SINE_AND_COSINE, FPU_TANGENT } from "../../isa/x87-functions.ts";
import type { Value } from "../../wasm/value.ts";
import { normalise, PROPAGATE, raiseDenormal } from "./arithmetic.ts";
import {
  BIAS,
  C1,
  C2,
  exponentOf,
  type F80,
  type FpuBodies,
  type FpuCode,
  IE,
  INDEFINITE,
  INTEGER_BIT,
  isInfinity,
  isNanOrUnsupported,
  MAX_EXPONENT,
  SIGN,
  signOf,
} from "./code.ts";
import { factorial, ratio } from "./constants.ts";
import {
  belowHalf,
  COEFFICIENT_BITS,
  divideFloating,
  type Floating,
  multiplyFloating,
  normal,
  normalAny,
  polynomial,
  returnFloating,
  roundInexact,
  toFixed,
} from "./fixed.ts";
import { finishPair, pairFaultIf, pairOf } from "./scale.ts";
import { finish, underflowIf } from "./stack.ts";
import { lessWide, multiplyHigh, multiplyWide, shiftLeftWide, subtractWide, type Wide } from "./wide.ts";

/**
 * (fpu, significand, exponent) → upper half of the significand of r, where |x| = n · pi/2 + r and |r| is at most pi/4.
 * Its lower half and exponent are at their places; the quadrant (n modulo 4, and 4 where r is negative) is raised.
 */
const REDUCE = declareFunction("fpuReduceAngle", { in: "wasm", params: ["i32", "i64", "i32"], result: "i64" });
/** (fpu, hi, lo, exponent) → upper half of the sine or cosine of a reduced angle; the rest is at its places. */
const SINE = declareFunction("fpuSineOf", { in: "wasm", params: ["i32", "i64", "i64", "i32"], result: "i64" });
const COSINE = declareFunction("fpuCosineOf", { in: "wasm", params: ["i32", "i64", "i64", "i32"], result: "i64" });

/** The unit's pi has 66 bits, and so has everything that depends on it. @spec SDM 1, 8.3.8 */
const PI = 0xc90f_daa2_2168_c234_cn >> 2n;
const PI_FRACTION_BITS = 64;
/** 2^129 / PI, to multiply by. */
const RECIPROCAL = (1n << 129n) / PI;
/** Below pi/4, as exponent and significand of a register. */
const QUARTER = { exponent: BIAS - 1, significand: PI >> 2n };

const TERMS = 14;
const SINE_COEFFICIENTS = Array.from({ length: TERMS }, (_, k) =>
  ratio(1n, 2n * factorial(2 * k + 1), COEFFICIENT_BITS),
);
const COSINE_COEFFICIENTS = Array.from({ length: TERMS }, (_, k) => ratio(1n, 2n * factorial(2 * k), COEFFICIENT_BITS));
/** Just above log2((pi/4)^2). */
const LARGEST_SQUARE = -0.69;

function reduce(c: FpuCode, m: Value, exponent: Value): void {
  const small = exponent.ltS(QUARTER.exponent).or(exponent.eq(QUARTER.exponent).and(m.leU(QUARTER.significand)));
  c.if(small, () => {
    c.setRaised(0);
    c.setLow(0);
    c.setResultExponent(exponent.sub(BIAS - 1));
    c.f.return(m);
  });
  // |x| in units of PI's last place over 2, where pi/2 is PI: an integer of at most 128 bits.
  const shift = exponent.sub(BIAS + 63 - PI_FRACTION_BITS - 1);
  const far = shift.eq(64);
  const near = shiftLeftWide({ hi: c.i64(0), lo: m }, shift.and(63).extendU());
  const angle: Wide = { hi: m.when(far, near.hi), lo: c.i64(0).when(far, near.lo) };
  // The quotient's estimate is too small by at most 2.
  const leading = angle.hi;
  const estimate = multiplyHigh(leading, c.i64(RECIPROCAL)).shrU(1);
  const product = multiplyWide(estimate, c.i64(BigInt.asUintN(64, PI)));
  const multiple: Wide = { hi: product.hi.add(estimate.mul(PI >> 64n)), lo: product.lo };
  const rest = subtractWide(angle, multiple);
  const hi = c.variable("i64", rest.hi);
  const lo = c.variable("i64", rest.lo);
  const quotient = c.variable("i32", estimate.wrap());
  const divisor: Wide = { hi: c.i64(PI >> 64n), lo: c.i64(BigInt.asUintN(64, PI)) };
  for (let i = 0; i < 2; i++) {
    const current: Wide = { hi: hi.get(), lo: lo.get() };
    c.if(lessWide(current, divisor).eqz(), () => {
      const less = subtractWide(current, divisor);
      hi.set(less.hi);
      lo.set(less.lo);
      quotient.set(quotient.get().add(1));
    });
  }
  const positive: Wide = { hi: hi.get(), lo: lo.get() };
  const other = subtractWide(divisor, positive);
  const nearer = lessWide(other, positive);
  const n = quotient.get().add(nearer).and(3);
  c.setRaised(n.or(nearer.shl(2)));
  const r: Wide = { hi: other.hi.when(nearer, positive.hi), lo: other.lo.when(nearer, positive.lo) };
  // At most 65 bits; units of 2^-65.
  const scaled = normalAny(r, c.i32(128 - PI_FRACTION_BITS - 1));
  c.setLow(scaled.lo);
  c.setResultExponent(scaled.exponent);
  c.f.return(scaled.hi);
}

function sine(c: FpuCode, hi: Value, lo: Value, exponent: Value): void {
  const r: Floating = { hi, lo, exponent };
  const square = toFixed(c, multiplyFloating(c, r, r));
  const sum = belowHalf(polynomial(c, square, LARGEST_SQUARE, c.i64(-1), SINE_COEFFICIENTS));
  returnFloating(c, multiplyFloating(c, r, normal(sum, c.i32(1))));
}

function cosine(c: FpuCode, hi: Value, lo: Value, exponent: Value): void {
  const r: Floating = { hi, lo, exponent };
  const square = toFixed(c, multiplyFloating(c, r, r));
  const sum = belowHalf(polynomial(c, square, LARGEST_SQUARE, c.i64(-1), COSINE_COEFFICIENTS));
  returnFloating(c, normal(sum, c.i32(1)));
}

const callFloating = (c: FpuCode, name: string, ...args: Value[]): Floating => {
  const hi = c.call(name, ...args);
  return { hi, lo: c.low(), exponent: c.resultExponent() };
};
const sineOf = (c: FpuCode, r: Floating) => callFloating(c, SINE, r.hi, r.lo, r.exponent);
const cosineOf = (c: FpuCode, r: Floating) => callFloating(c, COSINE, r.hi, r.lo, r.exponent);

interface Angle {
  readonly r: Floating;
  /** Multiples of pi/2, modulo 4. */
  readonly quadrant: Value;
  /** SIGN where r is negative. */
  readonly sign: Value;
}

/** The reduced angle of a finite number other than 0; sets what is raised. */
function reduced(c: FpuCode, x: F80): Angle {
  const { m, exponent } = normalise(x);
  const r = callFloating(c, REDUCE, m, exponent);
  const code = c.raised();
  c.setRaised(0);
  raiseDenormal(c, x);
  return { r, quadrant: code.and(3), sign: c.bitsIf(code.and(4), SIGN) };
}

/** Sine of |x| for quadrant 0, cosine for 1 and so on: rounded, with the sign that goes with it. */
function sineInQuadrant(c: FpuCode, { r, sign }: Angle, quadrant: Value, flip: Value): { m: Value; se: Value } {
  const hi = c.variable("i64");
  const lo = c.variable("i64");
  const exponent = c.variable("i32");
  const resultSign = c.variable("i32", c.bitsIf(quadrant.and(2), SIGN).xor(flip));
  const set = (value: Floating) => {
    hi.set(value.hi);
    lo.set(value.lo);
    exponent.set(value.exponent);
  };
  c.if(
    quadrant.and(1),
    () => set(cosineOf(c, r)),
    () => {
      set(sineOf(c, r));
      resultSign.set(resultSign.get().xor(sign));
    },
  );
  const m = roundInexact(c, resultSign.get(), { hi: hi.get(), lo: lo.get(), exponent: exponent.get() });
  return { m, se: c.resultExponent() };
}

/** Beyond 2^63 the instructions do nothing but say so with C2. */
const isFar = (x: F80): Value =>
  exponentOf(x)
    .geU(BIAS + 63)
    .and(exponentOf(x).ne(MAX_EXPONENT));

function leaveIfFar(c: FpuCode, x: F80): void {
  c.if(isFar(x), () => {
    c.setStatus(c.status().or(C2));
    c.f.return();
  });
}

/** FSIN and FCOS: the cosine is the sine one quadrant on, of either sign. */
function sineInstruction(c: FpuCode, forCosine: Value): void {
  const target = c.st(0);
  c.setStatus(c.status().and(~(C1 | C2)));
  underflowIf(c, c.isEmpty(target), target);
  const x = c.read(target);
  c.setRaised(0);
  c.if(isNanOrUnsupported(x), () => finish(c, target, c.call(PROPAGATE, x.m, x.se, x.m, x.se)));
  leaveIfFar(c, x);
  c.if(isInfinity(x), () => {
    c.setRaised(IE);
    c.setResultExponent(INDEFINITE.exponent);
    finish(c, target, c.i64(INDEFINITE.significand));
  });
  c.if(x.m.eqz(), () => {
    c.setResultExponent(c.i32(BIAS).when(forCosine, x.se));
    finish(c, target, c.i64(INTEGER_BIT).when(forCosine, 0));
  });
  const angle = reduced(c, x);
  const flip = signOf(x).when(forCosine.eqz(), 0);
  const { m, se } = sineInQuadrant(c, angle, angle.quadrant.add(forCosine), flip);
  c.setResultExponent(se);
  finish(c, target, m);
}

/** What FSINCOS and FPTAN do with all but finite numbers other than 0; zero gives zero and one. */
function pairOfSpecial(c: FpuCode): F80 {
  c.setStatus(c.status().and(~(C1 | C2)));
  pairFaultIf(c);
  const x = c.read(c.st(0));
  c.setRaised(0);
  c.if(isNanOrUnsupported(x), () => {
    const m = c.call(PROPAGATE, x.m, x.se, x.m, x.se);
    pairOf(c, m, c.resultExponent());
  });
  leaveIfFar(c, x);
  c.if(isInfinity(x), () => {
    c.setRaised(IE);
    pairOf(c, c.i64(INDEFINITE.significand), c.i32(INDEFINITE.exponent));
  });
  c.if(x.m.eqz(), () => {
    c.setOperand(x);
    c.setResultExponent(BIAS);
    finishPair(c, c.i64(INTEGER_BIT));
  });
  return x;
}

/** Squares below 2^-104 change nothing that 66 bits and their rounding show. */
const NEGLIGIBLE = -52;

/** Tangent of the reduced angle, or minus the cotangent in odd quadrants. */
function tangent(c: FpuCode, x: F80): Value {
  const { r, quadrant, sign } = reduced(c, x);
  const odd = quadrant.and(1);
  const [sin, cos] = [sineOf(c, r), cosineOf(c, r)];
  const pick = (a: Floating, b: Floating): Floating => ({
    hi: a.hi.when(odd, b.hi),
    lo: a.lo.when(odd, b.lo),
    exponent: a.exponent.when(odd, b.exponent),
  });
  const ratio = divideFloating(c, pick(cos, sin), pick(sin, cos));
  // Next to 0 the tangent is a little above the angle.
  const tiny = r.exponent.ltS(NEGLIGIBLE).and(odd.eqz());
  const result: Floating = {
    hi: r.hi.when(tiny, ratio.hi),
    lo: r.lo.when(tiny, ratio.lo),
    exponent: r.exponent.when(tiny, ratio.exponent),
  };
  return roundInexact(c, signOf(x).xor(sign).xor(odd.shl(15)), result);
}

export const TRIGONOMETRY: FpuBodies = {
  [REDUCE]: reduce,
  [SINE]: sine,
  [COSINE]: cosine,
  [FPU_SINE]: sineInstruction,

  [FPU_SINE_AND_COSINE](c) {
    const x = pairOfSpecial(c);
    const angle = reduced(c, x);
    // The two results share what is raised; C1 is that of the sine.
    const cos = sineInQuadrant(c, angle, angle.quadrant.add(1), c.i32(0));
    c.setRaised(c.raised().and(~C1));
    c.setOperand(sineInQuadrant(c, angle, angle.quadrant, signOf(x)));
    c.setResultExponent(cos.se);
    finishPair(c, cos.m);
  },

  [FPU_TANGENT](c) {
    const x = pairOfSpecial(c);
    const m = tangent(c, x);
    c.setOperand({ m, se: c.resultExponent() });
    c.setResultExponent(BIAS);
    finishPair(c, c.i64(INTEGER_BIT));
  },
};
