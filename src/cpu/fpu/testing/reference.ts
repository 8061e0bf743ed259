/**
 * The transcendental functions by slow and simple series on integers of many bits, rounded to nearest: what the
 * instructions should give, on any host. The angle functions use the unit's own pi of 66 bits, as the manual says.
 */
import { arctangent, logarithmOf2, pi } from "../constants.ts";
import type { Number80 } from "./cases.ts";

/** Bits after the point. */
const BITS = 320;
const ONE = 1n << BigInt(BITS);
const LN2 = logarithmOf2(BITS);
const PI = pi(BITS);
const BIAS = 0x3fff;
/** The unit's pi. @spec SDM 1, 8.3.8 */
const UNIT_PI = (0xc90f_daa2_2168_c234_cn << BigInt(BITS)) >> 66n;

const multiply = (a: bigint, b: bigint) => (a * b) >> BigInt(BITS);
const divide = (a: bigint, b: bigint) => (a << BigInt(BITS)) / b;
const magnitude = (a: bigint) => (a < 0n ? -a : a);

/** A finite number as fixed-point; exact for exponents that tests use. */
export function toFixedPoint({ m, se }: Number80): bigint {
  const shift = BigInt((se & 0x7fff) - BIAS - 63 + BITS);
  const value = shift >= 0n ? m << shift : m >> -shift;
  return se & 0x8000 ? -value : value;
}

/** Rounds to nearest, ties to even, with 64 bits. */
export function fromFixedPoint(value: bigint): Number80 {
  const sign = value < 0n ? 0x8000 : 0;
  const positive = magnitude(value);
  if (positive === 0n) return { m: 0n, se: sign };
  const digits = positive.toString(2).length;
  const shift = BigInt(Math.max(0, digits - 64));
  let m = positive >> shift;
  const rest = positive - (m << shift);
  const half = shift > 0n ? 1n << (shift - 1n) : 1n;
  if (rest > half || (rest === half && (m & 1n) === 1n)) m++;
  let exponent = digits - 1 - BITS + BIAS;
  if (m >> 64n) {
    m >>= 1n;
    exponent++;
  }
  return { m: m << BigInt(Math.max(0, 64 - digits)), se: sign | exponent };
}

/** Sum of the series that starts with `first`, each next term made from the last. */
function series(first: bigint, next: (term: bigint, k: bigint) => bigint): bigint {
  let sum = 0n;
  let term = first;
  for (let k = 1n; term !== 0n; k++) {
    sum += term;
    term = next(term, k);
  }
  return sum;
}

export function exponentialLess1(x: bigint): bigint {
  const t = multiply(x, LN2);
  return series(t, (term, k) => (term * t) / (ONE * (k + 1n)));
}

/** Logarithm to base 2 of a positive number. */
export function logarithm(x: bigint): bigint {
  const digits = x.toString(2).length;
  const whole = digits - 1 - BITS;
  const m = whole >= 0 ? x >> BigInt(whole) : x << BigInt(-whole);
  const s = divide(m - ONE, m + ONE);
  const square = multiply(s, s);
  let sum = 0n;
  let power = s;
  for (let k = 1n; power !== 0n; k += 2n) {
    sum += power / k;
    power = multiply(power, square);
  }
  return BigInt(whole) * ONE + divide(2n * sum, LN2);
}

export function sine(x: bigint): bigint {
  const floor = (a: bigint, b: bigint) => (a - (((a % b) + b) % b)) / b;
  const quarters = floor(4n * x + UNIT_PI, 2n * UNIT_PI);
  const r = x - (quarters * UNIT_PI) / 2n;
  const square = multiply(r, r);
  const sin = series(r, (term, k) => -multiply(term, square) / (2n * k * (2n * k + 1n)));
  const cos = series(ONE, (term, k) => -multiply(term, square) / (2n * k * (2n * k - 1n)));
  switch (((quarters % 4n) + 4n) % 4n) {
    case 0n:
      return sin;
    case 1n:
      return cos;
    case 2n:
      return -sin;
    default:
      return -cos;
  }
}

export const cosine = (x: bigint): bigint => sine(x + UNIT_PI / 2n);
export const tangent = (x: bigint): bigint => divide(sine(x), cosine(x));

/** The angle of the point (x, y). */
export function angle(y: bigint, x: bigint): bigint {
  const [a, b] = [magnitude(y), magnitude(x)];
  const acute = a <= b ? arctangent(a, b, BITS) : PI / 2n - arctangent(b, a, BITS);
  const upper = x < 0n ? PI - acute : acute;
  return y < 0n ? -upper : upper;
}

export { multiply as multiplyFixedPoint, ONE };
