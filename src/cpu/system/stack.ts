/**
 * Stacks as interrupts and far transfers use them: each push and pop is checked and goes to memory at once,
 * the stack pointer is changed by `commit` only. @spec SDM 3A 5.3 (limits), 6.12.1 (frames)
 */
import { RSP, SS, VECTOR } from "../../isa/semantics.ts";
import { attributesOf, baseOf, type Descriptor, limitOf } from "./descriptors.ts";
import { GuestFault } from "./guest-fault.ts";
import { ATTRIBUTE, is64Bit, isCanonical } from "./mode.ts";
import type { SystemContext } from "./system.ts";
import { readWord, writeWord } from "./words.ts";

export interface Stack {
  push(bytes: number, value: bigint): void;
  /** The next value, unsigned. */
  pop(bytes: number): bigint;
  /** Moves the pointer up past `bytes`. */
  skip(bytes: number): void;
  /** Writes the pointer to RSP, as far as the stack's size reaches. */
  commit(): void;
}

/** A stack of 16 or 32 bits: real-address, protected, virtual-8086 and compatibility mode. */
export class SegmentStack implements Stack {
  readonly #cpu: SystemContext;
  readonly #base: number;
  readonly #min: number;
  readonly #max: number;
  readonly #mask: number;
  readonly #supervisor: boolean;
  readonly #errorCode: number;
  pointer: number;

  /** `errorCode` is what #SS gets at the stack's end. */
  constructor(
    cpu: SystemContext,
    segment: { base: number; limit: number; attributes: number },
    pointer: number,
    supervisor: boolean,
    errorCode: number,
  ) {
    const { limit, attributes } = segment;
    const big = (attributes & ATTRIBUTE.big) !== 0;
    const expandDown = (attributes & (ATTRIBUTE.code | ATTRIBUTE.conforming)) === ATTRIBUTE.conforming;
    this.#cpu = cpu;
    this.#base = segment.base;
    this.#mask = big ? 0xffff_ffff : 0xffff;
    this.#min = expandDown ? limit + 1 : 0;
    this.#max = expandDown ? this.#mask : limit;
    this.#supervisor = supervisor;
    this.#errorCode = errorCode;
    this.pointer = (pointer & this.#mask) >>> 0;
  }

  #check(at: number, bytes: number): void {
    if (at < this.#min || at + bytes - 1 > this.#max) throw new GuestFault(VECTOR.SS, this.#errorCode);
  }
  #linear(at: number): bigint {
    return BigInt((this.#base + at) >>> 0);
  }

  /** Pushes the low `bytes` (2 or 4) of `value`. */
  pushNumber(bytes: number, value: number): void {
    const at = ((this.pointer - bytes) & this.#mask) >>> 0;
    this.#check(at, bytes);
    if (bytes === 4) writeWord(this.#cpu, this.#base + at, 0, 0, value, this.#supervisor);
    else this.#cpu.memory.write(this.#linear(at), bytes, BigInt(value & 0xffff), this.#supervisor);
    this.pointer = at;
  }

  /** Pops 2 or 4 bytes. */
  popNumber(bytes: number): number {
    if (bytes !== 4) return Number(this.pop(bytes));
    this.#check(this.pointer, bytes);
    const value = readWord(this.#cpu, this.#base + this.pointer, 0, 0, this.#supervisor) >>> 0;
    this.skip(bytes);
    return value;
  }

  push(bytes: number, value: bigint): void {
    const at = ((this.pointer - bytes) & this.#mask) >>> 0;
    this.#check(at, bytes);
    this.#cpu.memory.write(this.#linear(at), bytes, BigInt.asUintN(bytes * 8, value), this.#supervisor);
    this.pointer = at;
  }

  pop(bytes: number): bigint {
    this.#check(this.pointer, bytes);
    const value = this.#cpu.memory.read(this.#linear(this.pointer), bytes, this.#supervisor);
    this.skip(bytes);
    return value;
  }

  skip(bytes: number): void {
    this.pointer = ((this.pointer + bytes) & this.#mask) >>> 0;
  }

  commit(): void {
    const { registers } = this.#cpu;
    if (this.#mask === 0xffff) registers.setGpr(RSP, (registers.gpr(RSP) & ~0xffffn) | BigInt(this.pointer));
    else registers.setGpr32(RSP, this.pointer);
  }
}

/** The stack of 64-bit mode. */
export class FlatStack implements Stack {
  readonly #cpu: SystemContext;
  readonly #supervisor: boolean;
  readonly #errorCode: number;
  pointer: bigint;

  constructor(cpu: SystemContext, pointer: bigint, supervisor: boolean, errorCode: number) {
    this.#cpu = cpu;
    this.#supervisor = supervisor;
    this.#errorCode = errorCode;
    this.pointer = pointer;
  }

  #check(at: bigint): bigint {
    if (!isCanonical(at)) throw new GuestFault(VECTOR.SS, this.#errorCode);
    return at;
  }

  push(bytes: number, value: bigint): void {
    const at = this.#check(BigInt.asUintN(64, this.pointer - BigInt(bytes)));
    this.#cpu.memory.write(at, bytes, BigInt.asUintN(bytes * 8, value), this.#supervisor);
    this.pointer = at;
  }

  pop(bytes: number): bigint {
    const value = this.#cpu.memory.read(this.#check(this.pointer), bytes, this.#supervisor);
    this.skip(bytes);
    return value;
  }

  skip(bytes: number): void {
    this.pointer = BigInt.asUintN(64, this.pointer + BigInt(bytes));
  }

  commit(): void {
    this.#cpu.registers.setGpr(RSP, this.pointer);
  }
}

/** The stack that SS:RSP points to, outside of 64-bit mode. */
export function currentSegmentStack(cpu: SystemContext, errorCode = 0): SegmentStack {
  const { registers } = cpu;
  const segment = {
    base: Number(BigInt.asUintN(32, registers.segmentBase(SS))),
    limit: registers.limit(SS),
    attributes: registers.attributes(SS),
  };
  return new SegmentStack(cpu, segment, registers.gpr32(RSP), false, errorCode);
}

/** The stack that SS:RSP points to. */
export function currentStack(cpu: SystemContext, errorCode = 0): Stack {
  const { registers } = cpu;
  if (is64Bit(registers)) return new FlatStack(cpu, registers.gpr(RSP), false, errorCode);
  return currentSegmentStack(cpu, errorCode);
}

/** A stack in a segment that is not loaded yet, of a privilege level that the processor is about to have. */
export function newSegmentStack(
  cpu: SystemContext,
  descriptor: Descriptor,
  pointer: number,
  errorCode: number,
): SegmentStack {
  const segment = {
    base: baseOf(descriptor),
    limit: limitOf(descriptor),
    attributes: attributesOf(descriptor),
  };
  return new SegmentStack(cpu, segment, pointer, true, errorCode);
}
