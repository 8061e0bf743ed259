/**
 * When x87, MMX and SSE instructions may not run: disabled or set aside by the system (CR0.EM, CR0.TS, CR4.OSFXSR),
 * or with an x87 exception pending. A trap word for each kind of instruction is not zero where one may have to raise
 * an exception; the instruction then calls `unitTrap`, which looks closely.
 * @spec SDM 3A 2.5, table 2-2; SDM 1 8.7
 *
 * Not modelled: the MS-DOS compatible way of reporting x87 exceptions (FERR#, IRQ 13). With CR0.NE clear they raise
 * #MF as well.
 */
import { VECTOR } from "../../isa/semantics.ts";
import type { Registers } from "../registers.ts";
import { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import { CR0, CR4 } from "./mode.ts";
import type { SystemContext } from "./system.ts";

/** In a trap word: the unit is disabled or set aside. */
export const UNIT_DISABLED = 1;
/** In `x87Trap` and `waitTrap`: the x87 status word's ES bit is set. */
export const X87_PENDING = 2;
/** Error summary status, in the x87 status word. */
const FSW_ES = 1 << 7;

/** Brings the trap words in line with CR0, CR4 and the x87 status word. */
export function setUnitTraps({ registers }: { readonly registers: Registers }): void {
  const cr0 = registers.get32("cr0");
  const disabled = cr0 & (CR0.EM | CR0.TS) ? UNIT_DISABLED : 0;
  const waits = (cr0 & (CR0.MP | CR0.TS)) === (CR0.MP | CR0.TS) ? UNIT_DISABLED : 0;
  const pending = registers.get32("fpuStatus") & FSW_ES ? X87_PENDING : 0;
  registers.set32("x87Trap", disabled | pending);
  registers.set32("mmxTrap", disabled);
  registers.set32("sseTrap", registers.get32("cr4") & CR4.OSFXSR ? disabled : UNIT_DISABLED);
  registers.set32("waitTrap", waits | pending);
}

/** Kinds of instructions as `unitTrap` is told them. */
const UNIT = { x87: 0, x87NoWait: 1, mmx: 2, sse: 3, wait: 4 } as const;

export function unitFunctions(cpu: SystemContext): HostFunctions {
  const { registers } = cpu;
  return {
    unitTrap(unit) {
      const cr0 = registers.get32("cr0");
      const setAside = (cr0 & CR0.TS) !== 0;
      const emulated = (cr0 & CR0.EM) !== 0;
      const needsSystem = unit === UNIT.sse && !(registers.get32("cr4") & CR4.OSFXSR);
      if (needsSystem || (emulated && (unit === UNIT.mmx || unit === UNIT.sse))) throw new GuestFault(VECTOR.UD);
      if (unit === UNIT.wait ? setAside && cr0 & CR0.MP : setAside || emulated) throw new GuestFault(VECTOR.NM);
      const waits = unit === UNIT.x87 || unit === UNIT.mmx || unit === UNIT.wait;
      if (waits && registers.get32("fpuStatus") & FSW_ES) throw new GuestFault(VECTOR.MF);
    },
  };
}
