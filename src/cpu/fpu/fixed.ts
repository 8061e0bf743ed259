/**
 * Arithmetic of the transcendental functions: 128-bit fractions, and floating-point numbers with 128-bit significands.
 * Results are off by a few units of 2^-128, far less than the rounding to 64 bits can show.
 */
import { declareFunction } from "../../isa/functions.ts";
import type { Value } from "../../wasm/value.ts";
import { BIAS, type FpuBodies, type FpuCode, INTEGER_BIT } from "./code.ts";
import { roundFull } from "./round.ts";
import {
  addWide,
  divideWide,
  multiplyHigh,
  multiplyWide,
  shiftLeftWide,
  shiftRightSticky,
  subtractWide,
  type Wide,
} from "./wide.ts";

/** A number hi:lo / 2^128 · 2^exponent; the top bit of hi is set. */
export interface Floating extends Wide {
  readonly exponent: Value;
}

/** (fpu, a, b) → upper half of the product of two fractions. */
const MULTIPLY = declareFunction("fpuFixedMultiply", {
  in: "wasm",
  params: ["i32", "i64", "i64", "i64", "i64"],
  result: "i64",
});
/** (fpu, sum, z, coefficient, sign) → coefficient + z · sum, or minus where sign is -1; the sum's low half is at its place. */
const STEP = declareFunction("fpuFixedStep", {
  in: "wasm",
  params: ["i32", "i64", "i64", "i64", "i64", "i64", "i64"],
  result: "i64",
});
/** (fpu, dividend, divisor) → quotient of two significands, its exponent (0 or 1) at its place. */
const DIVIDE = declareFunction("fpuFixedDivide", {
  in: "wasm",
  params: ["i32", "i64", "i64", "i64", "i64"],
  result: "i64",
});

/** The product's upper half; what the product of the lower halves would add is left out. */
function product(a: Wide, b: Wide): Wide {
  const upper = multiplyWide(a.hi, b.hi);
  const [left, right] = [multiplyHigh(a.hi, b.lo), multiplyHigh(a.lo, b.hi)];
  const first = upper.lo.add(left);
  const lo = first.add(right);
  return { hi: upper.hi.add(first.ltU(left).extendU()).add(lo.ltU(right).extendU()), lo };
}

/** A call's 128-bit result. */
function wideResult(c: FpuCode, hi: Value): Wide {
  return { hi, lo: c.low() };
}

export function multiplyFixed(c: FpuCode, a: Wide, b: Wide): Wide {
  return wideResult(c, c.call(MULTIPLY, a.hi, a.lo, b.hi, b.lo));
}

/** The product of two floating-point numbers. */
export function multiplyFloating(c: FpuCode, a: Floating, b: Floating): Floating {
  return normal(multiplyFixed(c, a, b), a.exponent.add(b.exponent));
}

/** With the top bit set; `value` is not below 2^64. */
export function normal(value: Wide, exponent: Value): Floating {
  const shift = value.hi.clz();
  return { ...shiftLeftWide(value, shift), exponent: exponent.sub(shift.wrap()) };
}

/** With the top bit set; `value` is not 0. */
export function normalAny(value: Wide, exponent: Value): Floating {
  const short = value.hi.eqz();
  const upper = { hi: value.lo.when(short, value.hi), lo: value.lo.literal(0).when(short, value.lo) };
  return normal(upper, exponent.sub(short.shl(6)));
}

export function divideFloating(c: FpuCode, a: Floating, b: Floating): Floating {
  const hi = c.call(DIVIDE, a.hi, a.lo, b.hi, b.lo);
  return { hi, lo: c.low(), exponent: a.exponent.sub(b.exponent).add(c.resultExponent()) };
}

/** The value as a fraction; its exponent is at most 0. */
export function toFixed(c: FpuCode, value: Floating): Wide {
  return shiftRightSticky(c, value, c.i32(0).sub(value.exponent));
}

const half = (value: bigint): { hi: bigint; lo: bigint } => ({
  hi: BigInt.asUintN(64, value >> 64n),
  lo: BigInt.asUintN(64, value),
});
/** A constant fraction of 128 bits. */
export function fraction(c: FpuCode, value: bigint): Wide {
  const { hi, lo } = half(value);
  return { hi: c.i64(hi), lo: c.i64(lo) };
}

/** Precision that coefficients are given with: bits after the point. */
export const COEFFICIENT_BITS = 192;
/** Terms below this power of two need no more than 64 bits: an error in their last place is below 2^-90. */
const SHORT_TERMS = -30;

const log2 = (value: bigint): number => {
  const digits = value.toString(2).length;
  return digits - 1 + Math.log2(Number(value >> BigInt(Math.max(0, digits - 53))) / 2 ** Math.min(digits - 1, 52));
};

/**
 * The polynomial with these coefficients (positive, falling, below 1) at `z`, a fraction not above 2^`zBits`; its terms'
 * signs alternate where `sign` is -1 (i64). The small terms at the end are summed with 64 bits, scaled up.
 */
export function polynomial(c: FpuCode, z: Wide, zBits: number, sign: Value, coefficients: readonly bigint[]): Wide {
  const sizes = coefficients.map((coefficient, i) => log2(coefficient) - COEFFICIENT_BITS + i * zBits);
  const firstShort = sizes.findIndex((size) => size < SHORT_TERMS);
  const short = firstShort < 0 ? [] : coefficients.slice(firstShort);
  const long = firstShort < 0 ? coefficients : coefficients.slice(0, firstShort);
  // Scaled so that the first short coefficient is below a half: then so is the sum.
  const scale = short[0] === undefined ? 0 : COEFFICIENT_BITS - short[0].toString(2).length - 1;
  const scaled = (coefficient: bigint) => coefficient >> BigInt(COEFFICIENT_BITS - 64 - scale);
  let rest: Value = c.i64(0);
  for (const [i, coefficient] of short.toReversed().entries()) {
    const value = c.i64(scaled(coefficient));
    rest = i === 0 ? value : value.add(multiplyHigh(z.hi, rest).xor(sign).sub(sign));
  }
  let sum: Wide = { hi: scale >= 64 ? c.i64(0) : rest.shrU(scale), lo: scale === 0 ? c.i64(0) : shortLow(rest, scale) };
  for (const coefficient of long.toReversed()) {
    const { hi, lo } = half(coefficient >> BigInt(COEFFICIENT_BITS - 128));
    c.setLow(sum.lo);
    sum = wideResult(c, c.call(STEP, sum.hi, z.hi, z.lo, c.i64(hi), c.i64(lo), sign));
  }
  return sum;
}

const shortLow = (rest: Value, scale: number): Value => (scale < 64 ? rest.shl(64 - scale) : rest.shrU(scale - 64));

/** Half of a value that is a little below 1: never all of it, so that results stay below what they are next to. */
export function belowHalf(sum: Wide): Wide {
  const reached = sum.hi.ltS(0);
  return {
    hi: sum.hi.literal(INTEGER_BIT - 1n).when(reached, sum.hi),
    lo: sum.lo.literal(-1n).when(reached, sum.lo),
  };
}

/** Returns a number of 128 bits: its upper half as the function's result. */
export function returnFloating(c: FpuCode, value: Floating): void {
  c.setLow(value.lo);
  c.setResultExponent(value.exponent);
  c.f.return(value.hi);
}

/** Rounds to a register's format; the exact result always has more bits. */
export function roundInexact(c: FpuCode, sign: Value, { hi, lo, exponent }: Floating): Value {
  return roundFull(c, sign, exponent.add(BIAS - 1), { hi, lo: lo.or(1) });
}

export const FIXED: FpuBodies = {
  [MULTIPLY](c, aHi: Value, aLo: Value, bHi: Value, bLo: Value) {
    const { hi, lo } = product({ hi: aHi, lo: aLo }, { hi: bHi, lo: bLo });
    c.setLow(lo);
    c.f.return(hi);
  },

  [STEP](c, sum: Value, zHi: Value, zLo: Value, hi: Value, lo: Value, sign: Value) {
    const term = product({ hi: sum, lo: c.low() }, { hi: zHi, lo: zLo });
    const flipped = subtractWide({ hi: term.hi.xor(sign), lo: term.lo.xor(sign) }, { hi: sign, lo: sign });
    const result = addWide({ hi, lo }, flipped);
    c.setLow(result.lo);
    c.f.return(result.hi);
  },

  // Two digits of 64 bits: each is estimated by the divisor's upper half and corrected for its lower half.
  [DIVIDE](c, aHi: Value, aLo: Value, bHi: Value, bLo: Value) {
    const divisor: Wide = { hi: bHi, lo: bLo };
    const quotient: Value[] = [];
    // Half the dividend is below the divisor.
    let hi = aHi.shrU(1);
    let lo = aHi.shl(63).or(aLo.shrU(1));
    for (let digit = 0; digit < 2; digit++) {
      const capped = hi.geU(divisor.hi);
      const estimate = divideWide(c, { hi: c.i64(0).when(capped, hi), lo }, divisor.hi);
      const guess = c.variable("i64", c.i64(-1).when(capped, estimate.quotient));
      const back = multiplyWide(guess.get(), divisor.lo);
      // hi:lo:0 minus guess times divisor, of which the upper word is only a sign.
      const exact = multiplyWide(guess.get(), divisor.hi);
      const left = subtractWide({ hi, lo }, exact);
      const below = subtractWide({ hi: left.lo, lo: c.i64(0) }, back);
      const borrow = left.lo.ltU(back.hi).or(left.lo.eq(back.hi).and(back.lo.ne(0)));
      const sign = c.variable("i64", left.hi.sub(borrow.extendU()));
      const restHi = c.variable("i64", below.hi);
      const restLo = c.variable("i64", below.lo);
      c.f.loop((again) => {
        c.if(sign.get().ltS(0), () => {
          const more = addWide({ hi: restHi.get(), lo: restLo.get() }, divisor);
          const carry = more.hi.ltU(divisor.hi).or(more.hi.eq(divisor.hi).and(more.lo.ltU(divisor.lo)));
          guess.set(guess.get().sub(1));
          restHi.set(more.hi);
          restLo.set(more.lo);
          sign.set(sign.get().add(carry.extendU()));
          c.f.branch(again);
        });
      });
      quotient.push(guess.get());
      hi = restHi.get();
      lo = restLo.get();
    }
    // The quotient of halves lies between a quarter and one.
    const result = { hi: quotient[0] as Value, lo: quotient[1] as Value };
    const shift = result.hi.clz();
    const { hi: top, lo: bottom } = shiftLeftWide(result, shift);
    c.setLow(bottom);
    c.setResultExponent(c.i32(1).sub(shift.wrap()));
    c.f.return(top);
  },
};
