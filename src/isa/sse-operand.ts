/**
 * Operands of MMX and SSE instructions as v128 values, and lane patterns. An MMX register takes part in
 * vector arithmetic as a v128 whose low half it is; the upper half then holds a copy and is never written back.
 */
import type { Operand, Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";

/** 32 or 64 bits (i32, i64) as the low lane of a v128; the other lanes hold copies. */
export function widen(value: Value): Value {
  return value.op(value.type === "i64" ? "i64x2.splat" : "i32x4.splat");
}

/**
 * An operand as v128. Operands of 128 bits in memory must be aligned: #GP(0) otherwise.
 * @spec SDM 1, 10.4.1.1 ("unaligned access")
 */
export function vector(o: Semantics, operand: Operand): Value {
  if (operand.width !== 128) return widen(o.get(operand));
  if (operand.isMemory) o.checkAligned(operand, 16);
  return o.get(operand);
}

/** Writes the operand's width out of the low end of `value` (v128); memory of 128 bits must be aligned. */
export function putVector(o: Semantics, operand: Operand, value: Value): void {
  if (operand.width === 128) {
    if (operand.isMemory) o.checkAligned(operand, 16);
    o.put(operand, value);
  } else {
    o.put(operand, low(value, operand.width));
  }
}

/** The low 32 (i32) or 64 bits (i64) of a v128. */
export function low(value: Value, width: number): Value {
  return width === 64 ? value.lane("i64x2.extract_lane", 0) : value.lane("i32x4.extract_lane", 0);
}

/** The high 64 bits of a v128. */
export function high(value: Value): Value {
  return value.lane("i64x2.extract_lane", 1);
}

/** An i32 or i64 in the low lane of a v128, all else zero. */
export function zeroExtended(o: Semantics, value: Value): Value {
  return zero(o).lane(value.type === "i64" ? "i64x2.replace_lane" : "i32x4.replace_lane", 0, value);
}

/** An immediate byte as i32, 0–255. */
export function immediate(o: Semantics, operand: Operand): Value {
  return o.get(operand).and(0xff);
}

/** 0, 1, 2, ... 15. */
export const IOTA: readonly number[] = Array.from({ length: 16 }, (_, i) => i);

/** A v128 that repeats `bytes`. */
export function pattern(o: Semantics, ...bytes: readonly number[]): Value {
  return o.v128(IOTA.map((i) => (bytes[i % bytes.length] as number) & 0xff));
}

export function zero(o: Semantics): Value {
  return pattern(o, 0);
}

/** A v128 of equal lanes of `width` bits. */
export function lanes(o: Semantics, width: 16 | 32 | 64, value: number | bigint): Value {
  const bits = BigInt.asUintN(width, BigInt(value));
  return pattern(o, ...Array.from({ length: width / 8 }, (_, i) => Number((bits >> BigInt(8 * i)) & 0xffn)));
}

/** A v128 with these 32-bit lanes. */
export function words32(o: Semantics, ...values: readonly number[]): Value {
  return o.v128(values.flatMap((value) => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24]));
}

/** Bytes of `value` picked by the byte indices in `indices`; indices above 15 give zero. */
export function swizzle(value: Value, indices: Value): Value {
  return value.op("i8x16.swizzle", indices);
}

/** The byte `n` (i32) in all lanes. */
export function splat8(n: Value): Value {
  return n.op("i8x16.splat");
}

/** Byte indices for `swizzle` that move lanes down by `n` (i32, at most 32) bytes, up where `n` is negative. */
export function shiftIndices(o: Semantics, n: Value): Value {
  return o.v128(IOTA).op("i8x16.add", splat8(n));
}

/** All ones in every lane whose bit of `bits` (i32) is set. */
export function maskOfBits(o: Semantics, bits: Value, width: 8 | 16 | 32 | 64): Value {
  if (width === 8) {
    const spread = swizzle(bits.op("i32x4.splat"), pattern(o, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
    const selectors = pattern(o, 1, 2, 4, 8, 16, 32, 64, 128);
    return spread.op("v128.and", selectors).op("i8x16.eq", selectors);
  }
  const shape = LANE_SHAPE[width];
  const bytes = width / 8;
  const selectors = o.v128(IOTA.map((i) => (i % bytes === 0 ? 1 << (i / bytes) : 0)));
  const value = width === 64 ? bits.extendU() : bits;
  return value.op(`${shape}.splat`).op("v128.and", selectors).op(`${shape}.eq`, selectors);
}

/** WebAssembly's names of integer lane shapes by width. */
export const LANE_SHAPE = { 8: "i8x16", 16: "i16x8", 32: "i32x4", 64: "i64x2" } as const;
