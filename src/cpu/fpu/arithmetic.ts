/** Addition, subtraction, multiplication and division in all cases. @spec SDM 1, 8.3.5 and 8.5.1 */
import { declareFunction } from "../../isa/functions.ts";
import { OPTIONS } from "../../isa/x87-functions.ts";
import type { Value } from "../../wasm/value.ts";
import {
  BIAS,
  DE,
  effectiveExponent,
  exponentOf,
  type F80,
  type FpuBodies,
  type FpuBody,
  type FpuCode,
  IE,
  INTEGER_BIT,
  isDenormal,
  isInfinity,
  isNan,
  isNanOrUnsupported,
  isNormal,
  isUnsupported,
  MAX_EXPONENT,
  QUIET_BIT,
  ROUND_DOWN,
  SIGN,
  signOf,
  ZE,
} from "./code.ts";
import { GENERAL } from "./quick.ts";
import { ROUND } from "./round.ts";
import { finish, underflowIf } from "./stack.ts";
import { divideWide, multiplyWide, shiftLeftWide, shiftRightSticky } from "./wide.ts";

/**
 * (fpu, m1, se1, m2, se2) → significand: the result of an operation on a NaN or an unsupported format.
 * Sets what is raised.
 */
export const PROPAGATE = declareFunction("fpuPropagate", {
  in: "wasm",
  params: ["i32", "i64", "i32", "i64", "i32"],
  result: "i64",
});
/** (fpu, m1, se1, m2, se2) → significand of operations on operands that are not both normal. */
const ADD_SPECIAL = declareFunction("fpuAddSpecial", {
  in: "wasm",
  params: ["i32", "i64", "i32", "i64", "i32"],
  result: "i64",
});

/** The NaN that an operation on `a` and `b` gives. @spec SDM 1, table 4-7 */
function propagate(c: FpuCode, aM: Value, aSe: Value, bM: Value, bSe: Value): void {
  const [a, b]: [F80, F80] = [
    { m: aM, se: aSe },
    { m: bM, se: bSe },
  ];
  c.if(isUnsupported(a).or(isUnsupported(b)), () => c.returnInvalid());
  const signals = (x: F80) => isNan(x).and(x.m.and(QUIET_BIT).eqz());
  const [aSignals, bSignals] = [signals(a), signals(b)];
  c.setRaised(c.bitsIf(aSignals.or(bSignals), IE));
  // A quiet NaN goes before a signaling one, then the larger significand, then the positive one.
  const larger = a.m.gtU(b.m).or(a.m.eq(b.m).and(a.se.ltU(b.se)));
  const mixed = aSignals.xor(bSignals);
  const both = isNan(a).and(isNan(b));
  const takeA = bSignals.when(mixed, larger).when(both, isNan(a));
  c.return(a.m.when(takeA, b.m).or(QUIET_BIT), a.se.when(takeA, b.se));
}

/** Shifts a significand that is not zero until its top bit is set. */
export function normalise(x: F80): { m: Value; exponent: Value } {
  const shift = x.m.clz();
  return { m: x.m.shl(shift), exponent: effectiveExponent(x).sub(shift.wrap()) };
}

/** Sets DE if an operand is a denormal. */
export function raiseDenormal(c: FpuCode, ...operands: F80[]): void {
  const any = operands.map(isDenormal).reduce((a, b) => a.or(b));
  c.raise(c.bitsIf(any, DE));
}

/** Zero, denormal or normal. */
const isNumber = (x: F80): Value => exponentOf(x).ne(MAX_EXPONENT).and(isUnsupported(x).eqz());

/** A function (fpu, target, first, second, options) with a result for the register at `target`. */
function binary(operation: (c: FpuCode, a: F80, b: F80) => Value): FpuBody {
  return (c, target: Value, first: Value, second: Value, options: Value) => {
    const registers = options.and(OPTIONS.memory).eqz();
    const empty = c.isEmpty(target).or(c.isEmpty(first).or(c.isEmpty(second)).and(registers));
    underflowIf(c, empty, target, options);
    c.if(registers, () => c.setRaised(0));
    finish(c, target, operation(c, c.read(first), c.read(second)), options);
  };
}

/** Runs `special` unless both operands are normal. */
function unlessNormal(c: FpuCode, a: F80, b: F80, special: () => void): void {
  c.if(isNormal(a).and(isNormal(b)).eqz(), special);
}

function sum(c: FpuCode, a: F80, b: F80): Value {
  const result = c.variable("i64");
  const plain = c.variable("i32", 1);
  unlessNormal(c, a, b, () => {
    const finite = isNumber(a).and(isNumber(b));
    plain.set(finite);
    c.if(
      finite,
      () => raiseDenormal(c, a, b),
      () => result.set(c.call(ADD_SPECIAL, a.m, a.se, b.m, b.se)),
    );
  });
  c.if(plain.get(), () => result.set(addFinite(c, a, b)));
  return result.get();
}

/** Adds numbers that are neither infinite nor NaN nor unsupported. */
function addFinite(c: FpuCode, a: F80, b: F80): Value {
  const result = c.variable("i64");
  const [aExponent, bExponent] = [effectiveExponent(a), effectiveExponent(b)];
  const swap = aExponent.ltU(bExponent).or(aExponent.eq(bExponent).and(a.m.ltU(b.m)));
  const large = b.m.when(swap, a.m);
  const small = a.m.when(swap, b.m);
  const exponent = bExponent.when(swap, aExponent);
  const distance = exponent.sub(aExponent.when(swap, bExponent));
  const sign = signOf(b).when(swap, signOf(a));
  const aligned = shiftRightSticky(c, { hi: small, lo: c.i64(0) }, distance);
  const hi = c.variable("i64");
  const lo = c.variable("i64");
  const top = c.variable("i32", exponent);
  const subtract = a.se.xor(b.se).and(SIGN);
  c.if(
    subtract,
    () => {
      lo.set(aligned.lo.neg());
      hi.set(large.sub(aligned.hi).sub(aligned.lo.ne(0).extendU()));
    },
    () => {
      const total = large.add(aligned.hi);
      const carry = total.ltU(large).extendU();
      // A carry makes the sum one bit longer.
      hi.set(total.shrU(carry).or(carry.shl(63)));
      lo.set(aligned.lo.shrU(carry).or(aligned.lo.and(carry)).or(total.and(carry).shl(63)));
      top.set(exponent.add(carry.wrap()));
    },
  );
  c.if(
    hi.get().or(lo.get()).eqz(),
    () => {
      // The difference of equal numbers is +0, or -0 when rounding down; the sum of two zeros keeps their sign.
      const minus = c.i32(SIGN).when(c.rounding().eq(ROUND_DOWN), 0);
      c.setResultExponent(minus.when(subtract, sign));
      result.set(0);
    },
    () => {
      c.if(hi.get().eqz(), () => {
        hi.set(lo.get());
        lo.set(0);
        top.set(top.get().sub(64));
      });
      const shift = hi.get().clz();
      const normal = shiftLeftWide({ hi: hi.get(), lo: lo.get() }, shift);
      result.set(c.call(ROUND, c.control(), sign, top.get().sub(shift.wrap()), normal.hi, normal.lo));
    },
  );
  return result.get();
}

function addSpecial(c: FpuCode, aM: Value, aSe: Value, bM: Value, bSe: Value): void {
  const [a, b]: [F80, F80] = [
    { m: aM, se: aSe },
    { m: bM, se: bSe },
  ];
  c.if(isNanOrUnsupported(a).or(isNanOrUnsupported(b)), () => {
    c.returnCall(PROPAGATE, a.m, a.se, b.m, b.se);
  });
  const opposite = a.se.xor(b.se).and(SIGN).ne(0);
  c.if(isInfinity(a).and(isInfinity(b)).and(opposite), () => c.returnInvalid());
  raiseDenormal(c, a, b);
  c.return(c.i64(INTEGER_BIT), a.se.when(isInfinity(a), b.se));
}

/** `b` with the other sign, unless it is a NaN: subtraction passes those on as they are. */
const negated = (b: F80): F80 => ({ m: b.m, se: b.se.xor(b.se.literal(0).when(isNan(b), SIGN)) });

/** What product and quotient share: operands made normal, or the result of `special` operands. */
function scaled(
  c: FpuCode,
  a: F80,
  b: F80,
  special: (result: (significand: Value, exponent: Value) => void) => void,
  compute: (am: Value, aExponent: Value, bm: Value, bExponent: Value) => Value,
): Value {
  const result = c.variable("i64");
  const plain = c.variable("i32", 1);
  unlessNormal(c, a, b, () => {
    const bad = isNanOrUnsupported(a).or(isNanOrUnsupported(b));
    const edge = a.m.eqz().or(b.m.eqz()).or(isInfinity(a)).or(isInfinity(b));
    plain.set(bad.or(edge).eqz());
    c.if(
      bad,
      () => result.set(c.call(PROPAGATE, a.m, a.se, b.m, b.se)),
      () => {
        raiseDenormal(c, a, b);
        c.if(edge, () =>
          special((significand, exponent) => {
            result.set(significand);
            c.setResultExponent(exponent);
          }),
        );
      },
    );
  });
  c.if(plain.get(), () => {
    const [x, y] = [normalise(a), normalise(b)];
    result.set(compute(x.m, x.exponent, y.m, y.exponent));
  });
  return result.get();
}

const signOfProduct = (a: F80, b: F80): Value => a.se.xor(b.se).and(SIGN);

/** Sets the indefinite and exactly these exceptions where `condition` holds. */
function invalidWhere(c: FpuCode, condition: Value, significand: Value, exponent: Value): [Value, Value] {
  c.if(condition, () => c.setRaised(IE));
  return [c.i64(3n << 62n).when(condition, significand), c.i32(0xffff).when(condition, exponent)];
}

function product(c: FpuCode, a: F80, b: F80): Value {
  const sign = signOfProduct(a, b);
  return scaled(
    c,
    a,
    b,
    (result) => {
      const infinite = isInfinity(a).or(isInfinity(b));
      const zero = a.m.eqz().or(b.m.eqz());
      const significand = c.i64(INTEGER_BIT).when(infinite, 0);
      const exponent = sign.or(c.bitsIf(infinite, MAX_EXPONENT));
      result(...invalidWhere(c, infinite.and(zero), significand, exponent));
    },
    (am, aExponent, bm, bExponent) => {
      const { hi, lo } = multiplyWide(am, bm);
      const short = hi.geS(0);
      const shift = short.extendU();
      const normal = shiftLeftWide({ hi, lo }, shift);
      const exponent = aExponent
        .add(bExponent)
        .sub(BIAS - 1)
        .sub(short);
      return c.call(ROUND, c.control(), sign, exponent, normal.hi, normal.lo);
    },
  );
}

function quotient(c: FpuCode, a: F80, b: F80): Value {
  const sign = signOfProduct(a, b);
  return scaled(
    c,
    a,
    b,
    (result) => {
      const toInfinity = isInfinity(a).or(b.m.eqz());
      const significand = c.i64(INTEGER_BIT).when(toInfinity, 0);
      const exponent = sign.or(c.bitsIf(toInfinity, MAX_EXPONENT));
      const byZero = b.m.eqz().and(a.m.ne(0)).and(isInfinity(a).eqz());
      c.if(byZero, () => c.setRaised(ZE));
      const invalid = a.m
        .or(b.m)
        .eqz()
        .or(isInfinity(a).and(isInfinity(b)));
      result(...invalidWhere(c, invalid, significand, exponent));
    },
    (am, aExponent, bm, bExponent) => {
      // The dividend's top bits must be below the divisor.
      const large = am.geU(bm);
      const shift = large.extendU();
      const dividend = { hi: am.shrU(shift), lo: am.and(shift).shl(63) };
      const { quotient: hi, remainder } = divideWide(c, dividend, bm);
      // One more bit, and whether anything is left: twice the remainder against the divisor.
      const rest = bm.sub(remainder);
      const half = remainder.geU(rest).extendU().shl(63);
      const sticky = remainder.ne(0).and(remainder.ne(rest)).extendU();
      const exponent = aExponent
        .sub(bExponent)
        .add(BIAS - 1)
        .add(large);
      return c.call(ROUND, c.control(), sign, exponent, hi, half.or(sticky));
    },
  );
}

export const ARITHMETIC: FpuBodies = {
  [PROPAGATE]: propagate,
  [ADD_SPECIAL]: addSpecial,
  [GENERAL.add]: binary(sum),
  [GENERAL.subtract]: binary((c, a, b) => sum(c, a, negated(b))),
  [GENERAL.multiply]: binary(product),
  [GENERAL.divide]: binary(quotient),
};
