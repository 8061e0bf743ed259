/** SSE floating-point arithmetic: ADD, SUB, MUL, DIV, SQRT, MIN, MAX, HADD, HSUB, ADDSUB, DPPS and DPPD. */
import { type Feature, type Instruction, instruction } from "./instruction.ts";
import type { Semantics } from "./semantics.ts";
import {
  callSoft,
  DOUBLE,
  declareSoft,
  type FloatFormat,
  fromBits,
  lanesNotDenormal,
  lanesOrdered,
  lanesOrdinary,
  lowNumber,
  nativeOr,
  roundedLanes,
  roundedScalar,
  SINGLE,
  scalarsOrdinary,
  toBits,
  withLowNumber,
} from "./sse-native.ts";
import { immediate, lanes, pattern, vector } from "./sse-operand.ts";
import type { Value } from "./value.ts";

interface Operation {
  readonly name: string;
  readonly opcode: string;
  /** WebAssembly's operation, without its type. */
  readonly native: string;
  readonly operands: 1 | 2;
}

const OPERATIONS: readonly Operation[] = [
  { name: "sqrt", opcode: "51", native: "sqrt", operands: 1 },
  { name: "add", opcode: "58", native: "add", operands: 2 },
  { name: "mul", opcode: "59", native: "mul", operands: 2 },
  { name: "sub", opcode: "5C", native: "sub", operands: 2 },
  { name: "div", opcode: "5E", native: "div", operands: 2 },
];

/** Packed and scalar names, prefixes and features of both formats. */
const PACKED = [
  { suffix: "ps", prefix: "NP", feature: "sse", format: SINGLE },
  { suffix: "pd", prefix: "66", feature: "sse2", format: DOUBLE },
] as const;
const SCALAR = [
  { suffix: "ss", prefix: "F3", feature: "sse", format: SINGLE },
  { suffix: "sd", prefix: "F2", feature: "sse2", format: DOUBLE },
] as const;

interface Encoding {
  readonly name: string;
  readonly form: string;
  readonly feature: Feature;
}

function define({ name, form, feature }: Encoding, meaning: Instruction["meaning"]): Instruction {
  return instruction(name, { spec: `SDM 2, ${name.toUpperCase()}`, forms: [form], feature, unit: "sse", meaning });
}

/** Lanes combined by an operation that may round; `inputs` are one or two v128. */
function packedResult(o: Semantics, format: FloatFormat, operation: Operation, soft: string, inputs: Value[]): Value {
  const [first, ...others] = inputs as [Value, ...Value[]];
  return roundedLanes(o, format, first.op(`${format.vector}.${operation.native}`, ...others), soft, inputs);
}

function packedOperation(
  operation: Operation,
  { suffix, prefix, feature, format }: (typeof PACKED)[number],
): Instruction {
  const name = operation.name + suffix;
  const unary = operation.operands === 1;
  const soft = declareSoft(name, unary ? ["v128"] : ["v128", "v128"]);
  return define({ name, form: `${prefix} 0F ${operation.opcode} /r Vdq,Wdq`, feature }, (o, dst, src) => {
    const b = vector(o, src);
    o.put(dst, packedResult(o, format, operation, soft, unary ? [b] : [o.get(dst), b]));
  });
}

function scalarOperation(
  operation: Operation,
  { suffix, prefix, feature, format }: (typeof SCALAR)[number],
): Instruction {
  const name = operation.name + suffix;
  const unary = operation.operands === 1;
  const soft = declareSoft(name, unary ? [format.bits] : [format.bits, format.bits]);
  return define({ name, form: `${prefix} 0F ${operation.opcode} /r Vdq,W${suffix}`, feature }, (o, dst, src) => {
    const number = o.getNumber(src);
    const old = o.get(dst);
    const inputs = unary ? [number] : [lowNumber(format, old), number];
    const [first, ...others] = inputs as [Value, ...Value[]];
    const native = first.op(`${format.type}.${operation.native}`, ...others);
    o.put(dst, withLowNumber(format, old, roundedScalar(o, format, native, soft, inputs)));
  });
}

/**
 * MIN and MAX give the second operand where the first is not strictly smaller or larger: also for two zeros and
 * for NaNs. They raise invalid and denormal, and never round.
 */
const EXTREMES = [
  { name: "min", opcode: "5D", pseudo: "pmin", before: "lt" },
  { name: "max", opcode: "5F", pseudo: "pmax", before: "gt" },
] as const;

function packedExtreme(
  extreme: (typeof EXTREMES)[number],
  { suffix, prefix, feature, format }: (typeof PACKED)[number],
): Instruction {
  const name = extreme.name + suffix;
  const soft = declareSoft(name, ["v128", "v128"]);
  return define({ name, form: `${prefix} 0F ${extreme.opcode} /r Vdq,Wdq`, feature }, (o, dst, src) => {
    const b = vector(o, src);
    const a = o.get(dst);
    // pmin(b, a) is a < b ? a : b, bit for bit.
    const native = b.op(`${format.vector}.${extreme.pseudo}`, a);
    const result = nativeOr(o, lanesOrdinary(o, format, a, b), native, () => callSoft(o, "v128", soft, a, b));
    o.numbers.assume(format.type, a, b, result);
    o.put(dst, result);
  });
}

function scalarExtreme(
  extreme: (typeof EXTREMES)[number],
  { suffix, prefix, feature, format }: (typeof SCALAR)[number],
): Instruction {
  const name = extreme.name + suffix;
  const soft = declareSoft(name, [format.bits, format.bits]);
  return define({ name, form: `${prefix} 0F ${extreme.opcode} /r Vdq,W${suffix}`, feature }, (o, dst, src) => {
    const y = o.getNumber(src);
    const old = o.get(dst);
    const x = lowNumber(format, old);
    const native = x.when(x.op(`${format.type}.${extreme.before}`, y), y);
    const result = nativeOr(o, scalarsOrdinary(o, format, x, y), native, () =>
      fromBits(format, callSoft(o, format.bits, soft, toBits(format, x), toBits(format, y))),
    );
    o.numbers.assume(format.type, x, y, result);
    o.put(dst, withLowNumber(format, old, result));
  });
}

const SUM = OPERATIONS.find(({ name }) => name === "add") as Operation;
const DIFFERENCE = OPERATIONS.find(({ name }) => name === "sub") as Operation;

/** Forms of SSE3 for neighbours: packed single has F2, packed double 66. */
const SSE3 = [
  { suffix: "ps", prefix: "F2", format: SINGLE, evens: [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27] },
  { suffix: "pd", prefix: "66", format: DOUBLE, evens: [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23] },
] as const;

function horizontal(
  operation: Operation,
  opcode: string,
  { suffix, prefix, format, evens }: (typeof SSE3)[number],
): Instruction {
  const name = `h${operation.name}${suffix}`;
  const soft = `soft.${operation.name}${suffix}`;
  const odds = evens.map((byte) => byte + format.width / 8);
  return define({ name, form: `${prefix} 0F ${opcode} /r Vdq,Wdq`, feature: "sse3" }, (o, dst, src) => {
    const b = vector(o, src);
    const a = o.get(dst);
    o.put(dst, packedResult(o, format, operation, soft, [a.shuffle(b, evens), a.shuffle(b, odds)]));
  });
}

/** Even lanes are subtracted, odd ones added. */
function addSubtract({ suffix, prefix, format }: (typeof SSE3)[number]): Instruction {
  const name = `addsub${suffix}`;
  const soft = declareSoft(name, ["v128", "v128"]);
  const { width } = format;
  return define({ name, form: `${prefix} 0F D0 /r Vdq,Wdq`, feature: "sse3" }, (o, dst, src) => {
    const b = vector(o, src);
    const a = o.get(dst);
    const signs = Array.from({ length: width / 4 }, (_, i) => (i === width / 8 - 1 ? 0x80 : 0));
    const native = a.op(`${format.vector}.add`, b.op("v128.xor", pattern(o, ...signs)));
    o.put(dst, roundedLanes(o, format, native, soft, [a, b]));
  });
}

/** Dot products round after every multiplication and addition, and any of them may raise. */
function dotProduct(name: string, opcode: string): Instruction {
  const soft = declareSoft(name, ["v128", "v128", "i32"]);
  const encoding = { name, form: `66 0F 3A ${opcode} /r Vdq,Wdq,Ib`, feature: "sse4_1" } as const;
  return define(encoding, (o, dst, src, control) => {
    const b = vector(o, src);
    o.put(dst, callSoft(o, "v128", soft, o.get(dst), b, immediate(o, control)));
  });
}

/**
 * Approximations of 1/x and 1/sqrt(x), here rounded once or twice instead of the hardware's 12 bits. They heed
 * nothing of MXCSR: denormal operands are zeros, results too small are zeros, and no exception is raised.
 * @spec SDM 2, RCPPS and RSQRTPS
 */
function approximation(name: string, opcode: string, compute: (o: Semantics, x: Value) => Value): Instruction[] {
  const result = (o: Semantics, x: Value) => {
    const sign = lanes(o, 32, 0x8000_0000);
    const tiny = lanesNotDenormal(o, SINGLE, x).op("v128.not");
    const operand = x.op("v128.bitselect", x.op("v128.and", sign), tiny.op("v128.not"));
    const quiet = x.op("v128.or", lanes(o, 32, 0x0040_0000));
    return compute(o, operand).op("v128.bitselect", quiet, lanesOrdered(SINGLE, x));
  };
  return [
    define({ name: `${name}ps`, form: `NP 0F ${opcode} /r Vdq,Wdq`, feature: "sse" }, (o, dst, src) => {
      o.put(dst, result(o, vector(o, src)));
    }),
    define({ name: `${name}ss`, form: `F3 0F ${opcode} /r Vdq,Wss`, feature: "sse" }, (o, dst, src) => {
      const value = result(o, vector(o, src));
      o.put(dst, o.get(dst).lane("i32x4.replace_lane", 0, value.lane("i32x4.extract_lane", 0)));
    }),
  ];
}

const ones = (o: Semantics) => lanes(o, 32, 0x3f80_0000);

/** Results at the lower end of the normal numbers are zeros already: those of 1.11111111110100000000000b * 2^125 and more. */
function reciprocal(o: Semantics, x: Value): Value {
  const zeros = x.op("v128.and", lanes(o, 32, 0x8000_0000));
  const tooSmall = x.op("f32x4.abs").op("f32x4.ge", lanes(o, 32, 0x7e7f_e800));
  return zeros.op("v128.bitselect", ones(o).op("f32x4.div", x), tooSmall);
}

/** Negative numbers give the default NaN, -0 gives -infinity. */
function reciprocalRoot(o: Semantics, x: Value): Value {
  const root = ones(o).op("f32x4.div", x.op("f32x4.sqrt"));
  return lanes(o, 32, 0xffc0_0000).op("v128.bitselect", root, x.op("f32x4.lt", lanes(o, 32, 0)));
}

export const SSE_ARITHMETIC: readonly Instruction[] = [
  ...OPERATIONS.flatMap((operation) => [
    ...PACKED.map((encoding) => packedOperation(operation, encoding)),
    ...SCALAR.map((encoding) => scalarOperation(operation, encoding)),
  ]),
  ...EXTREMES.flatMap((extreme) => [
    ...PACKED.map((encoding) => packedExtreme(extreme, encoding)),
    ...SCALAR.map((encoding) => scalarExtreme(extreme, encoding)),
  ]),
  ...SSE3.flatMap((encoding) => [
    horizontal(SUM, "7C", encoding),
    horizontal(DIFFERENCE, "7D", encoding),
    addSubtract(encoding),
  ]),
  dotProduct("dpps", "40"),
  dotProduct("dppd", "41"),
  ...approximation("rsqrt", "52", reciprocalRoot),
  ...approximation("rcp", "53", reciprocal),
];
