/**
 * AES rounds on whole vectors. S-boxes are 16 byte shuffles of 16 entries each: a shuffle gives zero for indices
 * outside of its part of the table. @spec FIPS 197
 */
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { WasmFunctions } from "../wasm-functions.ts";

/** Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. @spec FIPS 197, 4.2 */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 0x80; bit > 0; bit >>= 1) {
    product = (product << 1) ^ (product & 0x80 ? 0x11b : 0) ^ (b & bit ? a : 0);
  }
  return product;
}

/** Inverse, then an affine map. @spec FIPS 197, 5.1.1 */
const SBOX: readonly number[] = Array.from({ length: 256 }, (_, byte) => {
  // x^254 is the inverse of x, and 0 for 0.
  let inverse = 1;
  for (let i = 0; i < 254; i++) inverse = multiply(inverse, byte);
  const rotations = inverse * 0x101;
  return (inverse ^ (rotations >> 7) ^ (rotations >> 6) ^ (rotations >> 5) ^ (rotations >> 4) ^ 0x63) & 0xff;
});
const INVERSE_SBOX: readonly number[] = SBOX.map((_, byte) => SBOX.indexOf(byte));

/** Byte (row, column) of the state is byte row + 4 * column; row r is rotated left by r. */
const SHIFT_ROWS = Array.from({ length: 16 }, (_, i) => (i + 4 * (i & 3)) & 15);
const INVERSE_SHIFT_ROWS = Array.from({ length: 16 }, (_, i) => (i - 4 * (i & 3)) & 15);
/** Every column rotated up by one byte, or two. */
const ROTATE_1 = Array.from({ length: 16 }, (_, i) => (i & 12) | ((i + 1) & 3));
const ROTATE_2 = Array.from({ length: 16 }, (_, i) => (i & 12) | ((i + 2) & 3));

const repeat = (f: FunctionBuilder, byte: number) => f.v128(Array(16).fill(byte));

function substitute(f: FunctionBuilder, state: Value, box: readonly number[]): Value {
  let indices = state;
  let result: Value | undefined;
  for (let first = 0; first < 256; first += 16) {
    const part = f.v128(box.slice(first, first + 16)).op("i8x16.swizzle", indices);
    result = result ? result.op("v128.or", part) : part;
    indices = indices.op("i8x16.sub", repeat(f, 16));
  }
  return result as Value;
}

/** All bytes times x. */
function double(f: FunctionBuilder, state: Value): Value {
  const reduction = state.op("i8x16.shr_s", f.i32(7)).op("v128.and", repeat(f, 0x1b));
  return state.op("i8x16.shl", f.i32(1)).op("v128.xor", reduction);
}

/** Columns times 02 03 01 01: 2(a + b) + b + c + d. @spec FIPS 197, 5.1.3 */
function mixColumns(f: FunctionBuilder, state: Value): Value {
  const next = state.shuffle(state, ROTATE_1);
  const pair = state.op("v128.xor", next);
  return double(f, pair).op("v128.xor", next).op("v128.xor", pair.shuffle(pair, ROTATE_2));
}

/** Columns times 0e 0b 0d 09, which is 02 03 01 01 times 05 00 04 00. @spec FIPS 197, 5.3.3 */
function inverseMixColumns(f: FunctionBuilder, state: Value): Value {
  const fourfold = double(f, double(f, state));
  const across = fourfold.op("v128.xor", fourfold.shuffle(fourfold, ROTATE_2));
  return mixColumns(f, state.op("v128.xor", across));
}

const shuffled = (state: Value, order: readonly number[]) => state.shuffle(state, order);

export function aesFunctions(): WasmFunctions {
  return {
    aesSubBytes: (f) => f.return(substitute(f, f.param(0), SBOX)),
    aesInvSubBytes: (f) => f.return(substitute(f, f.param(0), INVERSE_SBOX)),
    aesimc: (f) => f.return(inverseMixColumns(f, f.param(0))),
    aesenc: (f, callee) => {
      const substituted = f.call(callee("aesSubBytes"), shuffled(f.param(0), SHIFT_ROWS));
      f.return(mixColumns(f, substituted).op("v128.xor", f.param(1)));
    },
    aesenclast: (f, callee) => {
      const substituted = f.call(callee("aesSubBytes"), shuffled(f.param(0), SHIFT_ROWS));
      f.return(substituted.op("v128.xor", f.param(1)));
    },
    aesdec: (f, callee) => {
      const substituted = f.call(callee("aesInvSubBytes"), shuffled(f.param(0), INVERSE_SHIFT_ROWS));
      f.return(inverseMixColumns(f, substituted).op("v128.xor", f.param(1)));
    },
    aesdeclast: (f, callee) => {
      const substituted = f.call(callee("aesInvSubBytes"), shuffled(f.param(0), INVERSE_SHIFT_ROWS));
      f.return(substituted.op("v128.xor", f.param(1)));
    },
  };
}
