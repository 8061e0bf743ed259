/** Random FPU states and operands, rich in the edges where implementations go wrong. */
import { IMAGE, RECORD } from "./record.ts";

/** Xorshift: the same cases on every run. */
export class Random {
  #state: bigint;
  constructor(seed: number) {
    this.#state = BigInt(seed) * 0x9e37_79b9_7f4a_7c15n + 0x1234_5678_9abc_defn;
    this.#state = BigInt.asUintN(64, this.#state) | 1n;
  }
  bits64(): bigint {
    let x = this.#state;
    x ^= BigInt.asUintN(64, x << 13n);
    x ^= x >> 7n;
    x ^= BigInt.asUintN(64, x << 17n);
    this.#state = x;
    return BigInt.asUintN(64, x * 0x2545_f491_4f6c_dd1dn);
  }
  below(limit: number): number {
    return Number((this.bits64() >> 11n) % BigInt(limit));
  }
  chance(of: number): boolean {
    return this.below(of) === 0;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

export interface Number80 {
  readonly m: bigint;
  readonly se: number;
}

const TOP = 1n << 63n;

/** A significand with the integer bit set: random, sparse, or with runs of ones where rounding happens. */
function significand(random: Random): bigint {
  const bits = random.bits64();
  switch (random.below(6)) {
    case 0:
      return TOP | (1n << BigInt(random.below(64)));
    case 1:
      return TOP | (bits & (-1n << BigInt(random.below(63))));
    case 2: {
      // Around the boundaries of single and double precision.
      const low = random.pick([8n, 11n, 39n, 40n, 41n, 10n]);
      return (
        BigInt.asUintN(64, ((bits | TOP) >> low) << low) |
        (((1n << low) - BigInt(random.below(3))) & ((1n << low) - 1n))
      );
    }
    case 3:
      return (BigInt.asUintN(64, -1n << BigInt(random.below(64))) - BigInt(random.below(2))) | TOP;
    default:
      return bits | TOP;
  }
}

const EDGES: readonly Number80[] = [
  { m: 0n, se: 0 },
  { m: TOP, se: 0x7fff },
  { m: TOP, se: 0x3fff },
  { m: TOP, se: 0x4000 },
  { m: TOP, se: 0x3ffe },
  { m: TOP, se: 1 },
  { m: (1n << 64n) - 1n, se: 0x7ffe },
  { m: 1n, se: 0 },
  { m: TOP - 1n, se: 0 },
  { m: TOP, se: 0 },
  { m: 3n << 62n, se: 0x7fff },
];

/** Exponents near which conversions overflow, underflow or end. */
const EXPONENTS = [
  0, 1, 2, 64, 0x3f6a, 0x3f81, 0x3bcd, 0x3c01, 0x3fbf, 0x3fff, 0x400e, 0x401e, 0x403e, 0x407e, 0x43fe, 0x7fbe, 0x7ffd,
  0x7ffe,
];

export function number80(random: Random): Number80 {
  const sign = random.below(2) << 15;
  const near = (exponent: number, spread: number) =>
    Math.min(0x7ffe, Math.max(1, exponent + random.below(2 * spread + 1) - spread));
  switch (random.below(12)) {
    case 0: {
      const { m, se } = random.pick(EDGES);
      return { m, se: se | sign };
    }
    case 1:
      return { m: random.bits64() >> BigInt(1 + random.below(63)), se: sign };
    case 2: {
      const kind = random.below(5);
      const payload = random.bits64() >> BigInt(random.below(64));
      if (kind === 0) return { m: TOP | (1n << 62n) | payload, se: sign | 0x7fff };
      if (kind === 1) return { m: TOP | (payload & ((1n << 62n) - 1n)) | 1n, se: sign | 0x7fff };
      if (kind === 2) return { m: TOP | payload, se: sign };
      // Formats that are not supported.
      if (kind === 3) return { m: payload & (TOP - 1n), se: sign | near(0x4000, 0x3fff) };
      return { m: payload & (TOP - 1n), se: sign | 0x7fff };
    }
    case 3:
    case 4:
      return { m: significand(random), se: sign | near(random.pick(EXPONENTS), 2) };
    case 5: {
      const integer = random.bits64() >> BigInt(random.below(64));
      return fromInteger(integer, sign);
    }
    case 6:
      return { m: significand(random), se: sign | near(0x4000, 0x3fff) };
    default:
      return { m: significand(random), se: sign | near(0x3fff, 40) };
  }
}

export function fromInteger(magnitude: bigint, sign = 0): Number80 {
  if (magnitude === 0n) return { m: 0n, se: sign };
  const shift = 64 - magnitude.toString(2).length;
  return { m: magnitude << BigInt(shift), se: sign | (0x403e - shift) };
}

export type MemoryKind = "none" | "f32" | "f64" | "f80" | "i16" | "i32" | "i64" | "bcd" | "control" | "random";

function memoryBytes(random: Random, kind: MemoryKind, bytes: DataView): void {
  const float = (exponentBits: bigint, fractionBits: bigint): bigint => {
    const fraction = random.pick([
      0n,
      random.bits64(),
      random.bits64() >> BigInt(random.below(64)),
      (1n << fractionBits) - 1n,
    ]);
    const largest = (1n << exponentBits) - 1n;
    const exponent = random.pick([
      0n,
      1n,
      largest,
      largest - 1n,
      random.bits64(),
      random.bits64(),
      random.bits64(),
      largest >> 1n,
    ]);
    const sign = BigInt(random.below(2)) << (exponentBits + fractionBits);
    return sign | ((exponent & largest) << fractionBits) | (fraction & ((1n << fractionBits) - 1n));
  };
  bytes.setBigUint64(0, random.bits64(), true);
  if (bytes.byteLength >= 16) bytes.setBigUint64(8, random.bits64(), true);
  switch (kind) {
    case "f32":
      bytes.setUint32(0, Number(float(8n, 23n)), true);
      break;
    case "f64":
      bytes.setBigUint64(0, float(11n, 52n), true);
      break;
    case "f80": {
      const { m, se } = number80(random);
      bytes.setBigUint64(0, m, true);
      bytes.setUint16(8, se, true);
      break;
    }
    case "i16":
    case "i32":
    case "i64": {
      const width = { i16: 16, i32: 32, i64: 64 }[kind];
      const value = random.pick([
        random.bits64(),
        0n,
        1n,
        -1n,
        1n << BigInt(width - 1),
        (1n << BigInt(width - 1)) - 1n,
      ]);
      bytes.setBigUint64(0, BigInt.asUintN(64, value >> BigInt(random.below(2) * random.below(width))), true);
      break;
    }
    case "bcd":
      if (!random.chance(8)) {
        for (let i = 0; i < 9; i++) bytes.setUint8(i, random.below(10) | (random.below(10) << 4));
        if (random.chance(4)) for (let i = random.below(9); i < 9; i++) bytes.setUint8(i, 0);
      }
      break;
  }
}

export interface CaseOptions {
  readonly memory?: MemoryKind;
  /** Every register is filled and every exception masked. */
  readonly plain?: boolean;
  readonly number?: (random: Random, index: number) => Number80;
}

/** Fills one record with a random state; no exception is pending in it. */
export function fillRecord(random: Random, record: DataView, options: CaseOptions): void {
  const { memory = "none", plain = false, number = number80 } = options;
  const masks = plain || !random.chance(3) ? 0x3f : random.below(64);
  const precision = random.pick([3, 3, 3, 2, 0, 1]);
  const control = 0x40 | masks | (precision << 8) | (random.below(4) << 10);
  const top = random.below(8);
  const codes = random.pick([0, 0x4700, 0x4500, 0x200, 0x100]);
  const sticky = random.below(128) & (masks | 0x40);
  record.setUint32(IMAGE.control, control, true);
  record.setUint32(IMAGE.status, (top << 11) | codes | sticky, true);
  let tags = 0;
  for (let i = 0; i < 8; i++) if (!plain && random.chance(12)) tags |= 3 << (2 * i);
  // An empty slot below the top, most of the time, so that pushes find room.
  if (plain || !random.chance(8)) tags |= 3 << (2 * ((top + 7) & 7));
  record.setUint32(IMAGE.tags, tags, true);
  for (let i = 0; i < 8; i++) {
    const { m, se } = number(random, i);
    record.setBigUint64(IMAGE.registers + 10 * i, m, true);
    record.setUint16(IMAGE.registers + 10 * i + 8, se, true);
  }
  record.setBigUint64(RECORD.flags, random.pick([2n, 3n, 6n, 0x42n, 0x47n, 0x8d7n & ~0x890n]), true);
  record.setBigUint64(RECORD.rax, random.bits64(), true);
  memoryBytes(
    random,
    memory,
    new DataView(record.buffer, record.byteOffset + RECORD.memory, record.byteLength - RECORD.memory),
  );
}
