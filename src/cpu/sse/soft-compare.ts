/** Comparison, minimum and maximum. */
import { declareFunction } from "../../isa/functions.ts";
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { WasmFunctions } from "../wasm-functions.ts";
import {
  F32,
  F64,
  flushedOperand,
  IE,
  isNan,
  isSignalingNan,
  magnitude,
  raise,
  type SoftFormat,
  signOf,
} from "./soft-format.ts";
import { raiseDenormal } from "./soft-round.ts";

/** What `relation` gives. */
export const LESS = 1;
export const EQUAL = 2;
export const GREATER = 4;
export const UNORDERED = 8;

for (const { name } of [F32, F64]) {
  declareFunction(`${name}.relation`, { in: "wasm", params: ["i64", "i64", "i32", "i32", "i32"], result: "i32" });
  declareFunction(`${name}.extreme`, { in: "wasm", params: ["i64", "i64", "i32", "i32", "i32"], result: "i64" });
}

/** (a, b, signaling, mxcsr, raised): quiet NaNs are invalid only where `signaling`. */
function relation(f: FunctionBuilder, format: SoftFormat): void {
  const [signaling, mxcsr, raised] = [f.param(2), f.param(3), f.param(4)];
  const a = flushedOperand(format, f.param(0), mxcsr);
  const b = flushedOperand(format, f.param(1), mxcsr);
  f.if(isNan(format, a).or(isNan(format, b)), () => {
    const invalid = isSignalingNan(format, a).or(isSignalingNan(format, b)).or(signaling);
    f.if(invalid, () => raise(f, raised, IE));
    f.return(f.i32(UNORDERED));
  });
  raiseDenormal(f, format, raised, a, b);
  /** A number as an integer that is ordered as it is; zeros are equal. */
  const ordered = (bits: Value) => {
    const size = magnitude(format, bits);
    return size.neg().when(signOf(format, bits), size);
  };
  const [x, y] = [ordered(a), ordered(b)];
  const unequal = f.i32(LESS).when(x.ltS(y), GREATER);
  f.return(f.i32(EQUAL).when(x.eq(y), unequal));
}

/**
 * (a, b, wanted, mxcsr, raised): a where its relation to b is `wanted` (LESS for MIN, GREATER for MAX), else b,
 * as it is even if it is a signaling NaN.
 */
function extreme(f: FunctionBuilder, format: SoftFormat, compare: (a: Value, b: Value) => Value): void {
  const [wanted, mxcsr] = [f.param(2), f.param(3)];
  const a = flushedOperand(format, f.param(0), mxcsr);
  const b = flushedOperand(format, f.param(1), mxcsr);
  f.return(a.when(compare(a, b).eq(wanted), b));
}

export function compareFunctions(): WasmFunctions {
  const functions: WasmFunctions = {};
  for (const format of [F32, F64]) {
    functions[`${format.name}.relation`] = (f) => relation(f, format);
    functions[`${format.name}.extreme`] = (f, callee) => {
      const [signaling, mxcsr, raised] = [f.i32(1), f.param(3), f.param(4)];
      extreme(f, format, (a, b) => f.call(callee(`${format.name}.relation`), a, b, signaling, mxcsr, raised));
    };
  }
  return functions;
}
