/** Packed integer addition, subtraction, comparison, minimum, maximum, average and logic. */
import type { Feature, Instruction } from "./instruction.ts";
import type { Semantics } from "./semantics.ts";
import { pattern, zero } from "./sse-operand.ts";
import { type Combine, packed, wasm } from "./sse-packed.ts";
import type { Value } from "./value.ts";

type Row = [name: string, opcode: string, mmx: Feature | undefined, xmm: Feature, combine: Combine];

const andNot: Combine = (_o, a, b) => b.op("v128.andnot", a);

/** Bytes of |a - b| summed over each half. */
function sumOfDifferences(o: Semantics, a: Value, b: Value): Value {
  const differences = a.op("i8x16.sub_sat_u", b).op("v128.or", b.op("i8x16.sub_sat_u", a));
  const quarters = differences.op("i16x8.extadd_pairwise_i8x16_u").op("i32x4.extadd_pairwise_i16x8_u");
  // Both addends are below 2^11, so that adding the lane's upper half leaves the sum in its lower half.
  const sums = quarters.op("i64x2.add", quarters.op("i64x2.shr_u", o.i32(32)));
  return sums.op("v128.and", pattern(o, 0xff, 0xff, 0, 0, 0, 0, 0, 0));
}

/** Lanes of `a` with the sign of `b`: negated, zero or kept. */
const withSign =
  (lanes: string, bits: number): Combine =>
  (o, a, b) => {
    const negative = b.op(`${lanes}.shr_s`, o.i32(bits - 1));
    const signed = a.op("v128.xor", negative).op(`${lanes}.sub`, negative);
    return signed.op("v128.andnot", b.op(`${lanes}.eq`, zero(o)));
  };

const EVENS_16 = [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29];
const EVENS_32 = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];

/** Adjacent lanes combined: those of `a` in the low half of the result, those of `b` in the high one. */
const horizontal =
  (name: string, evens: readonly number[]): Combine =>
  (_o, a, b) => {
    const odds = evens.map((byte) => byte + (evens === EVENS_16 ? 2 : 4));
    return a.shuffle(b, evens).op(name, a.shuffle(b, odds));
  };

/** On MMX registers both operands are put together first: 64 bits of `a`, then of `b`. */
const onJoined =
  (combine: Combine): Combine =>
  (o, a, b) => {
    const joined = a.shuffle(b, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);
    return combine(o, joined, joined);
  };

const unary =
  (name: string): Combine =>
  (_o, _a, b) =>
    b.op(name);

const ROWS: readonly Row[] = [
  ["pcmpgtb", "0F 64", "mmx", "sse2", wasm("i8x16.gt_s")],
  ["pcmpgtw", "0F 65", "mmx", "sse2", wasm("i16x8.gt_s")],
  ["pcmpgtd", "0F 66", "mmx", "sse2", wasm("i32x4.gt_s")],
  ["pcmpeqb", "0F 74", "mmx", "sse2", wasm("i8x16.eq")],
  ["pcmpeqw", "0F 75", "mmx", "sse2", wasm("i16x8.eq")],
  ["pcmpeqd", "0F 76", "mmx", "sse2", wasm("i32x4.eq")],
  ["paddq", "0F D4", "sse2", "sse2", wasm("i64x2.add")],
  ["psubusb", "0F D8", "mmx", "sse2", wasm("i8x16.sub_sat_u")],
  ["psubusw", "0F D9", "mmx", "sse2", wasm("i16x8.sub_sat_u")],
  ["pminub", "0F DA", "sse", "sse2", wasm("i8x16.min_u")],
  ["pand", "0F DB", "mmx", "sse2", wasm("v128.and")],
  ["paddusb", "0F DC", "mmx", "sse2", wasm("i8x16.add_sat_u")],
  ["paddusw", "0F DD", "mmx", "sse2", wasm("i16x8.add_sat_u")],
  ["pmaxub", "0F DE", "sse", "sse2", wasm("i8x16.max_u")],
  ["pandn", "0F DF", "mmx", "sse2", andNot],
  ["pavgb", "0F E0", "sse", "sse2", wasm("i8x16.avgr_u")],
  ["pavgw", "0F E3", "sse", "sse2", wasm("i16x8.avgr_u")],
  ["psubsb", "0F E8", "mmx", "sse2", wasm("i8x16.sub_sat_s")],
  ["psubsw", "0F E9", "mmx", "sse2", wasm("i16x8.sub_sat_s")],
  ["pminsw", "0F EA", "sse", "sse2", wasm("i16x8.min_s")],
  ["por", "0F EB", "mmx", "sse2", wasm("v128.or")],
  ["paddsb", "0F EC", "mmx", "sse2", wasm("i8x16.add_sat_s")],
  ["paddsw", "0F ED", "mmx", "sse2", wasm("i16x8.add_sat_s")],
  ["pmaxsw", "0F EE", "sse", "sse2", wasm("i16x8.max_s")],
  ["pxor", "0F EF", "mmx", "sse2", wasm("v128.xor")],
  ["psadbw", "0F F6", "sse", "sse2", sumOfDifferences],
  ["psubb", "0F F8", "mmx", "sse2", wasm("i8x16.sub")],
  ["psubw", "0F F9", "mmx", "sse2", wasm("i16x8.sub")],
  ["psubd", "0F FA", "mmx", "sse2", wasm("i32x4.sub")],
  ["psubq", "0F FB", "sse2", "sse2", wasm("i64x2.sub")],
  ["paddb", "0F FC", "mmx", "sse2", wasm("i8x16.add")],
  ["paddw", "0F FD", "mmx", "sse2", wasm("i16x8.add")],
  ["paddd", "0F FE", "mmx", "sse2", wasm("i32x4.add")],
  ["psignb", "0F 38 08", "ssse3", "ssse3", withSign("i8x16", 8)],
  ["psignw", "0F 38 09", "ssse3", "ssse3", withSign("i16x8", 16)],
  ["psignd", "0F 38 0A", "ssse3", "ssse3", withSign("i32x4", 32)],
  ["pabsb", "0F 38 1C", "ssse3", "ssse3", unary("i8x16.abs")],
  ["pabsw", "0F 38 1D", "ssse3", "ssse3", unary("i16x8.abs")],
  ["pabsd", "0F 38 1E", "ssse3", "ssse3", unary("i32x4.abs")],
  ["pcmpeqq", "0F 38 29", undefined, "sse4_1", wasm("i64x2.eq")],
  ["pcmpgtq", "0F 38 37", undefined, "sse4_2", wasm("i64x2.gt_s")],
  ["pminsb", "0F 38 38", undefined, "sse4_1", wasm("i8x16.min_s")],
  ["pminsd", "0F 38 39", undefined, "sse4_1", wasm("i32x4.min_s")],
  ["pminuw", "0F 38 3A", undefined, "sse4_1", wasm("i16x8.min_u")],
  ["pminud", "0F 38 3B", undefined, "sse4_1", wasm("i32x4.min_u")],
  ["pmaxsb", "0F 38 3C", undefined, "sse4_1", wasm("i8x16.max_s")],
  ["pmaxsd", "0F 38 3D", undefined, "sse4_1", wasm("i32x4.max_s")],
  ["pmaxuw", "0F 38 3E", undefined, "sse4_1", wasm("i16x8.max_u")],
  ["pmaxud", "0F 38 3F", undefined, "sse4_1", wasm("i32x4.max_u")],
];

const HORIZONTAL: readonly [name: string, opcode: string, combine: Combine][] = [
  ["phaddw", "0F 38 01", horizontal("i16x8.add", EVENS_16)],
  ["phaddd", "0F 38 02", horizontal("i32x4.add", EVENS_32)],
  ["phaddsw", "0F 38 03", horizontal("i16x8.add_sat_s", EVENS_16)],
  ["phsubw", "0F 38 05", horizontal("i16x8.sub", EVENS_16)],
  ["phsubd", "0F 38 06", horizontal("i32x4.sub", EVENS_32)],
  ["phsubsw", "0F 38 07", horizontal("i16x8.sub_sat_s", EVENS_16)],
];

/** Bitwise logic on floating-point registers: the same bits, other opcodes. */
const FLOAT_LOGIC: readonly [name: string, opcode: string, combine: Combine][] = [
  ["and", "0F 54", wasm("v128.and")],
  ["andn", "0F 55", andNot],
  ["or", "0F 56", wasm("v128.or")],
  ["xor", "0F 57", wasm("v128.xor")],
];

export const SSE_INTEGER: readonly Instruction[] = [
  ...ROWS.flatMap(([name, opcode, mmx, xmm, combine]) =>
    packed({ name, opcode, ...(mmx ? { mmx } : {}), xmm, combine }),
  ),
  ...HORIZONTAL.flatMap(([name, opcode, combine]) =>
    packed({ name, opcode, mmx: "ssse3", xmm: "ssse3", combine, combineMmx: onJoined(combine) }),
  ),
  ...FLOAT_LOGIC.flatMap(([name, opcode, combine]) => [
    ...packed({ name: `${name}ps`, opcode, prefix: "NP", xmm: "sse", combine }),
    ...packed({ name: `${name}pd`, opcode, xmm: "sse2", combine }),
  ]),
];
