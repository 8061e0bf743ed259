/** Packed integer multiplication and what is built on it, and the sums of differences of SSE4.1. */
import { type Feature, type Instruction, instruction } from "./instruction.ts";
import { immediate, lanes, pattern, splat8, swizzle, vector, zero } from "./sse-operand.ts";
import { type Combine, packed, wasm } from "./sse-packed.ts";

const HIGH_HALVES = [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31];
const EVEN_TWICE = [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11];

/** Upper halves of 16 by 16 bit products. */
const multiplyHigh =
  (sign: "s" | "u"): Combine =>
  (_o, a, b) =>
    a.op(`i32x4.extmul_low_i16x8_${sign}`, b).shuffle(a.op(`i32x4.extmul_high_i16x8_${sign}`, b), HIGH_HALVES);

/** Products of the even 32-bit lanes. */
const multiplyEven =
  (sign: "s" | "u"): Combine =>
  (_o, a, b) =>
    a.shuffle(a, EVEN_TWICE).op(`i64x2.extmul_low_i32x4_${sign}`, b.shuffle(b, EVEN_TWICE));

/** Unsigned bytes of `a` by signed bytes of `b`, neighbours added with saturation. */
const multiplyAddBytes: Combine = (o, a, b) => {
  const eight = o.i32(8);
  const even = a.op("v128.and", lanes(o, 16, 0xff)).op("i16x8.mul", b.op("i16x8.shl", eight).op("i16x8.shr_s", eight));
  const odd = a.op("i16x8.shr_u", eight).op("i16x8.mul", b.op("i16x8.shr_s", eight));
  return even.op("i16x8.add_sat_s", odd);
};

/** (a * b + 0x4000) >> 15, where -1 * -1 wraps to -1 instead of saturating as WebAssembly's does. */
const multiplyRounded: Combine = (o, a, b) => {
  const lowest = lanes(o, 16, 0x8000);
  const wraps = a.op("i16x8.eq", lowest).op("v128.and", b.op("i16x8.eq", lowest));
  return a.op("i16x8.q15mulr_sat_s", b).op("v128.xor", wraps);
};

const ROWS: readonly [name: string, opcode: string, mmx: Feature | undefined, xmm: Feature, combine: Combine][] = [
  ["pmullw", "0F D5", "mmx", "sse2", wasm("i16x8.mul")],
  ["pmulhuw", "0F E4", "sse", "sse2", multiplyHigh("u")],
  ["pmulhw", "0F E5", "mmx", "sse2", multiplyHigh("s")],
  ["pmuludq", "0F F4", "sse2", "sse2", multiplyEven("u")],
  ["pmaddwd", "0F F5", "mmx", "sse2", wasm("i32x4.dot_i16x8_s")],
  ["pmaddubsw", "0F 38 04", "ssse3", "ssse3", multiplyAddBytes],
  ["pmulhrsw", "0F 38 0B", "ssse3", "ssse3", multiplyRounded],
  ["pmuldq", "0F 38 28", undefined, "sse4_1", multiplyEven("s")],
  ["pmulld", "0F 38 40", undefined, "sse4_1", wasm("i32x4.mul")],
];

/** The smallest unsigned word in bits 0–15, the first lane that holds it in bits 16–18. */
const PHMINPOSUW = instruction("phminposuw", {
  spec: "SDM 2, PHMINPOSUW",
  forms: ["66 0F 38 41 /r Vdq,Wdq"],
  feature: "sse4_1",
  unit: "sse",
  meaning(o, dst, src) {
    const value = vector(o, src);
    const fold = (bytes: number) => Array.from({ length: 16 }, (_, i) => (i + bytes) & 15);
    let least = value;
    for (const bytes of [8, 4, 2]) least = least.op("i16x8.min_u", least.shuffle(least, fold(bytes)));
    const position = value.op("i16x8.eq", least).op("i16x8.bitmask").ctz();
    const result = least.lane("i16x8.extract_lane_u", 0).or(position.shl(16));
    o.put(dst, zero(o).lane("i32x4.replace_lane", 0, result));
  },
});

/**
 * Eight sums of four absolute differences: bytes k to k + 3 of the destination's block against one group of
 * four bytes of the source.
 */
const MPSADBW = instruction("mpsadbw", {
  spec: "SDM 2, MPSADBW",
  forms: ["66 0F 3A 42 /r Vdq,Wdq,Ib"],
  feature: "sse4_1",
  unit: "sse",
  meaning(o, dst, src, control) {
    const b = vector(o, src);
    const a = o.get(dst);
    const select = immediate(o, control);
    const block = splat8(select.and(4));
    const group = splat8(select.and(3).shl(2));
    const sums = [0, 4].map((first) => {
      // 16-bit sums of neighbours of the differences of byte k + j and byte j, k = first..first + 3.
      const sliding = Array.from({ length: 16 }, (_, i) => first + (i >> 2) + (i & 3));
      const left = swizzle(a, o.v128(sliding).op("i8x16.add", block));
      const right = swizzle(b, pattern(o, 0, 1, 2, 3).op("i8x16.add", group));
      const differences = left.op("i8x16.sub_sat_u", right).op("v128.or", right.op("i8x16.sub_sat_u", left));
      return differences.op("i16x8.extadd_pairwise_i8x16_u").op("i32x4.extadd_pairwise_i16x8_u");
    });
    const [low, high] = sums as [(typeof sums)[number], (typeof sums)[number]];
    o.put(dst, low.op("i16x8.narrow_i32x4_u", high));
  },
});

export const SSE_MULTIPLY: readonly Instruction[] = [
  ...ROWS.flatMap(([name, opcode, mmx, xmm, combine]) =>
    packed({ name, opcode, ...(mmx ? { mmx } : {}), xmm, combine }),
  ),
  PHMINPOSUW,
  MPSADBW,
];
