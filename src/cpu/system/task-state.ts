/** Stack pointers of inner privilege levels in the task state segment. @spec SDM 3A 7.2.1, 7.6, 7.7 */
import { VECTOR } from "../../isa/semantics.ts";
import { SEGMENT, SEGMENT_SIZE, SEGMENTS, TR } from "../state.ts";
import { SYSTEM_TYPE, selectorError } from "./descriptors.ts";
import { GuestFault } from "./guest-fault.ts";
import { ATTRIBUTE } from "./mode.ts";
import type { SystemContext } from "./system.ts";
import { highOf, lowOf, readWord } from "./words.ts";

/** Whether the task register holds a 32-bit TSS (not a 16-bit one). */
export function isTss32(cpu: SystemContext): boolean {
  return (cpu.registers.attributes(TR) & SYSTEM_TYPE.tss32) === SYSTEM_TYPE.tss32;
}

/** Checks that the current TSS has `bytes` at `offset`: else #TS(its selector). */
function checkTss(cpu: SystemContext, offset: number, bytes: number, ext: number): void {
  const { registers } = cpu;
  if (offset + bytes - 1 > registers.limit(TR) || registers.attributes(TR) & ATTRIBUTE.unusable) {
    throw new GuestFault(VECTOR.TS, selectorError(registers.selector(TR), ext));
  }
}

const TR_BASE = SEGMENTS + TR * SEGMENT_SIZE + SEGMENT.base;

/** A doubleword of the current TSS. */
export function readTssWord(cpu: SystemContext, offset: number): number {
  const { registers } = cpu;
  return readWord(cpu, lowOf(registers, TR_BASE), highOf(registers, TR_BASE), offset, true);
}

/** SS:ESP for privilege level `level` (0 to 2) from a 16- or 32-bit TSS. */
export function innerStack(cpu: SystemContext, level: number, ext: number): { selector: number; pointer: number } {
  if (isTss32(cpu)) {
    const offset = level * 8 + 4;
    checkTss(cpu, offset, 6, ext);
    return { selector: readTssWord(cpu, offset + 4) & 0xffff, pointer: readTssWord(cpu, offset) };
  }
  const offset = level * 4 + 2;
  checkTss(cpu, offset, 4, ext);
  const both = readTssWord(cpu, offset);
  return { selector: both >>> 16, pointer: both & 0xffff };
}

/** Offset in a 64-bit TSS of RSP for privilege level `level` (0 to 2), checked. */
export function innerStackOffset(cpu: SystemContext, level: number, ext: number): number {
  const offset = level * 8 + 4;
  checkTss(cpu, offset, 8, ext);
  return offset;
}

/** Offset in a 64-bit TSS of the pointer to interrupt stack `ist` (1 to 7), checked. */
export function interruptStackOffset(cpu: SystemContext, ist: number, ext: number): number {
  const offset = ist * 8 + 28;
  checkTss(cpu, offset, 8, ext);
  return offset;
}
