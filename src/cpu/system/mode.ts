/** Operating modes and the register bits that make them. @spec SDM 3A 2.2, 2.3, 2.5 */
import { CS } from "../../isa/semantics.ts";
import type { Registers } from "../registers.ts";

/** RFLAGS bits. @spec SDM 1 3.4.3 */
export const FLAG = {
  CF: 1 << 0,
  fixed: 1 << 1,
  PF: 1 << 2,
  AF: 1 << 4,
  ZF: 1 << 6,
  SF: 1 << 7,
  TF: 1 << 8,
  IF: 1 << 9,
  DF: 1 << 10,
  OF: 1 << 11,
  IOPL: 3 << 12,
  NT: 1 << 14,
  RF: 1 << 16,
  VM: 1 << 17,
  AC: 1 << 18,
  VIF: 1 << 19,
  VIP: 1 << 20,
  ID: 1 << 21,
} as const;

/** @spec SDM 3A 2.5 */
export const CR0 = {
  PE: 1 << 0,
  MP: 1 << 1,
  EM: 1 << 2,
  TS: 1 << 3,
  ET: 1 << 4,
  NE: 1 << 5,
  WP: 1 << 16,
  AM: 1 << 18,
  NW: 1 << 29,
  CD: 1 << 30,
  PG: 1 << 31,
} as const;
export const CR4 = {
  TSD: 1 << 2,
  DE: 1 << 3,
  PSE: 1 << 4,
  PAE: 1 << 5,
  MCE: 1 << 6,
  PGE: 1 << 7,
  PCE: 1 << 8,
  OSFXSR: 1 << 9,
  OSXMMEXCPT: 1 << 10,
  UMIP: 1 << 11,
  FSGSBASE: 1 << 16,
  PCIDE: 1 << 17,
  OSXSAVE: 1 << 18,
  SMEP: 1 << 20,
  SMAP: 1 << 21,
} as const;
/** @spec SDM 3A 2.2.1 */
export const EFER = { SCE: 1 << 0, LME: 1 << 8, LMA: 1 << 10, NXE: 1 << 11 } as const;

/** Bits of a segment register's attributes (state.ts, SEGMENT.attributes). */
export const ATTRIBUTE = {
  type: 0xf,
  accessed: 1 << 0,
  /** Data segments: writable. Code segments: readable. */
  writable: 1 << 1,
  /** Data segments: expand-down. Code segments: conforming. */
  conforming: 1 << 2,
  code: 1 << 3,
  codeOrData: 1 << 4,
  dpl: 3 << 5,
  present: 1 << 7,
  long: 1 << 13,
  big: 1 << 14,
  granularity: 1 << 15,
  unusable: 1 << 16,
} as const;

/** CR0.PE is set: protected mode, virtual-8086 mode included, or IA-32e mode. */
export function isProtected(registers: Registers): boolean {
  return (registers.get32("cr0") & CR0.PE) !== 0;
}

export function isVirtual8086(registers: Registers): boolean {
  return (registers.get32("eflagsSystem") & FLAG.VM) !== 0;
}

/** Real-address mode or virtual-8086 mode: selectors are paragraphs. */
export function hasRealSegments(registers: Registers): boolean {
  return !isProtected(registers) || isVirtual8086(registers);
}

/** IA-32e mode: 64-bit or compatibility mode. */
export function isLong(registers: Registers): boolean {
  return (registers.get32("efer") & EFER.LMA) !== 0;
}

export function is64Bit(registers: Registers): boolean {
  return isLong(registers) && (registers.attributes(CS) & ATTRIBUTE.long) !== 0;
}

/** The I/O privilege level, 0 to 3. */
export function ioPrivilege(registers: Registers): number {
  return (registers.get32("eflagsSystem") & FLAG.IOPL) >> 12;
}

/** Whether a linear address or offset is canonical: bits 63:47 are equal. @spec SDM 1 3.3.7.1 */
export function isCanonical(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(48, address)) === BigInt.asUintN(64, address);
}
