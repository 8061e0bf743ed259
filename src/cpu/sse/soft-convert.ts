/** Conversions to and from integers, between the formats, and to whole numbers. */
import { declareFunction } from "../../isa/functions.ts";
import type { Callee, FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { WasmFunctions } from "../wasm-functions.ts";
import {
  DOWN,
  exponentOf,
  F32,
  F64,
  flushedOperand,
  fractionMask,
  IE,
  infinity,
  isNan,
  isSignalingNan,
  leadingBit,
  magnitude,
  NEAREST,
  PE,
  quietBit,
  raise,
  type SoftFormat,
  signBit,
  signed,
  signOf,
  UP,
  unpacked,
} from "./soft-format.ts";
import { raiseDenormal } from "./soft-round.ts";

for (const { name } of [F32, F64]) {
  // (value, mxcsr, raised)
  declareFunction(`${name}.fromInteger`, { in: "wasm", params: ["i64", "i32", "i32"], result: "i64" });
  // (bits, rounding mode, 1 for 64 bits, mxcsr, raised)
  declareFunction(`${name}.toInteger`, { in: "wasm", params: ["i64", "i32", "i32", "i32", "i32"], result: "i64" });
  // (bits, rounding mode, mxcsr, raised)
  declareFunction(`${name}.whole`, { in: "wasm", params: ["i64", "i32", "i32", "i32"], result: "i64" });
}
declareFunction("f32.widened", { in: "wasm", params: ["i64", "i32", "i32"], result: "i64" });
declareFunction("f64.narrowed", { in: "wasm", params: ["i64", "i32", "i32"], result: "i64" });

/** A signed i64; the leading bit is moved to 62. */
function fromInteger(f: FunctionBuilder, format: SoftFormat, round: Callee): void {
  const [value, mxcsr, raised] = [f.param(0), f.param(1), f.param(2)];
  f.if(value.eqz(), () => f.return(f.i64(0)));
  const negative = value.ltS(0);
  const size = value.neg().when(negative, value);
  // Only -2^63 has its leading bit at 63.
  const shift = size.clz().wrap().sub(1);
  const significand = f.i64(1n << 62n).when(shift.ltS(0), size.shl(shift.extendU()));
  f.return(f.call(round, negative, f.i32(format.bias + 61).sub(shift), significand, mxcsr, raised));
}

/** The whole part of a magnitude below 2^64, rounded, and whether it was inexact (i32). */
function wholePart(f: FunctionBuilder, format: SoftFormat, bits: Value, mode: Value): { whole: Value; inexact: Value } {
  const { bias, fractionBits } = format;
  const exponent = exponentOf(format, bits);
  const leading = f.i64(leadingBit(format)).when(exponent, 0);
  const significand = bits.and(fractionMask(format)).or(leading);
  // Places behind the point: at most 0 for whole numbers, 64 and more for numbers below 1/2.
  const places = f.i32(bias + fractionBits).sub(exponent);
  const left = places.leS(0);
  const large = significand.shl(places.neg().and(63).extendU());
  const count = places.extendU();
  const inside = places.ltU(64);
  const cut = significand.shrU(count).when(inside, 0);
  // The part behind the point from bit 63 down; what is smaller than 2^-64 is as good as the least bit.
  const fraction = significand.shl(f.i64(64).sub(count)).when(inside, significand.ne(0).extendU());
  const above = fraction.gtU(1n << 63n).or(
    fraction
      .eq(1n << 63n)
      .and(cut.wrap())
      .and(1),
  );
  const away = f.i32(DOWN).when(signOf(format, bits), UP);
  const inexact = fraction.ne(0).and(left.eqz());
  const up = above.when(mode.eq(NEAREST), mode.eq(away).and(inexact));
  return { whole: large.when(left, cut.add(up.extendU())), inexact };
}

/** Out of range, infinite and NaN give the integer indefinite. Denormals raise nothing of their own. */
function toInteger(f: FunctionBuilder, format: SoftFormat): void {
  const [mode, wide, mxcsr, raised] = [f.param(1), f.param(2), f.param(3), f.param(4)];
  const bits = flushedOperand(format, f.param(0), mxcsr);
  const negative = signOf(format, bits);
  const { whole, inexact } = wholePart(f, format, bits, mode);
  const limit = f.i64(1n << 63n).when(wide, 1n << 31n);
  const tooLarge = whole.gtU(limit.sub(negative.eqz().extendU()));
  const beyond = exponentOf(format, bits).geS(format.bias + 64);
  f.if(tooLarge.or(beyond), () => {
    raise(f, raised, IE);
    f.return(limit);
  });
  f.if(inexact, () => raise(f, raised, PE));
  f.return(whole.neg().when(negative, whole));
}

/** Zeros keep the sign of what was rounded. */
function whole(f: FunctionBuilder, format: SoftFormat, nan: Callee, round: Callee): void {
  const [mode, mxcsr, raised] = [f.param(1), f.param(2), f.param(3)];
  const bits = flushedOperand(format, f.param(0), mxcsr);
  f.if(isNan(format, bits), () => f.return(f.call(nan, bits, bits, raised)));
  // From 2^fractionBits on every number is whole.
  f.if(exponentOf(format, bits).geU(format.bias + format.fractionBits), () => f.return(bits));
  const part = wholePart(f, format, bits, mode);
  f.if(part.inexact, () => raise(f, raised, PE));
  const negative = signOf(format, bits);
  f.if(part.whole.eqz(), () => f.return(signed(f, format, negative, 0n)));
  const shift = part.whole.clz().wrap().sub(1);
  const exponent = f.i32(format.bias + 61).sub(shift);
  // Rounding changes nothing any more.
  f.return(f.call(round, negative, exponent, part.whole.shl(shift.extendU()), mxcsr, raised));
}

function widened(f: FunctionBuilder): void {
  const [mxcsr, raised] = [f.param(1), f.param(2)];
  const bits = flushedOperand(F32, f.param(0), mxcsr);
  const negative = signOf(F32, bits);
  const sign = f.i64(signBit(F64)).when(negative, 0);
  f.if(isNan(F32, bits), () => {
    f.if(isSignalingNan(F32, bits), () => raise(f, raised, IE));
    const payload = bits.and(fractionMask(F32)).shl(29);
    f.return(payload.or(infinity(F64) | quietBit(F64)).or(sign));
  });
  const size = magnitude(F32, bits);
  f.if(size.eqz(), () => f.return(sign));
  f.if(size.eq(infinity(F32)), () => f.return(sign.or(infinity(F64))));
  raiseDenormal(f, F32, raised, bits);
  const { exponent, significand } = unpacked(f, F32, bits);
  // The leading bit adds one to the exponent.
  const packed = exponent
    .add(F64.bias - F32.bias - 1)
    .extendU()
    .shl(52)
    .add(significand.shl(29));
  f.return(packed.or(sign));
}

function narrowed(f: FunctionBuilder, round: Callee): void {
  const [mxcsr, raised] = [f.param(1), f.param(2)];
  const bits = flushedOperand(F64, f.param(0), mxcsr);
  const negative = signOf(F64, bits);
  f.if(isNan(F64, bits), () => {
    f.if(isSignalingNan(F64, bits), () => raise(f, raised, IE));
    const payload = bits.and(fractionMask(F64)).shrU(29);
    f.return(payload.or(infinity(F32) | quietBit(F32)).or(signed(f, F32, negative, 0n)));
  });
  const size = magnitude(F64, bits);
  f.if(size.eqz(), () => f.return(signed(f, F32, negative, 0n)));
  f.if(size.eq(infinity(F64)), () => f.return(signed(f, F32, negative, infinity(F32))));
  raiseDenormal(f, F64, raised, bits);
  const { exponent, significand } = unpacked(f, F64, bits);
  const rebased = exponent.sub(F64.bias - F32.bias + 1);
  f.return(f.call(round, negative, rebased, significand.shl(10), mxcsr, raised));
}

export function convertFunctions(): WasmFunctions {
  const functions: WasmFunctions = {
    "f32.widened": (f) => widened(f),
    "f64.narrowed": (f, callee) => narrowed(f, callee("f32.round")),
  };
  for (const format of [F32, F64]) {
    const { name } = format;
    functions[`${name}.fromInteger`] = (f, callee) => fromInteger(f, format, callee(`${name}.round`));
    functions[`${name}.toInteger`] = (f) => toInteger(f, format);
    functions[`${name}.whole`] = (f, callee) => whole(f, format, callee(`${name}.nan`), callee(`${name}.round`));
  }
  return functions;
}
