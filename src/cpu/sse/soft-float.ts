/** Every floating-point function that SSE instructions call, by instruction. */
import type { Value } from "../../wasm/value.ts";
import type { WasmFunctions } from "../wasm-functions.ts";
import { arithmeticFunctions } from "./soft-arithmetic.ts";
import { compareFunctions, GREATER, LESS } from "./soft-compare.ts";
import { convertFunctions } from "./soft-convert.ts";
import { dotProductFunctions } from "./soft-dot.ts";
import { F32, F64, PE, roundingMode, type SoftFormat, signBit, ZERO } from "./soft-format.ts";
import {
  type Lane,
  type LaneBody,
  type LaneShape,
  type Numbers,
  scalarFunction,
  settleFunctions,
  vectorFunction,
} from "./soft-lanes.ts";
import { roundFunctions } from "./soft-round.ts";

/** Calls an arithmetic function, which takes MXCSR and the exceptions last. */
function call({ f, callee, mxcsr, raised }: Lane, name: string, ...args: (Value | number | bigint)[]): Value {
  return f.call(callee(name), ...args, mxcsr, raised);
}

const sum =
  ({ name }: SoftFormat, flip: bigint): LaneBody =>
  (lane, a, b) =>
    call(lane, `${name}.sum`, a as Value, b as Value, flip);
const binary =
  ({ name }: SoftFormat, operation: string): LaneBody =>
  (lane, a, b) =>
    call(lane, `${name}.${operation}`, a as Value, b as Value);
const extreme =
  ({ name }: SoftFormat, wanted: number): LaneBody =>
  (lane, a, b) =>
    call(lane, `${name}.extreme`, a as Value, b as Value, wanted);
const root =
  ({ name }: SoftFormat): LaneBody =>
  (lane, a) =>
    call(lane, `${name}.root`, a as Value);

/** Even lanes subtract. */
const alternating =
  (format: SoftFormat): LaneBody =>
  (lane, a, b) =>
    sum(format, lane.index % 2 === 0 ? signBit(format) : 0n)(lane, a as Value, b as Value);

/** For predicates EQ, LT, LE and UNORD, a nibble each from the low end: the relations that fulfil it. */
const FULFILLING = 0x8312;

/** All ones where the predicate (0–7) is fulfilled. LT, LE and their negations signal quiet NaNs. */
const predicate =
  ({ name }: SoftFormat): LaneBody =>
  (lane, a, b) => {
    const control = lane.controls[0] as Value;
    const signaling = control.add(1).shrU(1).and(1);
    const relation = call(lane, `${name}.relation`, a as Value, b as Value, signaling);
    const wanted = lane.f.i32(FULFILLING).shrU(control.and(3).shl(2));
    const fulfilled = relation.and(wanted).and(15).ne(0).xor(control.shrU(2));
    return fulfilled.neg().extendS();
  };

/** The mode of a ROUND instruction's immediate; bit 3 takes back the inexact exception. */
const whole =
  ({ name }: SoftFormat): LaneBody =>
  (lane, a) => {
    const { f, mxcsr, raised } = lane;
    const control = lane.controls[0] as Value;
    const mode = roundingMode(mxcsr).when(control.and(4), control.and(3));
    const result = call(lane, `${name}.whole`, a as Value, mode);
    f.if(control.and(8), () => f.store("i32", raised, f.load("i32", raised).and(~PE)));
    return result;
  };

/** The control is 1 for truncation. */
const toInteger =
  ({ name }: SoftFormat, wide: 0 | 1): LaneBody =>
  (lane, a) => {
    const mode = lane.f.i32(ZERO).when(lane.controls[0] as Value, roundingMode(lane.mxcsr));
    return call(lane, `${name}.toInteger`, a as Value, mode, wide);
  };

const FORMATS: readonly { format: SoftFormat; packed: string; scalar: string; shape: LaneShape }[] = [
  { format: F32, packed: "ps", scalar: "ss", shape: { from: F32, lanes: 4, resultBytes: 4 } },
  { format: F64, packed: "pd", scalar: "sd", shape: { from: F64, lanes: 2, resultBytes: 8 } },
];

/** What of an operation are numbers. */
const ALL = (format: SoftFormat): Numbers => ({ operands: format, result: format });
const OPERANDS = (format: SoftFormat): Numbers => ({ operands: format });
type Operation = [name: string, operands: 1 | 2, body: (format: SoftFormat) => LaneBody, numbers: typeof ALL];

/** Operations that there are in all four shapes. */
const OPERATIONS: readonly Operation[] = [
  ["add", 2, (format) => sum(format, 0n), ALL],
  ["sub", 2, (format) => sum(format, signBit(format)), ALL],
  ["mul", 2, (format) => binary(format, "product"), ALL],
  ["div", 2, (format) => binary(format, "quotient"), ALL],
  ["min", 2, (format) => extreme(format, LESS), ALL],
  ["max", 2, (format) => extreme(format, GREATER), ALL],
  ["sqrt", 1, root, ALL],
  ["cmp", 2, predicate, OPERANDS],
  ["round", 1, whole, ALL],
];

const WIDENED: Numbers = { operands: F32, result: F64 };

function conversions(): WasmFunctions[] {
  const fromInteger =
    (name: string): LaneBody =>
    (lane, value) =>
      call(lane, `${name}.fromInteger`, value as Value);
  const signedDword: LaneBody = (lane, value) => call(lane, "f32.fromInteger", (value as Value).signExtend(32));
  const widened: LaneBody = (lane, a) => call(lane, "f32.widened", a as Value);
  const narrowed: LaneBody = (lane, a) => call(lane, "f64.narrowed", a as Value);
  return [
    vectorFunction("soft.cvtdq2ps", 1, { from: F32, lanes: 4, resultBytes: 4 }, signedDword),
    vectorFunction("soft.cvtps2dq", 1, { from: F32, lanes: 4, resultBytes: 4 }, toInteger(F32, 0)),
    vectorFunction("soft.cvtpd2dq", 1, { from: F64, lanes: 2, resultBytes: 4 }, toInteger(F64, 0)),
    vectorFunction("soft.cvtpd2ps", 1, { from: F64, lanes: 2, resultBytes: 4 }, narrowed),
    vectorFunction("soft.cvtps2pd", 1, { from: F32, lanes: 2, resultBytes: 8, numbers: WIDENED }, widened),
    scalarFunction("soft.cvtsd2ss", 1, narrowed, { operands: F64, result: F32 }),
    scalarFunction("soft.cvtss2sd", 1, widened, WIDENED),
    scalarFunction("soft.cvtsi2ss", 1, fromInteger("f32")),
    scalarFunction("soft.cvtsi2sd", 1, fromInteger("f64")),
    scalarFunction("soft.cvtss2si32", 1, toInteger(F32, 0)),
    scalarFunction("soft.cvtss2si64", 1, toInteger(F32, 1)),
    scalarFunction("soft.cvtsd2si32", 1, toInteger(F64, 0)),
    scalarFunction("soft.cvtsd2si64", 1, toInteger(F64, 1)),
  ];
}

/** How two scalars compare; the control says whether quiet NaNs are invalid. */
function relations(): WasmFunctions[] {
  return [F32, F64].map((format) => {
    const relation: LaneBody = (lane, a, b) =>
      call(lane, `${format.name}.relation`, a as Value, b as Value, lane.controls[0] as Value).extendU();
    return scalarFunction(`soft.relation${format.name.slice(1)}`, 2, relation, OPERANDS(format));
  });
}

export function softFloatFunctions(): WasmFunctions {
  const functions = FORMATS.flatMap(({ format, packed, scalar, shape }) => [
    vectorFunction(`soft.addsub${packed}`, 2, { ...shape, numbers: ALL(format) }, alternating(format)),
    ...OPERATIONS.flatMap(([name, operands, body, numbers]) => [
      vectorFunction(`soft.${name}${packed}`, operands, { ...shape, numbers: numbers(format) }, body(format)),
      scalarFunction(`soft.${name}${scalar}`, operands, body(format), numbers(format)),
    ]),
  ]);
  return Object.assign(
    {},
    settleFunctions,
    roundFunctions(),
    arithmeticFunctions(),
    compareFunctions(),
    convertFunctions(),
    dotProductFunctions(),
    ...functions,
    ...conversions(),
    ...relations(),
  );
}
