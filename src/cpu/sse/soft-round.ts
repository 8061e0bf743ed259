/** Rounding an exact result to a format, and results that are NaN. */
import { declareFunction } from "../../isa/functions.ts";
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { WasmFunctions } from "../wasm-functions.ts";
import {
  DE,
  DOWN,
  F32,
  F64,
  FTZ,
  IE,
  infinity,
  isDenormal,
  isNan,
  isSignalingNan,
  OE,
  OM,
  PE,
  quietBit,
  raise,
  roundingMode,
  type SoftFormat,
  shiftRightSticky,
  signBit,
  UE,
  UM,
  UP,
} from "./soft-format.ts";

for (const { name } of [F32, F64]) {
  declareFunction(`${name}.round`, { in: "wasm", params: ["i32", "i32", "i64", "i32", "i32"], result: "i64" });
  declareFunction(`${name}.nan`, { in: "wasm", params: ["i64", "i64", "i32"], result: "i64" });
}

/** What is added to bits about to be cut off, so that they carry where the mode rounds away from zero. */
export function roundingIncrement(f: FunctionBuilder, mode: Value, negative: Value, half: bigint, all: bigint): Value {
  const away = f.i32(DOWN).when(negative, UP);
  return f.i64(half).when(mode.eqz(), f.i64(all).when(mode.eq(away), 0));
}

/**
 * (sign, exponent, significand, mxcsr, raised): the significand has its leading bit at 62, the exponent is the
 * biased one less 1, so that packing can add the leading bit to it; bit 0 stands for everything below. Tininess is
 * detected after rounding.
 */
function round(f: FunctionBuilder, format: SoftFormat): void {
  const [sign, exponent, significand, mxcsr, raised] = [0, 1, 2, 3, 4].map((i) => f.param(i)) as [
    Value,
    Value,
    Value,
    Value,
    Value,
  ];
  const { fractionBits, exponentMax } = format;
  const cut = 62 - fractionBits;
  const cutMask = (1n << BigInt(cut)) - 1n;
  const half = 1n << BigInt(cut - 1);
  const mode = roundingMode(mxcsr);
  const increment = roundingIncrement(f, mode, sign, half, cutMask);
  const negative = f.i64(signBit(format)).when(sign, 0);

  /**
   * An unmasked overflow or underflow is raised whether or not the result is exact, which is judged as if
   * exponents had no limits. The instruction has no result then.
   */
  const leaveUnmasked = (exception: number) => {
    raise(f, raised, f.i32(exception | PE).when(significand.and(cutMask).ne(0), exception));
    f.return(f.i64(0));
  };

  const e = f.variable("i32", exponent);
  const s = f.variable("i64", significand);
  f.if(exponent.geU(exponentMax - 2), () => {
    f.if(
      exponent.ltS(0),
      () => {
        const tiny = exponent.ltS(-1).or(significand.add(increment).geS(0));
        const shifted = shiftRightSticky(f, significand, exponent.neg().extendU());
        const inexact = shifted.and(cutMask).ne(0);
        f.if(tiny, () => {
          f.if(mxcsr.and(UM).eqz(), () => leaveUnmasked(UE));
          // Flushing to zero does not ask whether the result is exact.
          f.if(mxcsr.and(FTZ), () => {
            raise(f, raised, UE | PE);
            f.return(negative);
          });
          f.if(inexact, () => raise(f, raised, UE));
        });
        s.set(shifted);
        e.set(0);
      },
      () => {
        const overflows = exponent.gtS(exponentMax - 2).or(significand.add(increment).ltS(0));
        f.if(overflows, () => {
          f.if(mxcsr.and(OM).eqz(), () => leaveUnmasked(OE));
          raise(f, raised, OE | PE);
          // Modes that round towards zero here stop at the largest finite number.
          f.return(f.i64(infinity(format)).sub(increment.eqz().extendU()).or(negative));
        });
      },
    );
  });
  const exact = s.get();
  const rest = exact.and(cutMask);
  f.if(rest.ne(0), () => raise(f, raised, PE));
  const tie = rest.eq(half).and(mode.eqz()).extendU();
  const rounded = exact.add(increment).shrU(cut).and(tie.not());
  const packedExponent = f.i32(0).when(rounded.eqz(), e.get());
  f.return(packedExponent.extendU().shl(fractionBits).add(rounded).or(negative));
}

/** (a, b, raised): the result where a or b is NaN: the first NaN, quieted. @spec SDM 1, table 4-7 */
function nan(f: FunctionBuilder, format: SoftFormat): void {
  const [a, b, raised] = [f.param(0), f.param(1), f.param(2)];
  f.if(isSignalingNan(format, a).or(isSignalingNan(format, b)), () => raise(f, raised, IE));
  f.return(a.when(isNan(format, a), b).or(quietBit(format)));
}

export function roundFunctions(): WasmFunctions {
  const functions: WasmFunctions = {};
  for (const format of [F32, F64]) {
    functions[`${format.name}.round`] = (f) => round(f, format);
    functions[`${format.name}.nan`] = (f) => nan(f, format);
  }
  return functions;
}

/** Raises DE where one of the operands is denormal. */
export function raiseDenormal(f: FunctionBuilder, format: SoftFormat, raised: Value, ...operands: Value[]): void {
  const any = operands.map((operand) => isDenormal(format, operand)).reduce((all, each) => all.or(each));
  f.if(any, () => raise(f, raised, DE));
}
