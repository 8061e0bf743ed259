/** The time-stamp counter, and random bits. @spec SDM 3B 18.17 */
import type { HostFunctions } from "./host-functions.ts";
import type { SystemContext } from "./system.ts";

/** Nominal frequency of the time-stamp counter, and of the crystal that it and the local APIC's timer count. */
export const TSC_KHZ = 1_000_000;
export const BUS_KHZ = 1_000_000;

/** The counter as software reads it. */
export function timeStampCounter(cpu: SystemContext): bigint {
  return BigInt.asUintN(64, BigInt(cpu.tsc()) + cpu.registers.get64("tscOffset"));
}

export function timeFunctions(cpu: SystemContext): HostFunctions {
  return {
    readTsc: () => cpu.tsc(),
    randomBits: (bytes) => BigInt.asIntN(64, cpu.random(bytes)),
  };
}
