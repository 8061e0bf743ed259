/** Comparisons, FTST and FXAM. @spec SDM 1, 8.1.3.1, 8.3.6 and table 8-7; SDM 2, FXAM */

import { declareFunction } from "../../isa/functions.ts";
import { FPU_COMPARE, FPU_COMPARE_FLAGS, FPU_EXAMINE, OPTIONS } from "../../isa/x87-functions.ts";
import type { Value } from "../../wasm/value.ts";
import {
  C0,
  C1,
  C2,
  C3,
  DE,
  EXCEPTIONS,
  effectiveExponent,
  exponentOf,
  type F80,
  type FpuBodies,
  type FpuCode,
  IE,
  isDenormal,
  isNan,
  isNanOrUnsupported,
  isUnsupported,
  MAX_EXPONENT,
  QUIET_BIT,
  SF,
  signOf,
} from "./code.ts";
import { report } from "./stack.ts";

/** (fpu, first, second, options) → C0, C2, C3 in their places. Does all that a comparison does except writing them. */
const RELATE = declareFunction("fpuRelate", { in: "wasm", params: ["i32", "i32", "i32", "i32"], result: "i32" });

const UNORDERED = C0 | C2 | C3;

/** a < b as C0, a = b as C3, of numbers. */
function relation(c: FpuCode, a: F80, b: F80): Value {
  const [aExponent, bExponent] = [effectiveExponent(a), effectiveExponent(b)];
  const smaller = aExponent.ltU(bExponent).or(aExponent.eq(bExponent).and(a.m.ltU(b.m)));
  const same = aExponent.eq(bExponent).and(a.m.eq(b.m));
  const [aMinus, bMinus] = [signOf(a).ne(0), signOf(b).ne(0)];
  const zeros = a.m.or(b.m).eqz();
  const equal = zeros.or(same.and(aMinus.eq(bMinus)));
  const sameSignLess = smaller.xor(aMinus);
  const less = sameSignLess.when(aMinus.eq(bMinus), aMinus);
  return c.i32(C3).when(equal, c.bitsIf(less, C0));
}

function relate(c: FpuCode, first: Value, second: Value, options: Value): void {
  const fromMemory = options.and(OPTIONS.memory);
  const raised = c.variable("i32", 0);
  c.if(fromMemory, () => raised.set(c.raised()));
  const codes = c.variable("i32", UNORDERED);
  const a = c.read(first);
  const b = c.read(second);
  const empty = c.isEmpty(first).or(c.isEmpty(second).and(fromMemory.eqz()));
  const unordered = isNanOrUnsupported(a).or(isNanOrUnsupported(b));
  c.if(
    empty.or(unordered),
    () => {
      const signals = (x: F80) => isNan(x).and(x.m.and(QUIET_BIT).eqz()).or(isUnsupported(x));
      const invalid = options.and(OPTIONS.quiet).eqz().or(signals(a)).or(signals(b));
      raised.set(c.i32(IE | SF).when(empty, c.bitsIf(invalid, IE)));
    },
    () => {
      raised.set(raised.get().or(c.bitsIf(isDenormal(a).or(isDenormal(b)), DE)));
      codes.set(relation(c, a, b));
    },
  );
  const faults = raised.get().and(c.control().not()).and(EXCEPTIONS);
  report(c, raised.get(), faults);
  c.if(faults, () => c.f.return(codes.get()));
  c.if(options.and(OPTIONS.pop | OPTIONS.popTwice), () => c.pop());
  c.if(options.and(OPTIONS.popTwice), () => c.pop());
  c.f.return(codes.get());
}

export const COMPARE: FpuBodies = {
  [RELATE]: relate,

  [FPU_COMPARE](c, ...params) {
    const codes = c.call(RELATE, ...params);
    c.setStatus(c.status().and(~UNORDERED).or(codes));
  },

  // C0, C2 and C3 are CF, PF and ZF, in the places that SAHF gives them.
  [FPU_COMPARE_FLAGS](c, ...params) {
    const codes = c.call(RELATE, ...params);
    c.f.return(codes.shrS(8));
  },

  [FPU_EXAMINE](c) {
    const pointer = c.st(0);
    const x = c.read(pointer);
    const finite = c.i32(C3).when(x.m.eqz(), c.i32(C2 | C3).when(exponentOf(x).eqz(), C2));
    const special = c.i32(C0).when(x.m.shl(1).ne(0), C0 | C2);
    const number = special.when(exponentOf(x).eq(MAX_EXPONENT), finite);
    const filled = c.i32(0).when(isUnsupported(x), number);
    const kind = c.i32(C0 | C3).when(c.isEmpty(pointer), filled);
    const sign = c.bitsIf(signOf(x), C1);
    c.setStatus(
      c
        .status()
        .and(~(UNORDERED | C1))
        .or(kind)
        .or(sign),
    );
  },
};
