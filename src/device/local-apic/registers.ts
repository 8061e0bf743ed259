/**
 * Registers of the local APIC: numbers, fields, and what x2APIC mode allows.
 * @spec Intel SDM vol. 3, "Local APIC Register Address Map", "x2APIC Register Availability".
 *
 * A register's number is its xAPIC offset / 16, which is also its x2APIC MSR address less 0x800.
 */
import { bits } from "../../bits/fields.ts";

export const Register = {
  id: 0x02,
  version: 0x03,
  taskPriority: 0x08,
  arbitrationPriority: 0x09,
  processorPriority: 0x0a,
  eoi: 0x0b,
  remoteRead: 0x0c,
  logicalDestination: 0x0d,
  destinationFormat: 0x0e,
  spuriousVector: 0x0f,
  inService: 0x10,
  triggerMode: 0x18,
  interruptRequest: 0x20,
  errorStatus: 0x28,
  lvtCmci: 0x2f,
  interruptCommandLow: 0x30,
  interruptCommandHigh: 0x31,
  lvtTimer: 0x32,
  lvtThermal: 0x33,
  lvtPerformance: 0x34,
  lvtLint0: 0x35,
  lvtLint1: 0x36,
  lvtError: 0x37,
  initialCount: 0x38,
  currentCount: 0x39,
  divideConfiguration: 0x3e,
  selfIpi: 0x3f,
} as const;

export const Msr = {
  apicBase: 0x1b,
  tscDeadline: 0x6e0,
  x2apicFirst: 0x800,
  x2apicLast: 0x8ff,
} as const;

/** IA32_APIC_BASE, low half. */
export const ApicBase = bits({ bootProcessor: 8, x2apic: 10, enabled: 11 });

export const SpuriousVector = bits({ vector: [0, 7], softwareEnabled: 8, noFocusCheck: 9, suppressEoiBroadcast: 12 });

/** Low half of the ICR. */
export const InterruptCommand = bits({
  vector: [0, 7],
  deliveryMode: [8, 10],
  logical: 11,
  assert: 14,
  levelTriggered: 15,
  shorthand: [18, 19],
});

/** All fields that any LVT entry has; `LVT_WRITABLE` says which has which. */
export const Lvt = bits({
  vector: [0, 7],
  deliveryMode: [8, 10],
  deliveryPending: 12,
  activeLow: 13,
  remoteIrr: 14,
  levelTriggered: 15,
  masked: 16,
  timerMode: [17, 18],
});

export const TimerMode = { oneShot: 0, periodic: 1, tscDeadline: 2 } as const;

/** The LVT entries by place in `LocalApicState.lvt`. */
export const LvtIndex = { timer: 0, thermal: 1, performance: 2, lint0: 3, lint1: 4, error: 5, cmci: 6 } as const;
export const LVT_COUNT = 7;

/** Bits that software can write, by `LvtIndex`. */
export const LVT_WRITABLE: readonly number[] = [0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff, 0x107ff];

/** The LVT entry that a register number is, or undefined. */
export function lvtIndexOf(register: number): number | undefined {
  if (register === Register.lvtCmci) return LvtIndex.cmci;
  return register >= Register.lvtTimer && register <= Register.lvtError ? register - Register.lvtTimer : undefined;
}

export const ErrorStatus = bits({ sendIllegalVector: 5, receivedIllegalVector: 6, illegalRegister: 7 });

/** Integrated APIC 14h, seven LVT entries, EOI-broadcast suppression. */
export const VERSION = 0x01060014;

/** Bits of `writable` may be written as one in x2APIC mode, any other bit is #GP. */
interface X2apicRegister {
  readonly readable: boolean;
  readonly writable: number | undefined;
}

const readOnly: X2apicRegister = { readable: true, writable: undefined };
const readWrite = (writable: number): X2apicRegister => ({ readable: true, writable });
const writeOnly = (writable: number): X2apicRegister => ({ readable: false, writable });
/** Delivery status and remote IRR of an LVT entry are read-only, so software may write back what it read. */
const lvt = (index: number) =>
  readWrite(LVT_WRITABLE[index]! | Lvt.mask.deliveryPending | (LVT_WRITABLE[index]! & 0x8000 ? Lvt.mask.remoteIrr : 0));

/** What exists in x2APIC mode; all else is #GP. Bit 12 of the ICR was the xAPIC's delivery status and is ignored. */
export const X2APIC_REGISTERS: ReadonlyMap<number, X2apicRegister> = new Map([
  [Register.id, readOnly],
  [Register.version, readOnly],
  [Register.taskPriority, readWrite(0xff)],
  [Register.processorPriority, readOnly],
  [Register.eoi, writeOnly(0)],
  [Register.logicalDestination, readOnly],
  [Register.spuriousVector, readWrite(0x13ff)],
  ...Array.from({ length: 24 }, (_, word) => [Register.inService + word, readOnly] as const),
  [Register.errorStatus, readWrite(0)],
  [Register.lvtCmci, lvt(LvtIndex.cmci)],
  [Register.interruptCommandLow, readWrite(0xcdfff)],
  [Register.lvtTimer, lvt(LvtIndex.timer)],
  [Register.lvtThermal, lvt(LvtIndex.thermal)],
  [Register.lvtPerformance, lvt(LvtIndex.performance)],
  [Register.lvtLint0, lvt(LvtIndex.lint0)],
  [Register.lvtLint1, lvt(LvtIndex.lint1)],
  [Register.lvtError, lvt(LvtIndex.error)],
  [Register.initialCount, readWrite(0xffffffff)],
  [Register.currentCount, readOnly],
  [Register.divideConfiguration, readWrite(0xb)],
  [Register.selfIpi, writeOnly(0xff)],
]);

/** Registers that only xAPIC mode has, on top of those of x2APIC mode less self-IPI. */
const XAPIC_ONLY: readonly number[] = [
  Register.arbitrationPriority,
  Register.remoteRead,
  Register.destinationFormat,
  Register.interruptCommandHigh,
];

export function existsInXapic(register: number): boolean {
  return XAPIC_ONLY.includes(register) || (X2APIC_REGISTERS.has(register) && register !== Register.selfIpi);
}
