/**
 * The register stack, and how an operation ends: what it raised meets the masks, and results are written or
 * not. @spec SDM 1, 8.1.2, 8.5 and 8.6
 */
import { declareFunction } from "../../isa/functions.ts";
import {
  FPU_CHANGE_SIGN,
  FPU_EXCHANGE,
  FPU_FREE,
  FPU_LOAD,
  FPU_MOVE_IF,
  FPU_PUSH,
  FPU_REGISTER,
  FPU_ROTATE,
  FPU_STORE,
  FPU_STORE_IF_FILLED,
  FPU_STORED,
  FPU_TAKE_80,
  OPTIONS,
} from "../../isa/x87-functions.ts";
import type { Operand, Value } from "../../wasm/value.ts";
import {
  BUSY,
  C1,
  DE,
  ES,
  EXCEPTIONS,
  type F80,
  type FpuBodies,
  type FpuCode,
  IE,
  INDEFINITE,
  OE,
  SF,
  UE,
  ZE,
} from "./code.ts";

/** (fpu, target, significand, options): ends an operation with a result for the register at `target`. */
const FINISH = declareFunction("fpuFinish", { in: "wasm", params: ["i32", "i32", "i64", "i32"] });
/** (fpu, target, options): ends an operation on an empty register with the masked or unmasked response. */
const UNDERFLOW = declareFunction("fpuUnderflow", { in: "wasm", params: ["i32", "i32", "i32"] });
/** (fpu, significand): ends an operation that pushes its result. */
const FINISH_PUSH = declareFunction("fpuFinishPush", { in: "wasm", params: ["i32", "i64"] });

/** Ends the function at hand with a result for the register at `target`; its exponent is at its place. */
export function finish(c: FpuCode, target: Value, significand: Value, options: Operand = 0): void {
  c.returnCall(FINISH, target, significand, options);
}
/** Ends the function at hand with the response to an invalid operation. */
export function finishInvalid(c: FpuCode, target: Value): void {
  c.setRaised(IE);
  c.setResultExponent(INDEFINITE.exponent);
  finish(c, target, c.i64(INDEFINITE.significand));
}
/** Ends the function at hand with the response to stack underflow where `empty` is not 0. */
export function underflowIf(c: FpuCode, empty: Value, target: Value, options: Operand = 0): void {
  c.if(empty, () => {
    c.returnCall(UNDERFLOW, target, options);
  });
}
export function finishPush(c: FpuCode, significand: Value): void {
  c.returnCall(FINISH_PUSH, significand);
}

/** Merges what was raised into the status word; `faults` are the unmasked exceptions among it. */
export function report(c: FpuCode, raised: Value, faults: Value): void {
  c.setStatus(c.status().and(~C1).or(raised));
  c.if(faults, () => {
    c.setStatus(c.status().or(ES | BUSY));
    c.setPending(true);
  });
}

/** Pushes a number that raises nothing on the register at `target`, which is empty. */
export function pushQuietly(c: FpuCode, target: Value, value: F80): void {
  c.setStatus(c.status().and(~C1));
  c.write(target, value);
  c.setTop(c.top().sub(1));
}

const indefinite = (c: FpuCode): F80 => ({ m: c.i64(INDEFINITE.significand), se: c.i32(INDEFINITE.exponent) });

/** Exceptions that are found before an operation computes: unmasked, they leave its operands as they were. */
const BEFORE = IE | DE | ZE;

export const STACK: FpuBodies = {
  [FINISH](c, target: Value, significand: Value, options: Value) {
    const raised = c.raised();
    const faults = raised.and(c.control().not()).and(EXCEPTIONS);
    c.if(faults.and(BEFORE), () => {
      report(c, raised.and(BEFORE | SF), faults);
      c.f.return();
    });
    report(c, raised, faults);
    c.write(target, { m: significand, se: c.resultExponent() });
    c.if(options.and(OPTIONS.pop), () => c.pop());
  },

  [UNDERFLOW](c, target: Value, options: Value) {
    c.setRaised(IE | SF);
    c.setResultExponent(INDEFINITE.exponent);
    c.returnCall(FINISH, target, c.i64(INDEFINITE.significand), options);
  },

  [FINISH_PUSH](c, significand: Value) {
    const result = c.variable("i64", significand);
    const target = c.st(-1);
    c.if(c.isEmpty(target).eqz(), () => {
      c.setRaised(c.i32(IE | SF).when(c.raised().and(SF), IE | SF | C1));
      c.setResultExponent(INDEFINITE.exponent);
      result.set(INDEFINITE.significand);
    });
    const raised = c.raised();
    const faults = raised.and(c.control().not()).and(EXCEPTIONS);
    report(c, raised, faults);
    // Loading a denormal ends with the number on the stack even where the exception is not masked.
    c.if(faults.and(IE).eqz(), () => {
      c.write(target, { m: result.get(), se: c.resultExponent() });
      c.setTop(c.top().sub(1));
    });
  },

  [FPU_REGISTER](c, index: Value) {
    c.f.return(c.st(index));
  },

  [FPU_PUSH](c, significand: Value, exponent: Value) {
    const target = c.st(-1);
    c.if(c.isEmpty(target), () => {
      pushQuietly(c, target, { m: significand, se: exponent });
      c.f.return();
    });
    c.setRaised(0);
    c.setResultExponent(exponent);
    c.returnCall(FINISH_PUSH, significand);
  },

  [FPU_LOAD](c, source: Value) {
    const value = c.read(source);
    const empty = c.isEmpty(source);
    const target = c.st(-1);
    c.if(c.isEmpty(target).and(empty.eqz()), () => {
      pushQuietly(c, target, value);
      c.f.return();
    });
    // An empty source goes before a full stack: then C1 is 0.
    c.setRaised(c.bitsIf(empty, IE | SF));
    c.setResultExponent(value.se.when(empty.eqz(), INDEFINITE.exponent));
    c.returnCall(FINISH_PUSH, value.m.when(empty.eqz(), INDEFINITE.significand));
  },

  [FPU_STORE](c, target: Value, options: Value) {
    const source = c.st(0);
    underflowIf(c, c.isEmpty(source), target, options);
    c.setStatus(c.status().and(~C1));
    c.write(target, c.read(source));
    c.if(options.and(OPTIONS.pop), () => c.pop());
  },

  [FPU_STORE_IF_FILLED](c, target: Value) {
    const source = c.st(0);
    c.setStatus(c.status().and(~C1));
    c.if(c.isEmpty(source).eqz(), () => c.write(target, c.read(source)));
    c.pop();
  },

  [FPU_TAKE_80](c) {
    const source = c.st(0);
    const value = c.read(source);
    const empty = c.isEmpty(source);
    c.setRaised(c.bitsIf(empty, IE | SF));
    c.setOperand({
      m: value.m.when(empty.eqz(), INDEFINITE.significand),
      se: value.se.when(empty.eqz(), INDEFINITE.exponent),
    });
    c.f.return(c.operand());
  },

  [FPU_STORED](c, pop: Value) {
    const raised = c.raised();
    const faults = raised.and(c.control().not()).and(EXCEPTIONS);
    const kept = faults.and(IE | OE | UE);
    // What prevents the store also prevents that it was inexact.
    report(c, raised.when(kept.eqz(), raised.and(IE | OE | UE | SF)), faults);
    c.if(kept.eqz().and(pop), () => c.pop());
  },

  [FPU_EXCHANGE](c, other: Value) {
    const top = c.st(0);
    const topEmpty = c.isEmpty(top);
    const otherEmpty = c.isEmpty(other);
    const a = c.read(top);
    const b = c.read(other);
    const either = topEmpty.or(otherEmpty);
    const raised = c.bitsIf(either, IE | SF);
    const faults = raised.and(c.control().not()).and(IE);
    report(c, raised, faults);
    c.if(faults.eqz(), () => {
      const nothing = indefinite(c);
      c.write(top, { m: nothing.m.when(otherEmpty, b.m), se: nothing.se.when(otherEmpty, b.se) });
      c.write(other, { m: nothing.m.when(topEmpty, a.m), se: nothing.se.when(topEmpty, a.se) });
    });
  },

  [FPU_MOVE_IF](c, source: Value, condition: Value) {
    const target = c.st(0);
    underflowIf(c, c.isEmpty(target).or(c.isEmpty(source)), target);
    c.if(condition, () => c.write(target, c.read(source)));
  },

  [FPU_CHANGE_SIGN](c, keep: Value, flip: Value) {
    const target = c.st(0);
    underflowIf(c, c.isEmpty(target), target);
    const value = c.read(target);
    c.setRaised(0);
    c.setResultExponent(value.se.and(keep).xor(flip));
    finish(c, target, value.m);
  },

  [FPU_FREE](c, register: Value, pop: Value) {
    c.setStatus(c.status().and(~C1));
    c.setTag(c.tag().or(c.i32(1).shl(c.physical(register))));
    c.if(pop, () => c.pop());
  },

  [FPU_ROTATE](c, distance: Value) {
    c.setStatus(c.status().and(~C1));
    c.setTop(c.top().add(distance));
  },
};
