/**
 * Building blocks of SSE floating point with integers. Numbers of both formats are carried as i64; a function
 * over them takes MXCSR (i32) and a pointer to the exceptions raised so far (i32, MXCSR's bits 0–5) last.
 * @spec SDM 1, 4.8 and 11.5
 */
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";

/** Exception flags as in MXCSR. */
export const IE = 1;
export const DE = 2;
export const ZE = 4;
export const OE = 8;
export const UE = 16;
export const PE = 32;
/** MXCSR: overflow and underflow masked, flush to zero. */
export const OM = 0x400;
export const UM = 0x800;
export const FTZ = 0x8000;
/** Rounding modes in MXCSR's bits 14:13. */
export const NEAREST = 0;
export const DOWN = 1;
export const UP = 2;
export const ZERO = 3;

export interface SoftFormat {
  readonly name: "f32" | "f64";
  readonly fractionBits: 23 | 52;
  readonly exponentMax: 0xff | 0x7ff;
  readonly bias: 127 | 1023;
}

export const F32: SoftFormat = { name: "f32", fractionBits: 23, exponentMax: 0xff, bias: 127 };
export const F64: SoftFormat = { name: "f64", fractionBits: 52, exponentMax: 0x7ff, bias: 1023 };

const mask = (bits: number) => (1n << BigInt(bits)) - 1n;
export const signBit = (format: SoftFormat) => (format.name === "f32" ? 0x8000_0000n : 0x8000_0000_0000_0000n);
export const magnitudeMask = (format: SoftFormat) => signBit(format) - 1n;
export const fractionMask = (format: SoftFormat) => mask(format.fractionBits);
/** The implicit leading bit. */
export const leadingBit = (format: SoftFormat) => 1n << BigInt(format.fractionBits);
export const infinity = (format: SoftFormat) => BigInt(format.exponentMax) << BigInt(format.fractionBits);
/** The quiet bit of a NaN. */
export const quietBit = (format: SoftFormat) => 1n << BigInt(format.fractionBits - 1);
/** The NaN that invalid operations give: negative, quiet. */
export const defaultNan = (format: SoftFormat) => signBit(format) | infinity(format) | quietBit(format);

/** Adds exceptions (i32 or number) to those at `raised`. */
export function raise(f: FunctionBuilder, raised: Value, exceptions: Value | number): void {
  f.store("i32", raised, f.load("i32", raised).or(exceptions));
}

/** The rounding mode, 0–3. */
export const roundingMode = (mxcsr: Value) => mxcsr.shrU(13).and(3);

/** i32: exponent field. */
export function exponentOf(format: SoftFormat, bits: Value): Value {
  return bits.shrU(format.fractionBits).wrap().and(format.exponentMax);
}
export const magnitude = (format: SoftFormat, bits: Value) => bits.and(magnitudeMask(format));
/** i32, 0 or 1. */
export const signOf = (format: SoftFormat, bits: Value) => bits.shrU(format.name === "f32" ? 31 : 63).wrap();
export const isNan = (format: SoftFormat, bits: Value) => magnitude(format, bits).gtU(infinity(format));
export const isSignalingNan = (format: SoftFormat, bits: Value) =>
  isNan(format, bits).and(bits.and(quietBit(format)).eqz());
/** Denormal, not zero. */
export const isDenormal = (format: SoftFormat, bits: Value) =>
  magnitude(format, bits)
    .sub(1)
    .ltU(leadingBit(format) - 1n);

/** `bits`, or a zero of its sign where they are denormal and MXCSR.DAZ is set. */
export function flushedOperand(format: SoftFormat, bits: Value, mxcsr: Value): Value {
  const flush = isDenormal(format, bits).and(mxcsr.shrU(6));
  return bits.and(signBit(format)).when(flush, bits);
}

/** A zero or infinity, or any other magnitude, with sign `negative` (i32). */
export function signed(f: FunctionBuilder, format: SoftFormat, negative: Value, value: bigint): Value {
  return f.i64(signBit(format) | value).when(negative, value);
}

/** A number not zero, infinite or NaN as exponent and significand with the leading bit at `fractionBits`. */
export function unpacked(f: FunctionBuilder, format: SoftFormat, bits: Value): { exponent: Value; significand: Value } {
  const exponent = exponentOf(format, bits);
  const fraction = bits.and(fractionMask(format));
  const shift = fraction
    .clz()
    .wrap()
    .sub(63 - format.fractionBits);
  const denormal = exponent.eqz();
  return {
    exponent: f.i32(1).sub(shift).when(denormal, exponent),
    significand: fraction.shl(shift.extendU()).when(denormal, fraction.or(leadingBit(format))),
  };
}

/** `value` shifted right by `count` (i64, any); bits shifted out leave a one in the lowest place. */
export function shiftRightSticky(f: FunctionBuilder, value: Value, count: Value): Value {
  const lost = value.and(f.i64(1).shl(count).sub(1)).ne(0).extendU();
  return value.shrU(count).or(lost).when(count.ltU(63), value.ne(0).extendU());
}
