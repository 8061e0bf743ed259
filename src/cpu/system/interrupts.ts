/**
 * Delivery of interrupts and exceptions through the interrupt vector table or the interrupt descriptor table.
 * Not modelled: shadow stacks, the virtual-8086 mode extensions (CR4.VME, CR4.PVI).
 * @spec SDM 3A chapter 6; SDM 2, INT n
 */
import { CS, RSP, SS, VECTOR } from "../../isa/semantics.ts";
import {
  attributesOf,
  type Descriptor,
  descriptorAt,
  dplOf,
  is64BitCode,
  isBig,
  isCode,
  isConforming,
  isNull,
  isPresent,
  limitOf,
  linear,
  markAccessed,
  readDescriptor,
  SYSTEM_TYPE,
  selectorError,
  systemTypeOf,
} from "./descriptors.ts";
import { GuestFault } from "./guest-fault.ts";
import { ATTRIBUTE, FLAG, ioPrivilege, isLong, isProtected, isVirtual8086 } from "./mode.ts";
import { loadNullSegment, loadRealSegment, readStackSegment, writeCodeSegment, writeSegment } from "./segments.ts";
import { currentSegmentStack, newSegmentStack } from "./stack.ts";
import type { SystemContext } from "./system.ts";
import { innerStack, innerStackOffset, interruptStackOffset, readTssWord } from "./task-state.ts";
import { interruptTask } from "./task-switch.ts";
import { leaveVirtual8086, pushVirtual8086 } from "./virtual-8086.ts";
import { highOf, highWord, isCanonicalHigh, lowOf, lowWord, readWord, setWide, WIDE, writeWord } from "./words.ts";

export interface InterruptEvent {
  readonly vector: number;
  /** Pushed where present; exceptions with an error code only. */
  readonly errorCode?: number;
  /** "software" is INT n; "exception" stands for all that the processor finds, NMI arrives as "external". */
  readonly kind: "exception" | "external" | "software" | "int3" | "into" | "int1";
  /** Offset to return to: of the faulting instruction, or of the next one. */
  readonly returnIp: bigint;
}

/** Exceptions that push an error code. @spec SDM 3A table 6-1 */
export const HAS_ERROR_CODE: readonly number[] = [
  VECTOR.DF,
  VECTOR.TS,
  VECTOR.NP,
  VECTOR.SS,
  VECTOR.GP,
  VECTOR.PF,
  VECTOR.AC,
  // #CP
  21,
];
/** Exceptions that are traps or aborts: they do not set RF in the flags that are pushed. @spec SDM 3B 17.3.1.1 */
export const LEAVES_RF: readonly number[] = [VECTOR.DB, VECTOR.BP, VECTOR.OF, VECTOR.DF, VECTOR.MC];
/** A bit for each of these vectors, all of which are below 32. */
export const maskOf = (vectors: readonly number[]): number => vectors.reduce((mask, vector) => mask | (1 << vector), 0);

/**
 * Goes to the handler of an interrupt or exception: pushes the frame, sets CS, SS, RSP, RFLAGS, CPL and `ip`.
 * @throws GuestFault where delivery faults itself; everything but memory is then as it was, except after a
 * task switch (see `TaskFault`).
 */
export function deliver(cpu: SystemContext, event: InterruptEvent): void {
  const { registers } = cpu;
  cpu.delivering?.(event);
  if (!isProtected(registers)) deliverReal(cpu, event);
  else if (isLong(registers)) deliverLong(cpu, event);
  else deliverProtected(cpu, event);
  if (event.vector === VECTOR.NMI && event.kind === "external") registers.set32("nmiBlocked", 1);
}

/** INT n, INT3 and INTO: may be kept from gates by the gate's privilege level, and are no external events. */
function isSoftware({ kind }: InterruptEvent): boolean {
  return kind === "software" || kind === "int3" || kind === "into";
}

/** RFLAGS as pushed: faults set RF so that an instruction breakpoint is not met again on return. @spec SDM 3B 17.3.1.1 */
function savedFlags(cpu: SystemContext, { vector, kind }: InterruptEvent): number {
  const flags = cpu.registers.eflags;
  if (kind === "external") return flags;
  if (kind !== "exception") return flags & ~FLAG.RF;
  return LEAVES_RF.includes(vector) ? flags : flags | FLAG.RF;
}

/** Flags on entry to a handler; through an interrupt gate with interrupts off. */
function clearFlags(cpu: SystemContext, interruptGate: boolean): void {
  const { registers } = cpu;
  const cleared = FLAG.TF | FLAG.NT | FLAG.RF | FLAG.VM | (interruptGate ? FLAG.IF : 0);
  registers.set32("eflagsSystem", registers.get32("eflagsSystem") & ~cleared);
}

function deliverReal(cpu: SystemContext, event: InterruptEvent): void {
  const { registers, memory } = cpu;
  const { vector } = event;
  if (vector * 4 + 3 > registers.get32("idtLimit")) throw new GuestFault(VECTOR.GP);
  const entry = Number(memory.read(linear(cpu, registers.get64("idtBase"), vector * 4), 4, true));
  const stack = currentSegmentStack(cpu);
  stack.pushNumber(2, registers.eflags);
  stack.pushNumber(2, registers.selector(CS));
  stack.push(2, event.returnIp);
  stack.commit();
  registers.set32("eflagsSystem", registers.get32("eflagsSystem") & ~(FLAG.IF | FLAG.TF | FLAG.AC | FLAG.RF));
  loadRealSegment(cpu, CS, entry >>> 16);
  registers.set64("ip", BigInt(entry & 0xffff));
  cpu.modeChanged();
}

/** Error code that names an entry of the interrupt descriptor table. @spec SDM 3A 6.13 */
function gateError(vector: number, ext: number): number {
  return vector * 8 + 2 + ext;
}

/** The gate of `event`, its presence and privilege checked; `size` is 8, or 16 in IA-32e mode. */
function readGate(cpu: SystemContext, event: InterruptEvent, size: number, ext: number): Descriptor {
  const { registers } = cpu;
  const { vector } = event;
  const error = gateError(vector, ext);
  if (vector * size + size - 1 > registers.get32("idtLimit")) throw new GuestFault(VECTOR.GP, error);
  const gate = descriptorAt(cpu, lowOf(registers, WIDE.idtBase), highOf(registers, WIDE.idtBase), vector * size);
  const type = systemTypeOf(gate) ?? 0;
  const known =
    (type & 0xe) === SYSTEM_TYPE.interruptGate32 ||
    (size === 8 && ((type & 0xe) === SYSTEM_TYPE.interruptGate16 || type === SYSTEM_TYPE.taskGate));
  if (!known) throw new GuestFault(VECTOR.GP, error);
  if (isSoftware(event) && dplOf(gate) < registers.get32("cpl")) throw new GuestFault(VECTOR.GP, error);
  if (!isPresent(gate)) throw new GuestFault(VECTOR.NP, error);
  return gate;
}

/** The code segment that a gate leads to, from privilege level `cpl`. */
function readHandlerSegment(cpu: SystemContext, selector: number, cpl: number, ext: number): Descriptor {
  if (isNull(selector)) throw new GuestFault(VECTOR.GP, ext);
  const code = readDescriptor(cpu, selector, VECTOR.GP, ext);
  if (!isCode(code) || dplOf(code) > cpl) throw new GuestFault(VECTOR.GP, selectorError(selector, ext));
  if (!isPresent(code)) throw new GuestFault(VECTOR.NP, selectorError(selector, ext));
  return code;
}

function deliverProtected(cpu: SystemContext, event: InterruptEvent): void {
  const { registers } = cpu;
  const virtual = isVirtual8086(registers);
  if (virtual && event.kind === "software" && ioPrivilege(registers) < 3) throw new GuestFault(VECTOR.GP);
  const ext = isSoftware(event) ? 0 : 1;
  const gate = readGate(cpu, event, 8, ext);
  const selector = gate.low >>> 16;
  const type = systemTypeOf(gate) as number;
  if (type === SYSTEM_TYPE.taskGate) {
    interruptTask(cpu, {
      selector,
      ext,
      returnIp: event.returnIp,
      errorCode: event.errorCode,
      flags: savedFlags(cpu, event),
    });
    return;
  }
  const cpl = registers.get32("cpl");
  const code = readHandlerSegment(cpu, selector, cpl, ext);
  const bytes = type & 8 ? 4 : 2;
  const offset = type & 8 ? ((gate.high & 0xffff_0000) | (gate.low & 0xffff)) >>> 0 : gate.low & 0xffff;
  const level = isConforming(code) ? cpl : dplOf(code);
  const inner = level < cpl;
  // Only privilege level 0 can take over from virtual-8086 mode.
  if (virtual && level !== 0) throw new GuestFault(VECTOR.GP, selectorError(selector, ext));

  let stackSegment: { selector: number; descriptor: Descriptor } | undefined;
  let stack: ReturnType<typeof currentSegmentStack>;
  if (inner) {
    const top = innerStack(cpu, level, ext);
    if (isNull(top.selector)) throw new GuestFault(VECTOR.TS, ext);
    const descriptor = readStackSegment(cpu, top.selector, level, VECTOR.TS, ext);
    stackSegment = { selector: top.selector, descriptor };
    stack = newSegmentStack(cpu, descriptor, top.pointer, selectorError(top.selector, ext));
  } else {
    stack = currentSegmentStack(cpu, ext);
  }
  if (offset > limitOf(code)) throw new GuestFault(VECTOR.GP, ext);
  if (virtual) pushVirtual8086(cpu, stack, bytes);
  if (stackSegment) {
    stack.pushNumber(bytes, registers.selector(SS));
    stack.pushNumber(bytes, registers.gpr32(RSP));
  }
  stack.pushNumber(bytes, savedFlags(cpu, event));
  stack.pushNumber(bytes, registers.selector(CS));
  stack.push(bytes, event.returnIp);
  if (event.errorCode !== undefined) stack.pushNumber(bytes, event.errorCode);
  markAccessed(cpu, code);
  if (stackSegment) {
    markAccessed(cpu, stackSegment.descriptor);
    writeSegment(cpu, SS, stackSegment.selector, stackSegment.descriptor);
  }
  stack.commit();
  if (virtual) leaveVirtual8086(cpu);
  clearFlags(cpu, (type & 1) === 0);
  writeCodeSegment(cpu, selector, code, level);
  registers.set64("ip", BigInt(offset));
  cpu.modeChanged();
}

function deliverLong(cpu: SystemContext, event: InterruptEvent): void {
  const { registers } = cpu;
  const ext = isSoftware(event) ? 0 : 1;
  const gate = readGate(cpu, event, 16, ext);
  const { low, high } = gate;
  const selector = low >>> 16;
  const cpl = registers.get32("cpl");
  const code = readHandlerSegment(cpu, selector, cpl, ext);
  if (!is64BitCode(code) || isBig(code)) throw new GuestFault(VECTOR.GP, selectorError(selector, ext));
  const offsetHigh = readWord(cpu, gate.addressLow, gate.addressHigh, 8, true);
  const offsetLow = (high & 0xffff_0000) | (low & 0xffff);
  const level = isConforming(code) ? cpl : dplOf(code);
  const ist = high & 7;
  const pointerLow = lowOf(registers, WIDE.rsp);
  const pointerHigh = highOf(registers, WIDE.rsp);
  let topLow = pointerLow;
  let topHigh = pointerHigh;
  if (ist !== 0 || level < cpl) {
    const at = ist !== 0 ? interruptStackOffset(cpu, ist, ext) : innerStackOffset(cpu, level, ext);
    topLow = readTssWord(cpu, at);
    topHigh = readTssWord(cpu, at + 4);
  }
  if (!isCanonicalHigh(topHigh)) throw new GuestFault(VECTOR.SS, ext);
  if (!isCanonicalHigh(offsetHigh)) throw new GuestFault(VECTOR.GP, ext);

  // The frame starts at a multiple of 16, an error code lies below it.
  const supervisor = level < cpl;
  const aligned = (topLow & -16) >>> 0;
  const frameLow = (aligned - 48) | 0;
  const frameHigh = aligned < 48 ? (topHigh - 1) | 0 : topHigh;
  const put = (offset: number, valueLow: number, valueHigh: number) => {
    writeWord(cpu, frameLow, frameHigh, offset, valueLow, supervisor);
    writeWord(cpu, frameLow, frameHigh, offset + 4, valueHigh, supervisor);
  };
  put(40, registers.selector(SS), 0);
  put(32, pointerLow, pointerHigh);
  put(24, savedFlags(cpu, event), 0);
  put(16, registers.selector(CS), 0);
  put(8, lowWord(event.returnIp), highWord(event.returnIp));
  if (event.errorCode !== undefined) put(0, event.errorCode, 0);
  markAccessed(cpu, code);
  if (event.errorCode !== undefined) setWide(registers, WIDE.rsp, frameLow, frameHigh);
  else setWide(registers, WIDE.rsp, frameLow + 8, frameHigh);
  clearFlags(cpu, (high & 0x100) === 0);
  const handler = (selector & 0xfffc) | level;
  // Within the kernel, nothing changes that code depends on.
  const same =
    level === cpl &&
    registers.selector(CS) === handler &&
    registers.attributes(CS) === (attributesOf(code) | ATTRIBUTE.accessed);
  if (!same) {
    if (level < cpl) loadNullSegment(cpu, SS, level, level);
    writeCodeSegment(cpu, handler, code, level);
  }
  setWide(registers, WIDE.ip, offsetLow, offsetHigh);
  if (!same) cpu.modeChanged();
}

/** What follows from an exception that arises while another one is being delivered. */
export type Combination = "serial" | "double" | "shutdown";

const CONTRIBUTORY: ReadonlySet<number> = new Set([VECTOR.DE, VECTOR.TS, VECTOR.NP, VECTOR.SS, VECTOR.GP]);

/**
 * How two exceptions combine: `first` was being delivered when `second` came up. "serial" delivers the second
 * in place of the first, "double" is #DF(0), "shutdown" is a triple fault. Interrupts (external and software)
 * are benign: pass undefined for `first`. @spec SDM 3A table 6-5
 */
export function combine(first: number | undefined, second: number): Combination {
  if (first === undefined) return "serial";
  const severe = CONTRIBUTORY.has(second) || second === VECTOR.PF;
  if (first === VECTOR.DF) return severe ? "shutdown" : "serial";
  if (first === VECTOR.PF) return severe ? "double" : "serial";
  if (CONTRIBUTORY.has(first) && CONTRIBUTORY.has(second)) return "double";
  return "serial";
}
