/** Random memory operands: where they point, and how an address is put together that points there. */
import type { AddressOperand } from "../../../src/isa/encode.ts";
import { FS, GS, type OperandSize, RBP, RBX, RDI, RSI, RSP } from "../../../src/isa/semantics.ts";
import { type Bits, DATA_16, PLACE, segmentBase } from "../record.ts";
import type { TestCase } from "./test-case.ts";
import type { Random } from "./values.ts";

/** An offset into the window for an access of `size` bytes, mostly inside, seldom across or beyond its ends. */
function windowOffset(random: Random, size: number, aligned: boolean): number {
  const middle = 0x1000;
  const end = PLACE.windowSize;
  const kind = random.below(100);
  if (kind < 80) {
    const room = Math.max(1, 1024 - size);
    const offset = middle - 512 + random.below(room);
    return aligned || random.chance(30) ? offset & ~15 : offset;
  }
  if (kind < 90) return middle - random.below(size + 1);
  if (kind < 94) return end - random.below(size + 8);
  if (kind < 96) return random.below(size + 8) - size;
  if (kind < 98) return end + random.below(512);
  return end + PLACE.readOnlySize - random.below(size + 2);
}

/** Addresses where nothing is, or that cannot be. */
const NOWHERE: Readonly<Record<Bits, readonly bigint[]>> = {
  64: [
    0n,
    8n,
    0x7fff_ffff_f010n,
    0x7fff_ffff_ffffn,
    0x8000_0000_0000n,
    0xffff_7fff_ffff_fff0n,
    0x8000_0000_0000_0000n,
    -1n,
  ],
  // Whether an access may cross 4 GiB is not defined.
  32: [0n, 8n, 0x8000_0000n, 0xffff_f000n],
  // Before the window, and beyond the segment's limit.
  16: [0n, 0x6bfen, 0x6bffn, 0x6c00n, 0xffffn].map((offset) => BigInt(DATA_16) + offset),
};

/** A linear address for an access of `size` bytes; a `safe` one has no fault. */
export function target(random: Random, bits: Bits, size: number, aligned: boolean, low: boolean, safe = false): bigint {
  if (safe) return BigInt(PLACE.window + 0x1000 - 512 + random.below(800));
  if (random.chance(3)) return BigInt.asUintN(64, random.pick(NOWHERE[bits]));
  const base = bits === 64 && !low && random.chance(35) ? PLACE.alias : BigInt(PLACE.window);
  return base + BigInt(windowOffset(random, size, aligned));
}

export interface AddressRequest {
  readonly addressSize: OperandSize;
  /** Bytes of the access. */
  readonly size: number;
  readonly aligned: boolean;
  /** Address of the next instruction. */
  readonly next: bigint;
  /** What RSP is greater by when the address is formed (POP). */
  readonly stackBonus: bigint;
  /** RSP is also used as it is, and must stay near. */
  readonly usesStack: boolean;
  /** A register that cannot be part of the address, because what it holds counts from there. */
  readonly excluded: number | undefined;
  /** Only an offset in the instruction, no registers. */
  readonly absolute: boolean;
}

export interface Address {
  readonly operand: AddressOperand;
  /** The linear address that it comes to. */
  readonly linear: bigint;
}

const fits32 = (value: bigint) => value >= -0x8000_0000n && value < 0x8000_0000n;

/** A small or not so small displacement. */
function displacementOf(random: Random): bigint {
  const kind = random.below(5);
  if (kind < 2) return 0n;
  const value = BigInt(random.next() | 0);
  return kind === 2 ? value : BigInt.asIntN(8, value);
}

const SCALES = [1, 2, 4, 8] as const;

/** Registers of 16-bit addresses. @spec SDM 2A, table 2-1 */
const PAIRS = [
  [RBX, RSI],
  [RBX, RDI],
  [RBP, RSI],
  [RBP, RDI],
  [RSI, undefined],
  [RDI, undefined],
  [RBP, undefined],
  [RBX, undefined],
] as const;

/** A random memory operand; registers that it needs are set. */
export function address(test: TestCase, request: AddressRequest): Address {
  const { random, bits } = test;
  const { addressSize, next } = request;
  const segment = random.chance(80)
    ? undefined
    : bits === 64 && random.chance(70)
      ? random.pick([FS, GS])
      : random.below(6);
  const overridden = segment === undefined ? {} : { segment };
  const width = BigInt(addressSize);
  for (let attempt = 0; ; attempt++) {
    const low = addressSize < 64 && segment !== GS;
    const linear = target(random, bits, request.size, request.aligned, low);
    const difference = linear - segmentBase(bits, segment);
    const offset = BigInt.asUintN(addressSize, difference);
    // The address size must reach it; the last attempt takes what comes.
    const reached = offset === BigInt.asUintN(64, difference) || addressSize === 64;
    if (!reached && attempt < 8) continue;
    const result = (operand: Omit<AddressOperand, "kind" | "segment">): Address => ({
      operand: { kind: "memory", ...operand, ...overridden },
      linear,
    });
    if (request.absolute) return result({ displacement: offset });
    const kind = random.below(20);
    const signed = BigInt.asIntN(Number(width), offset);
    if (kind < 2 && fits32(signed)) return result({ displacement: signed });
    if (kind < 6 && bits === 64) {
      const distance = BigInt.asIntN(addressSize, offset - next);
      if (fits32(distance)) return result({ displacement: distance, ripRelative: true });
    }
    return result(withRegisters(test, request, offset));
  }
}

/** Registers and displacement that come to `offset`. */
function withRegisters(test: TestCase, request: AddressRequest, offset: bigint): Omit<AddressOperand, "kind"> {
  const { random, bits } = test;
  const { addressSize } = request;
  const count = bits === 64 ? 16 : 8;
  const set = (register: number, value: bigint) => {
    if (addressSize < test.registerBits) test.setGprLow(register, addressSize, value);
    else test.setGpr(register, value);
  };
  if (addressSize === 16) {
    const [base, index] = random.pick(PAIRS);
    const displacement = BigInt.asIntN(16, displacementOf(random));
    set(base, offset - displacement - (index === undefined ? 0n : test.gpr(index)));
    return { base, index, displacement, wide: random.chance(10) };
  }
  const scale = random.pick(SCALES);
  const wide = random.chance(10);
  const other = () => {
    const register = random.below(count);
    return register === request.excluded ? (register + 1) % count : register;
  };
  const base = other();
  const index = other();
  const kind = random.below(10);
  if (kind < 2 && index !== RSP) {
    // Without a base: what the scale cannot reach is in the displacement.
    const step = BigInt(scale);
    const displacement = (offset % step) + step * BigInt(random.between(-40, 40));
    set(index, BigInt.asUintN(addressSize, offset - displacement) / step);
    return { index, scale, displacement };
  }
  if (base === RSP && request.usesStack) {
    const displacement = BigInt(random.between(-64, 64));
    set(base, offset - request.stackBonus - displacement);
    return { base, displacement, wide };
  }
  const displacement = displacementOf(random);
  if (kind < 6 && index !== RSP) {
    if (index === base) {
      const factor = BigInt(scale + 1);
      const rest = BigInt.asUintN(addressSize, offset) % factor;
      set(base, (BigInt.asUintN(addressSize, offset) - rest) / factor);
      return { base, index, scale, displacement: rest };
    }
    set(base, offset - displacement - test.gpr(index) * BigInt(scale));
    return { base, index, scale, displacement, wide };
  }
  set(base, offset - displacement);
  return { base, displacement, wide };
}
