/** Operands and MXCSR values that reach the corners of floating-point arithmetic. */
import type { Random } from "./differential.ts";

interface Layout {
  readonly fractionBits: bigint;
  readonly exponentBits: bigint;
}
const SINGLE: Layout = { fractionBits: 23n, exponentBits: 8n };
const DOUBLE: Layout = { fractionBits: 52n, exponentBits: 11n };

const random64 = (random: Random) => (BigInt(random()) << 32n) | BigInt(random());

const clamp = (exponent: bigint, max: bigint) => (exponent < 0n ? 0n : exponent > max ? max : exponent);

/** A number's bits: zeros, denormals, limits, infinities, NaNs, near integers, halves, or any at all. */
function number(random: Random, { fractionBits, exponentBits }: Layout): bigint {
  const exponentMax = (1n << exponentBits) - 1n;
  const bias = exponentMax >> 1n;
  const any = random64(random);
  const fractionMask = (1n << fractionBits) - 1n;
  const sign = (any >> 63n) << (fractionBits + exponentBits);
  const at = (exponent: bigint, fraction: bigint) =>
    sign | (exponent << fractionBits) | BigInt.asUintN(Number(fractionBits), fraction);
  /** Few bits set, at the top or at the bottom, or all. */
  const shape = [0n, 1n, 2n, 3n, -1n, -2n, 1n << (fractionBits - 1n), (1n << (fractionBits - 1n)) + 1n][
    random() & 7
  ] as bigint;
  const fraction = random() & 1 ? shape : any & fractionMask;
  switch (random() % 12) {
    case 0:
      return at(0n, 0n);
    case 1:
      return at(0n, fraction);
    case 2:
      return at(exponentMax, 0n);
    case 3:
      return at(exponentMax, fraction);
    case 4:
      return at(exponentMax - 1n - BigInt(random() & 1), fraction);
    case 5:
      return at(1n + BigInt(random() % 3), fraction);
    case 6:
      // Integers and halves of all sizes that convert.
      return at(
        bias + BigInt(random() % 66) - 2n,
        fraction & (fractionMask << BigInt(random() % Number(fractionBits))),
      );
    case 7:
      return at(bias + BigInt(random() % 66) - 2n, fraction);
    case 8:
      return at(BigInt(random()) % exponentMax, fraction);
    case 9:
      // Where doubles become denormal or infinite singles.
      return at(clamp(bias + (random() & 1 ? 126n : -152n) + BigInt(random() % 30), exponentMax), fraction);
    default:
      return at(bias + BigInt(random() % 7) - 3n, fraction);
  }
}

export function singles(random: Random, bytes: DataView): void {
  for (let i = 0; i < bytes.byteLength; i += 4) bytes.setUint32(i, Number(number(random, SINGLE)), true);
}

export function doubles(random: Random, bytes: DataView): void {
  for (let i = 0; i < bytes.byteLength; i += 8) bytes.setBigUint64(i, number(random, DOUBLE), true);
}

/** Any MXCSR: half of them with all exceptions masked, some with what compilers' code has. */
export function anyMxcsr(random: Random): number {
  const any = random() & 0xffff;
  switch (random() % 8) {
    case 0:
      return 0x1f80;
    case 1:
      return 0x1fa0;
    case 2:
      return (any & 0x3f) | 0x1f80;
    case 3:
    case 4:
      return any | 0x1f80;
    default:
      return any;
  }
}

/** MXCSR with which results may be inexact without notice: PE set and masked, rounding to nearest. */
export function quietMxcsr(random: Random): number {
  return [0x1fa0, 0x9fe0, 0x1fbf, 0x1020][random() & 3] as number;
}
