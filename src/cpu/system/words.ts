/**
 * Guest memory and state in 32-bit words. Interrupts and returns from them are too frequent for BigInt: 64-bit
 * addresses and values are a low and a high word here, and where the software TLB knows a page, its words
 * are read and written in place.
 */
import type { Registers } from "../registers.ts";
import { fieldAddress, GPR, MMU_MODE, TLB, TLB_ENTRIES, TLB_ENTRY, TLB_SIZE, TLBS } from "../state.ts";
import type { SystemContext } from "./system.ts";

const TLB_FIELD = fieldAddress(0, "tlb");
const MODE = fieldAddress(0, "mmuMode");
const EFER = fieldAddress(0, "efer");
const EFER_LMA = 1 << 10;

/** Bytes from a vCPU's state to its i64 fields that are used by words. */
export const WIDE = {
  ip: fieldAddress(0, "ip"),
  gdtBase: fieldAddress(0, "gdtBase"),
  idtBase: fieldAddress(0, "idtBase"),
  rsp: GPR + 4 * 8,
} as const;

/** Low word of an i64 at `field` bytes in the vCPU's state. */
export function lowOf({ i32, base }: Registers, field: number): number {
  return i32[(base + field) >> 2] as number;
}
export function highOf({ i32, base }: Registers, field: number): number {
  return i32[(base + field + 4) >> 2] as number;
}
export function setWide({ i32, base }: Registers, field: number, low: number, high: number): void {
  i32[(base + field) >> 2] = low;
  i32[(base + field + 4) >> 2] = high;
}

/** Whether an address whose upper half is `high` is canonical: bits 63:47 are equal. @spec SDM 1 3.3.7.1 */
export function isCanonicalHigh(high: number): boolean {
  const sign = high >> 15;
  return sign === 0 || sign === -1;
}

export function lowWord(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}
export function highWord(value: bigint): number {
  return Number(BigInt.asIntN(32, value >> 32n));
}
/** The unsigned 64-bit value of two words. */
export function joined(low: number, high: number): bigint {
  return high === 0 ? BigInt(low >>> 0) : (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** Index in `i32` of the word at a linear address, or -1 where the TLB does not know it. `tag` is TLB.read or TLB.write. */
function place({ i32, base }: Registers, low: number, high: number, tag: number, supervisor: boolean): number {
  // Implicit accesses have the rights of privilege level 0, and are checked where all are.
  const implicit = supervisor && i32[(base + MODE) >> 2] === MMU_MODE.user;
  const tlb = implicit ? base + TLBS + MMU_MODE.supervisor * TLB_SIZE : (i32[(base + TLB_FIELD) >> 2] as number);
  const entry = (tlb + ((low >>> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY) >> 2;
  const known = i32[entry + tag / 4] === (low & -4096) && i32[entry + tag / 4 + 1] === high && (low & 3) === 0;
  return known ? (low + (i32[entry + TLB.addend / 4] as number)) >>> 2 : -1;
}

/** The upper half of an address that overflowed its lower half. */
function carried({ i32, base }: Registers, high: number): number {
  return (i32[(base + EFER) >> 2] as number) & EFER_LMA ? (high + 1) | 0 : 0;
}

/** The word (signed) at `offset` bytes from a linear address. `supervisor` as in `LinearMemory`. */
export function readWord(cpu: SystemContext, low: number, high: number, offset: number, supervisor: boolean): number {
  const { registers } = cpu;
  const sum = (low >>> 0) + offset;
  const upper = sum > 0xffff_ffff ? carried(registers, high) : high;
  const at = place(registers, sum | 0, upper, TLB.read, supervisor);
  if (at >= 0) return registers.i32[at] as number;
  return lowWord(cpu.memory.read(joined(sum | 0, upper), 4, supervisor));
}

export function writeWord(
  cpu: SystemContext,
  low: number,
  high: number,
  offset: number,
  value: number,
  supervisor: boolean,
): void {
  const { registers } = cpu;
  const sum = (low >>> 0) + offset;
  const upper = sum > 0xffff_ffff ? carried(registers, high) : high;
  const at = place(registers, sum | 0, upper, TLB.write, supervisor);
  if (at >= 0) registers.i32[at] = value;
  else cpu.memory.write(joined(sum | 0, upper), 4, BigInt(value >>> 0), supervisor);
}
