/** Far JMP, CALL and RET. @spec SDM 2, JMP, CALL, RET; SDM 3A 5.8 */
import { CS, RSP, SS, VECTOR } from "../../isa/semantics.ts";
import {
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
  SYSTEM_TYPE,
  selectorError,
  systemTypeOf,
  upperHalf,
} from "./descriptors.ts";
import { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import { checkOffset, dropInnerSegments, loadReturnStack, readReturnSegment, readReturnStack } from "./iret.ts";
import { hasRealSegments, isCanonical, isLong } from "./mode.ts";
import { loadNullSegment, loadRealSegment, readStackSegment, writeCodeSegment, writeSegment } from "./segments.ts";
import { currentSegmentStack, currentStack, FlatStack, newSegmentStack, type SegmentStack } from "./stack.ts";
import type { SystemContext } from "./system.ts";
import { innerStack, innerStackOffset, readTssWord } from "./task-state.ts";
import { farTask } from "./task-switch.ts";
import { highWord, joined, lowWord } from "./words.ts";

/** A far JMP or CALL: where to, and where it comes from. */
interface Transfer {
  readonly selector: number;
  readonly offset: bigint;
  readonly operandSize: number;
  readonly nextIp: bigint;
  readonly call: boolean;
}

function gp(selector: number): GuestFault {
  return new GuestFault(VECTOR.GP, selectorError(selector));
}

/** Pushes CS and the offset of the next instruction. */
function pushReturn(cpu: SystemContext, operandSize: number, nextIp: bigint): { commit(): void } {
  const stack = currentStack(cpu);
  const bytes = operandSize / 8;
  stack.push(bytes, BigInt(cpu.registers.selector(CS)));
  stack.push(bytes, nextIp);
  return stack;
}

function transfer(cpu: SystemContext, to: Transfer): bigint {
  const { registers } = cpu;
  const { selector, offset, operandSize, nextIp } = to;
  if (hasRealSegments(registers)) {
    if (offset > BigInt(registers.limit(CS))) throw new GuestFault(VECTOR.GP);
    if (to.call) pushReturn(cpu, operandSize, nextIp).commit();
    loadRealSegment(cpu, CS, selector);
    cpu.modeChanged();
    return offset;
  }
  if (isNull(selector)) throw new GuestFault(VECTOR.GP);
  const target = readDescriptor(cpu, selector, VECTOR.GP);
  if (isCode(target)) return toCode(cpu, to, target);
  const cpl = registers.get32("cpl");
  const type = systemTypeOf(target);
  const dpl = dplOf(target);
  if (type === undefined || dpl < cpl || dpl < (selector & 3)) throw gp(selector);
  if (isLong(registers)) {
    if (type !== SYSTEM_TYPE.callGate32) throw gp(selector);
    return throughGate(cpu, to, target);
  }
  switch (type) {
    case SYSTEM_TYPE.callGate16:
    case SYSTEM_TYPE.callGate32:
      return throughGate(cpu, to, target);
    case SYSTEM_TYPE.taskGate:
      if (!isPresent(target)) throw new GuestFault(VECTOR.NP, selectorError(selector));
      return farTask(cpu, target.low >>> 16, to.call ? "call" : "jump", nextIp);
    case SYSTEM_TYPE.tss16:
    case SYSTEM_TYPE.tss32:
      return farTask(cpu, selector, to.call ? "call" : "jump", nextIp);
    default:
      throw gp(selector);
  }
}

/** Straight to a code segment, at the same privilege level. */
function toCode(cpu: SystemContext, to: Transfer, code: Descriptor): bigint {
  const { registers } = cpu;
  const { selector, offset, operandSize, nextIp } = to;
  const cpl = registers.get32("cpl");
  if (isConforming(code) ? dplOf(code) > cpl : (selector & 3) > cpl || dplOf(code) !== cpl) throw gp(selector);
  if (isLong(registers) && is64BitCode(code) && isBig(code)) throw gp(selector);
  if (!isPresent(code)) throw new GuestFault(VECTOR.NP, selectorError(selector));
  const frame = to.call ? pushReturn(cpu, operandSize, nextIp) : undefined;
  checkOffset(cpu, code, offset);
  markAccessed(cpu, code);
  frame?.commit();
  writeCodeSegment(cpu, selector, code, cpl);
  cpu.modeChanged();
  return offset;
}

/** Through a call gate, whose privilege is checked already. */
function throughGate(cpu: SystemContext, to: Transfer, gate: Descriptor): bigint {
  const { registers } = cpu;
  if (!isPresent(gate)) throw new GuestFault(VECTOR.NP, selectorError(to.selector));
  const long = isLong(registers);
  const type = systemTypeOf(gate) as number;
  const selector = gate.low >>> 16;
  const bytes = long ? 8 : type === SYSTEM_TYPE.callGate32 ? 4 : 2;
  let offset = BigInt(gate.low & 0xffff);
  if (type === SYSTEM_TYPE.callGate32) offset |= BigInt((gate.high & 0xffff_0000) >>> 0);
  if (long) offset |= upperHalf(cpu, gate, to.selector) << 32n;

  if (isNull(selector)) throw new GuestFault(VECTOR.GP);
  const code = readDescriptor(cpu, selector, VECTOR.GP);
  const cpl = registers.get32("cpl");
  const dpl = dplOf(code);
  if (!isCode(code) || dpl > cpl || (long && (!is64BitCode(code) || isBig(code)))) throw gp(selector);
  const inner = to.call && !isConforming(code) && dpl < cpl;
  if (!to.call && !isConforming(code) && dpl !== cpl) throw gp(selector);
  if (!isPresent(code)) throw new GuestFault(VECTOR.NP, selectorError(selector));
  if (inner) {
    if (long) callInnerLong(cpu, { code, selector, offset, nextIp: to.nextIp });
    else callInner(cpu, { code, selector, offset, nextIp: to.nextIp, bytes, count: gate.high & 0x1f });
  } else {
    const frame = to.call ? pushReturn(cpu, bytes * 8, to.nextIp) : undefined;
    checkOffset(cpu, code, offset);
    markAccessed(cpu, code);
    frame?.commit();
    writeCodeSegment(cpu, selector, code, cpl);
  }
  cpu.modeChanged();
  return offset;
}

interface InnerCall {
  readonly code: Descriptor;
  readonly selector: number;
  readonly offset: bigint;
  readonly nextIp: bigint;
}

/** CALL to an inner privilege level outside of IA-32e mode: `count` parameters are copied from stack to stack. */
function callInner(cpu: SystemContext, call: InnerCall & { bytes: number; count: number }): void {
  const { registers } = cpu;
  const { code, bytes, count } = call;
  const level = dplOf(code);
  const top = innerStack(cpu, level, 0);
  if (isNull(top.selector)) throw new GuestFault(VECTOR.TS);
  const stackSegment = readStackSegment(cpu, top.selector, level, VECTOR.TS);
  const stack = newSegmentStack(cpu, stackSegment, top.pointer, selectorError(top.selector));
  if (call.offset > BigInt(limitOf(code))) throw new GuestFault(VECTOR.GP);
  const outer: SegmentStack = currentSegmentStack(cpu);
  const parameters = Array.from({ length: count }, () => outer.popNumber(bytes));
  stack.pushNumber(bytes, registers.selector(SS));
  stack.pushNumber(bytes, registers.gpr32(RSP));
  for (const parameter of parameters.reverse()) stack.pushNumber(bytes, parameter);
  stack.pushNumber(bytes, registers.selector(CS));
  stack.push(bytes, call.nextIp);
  markAccessed(cpu, code);
  markAccessed(cpu, stackSegment);
  writeSegment(cpu, SS, top.selector, stackSegment);
  writeCodeSegment(cpu, call.selector, code, level);
  stack.commit();
}

/** CALL to an inner privilege level in IA-32e mode: SS becomes null, nothing is copied. */
function callInnerLong(cpu: SystemContext, { code, selector, offset, nextIp }: InnerCall): void {
  const { registers } = cpu;
  const level = dplOf(code);
  const at = innerStackOffset(cpu, level, 0);
  const stack = new FlatStack(cpu, joined(readTssWord(cpu, at), readTssWord(cpu, at + 4)), true, 0);
  if (!isCanonical(offset)) throw new GuestFault(VECTOR.GP);
  stack.push(8, BigInt(registers.selector(SS)));
  stack.push(8, registers.gpr(RSP));
  stack.push(8, BigInt(registers.selector(CS)));
  stack.push(8, nextIp);
  markAccessed(cpu, code);
  loadNullSegment(cpu, SS, level, level);
  writeCodeSegment(cpu, selector, code, level);
  stack.commit();
}

/** RET far; `release` bytes of parameters are dropped. Returns the new offset. */
export function farReturn(cpu: SystemContext, operandSize: number, release: number): bigint {
  const { registers } = cpu;
  const bytes = operandSize / 8;
  const stack = currentStack(cpu);
  const ip = stack.pop(bytes);
  const cs = Number(stack.pop(bytes) & 0xffffn);
  if (hasRealSegments(registers)) {
    if (ip > BigInt(registers.limit(CS))) throw new GuestFault(VECTOR.GP);
    stack.skip(release);
    stack.commit();
    loadRealSegment(cpu, CS, cs);
    cpu.modeChanged();
    return ip;
  }
  const code = readReturnSegment(cpu, cs);
  const level = cs & 3;
  stack.skip(release);
  if (level === registers.get32("cpl")) {
    checkOffset(cpu, code, ip);
    markAccessed(cpu, code);
    stack.commit();
    writeCodeSegment(cpu, cs, code, level);
  } else {
    const pointer = stack.pop(bytes);
    const ss = Number(stack.pop(bytes) & 0xffffn);
    const stackSegment = readReturnStack(cpu, ss, cs, code);
    checkOffset(cpu, code, ip);
    markAccessed(cpu, code);
    if (stackSegment) markAccessed(cpu, stackSegment);
    writeCodeSegment(cpu, cs, code, level);
    // The parameters are dropped from the outer stack, too.
    const released = pointer + BigInt(release);
    loadReturnStack(cpu, ss, stackSegment, lowWord(released), highWord(released));
    dropInnerSegments(cpu, level);
  }
  cpu.modeChanged();
  return ip;
}

/** What far JMP, CALL and RET call; see src/isa/transfer.ts. */
export function farTransferFunctions(cpu: SystemContext): HostFunctions {
  return {
    farJump(selector: number, offset: bigint, operandSize: number, nextIp: bigint): bigint {
      return transfer(cpu, { ...unsigned(selector, offset, nextIp), operandSize, call: false });
    },
    farCall(selector: number, offset: bigint, operandSize: number, nextIp: bigint): bigint {
      return transfer(cpu, { ...unsigned(selector, offset, nextIp), operandSize, call: true });
    },
    farReturn: (operandSize: number, release: number): bigint => farReturn(cpu, operandSize, release),
  };
}

function unsigned(selector: number, offset: bigint, nextIp: bigint) {
  return { selector: selector & 0xffff, offset: BigInt.asUintN(64, offset), nextIp: BigInt.asUintN(64, nextIp) };
}
