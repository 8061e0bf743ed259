/** Puts the boot vCPU in the state that a boot loader asks for. */
import type { Processor } from "../cpu/processor.ts";
import { type BootState, GENERAL_REGISTERS, type SegmentRegister } from "../firmware/boot-state.ts";

const SEGMENTS: readonly SegmentRegister[] = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"];

export function applyBootState(processor: Processor, state: BootState): void {
  const { registers } = processor;
  GENERAL_REGISTERS.forEach((name, i) => {
    registers.setGpr(i, state.registers[name]);
  });
  SEGMENTS.forEach((name, i) => {
    const { selector, base, limit, attributes } = state.segments[name];
    registers.setSegment(i, { selector, base: BigInt(base), limit, attributes });
  });
  registers.set64("ip", state.rip);
  registers.eflags = Number(state.rflags);
  registers.set64("cr0", state.cr0);
  registers.set64("cr3", state.cr3);
  registers.set64("cr4", state.cr4);
  registers.set64("efer", state.efer);
  registers.set64("gdtBase", BigInt(state.gdt.base));
  registers.set32("gdtLimit", state.gdt.limit);
  registers.set64("idtBase", BigInt(state.idt.base));
  registers.set32("idtLimit", state.idt.limit);
  registers.set32("cpl", 0);
  processor.flushTlb();
  processor.modeChanged();
}
