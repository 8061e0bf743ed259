/** Random FPU states and operands, rich in the edges where implementations go wrong. */
import { SeededRandom } from "../../../bits/testing/seeded-random.ts";
import { IMAGE, RECORD } from "./record.ts";

/** Random numbers whose every bit can be used alone. */
export class Random extends SeededRandom {
  constructor(seed: number) {
    super(Math.imul(seed, 0x9e37_79b1) | 1);
    for (let i = 0; i < 8; i++) this.next();
  }
  override next(): number {
    return Math.imul(super.next(), 0x2545_f491) >>> 0;
  }
  override below(bound: number): number {
    return Math.floor((this.next() / 2 ** 32) * bound);
  }
  chance(of: number): boolean {
    return this.below(of) === 0;
  }
}

export interface Number80 {
  readonly m: bigint;
  readonly se: number;
}

const TOP = 1n << 63n;
const ALL = (1n << 64n) - 1n;

/** A significand with the integer bit set: random, sparse, or with runs of ones where rounding happens. */
function significand(random: Random): bigint {
  const bits = random.bits64();
  switch (random.below(6)) {
    case 0:
      return TOP | (1n << BigInt(random.below(64)));
    case 1:
      return TOP | (bits & (ALL << BigInt(random.below(63))) & ALL);
    case 2: {
      // Around the halves of the last places of single and double precision.
      const low = random.pick([8n, 10n, 11n, 39n, 40n, 41n]);
      const kept = ((bits | TOP) >> low) << low;
      return kept | ((random.pick([0n, 1n << low, 1n << (low - 1n)]) - BigInt(random.below(2))) & ((1n << low) - 1n));
    }
    case 3:
      return TOP | ((ALL << BigInt(random.below(64))) & ALL) | BigInt(random.below(2));
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
  { m: ALL, se: 0x7ffe },
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
      const payload = random.bits64() >> BigInt(random.below(64));
      switch (random.below(5)) {
        case 0:
          return { m: TOP | (1n << 62n) | payload, se: sign | 0x7fff };
        case 1:
          return { m: TOP | (payload & ((1n << 62n) - 1n)) | 1n, se: sign | 0x7fff };
        case 2:
          return { m: TOP | payload, se: sign };
        // Formats that are not supported.
        case 3:
          return { m: payload & (TOP - 1n), se: sign | near(0x4000, 0x3fff) };
        default:
          return { m: payload & (TOP - 1n), se: sign | 0x7fff };
      }
    }
    case 3:
    case 4:
      return { m: significand(random), se: sign | near(random.pick(EXPONENTS), 2) };
    case 5:
      return fromInteger(random.bits64() >> BigInt(random.below(64)), sign);
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

export type MemoryKind = "f32" | "f64" | "f80" | "i16" | "i32" | "i64" | "bcd" | "random";

/** The bits of a number with so many of exponent and fraction, edges among them. */
function float(random: Random, exponentBits: bigint, fractionBits: bigint): bigint {
  const fractions = [0n, random.bits64(), random.bits64() >> BigInt(random.below(64)), ALL];
  const largest = (1n << exponentBits) - 1n;
  const anywhere = random.bits64();
  const exponent = random.pick([0n, 1n, largest, largest - 1n, anywhere, anywhere, anywhere, largest >> 1n]) & largest;
  const sign = BigInt(random.below(2)) << (exponentBits + fractionBits);
  return sign | (exponent << fractionBits) | (random.pick(fractions) & ((1n << fractionBits) - 1n));
}

const INTEGER_BITS = { i16: 16, i32: 32, i64: 64 } as const;

/** Fills a memory operand. */
export function fillMemory(random: Random, kind: MemoryKind, memory: DataView): void {
  for (let at = 0; at < memory.byteLength; at += 4) memory.setUint32(at, random.next(), true);
  switch (kind) {
    case "f32":
      memory.setUint32(0, Number(float(random, 8n, 23n)), true);
      break;
    case "f64":
      memory.setBigUint64(0, float(random, 11n, 52n), true);
      break;
    case "f80": {
      const { m, se } = number80(random);
      memory.setBigUint64(0, m, true);
      memory.setUint16(8, se, true);
      break;
    }
    case "i16":
    case "i32":
    case "i64": {
      const most = 1n << BigInt(INTEGER_BITS[kind] - 1);
      const value = random.pick([random.bits64(), 0n, 1n, -1n, most, most - 1n]);
      memory.setBigUint64(0, BigInt.asUintN(64, value >> BigInt(random.below(2) * random.below(64))), true);
      break;
    }
    case "bcd":
      for (let i = 0; i < 9; i++) memory.setUint8(i, random.below(10) | (random.below(10) << 4));
      if (random.chance(4)) for (let i = random.below(9); i < 9; i++) memory.setUint8(i, 0);
      break;
  }
}

const POOL_SIZE = 1 << 14;
let pool: readonly Number80[] | undefined;

export interface CaseOptions {
  readonly memory?: MemoryKind;
  /** All exceptions are masked. */
  readonly masked?: boolean;
}

/** Fills one record with a random state; no exception is pending in it. */
export function fillRecord(random: Random, record: DataView, { memory = "random", masked = false }: CaseOptions): void {
  pool ??= Array.from({ length: POOL_SIZE }, () => number80(random));
  const masks = masked || !random.chance(3) ? 0x3f : random.below(64);
  const precision = random.pick([3, 3, 3, 2, 0, 1]);
  const control = 0x40 | masks | (precision << 8) | (random.below(4) << 10);
  const top = random.below(8);
  const codes = random.pick([0, 0x4700, 0x4500, 0x200, 0x100]);
  const sticky = random.below(128) & (masks | 0x40);
  record.setUint32(IMAGE.control, control, true);
  record.setUint32(IMAGE.status, (top << 11) | codes | sticky, true);
  let tags = 0;
  for (let i = 0; i < 8; i++) if (random.chance(12)) tags |= 3 << (2 * i);
  // An empty register below the top, most of the time, so that pushes find room.
  if (!random.chance(8)) tags |= 3 << (2 * ((top + 7) & 7));
  record.setUint32(IMAGE.tags, tags, true);
  for (const at of [IMAGE.ip, IMAGE.dp]) record.setUint32(at, random.next(), true);
  record.setUint32(IMAGE.cs, random.next() & 0x07ff_ffff, true);
  record.setUint32(IMAGE.ds, random.next() & 0xffff, true);
  for (let i = 0; i < 8; i++) {
    const { m, se } = random.pick(pool);
    record.setBigUint64(IMAGE.registers + 10 * i, m, true);
    record.setUint16(IMAGE.registers + 10 * i + 8, se, true);
  }
  record.setUint32(RECORD.flags, random.pick([2, 3, 6, 0x42, 0x47, 0x57]), true);
  record.setUint32(RECORD.flags + 4, 0, true);
  record.setUint32(RECORD.rax, random.next(), true);
  record.setUint32(RECORD.rax + 4, random.next(), true);
  fillMemory(
    random,
    memory,
    new DataView(record.buffer, record.byteOffset + RECORD.memory, record.byteLength - RECORD.memory),
  );
}
