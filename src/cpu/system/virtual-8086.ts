/** Into and out of virtual-8086 mode. @spec SDM 3A 20.2, 20.3 */
import { CS, DS, ES, FS, GS, SS, VECTOR } from "../../isa/semantics.ts";
import { GuestFault } from "./guest-fault.ts";
import { FLAG } from "./mode.ts";
import { loadNullSegment, loadRealSegment } from "./segments.ts";
import type { SegmentStack } from "./stack.ts";
import type { SystemContext } from "./system.ts";

/** Pushes the data segment registers, which an interrupt from virtual-8086 mode saves first. */
export function pushVirtual8086(cpu: SystemContext, stack: SegmentStack, bytes: number): void {
  for (const index of [GS, FS, DS, ES]) stack.pushNumber(bytes, cpu.registers.selector(index));
}

/** Clears the data segment registers on the way to the interrupt handler. */
export function leaveVirtual8086(cpu: SystemContext): void {
  for (const index of [GS, FS, DS, ES]) loadNullSegment(cpu, index, 0);
}

/** Flags that IRETD from privilege level 0 and task switches load on entry to virtual-8086 mode: all of them. */
const LOADED = 0x3f_7fd5;

/**
 * Enters virtual-8086 mode with segment registers given by selector (ES CS SS DS FS GS). The caller sets RSP
 * and `ip` and reports the change of mode.
 */
export function enterVirtual8086(cpu: SystemContext, flags: number, selectors: readonly number[]): void {
  const { registers } = cpu;
  registers.eflags = (flags & LOADED) | FLAG.fixed | FLAG.VM;
  registers.set32("cpl", 3);
  for (const index of [ES, CS, SS, DS, FS, GS]) loadRealSegment(cpu, index, (selectors[index] as number) & 0xffff);
}

/** The rest of IRETD with VM set in the popped flags, at privilege level 0: pops what is left, returns the new offset. */
export function returnToVirtual8086(
  cpu: SystemContext,
  stack: SegmentStack,
  { ip, cs, flags }: { ip: number; cs: number; flags: number },
): bigint {
  const { registers } = cpu;
  const pointer = stack.popNumber(4);
  const [ss, es, ds, fs, gs] = [4, 4, 4, 4, 4].map((bytes) => stack.popNumber(bytes)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (ip > 0xffff) throw new GuestFault(VECTOR.GP);
  enterVirtual8086(cpu, flags, [es, cs, ss, ds, fs, gs]);
  registers.setGpr32(4, pointer);
  return BigInt(ip);
}
