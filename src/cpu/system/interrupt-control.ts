/** What software interrupts, STI, POPF and HLT call; see src/isa/interrupt.ts. */
import { INTERRUPT_KIND } from "../../isa/interrupt.ts";
import { VECTOR } from "../../isa/semantics.ts";
import { SHADOW } from "../state.ts";
import { dropSingleStep } from "./debug-registers.ts";
import { afterFlagsLoaded } from "./eflags.ts";
import type { HostFunctions } from "./host-functions.ts";
import { deliver, type InterruptEvent } from "./interrupts.ts";
import { FLAG } from "./mode.ts";
import type { SystemContext } from "./system.ts";

/** Values of the field `activity`. */
export const ACTIVITY = { running: 0, halted: 1, shutdown: 2, waitForSipi: 3 } as const;

const KIND: Record<number, InterruptEvent["kind"]> = {
  [INTERRUPT_KIND.software]: "software",
  [INTERRUPT_KIND.int3]: "int3",
  [INTERRUPT_KIND.int1]: "int1",
};

export function interruptFunctions(cpu: SystemContext): HostFunctions {
  const { registers } = cpu;
  return {
    softwareInterrupt(vector: number, kind: number, nextIp: bigint): bigint {
      deliver(cpu, { vector, kind: KIND[kind] ?? "software", returnIp: BigInt.asUintN(64, nextIp) });
      dropSingleStep(registers);
      return registers.get64("ip");
    },
    overflowInterrupt(overflow: number, nextIp: bigint): bigint {
      if (!overflow) return nextIp;
      deliver(cpu, { vector: VECTOR.OF, kind: "into", returnIp: nextIp });
      dropSingleStep(registers);
      return registers.get64("ip");
    },
    systemFlagsChanged(old: number): void {
      if ((old ^ registers.get32("eflagsSystem")) & FLAG.AC) cpu.modeChanged();
      afterFlagsLoaded(cpu, old);
    },
    enableInterrupts(): void {
      registers.set32("eflagsSystem", registers.get32("eflagsSystem") | FLAG.IF);
      if (!cpu.interruptPending()) return;
      registers.set32("shadow", SHADOW.interrupts);
      cpu.requestEvents();
    },
    halt(): void {
      registers.set32("activity", ACTIVITY.halted);
      cpu.requestEvents();
    },
  };
}
