/**
 * What the functions of the floating-point unit are written with: a function under construction, the unit's
 * state, and numbers in the double extended-precision format. @spec SDM 1, chapter 8
 *
 * Every function takes the address of the registers first. An operation leaves its results in three places: the
 * significand is the function's result; sign and exponent are at WAITING.exponent; and the exceptions it found, with
 * C1, are at WAITING.raised in the places of the status word. No architectural state changes until `fpuFinish` and
 * its like (stack.ts) look at the exceptions and their masks.
 *
 * `fpuTag` has bit i set where physical register i is empty; only the low 8 bits count. `fpuStatus` holds the
 * status word without TOP, which is `fpuTop`.
 */
import type { Callee, FunctionBuilder, Variable } from "../../wasm/function.ts";
import type { Operand, Value } from "../../wasm/value.ts";
import { FPU, fieldAddress, RESULT } from "../state.ts";

const field = (name: string): number => fieldAddress(0, name);
const STATE = {
  control: field("fpuControl"),
  status: field("fpuStatus"),
  tag: field("fpuTag"),
  top: field("fpuTop"),
} as const;
/** Words that make instructions look for a reason not to execute; PENDING is ours. */
const TRAPS = [field("x87Trap"), field("waitTrap")];
export const PENDING = 2;

/** Where results wait that do not fit a function's result. */
const WAITING = {
  raised: field("fpuRaised"),
  exponent: RESULT + 20,
  /** Low half of a 128-bit result. */
  low: RESULT + 24,
  /** A memory operand, or a number for memory, in the format of a register. */
  operand: RESULT + 32,
} as const;

/** Bits of the status word; the exceptions have the same places in the control word. @spec SDM 1, 8.1.3 */
export const IE = 0x01;
export const DE = 0x02;
export const ZE = 0x04;
export const OE = 0x08;
export const UE = 0x10;
export const PE = 0x20;
export const SF = 0x40;
export const ES = 0x80;
export const C0 = 0x100;
export const C1 = 0x200;
export const C2 = 0x400;
export const C3 = 0x4000;
export const BUSY = 0x8000;
export const EXCEPTIONS = 0x3f;

/** Control word: full precision, whatever the program set; rounding control. @spec SDM 1, 8.1.5 */
export const PRECISION_64 = 0x300;
export const ROUND_DOWN = 1;
export const ROUND_UP = 2;

export const INTEGER_BIT = 1n << 63n;
export const QUIET_BIT = 1n << 62n;
export const SIGN = 0x8000;
export const MAX_EXPONENT = 0x7fff;
export const BIAS = 0x3fff;
/** The QNaN floating-point indefinite. @spec SDM 1, 4.8.3.7 */
export const INDEFINITE = { significand: 3n << 62n, exponent: 0xffff } as const;

/** A number in double extended precision: significand (i64), sign and exponent (i32). */
export interface F80 {
  readonly m: Value;
  readonly se: Value;
}

/** Builds a function's body; its parameters come without the first, the address of the registers. */
export type FpuBody = (c: FpuCode, ...params: Value[]) => void;
export type FpuBodies = Record<string, FpuBody>;

export class FpuCode {
  readonly f: FunctionBuilder;
  readonly fpu: Value;
  readonly #vcpu: Value;
  readonly #callee: (name: string) => Callee;

  constructor(f: FunctionBuilder, callee: (name: string) => Callee) {
    this.f = f;
    this.fpu = f.param(0);
    this.#vcpu = this.fpu.sub(FPU);
    this.#callee = callee;
  }

  i32(value: number): Value {
    return this.f.i32(value);
  }
  i64(value: number | bigint): Value {
    return this.f.i64(value);
  }
  variable(type: "i32" | "i64", initial?: Operand): Variable {
    return this.f.variable(type, initial);
  }
  if(condition: Value, then: () => void, otherwise?: () => void): void {
    this.f.if(condition, then, otherwise);
  }
  call(name: string, ...args: Operand[]): Value {
    return this.f.call(this.#callee(name), this.fpu, ...args);
  }
  /** Calls and returns what the function returns. */
  returnCall(name: string, ...args: Operand[]): void {
    this.f.returnCall(this.#callee(name), this.fpu, ...args);
  }

  control(): Value {
    return this.f.load("i32", this.#vcpu, STATE.control);
  }
  /** Rounding control, 0–3. */
  rounding(control = this.control()): Value {
    return control.shrU(10).and(3);
  }
  status(): Value {
    return this.f.load("i32", this.#vcpu, STATE.status);
  }
  setStatus(value: Value): void {
    this.f.store("i32", this.#vcpu, value, STATE.status);
  }
  setControl(value: Value): void {
    this.f.store("i32", this.#vcpu, value, STATE.control);
  }
  /** Makes instructions look for pending exceptions, or no longer. */
  setPending(pending: boolean): void {
    for (const word of TRAPS) {
      const old = this.f.load("i32", this.#vcpu, word);
      this.f.store("i32", this.#vcpu, pending ? old.or(PENDING) : old.and(~PENDING), word);
    }
  }
  tag(): Value {
    return this.f.load("i32", this.#vcpu, STATE.tag);
  }
  setTag(value: Value): void {
    this.f.store("i32", this.#vcpu, value, STATE.tag);
  }
  top(): Value {
    return this.f.load("i32", this.#vcpu, STATE.top);
  }
  setTop(value: Value): void {
    this.f.store("i32", this.#vcpu, value.and(7), STATE.top);
  }

  /** Address of ST(index). */
  st(index: number | Value, top = this.top()): Value {
    return this.fpu.add(top.add(index).and(7).shl(4));
  }
  /** Number of the physical register at `pointer`. */
  physical(pointer: Value): Value {
    return pointer.sub(this.fpu).shrU(4);
  }
  /** i32, 0 or 1: whether the register at `pointer` is empty. */
  isEmpty(pointer: Value): Value {
    return this.tag().shrU(this.physical(pointer)).and(1);
  }
  read(pointer: Value): F80 {
    return { m: this.f.load("i64", pointer), se: this.f.load("i32.16u", pointer, 8) };
  }
  /** Writes a register and marks it as used. */
  write(pointer: Value, value: F80): void {
    this.f.store("i64", pointer, value.m);
    this.f.store("i32.16", pointer, value.se, 8);
    this.setTag(this.tag().and(this.i32(1).shl(this.physical(pointer)).not()));
  }
  /** Empties ST(0) and makes ST(1) the top. */
  pop(): void {
    const top = this.top();
    this.setTag(this.tag().or(this.i32(1).shl(top)));
    this.setTop(top.add(1));
  }

  /** Address of the memory operand's image. */
  operand(): Value {
    return this.#vcpu.add(WAITING.operand);
  }
  setOperand(value: F80): void {
    this.f.store("i64", this.#vcpu, value.m, WAITING.operand);
    this.f.store("i32.16", this.#vcpu, value.se, WAITING.operand + 8);
  }

  raised(): Value {
    return this.f.load("i32", this.#vcpu, WAITING.raised);
  }
  setRaised(value: Operand): void {
    this.f.store("i32", this.#vcpu, value, WAITING.raised);
  }
  raise(bits: Operand): void {
    this.setRaised(this.raised().or(bits));
  }
  resultExponent(): Value {
    return this.f.load("i32", this.#vcpu, WAITING.exponent);
  }
  setResultExponent(value: Operand): void {
    this.f.store("i32", this.#vcpu, value, WAITING.exponent);
  }
  low(): Value {
    return this.f.load("i64", this.#vcpu, WAITING.low);
  }
  setLow(value: Operand): void {
    this.f.store("i64", this.#vcpu, value, WAITING.low);
  }

  /** Returns a number: its significand as the function's result. */
  return(significand: Value, exponent: Operand): void {
    this.setResultExponent(exponent);
    this.f.return(significand);
  }
  /** Returns the indefinite with exactly these exceptions. */
  returnInvalid(raised: number = IE): void {
    this.setRaised(raised);
    this.return(this.i64(INDEFINITE.significand), INDEFINITE.exponent);
  }

  /** `bits` where `condition` (i32, 0 or 1) holds, else 0. */
  bitsIf(condition: Value, bits: number): Value {
    return this.i32(bits).when(condition, 0);
  }
}

export const exponentOf = (x: F80): Value => x.se.and(MAX_EXPONENT);
export const signOf = (x: F80): Value => x.se.and(SIGN);
/** Exponent not 0 and integer bit 0: a format that the 80387 and later reject. @spec SDM 1, 8.2.2 */
export const isUnsupported = (x: F80): Value => exponentOf(x).ne(0).and(x.m.geS(0));
export const isNan = (x: F80): Value => exponentOf(x).eq(MAX_EXPONENT).and(x.m.shl(1).ne(0));
export const isNanOrUnsupported = (x: F80): Value => isNan(x).or(isUnsupported(x));
export const isInfinity = (x: F80): Value => exponentOf(x).eq(MAX_EXPONENT).and(x.m.eq(INTEGER_BIT));
/** Denormal or pseudo-denormal. */
export const isDenormal = (x: F80): Value => exponentOf(x).eqz().and(x.m.ne(0));
/** Normal: what needs no special treatment. */
export const isNormal = (x: F80): Value =>
  exponentOf(x)
    .sub(1)
    .ltU(MAX_EXPONENT - 1)
    .and(x.m.ltS(0));
/** Exponent of the integer bit, which for denormals is that of the smallest normal number. */
export const effectiveExponent = (x: F80): Value => {
  const exponent = exponentOf(x);
  return exponent.add(exponent.eqz());
};
