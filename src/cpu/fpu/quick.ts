/**
 * Arithmetic as nearly all of it goes: all exceptions masked, rounding to nearest with 64 bits, operands normal, and a
 * result that is too. Then only C1 and PE come out of it, and numbers go from register to register. What is not so is
 * left, with nothing changed, to the functions that know all cases (arithmetic.ts).
 */
import { declareFunction } from "../../isa/functions.ts";
import { type FpuOperation, OPERATIONS, OPTIONS } from "../../isa/x87-functions.ts";
import type { Value } from "../../wasm/value.ts";
import {
  BIAS,
  C1,
  exponentOf,
  type F80,
  type FpuBodies,
  type FpuBody,
  type FpuCode,
  INTEGER_BIT,
  isNormal,
  MAX_EXPONENT,
  PE,
  SIGN,
  signOf,
} from "./code.ts";
import { divideWide, multiplyWide, shiftLeftWide } from "./wide.ts";

/** Masks of all exceptions, rounding and precision control, in the control word. */
const MODE = 0xf3f;
const NEAREST_64_MASKED = 0x33f;

/** i32: all exceptions are masked, and results are rounded to nearest with 64 bits. */
export const isPlainMode = (c: FpuCode): Value => c.control().and(MODE).eq(NEAREST_64_MASKED);

/** Before it is rounded: sign, exponent, and significand with its top bit set. */
interface Exact {
  readonly sign: Value;
  readonly exponent: Value;
  readonly hi: Value;
  readonly lo: Value;
}

/** Sets what follows from rounding: C1, and PE if `inexact`. */
function setRounded(c: FpuCode, inexact: Value, up: Value): void {
  c.setStatus(c.status().and(~C1).or(c.bitsIf(inexact, PE)).or(c.bitsIf(up, C1)));
}

/** Rounds and writes the result to the register at `target`, which is not empty, unless it may overflow or underflow. */
function writeRounded(c: FpuCode, target: Value, { sign, exponent, hi, lo }: Exact, general: () => void): void {
  const up = lo.ltS(0).and(lo.shl(1).ne(0).or(hi.wrap().and(1)));
  c.f.ifRare(exponent.sub(1).geU(MAX_EXPONENT - 2), general);
  const sum = hi.add(up.extendU());
  const carried = sum.eqz();
  setRounded(c, lo.ne(0), up);
  c.f.store("i64", target, sum.or(carried.extendU().shl(63)));
  c.f.store("i32.16", target, sign.or(exponent.add(carried)), 8);
}

type Compute = (c: FpuCode, a: F80, b: F80, general: () => void) => Exact;

const sum: Compute = (c, a, b, general) => {
  const [aExponent, bExponent] = [exponentOf(a), exponentOf(b)];
  const swap = aExponent.ltU(bExponent).or(aExponent.eq(bExponent).and(a.m.ltU(b.m)));
  const large = b.m.when(swap, a.m);
  const small = a.m.when(swap, b.m);
  const exponent = bExponent.when(swap, aExponent);
  const distance = exponent.sub(aExponent.when(swap, bExponent));
  c.f.ifRare(distance.geU(64), general);
  const count = distance.extendU();
  // Shifted by 1 and by 63 - count, so that a count of 0 needs no case of its own.
  const lost = small.shl(1).shl(count.xor(63));
  const aligned = small.shrU(count);
  const subtract = a.se.xor(b.se).and(SIGN);
  const hi = c.variable("i64");
  const lo = c.variable("i64");
  const top = c.variable("i32", exponent);
  c.if(
    subtract,
    () => {
      const difference = large.sub(aligned).sub(lost.ne(0).extendU());
      c.f.ifRare(difference.eqz(), general);
      const shift = difference.clz();
      const normal = shiftLeftWide({ hi: difference, lo: lost.neg() }, shift);
      hi.set(normal.hi);
      lo.set(normal.lo);
      top.set(exponent.sub(shift.wrap()));
    },
    () => {
      const total = large.add(aligned);
      const carry = total.ltU(large).extendU();
      // A carry makes the sum one bit longer.
      hi.set(total.shrU(carry).or(carry.shl(63)));
      lo.set(lost.shrU(carry).or(lost.and(carry)).or(total.and(carry).shl(63)));
      top.set(exponent.add(carry.wrap()));
    },
  );
  const sign = signOf(b).when(swap, signOf(a));
  return { sign, exponent: top.get(), hi: hi.get(), lo: lo.get() };
};

const difference: Compute = (c, a, b, general) => sum(c, a, { m: b.m, se: b.se.xor(SIGN) }, general);

const signOfProduct = (a: F80, b: F80): Value => a.se.xor(b.se).and(SIGN);

const product: Compute = (_c, a, b) => {
  const { hi, lo } = multiplyWide(a.m, b.m);
  const short = hi.geS(0);
  const exponent = exponentOf(a)
    .add(exponentOf(b))
    .sub(BIAS - 1)
    .sub(short);
  return { sign: signOfProduct(a, b), exponent, ...shiftLeftWide({ hi, lo }, short.extendU()) };
};

const quotient: Compute = (c, a, b) => {
  // The dividend's top bits must be below the divisor.
  const large = a.m.geU(b.m);
  const shift = large.extendU();
  const dividend = { hi: a.m.shrU(shift), lo: a.m.and(shift).shl(63) };
  const { quotient: hi, remainder } = divideWide(c, dividend, b.m);
  // One more bit, and whether anything is left: twice the remainder against the divisor.
  const rest = b.m.sub(remainder);
  const half = remainder.geU(rest).extendU().shl(63);
  const sticky = remainder.ne(0).and(remainder.ne(rest)).extendU();
  const exponent = exponentOf(a)
    .sub(exponentOf(b))
    .add(BIAS - 1)
    .add(large);
  return { sign: signOfProduct(a, b), exponent, hi, lo: half.or(sticky) };
};

const COMPUTE: Record<FpuOperation, Compute> = { add: sum, subtract: difference, multiply: product, divide: quotient };

/** The function of an operation that knows all cases, with the parameters of that on registers. */
export const GENERAL = {
  add: general("Add"),
  subtract: general("Subtract"),
  multiply: general("Multiply"),
  divide: general("Divide"),
} satisfies Record<FpuOperation, string>;
function general(name: string): string {
  return declareFunction(`fpu${name}General`, { in: "wasm", params: ["i32", "i32", "i32", "i32", "i32"] });
}

/** (fpu, target, first, second, options), of operands in registers. */
function onRegisters(operation: FpuOperation): FpuBody {
  return (c, target: Value, first: Value, second: Value, options: Value) => {
    const leave = () => c.returnCall(GENERAL[operation], target, first, second, options);
    const [a, b] = [c.read(first), c.read(second)];
    const tag = c.tag();
    // The target is one of the operands.
    const empty = tag
      .shrU(c.physical(first))
      .or(tag.shrU(c.physical(second)))
      .and(1);
    const plain = isPlainMode(c).and(options.and(OPTIONS.memory).eqz());
    c.f.ifRare(isNormal(a).and(isNormal(b)).and(plain).and(empty.eqz()).eqz(), leave);
    writeRounded(c, target, COMPUTE[operation](c, a, b, leave), leave);
    c.if(options.and(OPTIONS.pop), () => c.pop());
  };
}

/** A normal number of 32 or 64 bits in the format of a register; of others it makes no sense. */
export function widenNormal(bits: Value): F80 {
  const [fraction, bias] = bits.type === "i64" ? [52, 1023] : [23, 127];
  const wide = bits.extendU();
  const exponent = wide.shrU(fraction).wrap();
  const sign = exponent.shrU(bits.type === "i64" ? 11 : 8).shl(15);
  const field = exponent.and(2 * bias + 1);
  return {
    m: wide
      .shl(64 - fraction)
      .shrU(1)
      .or(INTEGER_BIT),
    se: sign.and(SIGN).or(field.add(BIAS - bias)),
  };
}

/** i32: whether a number of 32 or 64 bits is normal. */
export function isNormalScalar(bits: Value): Value {
  const [fraction, bias] = bits.type === "i64" ? [52, 1023] : [23, 127];
  const field = bits.extendU().shrU(fraction).wrap();
  return field
    .and(2 * bias + 1)
    .sub(1)
    .ltU(2 * bias);
}

/** (fpu, bits): ST(0) and a number from memory. */
function onMemory(operation: FpuOperation, reversed: boolean, operand: string): FpuBody {
  return (c, bits: Value) => {
    const target = c.st(0);
    const leave = () => {
      const pointer = c.call(operand, bits);
      const [first, second] = reversed ? [pointer, target] : [target, pointer];
      c.returnCall(GENERAL[operation], target, first, second, OPTIONS.memory);
    };
    const top = c.read(target);
    const filled = c.isEmpty(target).eqz();
    c.f.ifRare(isNormal(top).and(isNormalScalar(bits)).and(isPlainMode(c)).and(filled).eqz(), leave);
    const number = widenNormal(bits);
    const [a, b] = reversed ? [number, top] : [top, number];
    writeRounded(c, target, COMPUTE[operation](c, a, b, leave), leave);
  };
}

export const QUICK: FpuBodies = Object.fromEntries(
  Object.values(OPERATIONS).flatMap(({ operation, registers, single, double, operands, reversed }) => [
    ...(reversed ? [] : [[registers, onRegisters(operation)] as const]),
    [single, onMemory(operation, reversed, operands.single)] as const,
    [double, onMemory(operation, reversed, operands.double)] as const,
  ]),
);
