/** Debug registers as MOV sees them, and which accesses meet the breakpoints in them. @spec SDM 3B 18.2, 18.3 */
import { VECTOR } from "../../isa/semantics.ts";
import type { Registers } from "../registers.ts";
import { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import { CR4, isLong } from "./mode.ts";
import type { SystemContext } from "./system.ts";

/** Reserved bits that read as one; also the values after reset. */
export const DR6_FIXED = 0xffff_0ff0;
export const DR7_FIXED = 0x400;
/** B0–B3, BD, BS, BT. */
const DR6_WRITABLE = 0xe00f;
/** L0–G3, LE, GE, GD, and the conditions and lengths. */
const DR7_WRITABLE = 0xffff_23ff;
/** Causes of a debug exception in DR6 above those of the four breakpoints, which are bits 3:0. */
export const DR6 = { BD: 1 << 13, BS: 1 << 14, BT: 1 << 15 } as const;
const DR6_BREAKPOINTS = 0xf;
const DR7_GD = 1n << 13n;
/** Ln and Gn of all breakpoints. */
const DR7_ENABLED = 0xff;
/** L0–L3 and LE, which a task switch clears. */
const DR7_LOCAL = 0x155n;

/** A breakpoint's R/Wn field in DR7. */
const CONDITION = { execute: 0, write: 1, port: 2, access: 3 } as const;
/** Bytes that a LENn field in DR7 stands for. */
const LENGTH: readonly number[] = [1, 2, 8, 4];

/** The breakpoints, as bits of DR6, whose condition `wanted` accepts and that overlap `bytes` at `start`. */
function breakpointsAt(
  registers: Registers,
  wanted: (condition: number, length: number) => boolean,
  start: bigint,
  bytes: number,
): number {
  const dr7 = registers.get32("dr7");
  let hits = 0;
  for (let n = 0; n < 4; n++) {
    const field = dr7 >>> (16 + n * 4);
    const length = LENGTH[(field >> 2) & 3] as number;
    if (!(dr7 & (3 << (n * 2))) || !wanted(field & 3, length)) continue;
    const address = BigInt.asUintN(isLong(registers) ? 64 : 32, registers.get64(`dr${n}`)) & -BigInt(length);
    if (start < address + BigInt(length) && address < start + BigInt(bytes)) hits |= 1 << n;
  }
  return hits;
}

/** Whether any breakpoint is enabled. */
export function hasBreakpoints(registers: Registers): boolean {
  return (registers.get32("dr7") & DR7_ENABLED) !== 0;
}

/** Whether an enabled breakpoint watches data. */
export function watchesData(registers: Registers): boolean {
  if (!hasBreakpoints(registers)) return false;
  const dr7 = registers.get32("dr7");
  return [0, 1, 2, 3].some((n) => dr7 & (3 << (n * 2)) && dr7 & (1 << (16 + n * 4)));
}

/** Breakpoints on the instruction at a linear address. */
export function instructionBreakpoints(registers: Registers, linear: bigint): number {
  return breakpointsAt(registers, (condition, length) => condition === CONDITION.execute && length === 1, linear, 1);
}

/** Breakpoints that an access to data meets. */
export function dataBreakpoints(registers: Registers, linear: bigint, bytes: number, write: boolean): number {
  const wanted = (condition: number) => condition === CONDITION.access || (write && condition === CONDITION.write);
  return breakpointsAt(registers, wanted, BigInt.asUintN(64, linear), bytes);
}

/** Breakpoints that an access to ports meets, as CR4.DE allows them. */
export function portBreakpoints(registers: Registers, port: number, bytes: number): number {
  if (!(registers.get32("cr4") & CR4.DE)) return 0;
  return breakpointsAt(registers, (condition) => condition === CONDITION.port, BigInt(port), bytes);
}

/** Notes debug traps (bits of DR6), which come after the instruction that met them. */
export function addDebugTraps(registers: Registers, causes: number): void {
  registers.set32("debugTraps", registers.get32("debugTraps") | causes);
}

/** The single-step trap is not taken after this instruction. */
export function dropSingleStep(registers: Registers): void {
  registers.set32("debugTraps", registers.get32("debugTraps") & ~DR6.BS);
}

/** What a debug exception leaves in DR6 and DR7. @spec SDM 3B 18.2.3, 18.2.4 */
export function reportDebugException(registers: Registers, causes: number): void {
  registers.set64("dr6", (registers.get64("dr6") & ~BigInt(DR6_BREAKPOINTS)) | BigInt(causes));
  registers.set64("dr7", registers.get64("dr7") & ~DR7_GD);
}

/** Local breakpoints end with their task. */
export function dropLocalBreakpoints(registers: Registers): void {
  registers.set64("dr7", registers.get64("dr7") & ~DR7_LOCAL);
}

export function debugRegisterFunctions(cpu: SystemContext): HostFunctions {
  const { registers } = cpu;

  /** The register's name; DR4 and DR5 are DR6 and DR7 until CR4.DE takes them away. */
  const named = (number: number): string => {
    const alias = number === 4 || number === 5;
    if (number > 7 || (alias && registers.get32("cr4") & CR4.DE)) throw new GuestFault(VECTOR.UD);
    return `dr${alias ? number + 2 : number}`;
  };

  /** General detect: DR7.GD guards the debug registers, until the handler of its exception runs. */
  const checkDetect = () => {
    if (!(registers.get64("dr7") & DR7_GD)) return;
    reportDebugException(registers, DR6.BD);
    throw new GuestFault(VECTOR.DB);
  };

  return {
    readDebug(number) {
      const name = named(number);
      checkDetect();
      return registers.get64(name);
    },
    writeDebug(number, written) {
      const value = BigInt.asUintN(64, written);
      const name = named(number);
      checkDetect();
      if (number >= 4 && value >> 32n) throw new GuestFault(VECTOR.GP, 0);
      if (name === "dr6") registers.set64(name, (value & BigInt(DR6_WRITABLE)) | BigInt(DR6_FIXED));
      else if (name === "dr7") registers.set64(name, (value & BigInt(DR7_WRITABLE)) | BigInt(DR7_FIXED));
      else registers.set64(name, value);
      cpu.modeChanged();
      cpu.requestEvents();
    },
  };
}
