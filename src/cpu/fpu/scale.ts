/** FSCALE and FXTRACT, and the end of instructions with two results. @spec SDM 2, FSCALE and FXTRACT */

import { declareFunction } from "../../isa/functions.ts";
import { FPU_EXTRACT, FPU_SCALE } from "../../isa/x87-functions.ts";
import type { Value } from "../../wasm/value.ts";
import { normalise, PROPAGATE, raiseDenormal } from "./arithmetic.ts";
import {
  BIAS,
  C1,
  DE,
  EXCEPTIONS,
  exponentOf,
  type F80,
  type FpuBodies,
  type FpuCode,
  IE,
  INDEFINITE,
  INTEGER_BIT,
  isInfinity,
  isNanOrUnsupported,
  MAX_EXPONENT,
  SF,
  SIGN,
  signOf,
  ZE,
} from "./code.ts";
import { fromInteger } from "./integers.ts";
import { roundFull } from "./round.ts";
import { finish, report, underflowIf } from "./stack.ts";

/** (fpu, significand): ends an instruction that replaces ST(0) by the operand's image and pushes the significand. */
const FINISH_PAIR = declareFunction("fpuFinishPair", { in: "wasm", params: ["i32", "i64"] });
/** (fpu) → significand of ST(0) · 2^trunc(ST(1)). */
const SCALED = declareFunction("fpuScaled", { in: "wasm", params: ["i32"], result: "i64" });

/** Ends the function at hand with two results: the one set as operand, and the given one on top of it. */
export function finishPair(c: FpuCode, significand: Value): void {
  c.returnCall(FINISH_PAIR, significand);
}

/** Ends the function at hand with the response to an empty ST(0), or to no room for a second result. */
export function pairFaultIf(c: FpuCode): void {
  const empty = c.isEmpty(c.st(0));
  const full = c.isEmpty(c.st(-1)).eqz();
  c.if(empty.or(full), () => {
    c.setRaised(c.i32(IE | SF).when(empty, IE | SF | C1));
    pairOf(c, c.i64(INDEFINITE.significand), c.i32(INDEFINITE.exponent));
  });
}

/** Ends the function at hand with the same number twice. */
export function pairOf(c: FpuCode, m: Value, se: Value): void {
  c.setOperand({ m, se });
  c.setResultExponent(se);
  finishPair(c, m);
}

/** Distance that no exponent and no combination of bias adjustments spans. */
const FAR = 0x1_0000;

function scaled(c: FpuCode): void {
  const a: F80 = c.read(c.st(0));
  const b: F80 = c.read(c.st(1));
  const sign = signOf(a);
  const down = signOf(b);
  c.setRaised(0);
  c.if(isNanOrUnsupported(a).or(isNanOrUnsupported(b)), () => {
    c.returnCall(PROPAGATE, a.m, a.se, b.m, b.se);
  });
  c.if(isInfinity(b), () => {
    c.if(isInfinity(a).when(down, a.m.eqz()), () => c.returnInvalid());
    raiseDenormal(c, a);
    c.return(c.i64(0).when(down, INTEGER_BIT), sign.or(c.i32(0).when(down, MAX_EXPONENT)));
  });
  raiseDenormal(c, a, b);
  c.if(isInfinity(a).or(a.m.eqz()), () => c.return(a.m, a.se));
  const exponent = exponentOf(b);
  const magnitude = b.m
    .shrU(
      c
        .i32(BIAS + 63)
        .sub(exponent)
        .extendU(),
    )
    .wrap();
  const bounded = c.i32(0).when(exponent.ltU(BIAS), c.i32(FAR).when(exponent.gtU(BIAS + 15), magnitude));
  const { m, exponent: from } = normalise(a);
  c.f.return(roundFull(c, sign, from.add(bounded.neg().when(down, bounded)), { hi: m, lo: c.i64(0) }));
}

export const SCALING: FpuBodies = {
  [SCALED]: scaled,

  [FPU_SCALE](c) {
    const target = c.st(0);
    underflowIf(c, c.isEmpty(target).or(c.isEmpty(c.st(1))), target);
    finish(c, target, c.call(SCALED));
  },

  [FINISH_PAIR](c, significand: Value) {
    const raised = c.raised();
    const faults = raised.and(c.control().not()).and(EXCEPTIONS);
    const before = faults.and(IE | DE | ZE);
    report(c, raised.when(before.eqz(), raised.and(IE | DE | ZE | SF | C1)), faults);
    c.if(before.eqz(), () => {
      const first = c.read(c.operand());
      c.write(c.st(0), first);
      c.write(c.st(-1), { m: significand, se: c.resultExponent() });
      c.setTop(c.top().sub(1));
    });
  },

  [FPU_EXTRACT](c) {
    pairFaultIf(c);
    const x = c.read(c.st(0));
    c.setRaised(0);
    c.if(isNanOrUnsupported(x), () => {
      const m = c.call(PROPAGATE, x.m, x.se, x.m, x.se);
      pairOf(c, m, c.resultExponent());
    });
    c.setResultExponent(x.se);
    c.if(x.m.eqz(), () => {
      c.setRaised(ZE);
      c.setOperand({ m: c.i64(INTEGER_BIT), se: c.i32(SIGN | MAX_EXPONENT) });
      finishPair(c, x.m);
    });
    c.if(isInfinity(x), () => {
      c.setOperand({ m: x.m, se: c.i32(MAX_EXPONENT) });
      finishPair(c, x.m);
    });
    raiseDenormal(c, x);
    const { m, exponent } = normalise(x);
    c.setOperand(fromInteger(c, exponent.sub(BIAS).extendS()));
    c.setResultExponent(signOf(x).or(BIAS));
    finishPair(c, m);
  },
};
