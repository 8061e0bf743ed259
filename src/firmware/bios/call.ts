/**
 * One call of a BIOS service: the caller's registers by their names, the FLAGS that IRET gives back, and memory by
 * segment and offset.
 */
import type { Completion } from "../../machine/device.ts";
import { type BiosProcessor, GPR, SEG } from "./processor.ts";

const CARRY = 0x01;
const ZERO = 0x40;
const INTERRUPT = 0x200;
/** Where an interrupt's frame has FLAGS: after IP and CS. */
const FLAGS_AT = 4;

export class BiosCall {
  readonly processor: BiosProcessor;
  /** What the stub calls: an interrupt's number, or one of `Internal`. */
  readonly number: number;

  /** A call by a stub, whose number is taken off the stack unless it is given. */
  constructor(processor: BiosProcessor, number?: number) {
    this.processor = processor;
    this.number = number ?? this.pop() & 0xff;
  }

  #low(register: number): number {
    return this.processor.get(register) & 0xff;
  }
  #setLow(register: number, value: number): void {
    this.processor.set(register, ((this.processor.get(register) & ~0xff) | (value & 0xff)) >>> 0);
  }
  #high(register: number): number {
    return (this.processor.get(register) >>> 8) & 0xff;
  }
  #setHigh(register: number, value: number): void {
    this.processor.set(register, ((this.processor.get(register) & ~0xff00) | ((value & 0xff) << 8)) >>> 0);
  }
  #word(register: number): number {
    return this.processor.get(register) & 0xffff;
  }
  #setWord(register: number, value: number): void {
    this.processor.set(register, ((this.processor.get(register) & ~0xffff) | (value & 0xffff)) >>> 0);
  }

  get al(): number {
    return this.#low(GPR.eax);
  }
  set al(value: number) {
    this.#setLow(GPR.eax, value);
  }
  get ah(): number {
    return this.#high(GPR.eax);
  }
  set ah(value: number) {
    this.#setHigh(GPR.eax, value);
  }
  get ax(): number {
    return this.#word(GPR.eax);
  }
  set ax(value: number) {
    this.#setWord(GPR.eax, value);
  }
  get eax(): number {
    return this.processor.get(GPR.eax);
  }
  set eax(value: number) {
    this.processor.set(GPR.eax, value >>> 0);
  }
  get bl(): number {
    return this.#low(GPR.ebx);
  }
  set bl(value: number) {
    this.#setLow(GPR.ebx, value);
  }
  get bh(): number {
    return this.#high(GPR.ebx);
  }
  set bh(value: number) {
    this.#setHigh(GPR.ebx, value);
  }
  get bx(): number {
    return this.#word(GPR.ebx);
  }
  set bx(value: number) {
    this.#setWord(GPR.ebx, value);
  }
  get ebx(): number {
    return this.processor.get(GPR.ebx);
  }
  set ebx(value: number) {
    this.processor.set(GPR.ebx, value >>> 0);
  }
  get cl(): number {
    return this.#low(GPR.ecx);
  }
  set cl(value: number) {
    this.#setLow(GPR.ecx, value);
  }
  get ch(): number {
    return this.#high(GPR.ecx);
  }
  set ch(value: number) {
    this.#setHigh(GPR.ecx, value);
  }
  get cx(): number {
    return this.#word(GPR.ecx);
  }
  set cx(value: number) {
    this.#setWord(GPR.ecx, value);
  }
  get ecx(): number {
    return this.processor.get(GPR.ecx);
  }
  set ecx(value: number) {
    this.processor.set(GPR.ecx, value >>> 0);
  }
  get dl(): number {
    return this.#low(GPR.edx);
  }
  set dl(value: number) {
    this.#setLow(GPR.edx, value);
  }
  get dh(): number {
    return this.#high(GPR.edx);
  }
  set dh(value: number) {
    this.#setHigh(GPR.edx, value);
  }
  get dx(): number {
    return this.#word(GPR.edx);
  }
  set dx(value: number) {
    this.#setWord(GPR.edx, value);
  }
  get edx(): number {
    return this.processor.get(GPR.edx);
  }
  set edx(value: number) {
    this.processor.set(GPR.edx, value >>> 0);
  }
  get si(): number {
    return this.#word(GPR.esi);
  }
  set si(value: number) {
    this.#setWord(GPR.esi, value);
  }
  get di(): number {
    return this.#word(GPR.edi);
  }
  set di(value: number) {
    this.#setWord(GPR.edi, value);
  }
  get bp(): number {
    return this.#word(GPR.ebp);
  }
  set bp(value: number) {
    this.#setWord(GPR.ebp, value);
  }
  get edi(): number {
    return this.processor.get(GPR.edi);
  }
  set edi(value: number) {
    this.processor.set(GPR.edi, value >>> 0);
  }
  get es(): number {
    return this.processor.selector(SEG.es);
  }
  set es(value: number) {
    this.processor.load(SEG.es, value);
  }
  get ds(): number {
    return this.processor.selector(SEG.ds);
  }

  /** Linear address of an offset in ES or DS. */
  inEs(offset: number): number {
    return (this.processor.base(SEG.es) + offset) >>> 0;
  }
  inDs(offset: number): number {
    return (this.processor.base(SEG.ds) + offset) >>> 0;
  }

  get sp(): number {
    const esp = this.processor.get(GPR.esp);
    return this.processor.stack32 ? esp : esp & 0xffff;
  }
  set sp(value: number) {
    if (this.processor.stack32) this.processor.set(GPR.esp, value >>> 0);
    else this.#setWord(GPR.esp, value);
  }
  /** Linear address of the stack's byte `offset` above its top. */
  onStack(offset: number): number {
    const at = this.sp + offset;
    return (this.processor.base(SEG.ss) + (this.processor.stack32 ? at >>> 0 : at & 0xffff)) >>> 0;
  }
  /** Takes a word off the stack. */
  pop(): number {
    const value = this.processor.readWord(this.onStack(0), 2);
    this.sp += 2;
    return value;
  }
  push(value: number): void {
    this.sp -= 2;
    this.processor.writeWord(this.onStack(0), 2, value);
  }

  /** The caller's flags. */
  get flags(): number {
    return this.processor.readWord(this.onStack(FLAGS_AT), 2);
  }
  set flags(value: number) {
    this.processor.writeWord(this.onStack(FLAGS_AT), 2, value);
  }
  #setFlag(flag: number, on: boolean): void {
    const { flags } = this;
    const wanted = on ? flags | flag : flags & ~flag;
    if (wanted !== flags) this.flags = wanted;
  }
  set carry(on: boolean) {
    this.#setFlag(CARRY, on);
  }
  set zero(on: boolean) {
    this.#setFlag(ZERO, on);
  }
  /** Has the caller go on with interrupts enabled. */
  enableInterrupts(): void {
    this.#setFlag(INTERRUPT, true);
  }

  u8(linear: number): number {
    return this.processor.readWord(linear, 1);
  }
  u16(linear: number): number {
    return this.processor.readWord(linear, 2);
  }
  u32(linear: number): number {
    return this.processor.readWord(linear, 4);
  }
  setU8(linear: number, value: number): void {
    this.processor.writeWord(linear, 1, value & 0xff);
  }
  setU16(linear: number, value: number): void {
    this.processor.writeWord(linear, 2, value & 0xffff);
  }
  setU32(linear: number, value: number): void {
    this.processor.writeWord(linear, 4, value >>> 0);
  }
  bytes(linear: number, length: number): Uint8Array {
    const target = new Uint8Array(length);
    this.processor.read(linear, target);
    return target;
  }
  setBytes(linear: number, source: Uint8Array): void {
    this.processor.write(linear, source);
  }

  /** See `BiosProcessor.hold`; the service ends with what `complete` returns. */
  hold<T>(operation: Promise<T>, complete: (...result: Parameters<Completion<T>>) => Outcome): void {
    this.processor.hold(operation, (result) => this.finish(complete(result)));
  }

  /** See `BiosProcessor.holdInTime`; the service ends with what the returned function is told. */
  holdInTime(): (outcome: Outcome) => void {
    const release = this.processor.holdInTime();
    return (outcome) => {
      this.finish(outcome);
      release();
    };
  }

  /** Has the stub give back to the caller, or wait and make the call again. */
  finish(outcome: Outcome): void {
    if (outcome === "again") this.push(this.number);
    this.processor.setCarry(outcome === "again");
  }
}

/** "again": the processor halts until an interrupt, then the same call is made again. */
export type Outcome = "again" | undefined;
