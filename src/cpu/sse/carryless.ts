/** Polynomials over GF(2): carry-less multiplication and CRC-32C. */
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { WasmFunctions } from "../wasm-functions.ts";

/** Every fourth bit. */
const EVERY_FOURTH = 0x1111_1111_1111_1111n;

/**
 * 32 by 32 bits: integer multiplication of every fourth bit of both. At most 8 products meet in a place, so
 * that sums stay in the four bits that each place has, and the lowest of them is the sum without carry.
 */
function multiply32(f: FunctionBuilder, a: Value, b: Value): Value {
  const parts = (value: Value) => [0, 1, 2, 3].map((i) => value.and(EVERY_FOURTH << BigInt(i)));
  const [x, y] = [parts(a), parts(b)];
  let result: Value = f.i64(0);
  for (let place = 0; place < 4; place++) {
    const products = x.map((part, i) => part.mul(y[(place - i) & 3] as Value));
    const sum = products.reduce((all, product) => all.xor(product));
    result = result.or(sum.and(BigInt.asUintN(64, EVERY_FOURTH << BigInt(place))));
  }
  return result;
}

/** Three multiplications for four. @spec Karatsuba's identity: ad + bc = (a + b)(c + d) - ac - bd */
function multiply64(f: FunctionBuilder, multiply: (a: Value, b: Value) => Value): void {
  const [a, b, result] = [f.param(0), f.param(1), f.param(2)];
  const low32 = (value: Value) => value.and(0xffffffffn);
  const low = multiply(low32(a), low32(b));
  const high = multiply(a.shrU(32), b.shrU(32));
  const cross = multiply(low32(a.xor(a.shrU(32))), low32(b.xor(b.shrU(32))));
  const middle = cross.xor(low).xor(high);
  f.store("i64", result, low.xor(middle.shl(32)));
  f.store("i64", result, high.xor(middle.shrU(32)), 8);
}

/** CRC-32C's polynomial, lowest power in the highest bit. @spec SDM 2, CRC32; RFC 3720, appendix B.4 */
const POLYNOMIAL = 0x82f63b78;

/** The remainder after `count` zero bits follow the remainder `value`. */
function advanced(value: number, count: number): number {
  let remainder = value;
  for (let i = 0; i < count; i++) remainder = (remainder >>> 1) ^ (remainder & 1 ? POLYNOMIAL : 0);
  return remainder >>> 0;
}

const words = (f: FunctionBuilder, values: readonly number[]) =>
  f.v128(values.flatMap((value) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24]));

/** The remainder is linear in the bits of remainder and data: the contributions of four bits at a time are added. */
function crc(f: FunctionBuilder, width: 8 | 16 | 32 | 64): void {
  const data = f.param(1);
  const first = f.param(0).xor(data.wrap());
  const halves = width === 64 ? [first, data.shrU(32).wrap()] : [first];
  let sum: Value | undefined;
  for (let bit = 0; bit < width; bit += 4) {
    const lanes = [0, 1, 2, 3].map((i) => bit + i);
    const half = (halves[bit >> 5] as Value).op("i32x4.splat");
    const selectors = words(
      f,
      lanes.map((lane) => 1 << (lane & 31)),
    );
    const contributions = words(
      f,
      lanes.map((lane) => advanced(1, width - lane)),
    );
    const term = half.op("v128.and", selectors).op("i32x4.eq", selectors).op("v128.and", contributions);
    sum = sum ? sum.op("v128.xor", term) : term;
  }
  const total = sum as Value;
  const pairs = total.op("v128.xor", total.shuffle(total, [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]));
  const remainder = pairs.lane("i32x4.extract_lane", 0).xor(pairs.lane("i32x4.extract_lane", 1));
  // Bits of the old remainder beyond the data only move down.
  f.return(width < 32 ? remainder.xor(f.param(0).shrU(width)) : remainder);
}

export function carrylessFunctions(): WasmFunctions {
  return {
    carrylessMultiply32: (f) => f.return(multiply32(f, f.param(0), f.param(1))),
    carrylessMultiply: (f, callee) => multiply64(f, (a, b) => f.call(callee("carrylessMultiply32"), a, b)),
    crc32c8: (f) => crc(f, 8),
    crc32c16: (f) => crc(f, 16),
    crc32c32: (f) => crc(f, 32),
    crc32c64: (f) => crc(f, 64),
  };
}
