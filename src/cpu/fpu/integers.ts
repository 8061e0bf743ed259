/** Conversions between registers and integers, packed BCD included; FRNDINT. @spec SDM 1, 4.2.1, 4.7 and 8.3.3 */

import { declareFunction } from "../../isa/functions.ts";
import {
  FPU_OPERAND_INTEGER,
  FPU_PUSH_BCD,
  FPU_PUSH_INTEGER,
  FPU_ROUND_INTEGER,
  FPU_TAKE_BCD,
  FPU_TAKE_INTEGER,
} from "../../isa/x87-functions.ts";
import type { Value } from "../../wasm/value.ts";
import { PROPAGATE, raiseDenormal } from "./arithmetic.ts";
import {
  BIAS,
  C1,
  exponentOf,
  type F80,
  type FpuBodies,
  type FpuCode,
  IE,
  isNanOrUnsupported,
  PE,
  SF,
  SIGN,
  signOf,
} from "./code.ts";
import { roundsUp } from "./round.ts";
import { finish, finishPush, underflowIf } from "./stack.ts";
import { multiplyHigh, shiftRightSticky } from "./wide.ts";

/**
 * (fpu, rounding, largest, largest negative) → magnitude of ST(0) rounded to an integer. Raises IE where it is no
 * number, or beyond the largest magnitude for its sign.
 */
const TAKE_MAGNITUDE = declareFunction("fpuTakeMagnitude", {
  in: "wasm",
  params: ["i32", "i32", "i64", "i64"],
  result: "i64",
});

/** Exponent of an integer whose lowest bit is that of the significand. */
const WHOLE = BIAS + 63;

/** The register image of a signed integer. */
export function fromInteger(c: FpuCode, value: Value): F80 {
  const minus = value.shrS(63);
  return fromMagnitude(c, value.xor(minus).sub(minus), minus.wrap().and(SIGN));
}

function fromMagnitude(c: FpuCode, magnitude: Value, sign: Value): F80 {
  const shift = magnitude.clz();
  const exponent = c.i32(WHOLE).sub(shift.wrap()).when(magnitude.ne(0), 0);
  return { m: magnitude.shl(shift), se: sign.or(exponent) };
}

/** A finite number's magnitude rounded to an integer; its exponent is below WHOLE + 1. */
function roundMagnitude(c: FpuCode, x: F80, rounding: Value): { magnitude: Value; inexact: Value; up: Value } {
  const shift = c.i32(WHOLE).sub(exponentOf(x));
  const { hi, lo } = shiftRightSticky(c, { hi: x.m, lo: c.i64(0) }, shift);
  const up = roundsUp(c, rounding, signOf(x), hi.and(1).ne(0), lo);
  return { magnitude: hi.add(up.extendU()), inexact: lo.ne(0), up };
}

function takeMagnitude(c: FpuCode, rounding: Value, positive: Value, negative: Value): void {
  const pointer = c.st(0);
  const x = c.read(pointer);
  const empty = c.isEmpty(pointer);
  c.if(empty.or(isNanOrUnsupported(x)).or(exponentOf(x).gtU(WHOLE)), () => {
    c.setRaised(c.i32(IE | SF).when(empty, IE));
    c.f.return(c.i64(0));
  });
  const { magnitude, inexact, up } = roundMagnitude(c, x, rounding);
  const beyond = magnitude.gtU(negative.when(signOf(x), positive));
  c.setRaised(c.i32(IE).when(beyond, c.bitsIf(inexact, PE).or(c.bitsIf(up, C1))));
  c.f.return(magnitude);
}

/** FRNDINT. */
function roundInteger(c: FpuCode): void {
  const target = c.st(0);
  underflowIf(c, c.isEmpty(target), target);
  const x = c.read(target);
  c.setRaised(0);
  c.if(isNanOrUnsupported(x), () => finish(c, target, c.call(PROPAGATE, x.m, x.se, x.m, x.se)));
  raiseDenormal(c, x);
  c.setResultExponent(x.se);
  c.if(exponentOf(x).geU(WHOLE).or(x.m.eqz()), () => finish(c, target, x.m));
  const { magnitude, inexact, up } = roundMagnitude(c, x, c.rounding());
  c.raise(c.bitsIf(inexact, PE).or(c.bitsIf(up, C1)));
  const rounded = fromMagnitude(c, magnitude, signOf(x));
  c.setResultExponent(rounded.se);
  finish(c, target, rounded.m);
}

const DIGITS = 18;
const LARGEST_BCD = 10n ** BigInt(DIGITS) - 1n;

/** Quotient by 100 of an integer below 2^60: a quarter of it times the reciprocal of 25, which is rounded up. */
function divideBy100(c: FpuCode, value: Value): Value {
  return multiplyHigh(value.shrU(2), c.i64((1n << 66n) / 25n + 1n)).shrU(2);
}

export const INTEGERS: FpuBodies = {
  [TAKE_MAGNITUDE]: takeMagnitude,
  [FPU_ROUND_INTEGER]: roundInteger,

  [FPU_OPERAND_INTEGER](c, value: Value) {
    c.setRaised(0);
    c.setOperand(fromInteger(c, value));
    c.f.return(c.operand());
  },

  [FPU_PUSH_INTEGER](c, value: Value) {
    const { m, se } = fromInteger(c, value);
    c.setRaised(0);
    c.setResultExponent(se);
    finishPush(c, m);
  },

  [FPU_TAKE_INTEGER](c, width: Value, truncate: Value) {
    const rounding = c.i32(3).when(truncate, c.rounding());
    const limit = c.i64(1).shl(width.sub(1).extendU());
    const magnitude = c.call(TAKE_MAGNITUDE, rounding, limit.sub(1), limit);
    const minus = c.read(c.st(0)).se.and(SIGN);
    const value = magnitude.neg().when(minus, magnitude);
    // The integer indefinite is the most negative one.
    c.f.return(limit.neg().when(c.raised().and(IE), value));
  },

  [FPU_PUSH_BCD](c, low: Value, high: Value) {
    const sum = c.variable("i64", 0);
    // Digits that are none count as what they stand for in hexadecimal, as they do on hardware.
    for (let digit = DIGITS - 1; digit >= 0; digit--) {
      const nibble = digit < 16 ? low.shrU(4 * digit) : high.extendU().shrU(4 * (digit - 16));
      sum.set(sum.get().mul(10).add(nibble.and(15)));
    }
    const { m, se } = fromMagnitude(c, sum.get(), high.and(SIGN));
    c.setRaised(0);
    c.setResultExponent(se);
    finishPush(c, m);
  },

  [FPU_TAKE_BCD](c) {
    const magnitude = c.call(TAKE_MAGNITUDE, c.rounding(), c.i64(LARGEST_BCD), c.i64(LARGEST_BCD));
    const rest = c.variable("i64", magnitude);
    const low = c.variable("i64", 0);
    const high = c.variable("i64", 0);
    for (let pair = 0; pair < DIGITS / 2; pair++) {
      const quotient = divideBy100(c, rest.get());
      const two = rest.get().sub(quotient.mul(100));
      const tens = two.mul(205).shrU(11);
      const digits = two.add(tens.mul(6));
      if (pair < 8) low.set(low.get().or(digits.shl(8 * pair)));
      else high.set(digits);
      rest.set(quotient);
    }
    const invalid = c.raised().and(IE);
    const sign = c.read(c.st(0)).se.and(SIGN);
    c.setOperand({
      m: c.i64(0xc000_0000_0000_0000n).when(invalid, low.get()),
      se: c.i32(0xffff).when(invalid, high.get().wrap().or(sign)),
    });
    c.f.return(c.operand());
  },
};
