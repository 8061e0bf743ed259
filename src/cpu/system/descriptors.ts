/** Segment and gate descriptors in the global and local descriptor tables. @spec SDM 3A 3.4, 3.5, 5.8 */
import { VECTOR } from "../../isa/semantics.ts";
import { LDTR, SEGMENT, SEGMENT_SIZE, SEGMENTS } from "../state.ts";
import { GuestFault } from "./guest-fault.ts";
import { ATTRIBUTE, isLong } from "./mode.ts";
import type { SystemContext } from "./system.ts";
import { highOf, joined, lowOf, readWord, WIDE } from "./words.ts";

/** Types of system descriptors. @spec SDM 3A table 3-2 */
export const SYSTEM_TYPE = {
  tss16: 1,
  ldt: 2,
  busyTss16: 3,
  callGate16: 4,
  taskGate: 5,
  interruptGate16: 6,
  trapGate16: 7,
  tss32: 9,
  busyTss32: 11,
  callGate32: 12,
  interruptGate32: 14,
  trapGate32: 15,
} as const;

/** A descriptor's first eight bytes and the linear address that they were read from. */
export interface Descriptor {
  readonly low: number;
  readonly high: number;
  readonly addressLow: number;
  readonly addressHigh: number;
}

/** Access rights as a segment register keeps them, in bytes 5 and 6 less limit 19:16. */
export function attributesOf({ high }: Descriptor): number {
  return (high >>> 8) & 0xf0ff;
}

export function dplOf({ high }: Descriptor): number {
  return (high >>> 13) & 3;
}

/** The type field of a system descriptor, or undefined for a code or data segment. */
export function systemTypeOf({ high }: Descriptor): number | undefined {
  return high & 0x1000 ? undefined : (high >>> 8) & 0xf;
}

export function isPresent({ high }: Descriptor): boolean {
  return (high & 0x8000) !== 0;
}

export function isCode({ high }: Descriptor): boolean {
  return (high & 0x1800) === 0x1800;
}

export function isConforming({ high }: Descriptor): boolean {
  return (high & 0x400) !== 0;
}

export function isWritableData({ high }: Descriptor): boolean {
  return (high & 0x1a00) === 0x1200;
}

export function is64BitCode({ high }: Descriptor): boolean {
  return (high & 0x20_0000) !== 0;
}

export function isBig({ high }: Descriptor): boolean {
  return (high & 0x40_0000) !== 0;
}

/** Bits 31:0 of the base address, unsigned. */
export function baseOf({ low, high }: Descriptor): number {
  return ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000)) >>> 0;
}

/** The limit in bytes, unsigned. */
export function limitOf({ low, high }: Descriptor): number {
  const limit = (low & 0xffff) | (high & 0xf_0000);
  return high & 0x80_0000 ? ((limit << 12) | 0xfff) >>> 0 : limit;
}

/** Reads the descriptor at `offset` bytes from a table's base. */
export function descriptorAt(cpu: SystemContext, baseLow: number, baseHigh: number, offset: number): Descriptor {
  const sum = (baseLow >>> 0) + offset;
  const addressLow = sum | 0;
  const addressHigh = sum > 0xffff_ffff && isLong(cpu.registers) ? (baseHigh + 1) | 0 : baseHigh;
  const low = readWord(cpu, addressLow, addressHigh, 0, true);
  return { low, high: readWord(cpu, addressLow, addressHigh, 4, true), addressLow, addressHigh };
}

export function isNull(selector: number): boolean {
  return (selector & 0xfffc) === 0;
}

/** `offset` bytes on from `base`, within the linear address space of the mode. */
export function linear(cpu: SystemContext, base: bigint, offset: number): bigint {
  const sum = base + BigInt(offset);
  return isLong(cpu.registers) ? BigInt.asUintN(64, sum) : BigInt.asUintN(32, sum);
}

/**
 * The descriptor that a selector (not null) names, or undefined where that is beyond its table.
 * `bytes` is 16 for descriptors that are longer in IA-32e mode.
 */
export function findDescriptor(cpu: SystemContext, selector: number, bytes = 8): Descriptor | undefined {
  const { registers } = cpu;
  const offset = selector & 0xfff8;
  let base: number = WIDE.gdtBase;
  let limit = registers.get32("gdtLimit");
  if (selector & 4) {
    if (registers.attributes(LDTR) & ATTRIBUTE.unusable) return undefined;
    base = SEGMENTS + LDTR * SEGMENT_SIZE + SEGMENT.base;
    limit = registers.limit(LDTR);
  }
  if (offset + bytes - 1 > limit) return undefined;
  return descriptorAt(cpu, lowOf(registers, base), highOf(registers, base), offset);
}

/** As `findDescriptor`; a selector beyond its table raises `vector` with the selector and `ext` as error code. */
export function readDescriptor(cpu: SystemContext, selector: number, vector: number, ext = 0): Descriptor {
  const descriptor = findDescriptor(cpu, selector);
  if (!descriptor) throw new GuestFault(vector, selectorError(selector, ext));
  return descriptor;
}

/** Error code that names a selector. @spec SDM 3A 6.13 */
export function selectorError(selector: number, ext = 0): number {
  return (selector & 0xfffc) | ext;
}

/**
 * Bits 63:32 of the base address or offset of a 16-byte descriptor (TSS, LDT, call gate), from its third
 * doubleword. In the fourth, the type field must be zero: else #GP(selector).
 */
export function upperHalf(cpu: SystemContext, descriptor: Descriptor, selector: number, ext = 0): bigint {
  const { registers } = cpu;
  if ((selector & 0xfff8) + 15 > (selector & 4 ? registers.limit(LDTR) : registers.get32("gdtLimit"))) {
    throw new GuestFault(VECTOR.GP, selectorError(selector, ext));
  }
  const { addressLow, addressHigh } = descriptor;
  const type = readWord(cpu, addressLow, addressHigh, 12, true);
  if (type & 0x1f00) throw new GuestFault(VECTOR.GP, selectorError(selector, ext));
  return BigInt(readWord(cpu, addressLow, addressHigh, 8, true) >>> 0);
}

/** Linear address of a descriptor's byte of type, S, DPL and P. */
function rightsAddress(cpu: SystemContext, { addressLow, addressHigh }: Descriptor): bigint {
  return linear(cpu, joined(addressLow, addressHigh), 5);
}

/** Sets the accessed bit of a code or data descriptor where it is clear. Faults where the table cannot be written. */
export function markAccessed(cpu: SystemContext, descriptor: Descriptor): void {
  const { high } = descriptor;
  if (high & 0x100) return;
  cpu.memory.write(rightsAddress(cpu, descriptor), 1, BigInt(((high >>> 8) & 0xff) | ATTRIBUTE.accessed), true);
}

/** Makes a TSS descriptor busy or available. */
export function setBusy(cpu: SystemContext, descriptor: Descriptor, busy: boolean): void {
  const at = rightsAddress(cpu, descriptor);
  const rights = cpu.memory.read(at, 1, true);
  cpu.memory.write(at, 1, busy ? rights | 2n : rights & ~2n, true);
}
