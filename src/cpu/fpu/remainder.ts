/** FPREM and FPREM1. @spec SDM 2, FPREM and FPREM1 */

import { declareFunction } from "../../isa/functions.ts";
import { FPU_REMAINDER } from "../../isa/x87-functions.ts";
import type { Value } from "../../wasm/value.ts";
import { normalise, PROPAGATE, raiseDenormal } from "./arithmetic.ts";
import {
  C0,
  C1,
  C2,
  C3,
  DE,
  exponentOf,
  type F80,
  type FpuBodies,
  type FpuCode,
  IE,
  isInfinity,
  isNan,
  isNanOrUnsupported,
  MAX_EXPONENT,
  SIGN,
  signOf,
} from "./code.ts";
import { roundFull } from "./round.ts";
import { finish, underflowIf } from "./stack.ts";
import { divideWide, shiftRightWide } from "./wide.ts";

/** (fpu, nearest) → significand of the remainder; `nearest` is 1 for FPREM1. C0–C3 are among what it raises. */
const REMAINDER = declareFunction("fpuRemainderOf", { in: "wasm", params: ["i32", "i32"], result: "i64" });

/** Longest distance of exponents that one execution bridges. */
const COMPLETE = 64;

function remainderOf(c: FpuCode, nearest: Value): void {
  const a: F80 = c.read(c.st(0));
  const b: F80 = c.read(c.st(1));
  c.setRaised(0);
  c.if(isNanOrUnsupported(a).or(isNanOrUnsupported(b)), () => {
    c.returnCall(PROPAGATE, a.m, a.se, b.m, b.se);
  });
  c.if(exponentOf(a).eq(MAX_EXPONENT).or(b.m.eqz()), () => c.returnInvalid());
  raiseDenormal(c, a, b);
  c.if(a.m.eqz(), () => c.return(a.m, a.se));

  const dividend = normalise(a);
  c.if(isInfinity(b), () => c.f.return(roundFull(c, signOf(a), dividend.exponent, { hi: dividend.m, lo: c.i64(0) })));
  const divisor = normalise(b);
  const distance = dividend.exponent.sub(divisor.exponent);
  // A dividend below half the divisor is the remainder; FPREM has none between a half and one either.
  c.if(distance.ltS(nearest.neg()), () => {
    c.f.return(roundFull(c, signOf(a), dividend.exponent, { hi: dividend.m, lo: c.i64(0) }));
  });
  const partial = distance.geS(COMPLETE);
  const bits = distance.and(31).or(32).when(partial, distance);

  const m = divisor.m;
  const rest = c.variable("i64", dividend.m);
  const quotient = c.variable("i64", 0);
  const exponent = c.variable("i32", divisor.exponent);
  const sign = c.variable("i32", signOf(a));
  c.if(
    distance.ltS(0),
    () => {
      // From a half to one divisor: the nearest multiple is 1 above a half.
      exponent.set(dividend.exponent);
      c.if(dividend.m.gtU(m), () => {
        rest.set(m.shl(1).sub(dividend.m));
        quotient.set(1);
        sign.set(sign.get().xor(SIGN));
      });
    },
    () => {
      const above = dividend.m.geU(m);
      const below = dividend.m.sub(m.when(above, 0));
      const scaled = shiftRightWide({ hi: below, lo: c.i64(0) }, c.i32(64).sub(bits).and(63).extendU());
      // A distance of 0 needs no division, and 64 bits of shift would be none.
      c.if(
        bits,
        () => {
          const divided = divideWide(c, scaled, m);
          quotient.set(divided.quotient.or(above.extendU().shl(bits.extendU())));
          rest.set(divided.remainder);
        },
        () => {
          quotient.set(above.extendU());
          rest.set(below);
        },
      );
      c.if(nearest.and(partial.eqz()), () => {
        const [q, r] = [quotient.get(), rest.get()];
        const other = m.sub(r);
        c.if(r.gtU(other).or(r.eq(other).and(q.wrap().and(1))), () => {
          rest.set(other);
          quotient.set(q.add(1));
          sign.set(sign.get().xor(SIGN));
        });
      });
      exponent.set(divisor.exponent.add(distance.sub(bits)));
    },
  );
  const low = quotient.get().wrap();
  const codes = c
    .bitsIf(low.and(4), C0)
    .or(c.bitsIf(low.and(2), C3))
    .or(c.bitsIf(low.and(1), C1));
  c.raise(c.i32(C2).when(partial, codes));
  c.if(rest.get().eqz(), () => c.return(c.i64(0), signOf(a)));
  const shift = rest.get().clz();
  const significand = { hi: rest.get().shl(shift), lo: c.i64(0) as Value };
  c.f.return(roundFull(c, sign.get(), exponent.get().sub(shift.wrap()), significand));
}

export const REMAINDERS: FpuBodies = {
  [REMAINDER]: remainderOf,

  [FPU_REMAINDER](c, nearest: Value) {
    const target = c.st(0);
    c.setStatus(c.status().and(~C2));
    underflowIf(c, c.isEmpty(target).or(c.isEmpty(c.st(1))), target);
    const result = c.call(REMAINDER, nearest);
    // What was raised includes the quotient's bits; an exception before there is a quotient leaves the old ones.
    const raised = c.raised();
    const none = raised
      .and(IE)
      .or(raised.and(c.control().not()).and(DE))
      .or(isNan({ m: result, se: c.resultExponent() }));
    c.setStatus(c.status().and(c.i32(-1).when(none, ~(C0 | C3))));
    finish(c, target, result);
  },
};
