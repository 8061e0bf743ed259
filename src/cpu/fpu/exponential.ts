/** F2XM1. @spec SDM 1, 8.3.10; SDM 2, F2XM1 */
import { FPU_EXPONENTIAL } from "../../isa/x87-functions.ts";
import type { Value } from "../../wasm/value.ts";
import { normalise, PROPAGATE, raiseDenormal } from "./arithmetic.ts";
import {
  BIAS,
  exponentOf,
  type F80,
  type FpuBodies,
  type FpuCode,
  isInfinity,
  isNanOrUnsupported,
  PE,
  SIGN,
  signOf,
} from "./code.ts";
import { factorial, logarithmOf2, ratio } from "./constants.ts";
import {
  COEFFICIENT_BITS,
  fraction,
  multiplyFixed,
  multiplyFloating,
  normal,
  polynomial,
  roundInexact,
  toFixed,
} from "./fixed.ts";
import { finish, underflowIf } from "./stack.ts";

/** (exp(t) - 1) / 2t for |t| up to ln 2: 1/2 + t/4 + t^2/12 + ... */
const TERMS = 23;
const COEFFICIENTS = Array.from({ length: TERMS }, (_, k) => ratio(1n, 2n * factorial(k + 1), COEFFICIENT_BITS));
/** Just above log2(ln 2). */
const LARGEST = -0.528;

/** 2^x - 1 for a finite x other than 0, between -1 and 1. */
function exponential(c: FpuCode, x: F80): Value {
  const { m, exponent } = normalise(x);
  const scaled = multiplyFixed(c, { hi: m, lo: c.i64(0) }, fraction(c, logarithmOf2(128)));
  const t = normal(scaled, exponent.sub(BIAS - 1));
  const minus = c.i64(-1).when(signOf(x), 0);
  const series = polynomial(c, toFixed(c, t), LARGEST, minus, COEFFICIENTS);
  return roundInexact(c, signOf(x), multiplyFloating(c, t, normal(series, c.i32(1))));
}

export const EXPONENTIAL: FpuBodies = {
  [FPU_EXPONENTIAL](c) {
    const target = c.st(0);
    underflowIf(c, c.isEmpty(target), target);
    const x = c.read(target);
    c.setRaised(0);
    c.if(isNanOrUnsupported(x), () => finish(c, target, c.call(PROPAGATE, x.m, x.se, x.m, x.se)));
    c.setResultExponent(x.se);
    c.if(x.m.eqz(), () => finish(c, target, x.m));
    c.if(isInfinity(x), () => {
      c.setResultExponent(c.i32(SIGN | BIAS).when(signOf(x), x.se));
      finish(c, target, x.m);
    });
    raiseDenormal(c, x);
    // Out of range, where the result is undefined, the operand stays; 1 gives 1 and -1 gives a half.
    c.if(exponentOf(x).geU(BIAS), () => {
      c.raise(PE);
      const minusOne = x.se.eq(SIGN | BIAS).and(x.m.shl(1).eqz());
      c.setResultExponent(x.se.sub(minusOne));
      finish(c, target, x.m);
    });
    finish(c, target, exponential(c, x));
  },
};
