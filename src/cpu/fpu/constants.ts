/** Mathematical constants as fixed-point numbers, computed with integers when the functions are built. */

/** Bits that series are summed with beyond those asked for. */
const GUARD = 32n;

/** numerator / denominator with `bits` bits after the point, rounded down. */
export function ratio(numerator: bigint, denominator: bigint, bits: number): bigint {
  return (numerator << BigInt(bits)) / denominator;
}

/** arctan(numerator / denominator), at most 1, by Euler's series, which also converges at 1. */
export function arctangent(numerator: bigint, denominator: bigint, bits: number): bigint {
  const [n, d] = [numerator * numerator, denominator * denominator];
  let term = ((numerator * denominator) << (BigInt(bits) + GUARD)) / (n + d);
  let sum = 0n;
  for (let k = 1n; term !== 0n; k++) {
    sum += term;
    term = (term * 2n * k * n) / ((2n * k + 1n) * (n + d));
  }
  return sum >> GUARD;
}

export function pi(bits: number): bigint {
  return (4n * arctangent(1n, 1n, bits + 8)) >> 8n;
}

/** The natural logarithm of 2, as 2 artanh(1/3). */
export function logarithmOf2(bits: number): bigint {
  let power = (1n << (BigInt(bits) + GUARD)) / 3n;
  let sum = 0n;
  for (let k = 1n; power !== 0n; k += 2n) {
    sum += power / k;
    power /= 9n;
  }
  return (2n * sum) >> GUARD;
}

export function factorial(n: number): bigint {
  return n <= 1 ? 1n : BigInt(n) * factorial(n - 1);
}
