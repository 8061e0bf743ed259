/** IRET, IRETD and IRETQ. @spec SDM 2, IRET; SDM 3A 6.12.1, 6.14.3 */
import { CS, DS, ES, FS, GS, SS, VECTOR } from "../../isa/semantics.ts";
import {
  attributesOf,
  type Descriptor,
  dplOf,
  is64BitCode,
  isBig,
  isCode,
  isConforming,
  isNull,
  isPresent,
  limitOf,
  markAccessed,
  readDescriptor,
  selectorError,
} from "./descriptors.ts";
import { afterFlagsLoaded } from "./eflags.ts";
import { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import { ATTRIBUTE, FLAG, ioPrivilege, is64Bit, isCanonical, isLong, isProtected, isVirtual8086 } from "./mode.ts";
import { loadNullSegment, loadRealSegment, readStackSegment, writeCodeSegment, writeSegment } from "./segments.ts";
import { currentSegmentStack } from "./stack.ts";
import type { SystemContext } from "./system.ts";
import { returnFromTask } from "./task-switch.ts";
import { returnToVirtual8086 } from "./virtual-8086.ts";
import { highOf, isCanonicalHigh, joined, lowOf, readWord, setWide, WIDE } from "./words.ts";

/** Flags that IRET loads at every privilege level; with a 16-bit operand those of the low word only. */
const ALWAYS = FLAG.CF | FLAG.PF | FLAG.AF | FLAG.ZF | FLAG.SF | FLAG.TF | FLAG.DF | FLAG.OF | FLAG.NT;
const ALWAYS_WIDE = FLAG.RF | FLAG.AC | FLAG.ID;
const LOW_WORD = 0xffff;

/** Loads flags as IRET may at the present privilege level. */
function loadFlags(cpu: SystemContext, flags: number, operandSize: number): void {
  const { registers } = cpu;
  const cpl = registers.get32("cpl");
  let mask = ALWAYS | ALWAYS_WIDE;
  if (cpl <= ioPrivilege(registers)) mask |= FLAG.IF;
  if (cpl === 0) mask |= FLAG.IOPL | FLAG.VIF | FLAG.VIP;
  if (operandSize === 16) mask &= LOW_WORD;
  registers.eflags = (registers.eflags & ~mask) | (flags & mask);
}

/**
 * The code segment that a return goes to; RPL says at which privilege level. RETF checks the same. A selector
 * for an inner level is refused.
 */
export function readReturnSegment(cpu: SystemContext, selector: number): Descriptor {
  if (isNull(selector)) throw new GuestFault(VECTOR.GP);
  const code = readDescriptor(cpu, selector, VECTOR.GP);
  const rpl = selector & 3;
  const dpl = dplOf(code);
  const fits = isConforming(code) ? dpl <= rpl : dpl === rpl;
  const sizes = !isLong(cpu.registers) || !is64BitCode(code) || !isBig(code);
  if (!isCode(code) || rpl < cpu.registers.get32("cpl") || !fits || !sizes) {
    throw new GuestFault(VECTOR.GP, selectorError(selector));
  }
  if (!isPresent(code)) throw new GuestFault(VECTOR.NP, selectorError(selector));
  return code;
}

/** #GP(0) unless `ip` lies in the code segment, or is canonical for a 64-bit one. */
export function checkOffset(cpu: SystemContext, code: Descriptor, ip: bigint): void {
  const fits = isLong(cpu.registers) && is64BitCode(code) ? isCanonical(ip) : ip <= BigInt(limitOf(code));
  if (!fits) throw new GuestFault(VECTOR.GP);
}

/**
 * The stack segment of the level returned to, undefined for a null selector, which 64-bit code below
 * privilege level 3 may have.
 */
export function readReturnStack(
  cpu: SystemContext,
  selector: number,
  cs: number,
  code: Descriptor,
): Descriptor | undefined {
  const cpl = cs & 3;
  if (isNull(selector)) {
    const allowed = isLong(cpu.registers) && is64BitCode(code) && cpl !== 3 && (selector & 3) === cpl;
    if (!allowed) throw new GuestFault(VECTOR.GP);
    return undefined;
  }
  return readStackSegment(cpu, selector, cpl, VECTOR.GP);
}

/** Clears data segment registers that the outer privilege level `cpl` must not see. */
export function dropInnerSegments(cpu: SystemContext, cpl: number): void {
  const { registers } = cpu;
  for (const index of [ES, FS, GS, DS]) {
    const attributes = registers.attributes(index);
    if (attributes & ATTRIBUTE.unusable) continue;
    const open = (attributes & (ATTRIBUTE.code | ATTRIBUTE.conforming)) === (ATTRIBUTE.code | ATTRIBUTE.conforming);
    if (open || (attributes & ATTRIBUTE.dpl) >> 5 >= cpl) continue;
    // The base stays, which 64-bit code could see in FS and GS.
    const base = registers.segmentBase(index);
    loadNullSegment(cpu, index, 0);
    registers.setSegmentBase(index, base);
  }
}

function returnReal(cpu: SystemContext, operandSize: number): bigint {
  const { registers } = cpu;
  const virtual = isVirtual8086(registers);
  if (virtual && ioPrivilege(registers) < 3) throw new GuestFault(VECTOR.GP);
  const bytes = operandSize / 8;
  const stack = currentSegmentStack(cpu);
  const ip = stack.popNumber(bytes);
  const cs = stack.popNumber(bytes) & 0xffff;
  const flags = stack.popNumber(bytes);
  if (ip > registers.limit(CS)) throw new GuestFault(VECTOR.GP);
  let mask = ALWAYS | ALWAYS_WIDE | FLAG.IF | (virtual ? 0 : FLAG.IOPL);
  if (operandSize === 16) mask &= LOW_WORD;
  stack.commit();
  registers.eflags = (registers.eflags & ~mask) | (flags & mask);
  loadRealSegment(cpu, CS, cs);
  cpu.modeChanged();
  return BigInt(ip);
}

/** Return from protected and compatibility mode, whose stack is a segment. */
function returnProtected(cpu: SystemContext, operandSize: number): bigint {
  const { registers } = cpu;
  const cpl = registers.get32("cpl");
  const long = isLong(registers);
  const bytes = operandSize / 8;
  const stack = currentSegmentStack(cpu);
  const ip = stack.pop(bytes);
  const cs = stack.popNumber(bytes) & 0xffff;
  const flags = stack.popNumber(bytes);
  if (!long && operandSize === 32 && flags & FLAG.VM && cpl === 0) {
    const result = returnToVirtual8086(cpu, stack, { ip: Number(ip), cs, flags });
    cpu.modeChanged();
    return result;
  }
  const code = readReturnSegment(cpu, cs);
  const level = cs & 3;
  if (level === cpl) {
    checkOffset(cpu, code, ip);
    markAccessed(cpu, code);
    stack.commit();
    loadFlags(cpu, flags, operandSize);
    writeCodeSegment(cpu, cs, code, level);
  } else {
    const pointer = stack.popNumber(bytes);
    const ss = stack.popNumber(bytes) & 0xffff;
    const stackSegment = readReturnStack(cpu, ss, cs, code);
    checkOffset(cpu, code, ip);
    markAccessed(cpu, code);
    if (stackSegment) markAccessed(cpu, stackSegment);
    loadFlags(cpu, flags, operandSize);
    writeCodeSegment(cpu, cs, code, level);
    loadReturnStack(cpu, ss, stackSegment, pointer, 0);
    dropInnerSegments(cpu, level);
  }
  cpu.modeChanged();
  return ip;
}

/** Loads SS and the stack pointer (its words) of the level returned to; CS is loaded already. */
export function loadReturnStack(
  cpu: SystemContext,
  ss: number,
  descriptor: Descriptor | undefined,
  low: number,
  high: number,
): void {
  const { registers } = cpu;
  if (descriptor) writeSegment(cpu, SS, ss, descriptor);
  else loadNullSegment(cpu, SS, ss, ss & 3);
  // A 16-bit stack leaves the rest of RSP alone, also on return from 64-bit mode.
  if (is64Bit(registers)) setWide(registers, WIDE.rsp, low, high);
  else if (registers.attributes(SS) & ATTRIBUTE.big) setWide(registers, WIDE.rsp, low, 0);
  else
    setWide(registers, WIDE.rsp, (lowOf(registers, WIDE.rsp) & ~0xffff) | (low & 0xffff), highOf(registers, WIDE.rsp));
}

/** Return from 64-bit mode, which always pops SS and RSP. */
function returnLong(cpu: SystemContext, operandSize: number): bigint {
  const { registers } = cpu;
  const stackLow = lowOf(registers, WIDE.rsp);
  const stackHigh = highOf(registers, WIDE.rsp);
  if (!isCanonicalHigh(stackHigh)) throw new GuestFault(VECTOR.SS);
  const bytes = operandSize / 8;
  const low = (index: number) => {
    const word = readWord(cpu, stackLow, stackHigh, index * bytes, false);
    return bytes === 2 ? word & 0xffff : word;
  };
  const high = (index: number) => (bytes === 8 ? readWord(cpu, stackLow, stackHigh, index * 8 + 4, false) : 0);
  const ipLow = low(0);
  const ipHigh = high(0);
  const cs = low(1) & 0xffff;
  const flags = low(2);
  const rspLow = low(3);
  const rspHigh = high(3);
  const ss = low(4) & 0xffff;

  const cpl = registers.get32("cpl");
  const level = cs & 3;
  const code = readReturnSegment(cpu, cs);
  const stackSegment = readReturnStack(cpu, ss, cs, code);
  const fits = is64BitCode(code) ? isCanonicalHigh(ipHigh) : ipHigh === 0 && ipLow >>> 0 <= limitOf(code);
  if (!fits) throw new GuestFault(VECTOR.GP);
  markAccessed(cpu, code);
  if (stackSegment) markAccessed(cpu, stackSegment);
  loadFlags(cpu, flags, operandSize);
  const same = registers.selector(CS) === cs && registers.attributes(CS) === (attributesOf(code) | ATTRIBUTE.accessed);
  if (!same) writeCodeSegment(cpu, cs, code, level);
  loadReturnStack(cpu, ss, stackSegment, rspLow, rspHigh);
  if (level !== cpl) dropInnerSegments(cpu, level);
  cpu.modeChanged();
  return joined(ipLow, ipHigh);
}

/** IRET: returns the new offset in the code segment. */
export function interruptReturn(cpu: SystemContext, operandSize: number, nextIp: bigint): bigint {
  const before = cpu.registers.get32("eflagsSystem");
  // NMIs come in again even if the return faults.
  if (cpu.registers.get32("nmiBlocked") !== 0) {
    cpu.registers.set32("nmiBlocked", 0);
    cpu.requestEvents();
  }
  const ip = returnByMode(cpu, operandSize, nextIp);
  afterFlagsLoaded(cpu, before);
  return ip;
}

function returnByMode(cpu: SystemContext, operandSize: number, nextIp: bigint): bigint {
  const { registers } = cpu;
  if (!isProtected(registers) || isVirtual8086(registers)) return returnReal(cpu, operandSize);
  if (registers.get32("eflagsSystem") & FLAG.NT) {
    if (isLong(registers)) throw new GuestFault(VECTOR.GP);
    return returnFromTask(cpu, nextIp);
  }
  if (is64Bit(registers)) return returnLong(cpu, operandSize);
  return returnProtected(cpu, operandSize);
}

export function iretFunctions(cpu: SystemContext): HostFunctions {
  return {
    interruptReturn: (operandSize: number, nextIp: bigint): bigint => interruptReturn(cpu, operandSize, nextIp),
  };
}
