/**
 * Hardware task switches in protected mode. Not modelled: the I/O map base check. @spec SDM 3A 7.2–7.4
 */
import { CS, DS, ES, FS, GS, SS, VECTOR } from "../../isa/semantics.ts";
import { LDTR, NEW_TASK, TR } from "../state.ts";
import { addDebugTraps, DR6, dropLocalBreakpoints } from "./debug-registers.ts";
import {
  attributesOf,
  baseOf,
  type Descriptor,
  dplOf,
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
  setBusy,
  systemTypeOf,
} from "./descriptors.ts";
import { afterFlagsLoaded } from "./eflags.ts";
import { GuestFault } from "./guest-fault.ts";
import { CR0, FLAG } from "./mode.ts";
import { loadNullSegment, readDataSegment, readStackSegment, writeCodeSegment, writeSegment } from "./segments.ts";
import { currentSegmentStack } from "./stack.ts";
import type { SystemContext } from "./system.ts";
import { isTss32 } from "./task-state.ts";
import { enterVirtual8086 } from "./virtual-8086.ts";

/** A fault that belongs to the new task: all registers, `ip` too, are the new task's already. */
export class TaskFault extends GuestFault {}

/** Offsets in a TSS. @spec SDM 3A figures 7-2 and 7-10 */
interface TssLayout {
  readonly bytes: 2 | 4;
  /** Smallest limit. */
  readonly limit: number;
  readonly cr3: number | undefined;
  readonly ip: number;
  readonly flags: number;
  /** EAX; the other general registers follow in the order of their encoding. */
  readonly registers: number;
  /** ES; the others follow in the order of their encoding. */
  readonly segments: number;
  readonly segmentCount: number;
  readonly ldt: number;
  /** The word with the debug trap flag in bit 0. */
  readonly trap: number | undefined;
}
const TSS32: TssLayout = {
  bytes: 4,
  limit: 0x67,
  cr3: 0x1c,
  ip: 0x20,
  flags: 0x24,
  registers: 0x28,
  segments: 0x48,
  segmentCount: 6,
  ldt: 0x60,
  trap: 0x64,
};
const TSS16: TssLayout = {
  bytes: 2,
  limit: 0x2b,
  cr3: undefined,
  ip: 0x0e,
  flags: 0x10,
  registers: 0x12,
  segments: 0x22,
  segmentCount: 4,
  ldt: 0x2a,
  trap: undefined,
};

const CR0_PG = 1n << 31n;

type Cause = "jump" | "call" | "interrupt" | "return";

/** Reads a TSS descriptor that must be in the GDT and of one of the `types`, or raises `vector`. */
function readTss(
  cpu: SystemContext,
  selector: number,
  vector: number,
  types: readonly number[],
  ext: number,
): Descriptor {
  if (selector & 4 || isNull(selector)) throw new GuestFault(vector, selectorError(selector, ext));
  const descriptor = readDescriptor(cpu, selector, vector, ext);
  if (!types.includes(systemTypeOf(descriptor) ?? 0)) throw new GuestFault(vector, selectorError(selector, ext));
  if (!isPresent(descriptor)) throw new GuestFault(VECTOR.NP, selectorError(selector, ext));
  return descriptor;
}

const AVAILABLE = [SYSTEM_TYPE.tss16, SYSTEM_TYPE.tss32];
const BUSY = [SYSTEM_TYPE.busyTss16, SYSTEM_TYPE.busyTss32];

/** JMP or CALL to a TSS or through a task gate, whose own checks the caller has made. Returns the new offset. */
export function farTask(cpu: SystemContext, selector: number, cause: "jump" | "call", nextIp: bigint): bigint {
  const descriptor = readTss(cpu, selector, VECTOR.GP, AVAILABLE, 0);
  return switchTask(cpu, { selector, descriptor, cause, returnIp: nextIp, flags: cpu.registers.eflags, ext: 0 });
}

/** An interrupt or exception through a task gate. */
export function interruptTask(
  cpu: SystemContext,
  event: { selector: number; ext: number; returnIp: bigint; errorCode: number | undefined; flags: number },
): void {
  const { selector, ext, returnIp, errorCode, flags } = event;
  const descriptor = readTss(cpu, selector, VECTOR.GP, AVAILABLE, ext);
  switchTask(cpu, { selector, descriptor, cause: "interrupt", returnIp, flags, ext });
  if (errorCode === undefined) return;
  inNewTask(cpu, () => {
    const stack = currentSegmentStack(cpu);
    stack.pushNumber(isTss32(cpu) ? 4 : 2, errorCode);
    stack.commit();
  });
}

/** IRET with NT set: back to the task that the current TSS links to. */
export function returnFromTask(cpu: SystemContext, nextIp: bigint): bigint {
  const { registers, memory } = cpu;
  const selector = Number(memory.read(registers.segmentBase(TR), 2, true));
  const descriptor = readTss(cpu, selector, VECTOR.TS, BUSY, 0);
  const flags = registers.eflags & ~FLAG.NT;
  return switchTask(cpu, { selector, descriptor, cause: "return", returnIp: nextIp, flags, ext: 0 });
}

/** Runs what happens after the switch: its faults are the new task's. */
function inNewTask(cpu: SystemContext, run: () => void): void {
  try {
    run();
  } catch (fault) {
    cpu.modeChanged();
    // There is no record of an instruction at which this fault arose: it is raised at `ip`.
    cpu.registers.set32("pc", NEW_TASK);
    if (fault instanceof GuestFault) throw new TaskFault(fault.vector, fault.errorCode);
    throw fault;
  }
}

interface Switch {
  readonly selector: number;
  readonly descriptor: Descriptor;
  readonly cause: Cause;
  /** Offset and flags to save in the old TSS. */
  readonly returnIp: bigint;
  readonly flags: number;
  readonly ext: number;
}

/** What a TSS holds of the dynamic state. */
interface TaskImage {
  readonly cr3: number | undefined;
  readonly ip: number;
  readonly flags: number;
  readonly registers: readonly number[];
  readonly selectors: readonly number[];
  readonly ldt: number;
  readonly trap: boolean;
}

function readImage(cpu: SystemContext, base: bigint, layout: TssLayout): TaskImage {
  const { bytes } = layout;
  const read = (offset: number, size: number = bytes) => Number(cpu.memory.read(linear(cpu, base, offset), size, true));
  const list = (offset: number, count: number, size: number) =>
    Array.from({ length: count }, (_, index) => read(offset + index * bytes, size));
  return {
    cr3: layout.cr3 === undefined ? undefined : read(layout.cr3),
    ip: read(layout.ip),
    flags: read(layout.flags),
    registers: list(layout.registers, 8, bytes),
    selectors: list(layout.segments, layout.segmentCount, 2),
    ldt: read(layout.ldt, 2),
    trap: layout.trap !== undefined && (read(layout.trap, 2) & 1) !== 0,
  };
}

function saveTask(cpu: SystemContext, layout: TssLayout, { returnIp, flags }: Switch): void {
  const { registers } = cpu;
  const base = registers.segmentBase(TR);
  const { bytes } = layout;
  const write = (offset: number, value: number, size: number = bytes) =>
    cpu.memory.write(linear(cpu, base, offset), size, BigInt.asUintN(size * 8, BigInt(value)), true);
  write(layout.ip, Number(returnIp));
  write(layout.flags, flags);
  for (let index = 0; index < 8; index++) write(layout.registers + index * bytes, registers.gpr32(index));
  for (let index = 0; index < layout.segmentCount; index++) {
    write(layout.segments + index * bytes, registers.selector(index), 2);
  }
}

function switchTask(cpu: SystemContext, request: Switch): bigint {
  const { registers, memory } = cpu;
  const { selector, descriptor, cause, ext } = request;
  const layout = (systemTypeOf(descriptor) as number) & 8 ? TSS32 : TSS16;
  if (limitOf(descriptor) < layout.limit) throw new GuestFault(VECTOR.TS, selectorError(selector, ext));
  const base = BigInt(baseOf(descriptor));
  const image = readImage(cpu, base, layout);
  const nested = cause === "call" || cause === "interrupt";
  const previous = registers.selector(TR);

  if (!nested) setBusy(cpu, readDescriptor(cpu, previous, VECTOR.TS, ext), false);
  saveTask(cpu, isTss32(cpu) ? TSS32 : TSS16, request);
  if (nested) memory.write(base, 2, BigInt(previous & 0xffff), true);
  if (cause !== "return") setBusy(cpu, descriptor, true);

  registers.setSegment(TR, {
    selector,
    base,
    limit: limitOf(descriptor),
    attributes: attributesOf(descriptor) | 2,
  });
  registers.set64("cr0", registers.get64("cr0") | BigInt(CR0.TS));
  if (image.cr3 !== undefined && registers.get64("cr0") & CR0_PG) {
    registers.set64("cr3", BigInt(image.cr3));
    cpu.flushTlb();
  }
  const flagsBefore = registers.get32("eflagsSystem");
  loadImage(cpu, image, nested);
  dropLocalBreakpoints(registers);
  if (image.trap) {
    addDebugTraps(registers, DR6.BT);
    cpu.requestEvents();
  }
  afterFlagsLoaded(cpu, flagsBefore);
  inNewTask(cpu, () => loadSegments(cpu, image));
  cpu.modeChanged();
  return BigInt(image.ip);
}

function loadImage(cpu: SystemContext, image: TaskImage, nested: boolean): void {
  const { registers } = cpu;
  registers.eflags = (image.flags & 0x3f_7fd5) | FLAG.fixed | (nested ? FLAG.NT : 0);
  registers.set64("ip", BigInt(image.ip));
  image.registers.forEach((value, index) => {
    // A 16-bit TSS holds the low halves only.
    registers.setGpr32(index, image.cr3 === undefined ? value | 0xffff_0000 : value);
  });
  loadNullSegment(cpu, LDTR, image.ldt);
  for (const index of [ES, CS, SS, DS, FS, GS]) loadNullSegment(cpu, index, image.selectors[index] ?? 0);
}

/** Loads LDTR, CS, SS and the data segments by the selectors of the new task. */
function loadSegments(cpu: SystemContext, { selectors, ldt, ip, flags }: TaskImage): void {
  const { registers } = cpu;
  if (!isNull(ldt)) {
    const refuse = () => new GuestFault(VECTOR.TS, selectorError(ldt));
    if (ldt & 4) throw refuse();
    const descriptor = readDescriptor(cpu, ldt, VECTOR.TS);
    if (systemTypeOf(descriptor) !== SYSTEM_TYPE.ldt || !isPresent(descriptor)) throw refuse();
    registers.setSegment(LDTR, {
      selector: ldt,
      base: BigInt(baseOf(descriptor)),
      limit: limitOf(descriptor),
      attributes: attributesOf(descriptor),
    });
  }
  if (flags & FLAG.VM) {
    enterVirtual8086(
      cpu,
      registers.eflags,
      [0, 1, 2, 3, 4, 5].map((index) => selectors[index] ?? 0),
    );
    if (ip > 0xffff) throw new GuestFault(VECTOR.GP);
    return;
  }
  const [es, cs, ss, ds, fs, gs] = [0, 1, 2, 3, 4, 5].map((index) => selectors[index] ?? 0) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const cpl = cs & 3;
  // The privilege level is the new task's before its segments are looked at.
  registers.set32("cpl", cpl);
  if (isNull(cs)) throw new GuestFault(VECTOR.TS);
  const code = readDescriptor(cpu, cs, VECTOR.TS);
  const fits = isConforming(code) ? dplOf(code) <= cpl : dplOf(code) === cpl;
  if (!isCode(code) || !fits) throw new GuestFault(VECTOR.TS, selectorError(cs));
  if (!isPresent(code)) throw new GuestFault(VECTOR.NP, selectorError(cs));
  markAccessed(cpu, code);
  writeCodeSegment(cpu, cs, code, cpl);
  if (isNull(ss)) throw new GuestFault(VECTOR.TS);
  const stack = readStackSegment(cpu, ss, cpl, VECTOR.TS);
  markAccessed(cpu, stack);
  writeSegment(cpu, SS, ss, stack);
  for (const [index, selector] of [
    [ES, es],
    [DS, ds],
    [FS, fs],
    [GS, gs],
  ] as const) {
    if (isNull(selector)) continue;
    const data = readDataSegment(cpu, selector, cpl, VECTOR.TS);
    markAccessed(cpu, data);
    writeSegment(cpu, index, selector, data);
  }
  if (ip > limitOf(code)) throw new GuestFault(VECTOR.GP);
}
