/**
 * The floating-point functions that instruction meanings call (declareSoft): a scalar or each lane of a v128
 * goes through the arithmetic of one number, then the exceptions go into MXCSR.
 */
import { declareFunction, functionSpec } from "../../isa/functions.ts";
import type { Callee, FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { WasmFunctions } from "../wasm-functions.ts";
import { DE, IE, infinity, isDenormal, magnitude, type SoftFormat, ZE } from "./soft-format.ts";

/** Where a function keeps the exceptions raised, behind its result. */
export const RAISED = 16;

declareFunction("soft.settle", { in: "wasm", params: ["i32", "i32"], result: "i32" });

/**
 * (mxcsr pointer, result pointer): adds the exceptions raised to MXCSR and gives the unmasked ones. An unmasked
 * exception of the operands keeps those of the results from being found. @spec SDM 1, 4.9.2 and 11.5.3
 */
function settle(f: FunctionBuilder): void {
  const [pointer, result] = [f.param(0), f.param(1)];
  const mxcsr = f.load("i32", pointer);
  const raised = f.load("i32", result, RAISED);
  const unmasked = mxcsr.shrU(7).not();
  const operands = IE | DE | ZE;
  const reported = raised.and(f.i32(operands).when(raised.and(unmasked).and(operands), 0x3f));
  f.store("i32", pointer, mxcsr.or(reported));
  f.return(reported.and(unmasked));
}

declareFunction("soft.status", { in: "wasm", params: ["i32", "i32", "i32"], result: "i32" });

/**
 * (mxcsr pointer, result pointer, whether a number was not ordinary): settles and gives what the function returns
 * (isa/sse-native.ts, callSoft).
 */
function status(f: FunctionBuilder, settle: Callee): void {
  const [pointer, result, odd] = [f.param(0), f.param(1), f.param(2)];
  const unmasked = f.call(settle, pointer, result);
  const loud = f.load("i32", pointer).and(0x7020).ne(0x1020);
  f.return(unmasked.or(loud.or(odd).shl(8)));
}

export const settleFunctions: WasmFunctions = {
  "soft.settle": settle,
  "soft.status": (f, callee) => status(f, callee("soft.settle")),
};

/** Which of a function's operands and results are numbers, to be told from integers. */
export interface Numbers {
  readonly operands?: SoftFormat;
  readonly result?: SoftFormat;
}

/** i32: whether a number among these (i64) is neither zero nor normal. */
function anyOdd(f: FunctionBuilder, operands: readonly Value[], results: readonly Value[], numbers: Numbers): Value {
  const odd = (format: SoftFormat | undefined) => (bits: Value) =>
    format ? isDenormal(format, bits).or(magnitude(format, bits).geU(infinity(format))) : f.i32(0);
  return [...operands.map(odd(numbers.operands)), ...results.map(odd(numbers.result))].reduce((a, b) => a.or(b));
}

/** What the computation of one number is given. */
export interface Lane {
  readonly f: FunctionBuilder;
  readonly callee: (name: string) => Callee;
  readonly mxcsr: Value;
  /** Pointer to the exceptions raised. */
  readonly raised: Value;
  /** Parameters that are not numbers, in order. */
  readonly controls: readonly Value[];
  readonly index: number;
}

/** Numbers in (i64 each), number or integer out (i64). */
export type LaneBody = (lane: Lane, ...numbers: Value[]) => Value;

/** A soft function's parameters: `count` operands, controls, pointer to MXCSR, pointer to the result. */
export function softParameters(f: FunctionBuilder, name: string, count: number) {
  const { params } = functionSpec(name);
  const all = params.map((_, i) => f.param(i));
  const [mxcsr, result] = all.slice(-2) as [Value, Value];
  return { operands: all.slice(0, count), controls: all.slice(count, -2), mxcsr, result };
}

/** A soft function on scalars. */
export function scalarFunction(
  name: string,
  operandCount: 1 | 2,
  body: LaneBody,
  numbers: Numbers = {},
): WasmFunctions {
  return {
    [name]: (f, callee) => {
      const { operands, controls, mxcsr, result } = softParameters(f, name, operandCount);
      const raised = result.add(RAISED);
      f.store("i32", raised, 0);
      const lane = { f, callee, mxcsr: f.load("i32", mxcsr), raised, controls, index: 0 };
      const inputs = operands.map((operand) => operand.extendU());
      const output = body(lane, ...inputs);
      f.store("i64", result, output);
      f.return(f.call(callee("soft.status"), mxcsr, result, anyOdd(f, inputs, [output], numbers)));
    },
  };
}

export interface LaneShape {
  readonly from: SoftFormat;
  readonly lanes: 2 | 4;
  /** Bytes of a lane of the result; those that are left over become zero. */
  readonly resultBytes: 4 | 8;
  readonly numbers?: Numbers;
}

/** A soft function on vectors. */
export function vectorFunction(name: string, operandCount: 1 | 2, shape: LaneShape, body: LaneBody): WasmFunctions {
  const { from, lanes, resultBytes, numbers = {} } = shape;
  const extract = from.name === "f32" ? "i32x4.extract_lane" : "i64x2.extract_lane";
  return {
    [name]: (f, callee) => {
      const { operands, controls, mxcsr, result } = softParameters(f, name, operandCount);
      const raised = result.add(RAISED);
      f.store("i32", raised, 0);
      f.store("v128", result, f.v128(Array(16).fill(0)));
      const status = f.load("i32", mxcsr);
      const odd: Value[] = [];
      for (let index = 0; index < lanes; index++) {
        const lane = { f, callee, mxcsr: status, raised, controls, index };
        const inputs = operands.map((operand) => operand.lane(extract, index).extendU());
        const value = body(lane, ...inputs);
        odd.push(anyOdd(f, inputs, [value], numbers));
        f.store(resultBytes === 4 ? "i64.32" : "i64", result, value, index * resultBytes);
      }
      const anyLane = odd.reduce((a, b) => a.or(b));
      f.return(f.call(callee("soft.status"), mxcsr, result, anyLane));
    },
  };
}
