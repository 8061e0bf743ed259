/** Random values that are often special: boundaries of integers, and numbers where floating point behaves in its own ways. */
import { SeededRandom } from "../../../src/bits/testing/seeded-random.ts";

export class Random extends SeededRandom {
  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  /** A number from `first` to `last`. */
  between(first: number, last: number): number {
    return first + this.below(last - first + 1);
  }
}

const SIGN_BITS = [7, 8, 15, 16, 31, 32, 63];

/** 64 bits, unsigned. */
export function integer(random: Random): bigint {
  const kind = random.below(8);
  let value: bigint;
  if (kind === 0) value = BigInt(random.below(5));
  else if (kind === 1) value = (1n << BigInt(random.pick(SIGN_BITS))) + BigInt(random.below(3) - 1);
  else if (kind === 2) value = random.bits64() >> BigInt(random.below(64));
  else if (kind === 3) value = BigInt(random.next() & 0xff) * 0x0101_0101_0101_0101n;
  else value = random.bits64();
  if (kind < 3 && random.chance(40)) value = -value;
  return BigInt.asUintN(64, value);
}

/** What the lanes of vectors and memory hold. */
export type Kind = "integer" | "single" | "double";

interface Format {
  /** Bits of the exponent and of the fraction (without the integer bit). */
  readonly exponent: number;
  readonly fraction: number;
}
const SINGLE: Format = { exponent: 8, fraction: 23 };
const DOUBLE: Format = { exponent: 11, fraction: 52 };
const EXTENDED: Format = { exponent: 15, fraction: 63 };

function exponentOf(random: Random, format: Format): number {
  const max = 2 ** format.exponent - 1;
  const bias = max >> 1;
  switch (random.below(16)) {
    case 0:
      return 0;
    case 1:
      return random.between(1, 2);
    case 2:
      return max;
    case 3:
      return max - random.between(1, 2);
    // Where integers of 8 to 64 bits, and the formats' precisions, end.
    case 4:
      return bias + random.pick([7, 14, 15, 16, 23, 24, 30, 31, 32, 52, 53, 62, 63, 64]);
    // Products and quotients at the ends of the range.
    case 5:
      return bias + random.pick([-1, 1]) * ((bias >> 1) + random.between(-2, 2));
    case 6:
      return Math.max(0, bias + random.between(-format.fraction - 2, format.fraction + 2));
    case 7:
      return random.below(max + 1);
    default:
      return bias + random.between(-4, 4);
  }
}

/** A fraction of 64 bits, of which a format takes the upper ones. */
function fractionOf(random: Random, format: Format): bigint {
  const top = random.next();
  const unit = 1n << BigInt(64 - format.fraction);
  switch (random.below(10)) {
    case 0:
    case 1:
      return 0n;
    case 2:
      return 0xffff_ffff_ffff_ffffn;
    case 3:
      return 1n << 63n;
    case 4:
      return unit << BigInt(random.below(3));
    case 5:
      return BigInt.asUintN(64, -(unit << BigInt(random.below(3))));
    // Few bits, so that results are exact or just between two numbers.
    case 6:
      return BigInt(top & 0xff00_0000) << 32n;
    case 7:
      return (BigInt(top >>> 16) << 48n) | unit;
    default:
      return (BigInt(top) << 32n) | BigInt(random.next());
  }
}

function floating(random: Random, format: Format): { sign: bigint; exponent: bigint; fraction: bigint } {
  return {
    sign: BigInt(random.next() & 1),
    exponent: BigInt(exponentOf(random, format)),
    fraction: fractionOf(random, format) >> BigInt(64 - format.fraction),
  };
}

function packed(random: Random, format: Format): bigint {
  const { sign, exponent, fraction } = floating(random, format);
  return (((sign << BigInt(format.exponent)) | exponent) << BigInt(format.fraction)) | fraction;
}

export const single = (random: Random): bigint => packed(random, SINGLE);
export const double = (random: Random): bigint => packed(random, DOUBLE);

/** 80 bits: sign, exponent, integer bit (seldom not as the exponent wants it), fraction. */
export function extended(random: Random): bigint {
  const { sign, exponent, fraction } = floating(random, EXTENDED);
  let integerBit = exponent === 0n ? 0n : 1n;
  if (random.chance(6)) integerBit ^= 1n;
  return (sign << 79n) | (exponent << 64n) | (integerBit << 63n) | fraction;
}

/** 18 decimal digits and a sign, seldom with digits that are none. @spec SDM 1, 4.7 */
export function packedDecimal(random: Random): bigint {
  let value = BigInt(random.next() & 0x80) << 72n;
  const digits = random.below(19);
  for (let i = 0; i < digits; i++) value |= BigInt(random.below(10)) << BigInt(4 * i);
  return random.chance(5) ? value ^ random.bits64() : value;
}

/** 64 bits of lanes of `kind`. */
export function lanes(random: Random, kind: Kind): bigint {
  if (kind === "double") return double(random);
  return kind === "single" ? (single(random) << 32n) | single(random) : integer(random);
}
