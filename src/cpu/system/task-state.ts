/** Stack pointers of inner privilege levels in the task state segment. @spec SDM 3A 7.2.1, 7.6, 7.7 */
import { VECTOR } from "../../isa/semantics.ts";
import { TR } from "../state.ts";
import { linear, SYSTEM_TYPE, selectorError } from "./descriptors.ts";
import { GuestFault } from "./guest-fault.ts";
import { ATTRIBUTE } from "./mode.ts";
import type { SystemContext } from "./system.ts";

/** Whether the task register holds a 32-bit TSS (not a 16-bit one). */
export function isTss32(cpu: SystemContext): boolean {
  return (cpu.registers.attributes(TR) & SYSTEM_TYPE.tss32) === SYSTEM_TYPE.tss32;
}

/** Linear address of `bytes` at `offset` in the current TSS. Beyond its limit: #TS(its selector). */
function tssAddress(cpu: SystemContext, offset: number, bytes: number, ext: number): bigint {
  const { registers } = cpu;
  if (offset + bytes - 1 > registers.limit(TR) || registers.attributes(TR) & ATTRIBUTE.unusable) {
    throw new GuestFault(VECTOR.TS, selectorError(registers.selector(TR), ext));
  }
  return linear(cpu, registers.segmentBase(TR), offset);
}

/** SS:ESP for privilege level `level` (0 to 2) from a 16- or 32-bit TSS. */
export function innerStack(cpu: SystemContext, level: number, ext: number): { selector: number; pointer: number } {
  const { memory } = cpu;
  if (isTss32(cpu)) {
    const at = tssAddress(cpu, level * 8 + 4, 6, ext);
    const pointer = Number(memory.read(at, 4, true));
    return { selector: Number(memory.read(linear(cpu, at, 4), 2, true)), pointer };
  }
  const at = tssAddress(cpu, level * 4 + 2, 4, ext);
  const pointer = Number(memory.read(at, 2, true));
  return { selector: Number(memory.read(linear(cpu, at, 2), 2, true)), pointer };
}

/** RSP for privilege level `level` (0 to 2) from a 64-bit TSS. */
export function innerStackPointer(cpu: SystemContext, level: number, ext: number): bigint {
  return cpu.memory.read(tssAddress(cpu, level * 8 + 4, 8, ext), 8, true);
}

/** RSP of interrupt stack `ist` (1 to 7) from a 64-bit TSS. */
export function interruptStackPointer(cpu: SystemContext, ist: number, ext: number): bigint {
  return cpu.memory.read(tssAddress(cpu, ist * 8 + 28, 8, ext), 8, true);
}
