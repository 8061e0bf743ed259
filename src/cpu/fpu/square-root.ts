/** FSQRT. @spec SDM 2, FSQRT */
import { FPU_SQUARE_ROOT } from "../../isa/x87-functions.ts";
import type { Value } from "../../wasm/value.ts";
import { normalise, PROPAGATE, raiseDenormal } from "./arithmetic.ts";
import { BIAS, type F80, type FpuBodies, type FpuCode, isInfinity, isNanOrUnsupported, signOf } from "./code.ts";
import { ROUND } from "./round.ts";
import { finish, finishInvalid, underflowIf } from "./stack.ts";
import { addWide, multiplyWide, subtractWide, type Wide } from "./wide.ts";

/** Root and remainder of hi:lo, at least 2^126. */
function integerRoot(c: FpuCode, radicand: Wide): { root: Value; remainder: Wide } {
  // The engine's root of the 53 leading bits is off by at most some 2^12 units...
  const leading = radicand.hi.op("f64.convert_i64_u").mul(2 ** 64);
  const estimate = leading.op("f64.sqrt").op("i64.trunc_sat_f64_u");
  const square = multiplyWide(estimate, estimate);
  const error = subtractWide(radicand, square);
  const magnitude = error.hi
    .op("f64.convert_i64_s")
    .mul(2 ** 64)
    .add(error.lo.op("f64.convert_i64_u"));
  // ...and one step of Newton's method leaves less than one.
  const correction = magnitude.op("f64.div", estimate.op("f64.convert_i64_u").mul(2));
  const corrected = estimate.add(correction.op("f64.floor").op("i64.trunc_sat_f64_s"));
  const root = c.variable("i64", corrected.when(corrected.ltS(0), -1n));
  const again = multiplyWide(root.get(), root.get());
  const first = subtractWide(radicand, again);
  const hi = c.variable("i64", first.hi);
  const lo = c.variable("i64", first.lo);
  /** 2 n + 1: from the square of n to the next. */
  const step = (n: Value): Wide => ({ hi: n.shrU(63), lo: n.shl(1).or(1) });
  c.if(first.hi.ltS(0), () => {
    const smaller = root.get().sub(1);
    const rest = addWide(first, step(smaller));
    root.set(smaller);
    hi.set(rest.hi);
    lo.set(rest.lo);
  });
  const rest = subtractWide({ hi: hi.get(), lo: lo.get() }, step(root.get()));
  c.if(rest.hi.geS(0), () => {
    root.set(root.get().add(1));
    hi.set(rest.hi);
    lo.set(rest.lo);
  });
  return { root: root.get(), remainder: { hi: hi.get(), lo: lo.get() } };
}

export const SQUARE_ROOT: FpuBodies = {
  [FPU_SQUARE_ROOT](c) {
    const target = c.st(0);
    underflowIf(c, c.isEmpty(target), target);
    const x: F80 = c.read(target);
    c.setRaised(0);
    c.if(isNanOrUnsupported(x), () => finish(c, target, c.call(PROPAGATE, x.m, x.se, x.m, x.se)));
    c.setResultExponent(x.se);
    c.if(x.m.eqz(), () => finish(c, target, x.m));
    c.if(signOf(x), () => finishInvalid(c, target));
    c.if(isInfinity(x), () => finish(c, target, x.m));
    raiseDenormal(c, x);
    const { m, exponent } = normalise(x);
    const scale = exponent.sub(BIAS);
    const even = scale.and(1).eqz().extendU();
    const radicand = { hi: m.shrU(even), lo: m.and(even).shl(63) };
    const { root, remainder } = integerRoot(c, radicand);
    const half = remainder.hi.ne(0).or(remainder.lo.gtU(root)).extendU().shl(63);
    const sticky = remainder.hi.or(remainder.lo).ne(0).extendU();
    const result = c.call(ROUND, c.control(), c.i32(0), scale.shrS(1).add(BIAS), root, half.or(sticky));
    finish(c, target, result);
  },
};
