/** Rounding of exact results to the format of a register. @spec SDM 1, 4.8.4, 4.9.1 and 8.5 */
import { declareFunction } from "../../isa/functions.ts";
import type { Value } from "../../wasm/value.ts";
import {
  C1,
  type FpuBodies,
  type FpuCode,
  INTEGER_BIT,
  MAX_EXPONENT,
  OE,
  PE,
  PRECISION_64,
  ROUND_DOWN,
  ROUND_UP,
  UE,
} from "./code.ts";
import { shiftRightSticky, type Wide } from "./wide.ts";

/**
 * (fpu, control, sign, exponent, hi, lo) → significand. Rounds the number with the sign 0 or 0x8000, the biased
 * exponent (any i32) and the significand hi:lo, whose top bit is set and whose lowest bit stands for all below.
 */
export const ROUND = declareFunction("fpuRound", {
  in: "wasm",
  params: ["i32", "i32", "i32", "i32", "i64", "i64"],
  result: "i64",
});
const ROUND_ANY = declareFunction("fpuRoundAny", {
  in: "wasm",
  params: ["i32", "i32", "i32", "i32", "i64", "i64"],
  result: "i64",
});

/** What overflow and underflow add to the exponent where they are not masked. @spec SDM 1, 8.5.4 and 8.5.5 */
const WRAP = 0x6000;

/** i32: whether a magnitude with these lowest bits kept (`odd`) and lost (`lost`, from the top down) grows. */
export function roundsUp(c: FpuCode, rounding: Value, sign: Value, odd: Value, lost: Value): Value {
  const nearest = lost.ltS(0).and(lost.shl(1).ne(0).or(odd));
  const away = c.i32(ROUND_UP).when(sign.eqz(), ROUND_DOWN);
  return nearest.when(rounding.eqz(), rounding.eq(away).and(lost.ne(0)));
}

/** Nearest, 64 bits, a normal result: what nearly all programs ask for. */
function round(c: FpuCode, control: Value, sign: Value, exponent: Value, hi: Value, lo: Value): void {
  const common = control
    .and(0xf00)
    .eq(PRECISION_64)
    .and(exponent.sub(1).ltU(MAX_EXPONENT - 2));
  c.if(common.eqz(), () => {
    c.returnCall(ROUND_ANY, control, sign, exponent, hi, lo);
  });
  const up = lo.ltS(0).and(lo.shl(1).ne(0).or(hi.wrap().and(1)));
  c.if(lo.ne(0), () => {
    c.raise(c.i32(PE | C1).when(up, PE));
  });
  const sum = hi.add(up.extendU());
  const carried = sum.eqz();
  c.return(sum.or(carried.extendU().shl(63)), sign.or(exponent.add(carried)));
}

function roundAny(c: FpuCode, control: Value, sign: Value, biased: Value, high: Value, low: Value): void {
  const rounding = c.rounding(control);
  const precision = control.shrU(8).and(3);
  // Bits of the upper half that a precision of 53 or 24 bits gives up.
  const dropped = c.i64(40).when(precision.eqz(), c.i64(11).when(precision.eq(2), 0));
  const unit = c.i64(1).shl(dropped);
  /** Kept and lost bits of a significand at the precision, and whether it rounds up. */
  const split = ({ hi, lo }: Wide) => {
    const kept = hi.and(unit.neg());
    const sticky = lo.ne(0).extendU();
    const lost = lo.when(dropped.eqz(), hi.shl(dropped.neg()).or(sticky));
    return { kept, lost, up: roundsUp(c, rounding, sign, kept.and(unit).ne(0), lost) };
  };

  const exponent = c.variable("i32", biased);
  const hi = c.variable("i64", high);
  const lo = c.variable("i64", low);
  const tiny = c.variable("i32", 0);
  c.if(biased.ltS(1), () => {
    // Tiny is what stays below the smallest normal number when rounded with an unlimited exponent.
    const asNormal = split({ hi: high, lo: low });
    const carries = asNormal.up.and(asNormal.kept.add(unit).eqz());
    const isTiny = biased.ltS(0).or(carries.eqz());
    const masked = control.and(UE).ne(0);
    c.if(
      masked.or(isTiny.eqz()),
      () => {
        const shifted = shiftRightSticky(c, { hi: high, lo: low }, c.i32(1).sub(biased));
        hi.set(shifted.hi);
        lo.set(shifted.lo);
        exponent.set(0);
        tiny.set(isTiny);
      },
      () => {
        c.raise(UE);
        exponent.set(biased.add(WRAP));
        // Only FSCALE comes out still smaller: as zero.
        c.if(exponent.get().ltS(1), () => {
          c.raise(PE);
          c.return(c.i64(0), sign);
        });
      },
    );
  });

  const { kept, lost, up } = split({ hi: hi.get(), lo: lo.get() });
  const inexact = lost.ne(0);
  c.raise(
    c
      .bitsIf(inexact, PE)
      .or(c.bitsIf(up, C1))
      .or(c.bitsIf(inexact.and(tiny.get()), UE)),
  );
  const sum = kept.add(unit.and(up.extendU().neg()));
  const carried = up.and(sum.eqz());
  const significand = sum.or(carried.extendU().shl(63));
  // A denormal that grew into the smallest normal number has exponent 1.
  const grown = exponent.get().eqz().and(significand.ltS(0));
  const rounded = exponent.get().add(carried.or(grown));
  c.if(rounded.ltS(MAX_EXPONENT), () => {
    c.return(significand, sign.or(rounded));
  });
  c.raise(OE);
  c.if(control.and(OE).eqz(), () => {
    const wrapped = rounded.sub(WRAP);
    c.if(wrapped.ltS(MAX_EXPONENT), () => c.return(significand, sign.or(wrapped)));
    // Only FSCALE comes out still larger: as infinity.
    c.raise(PE | C1);
    c.return(c.i64(INTEGER_BIT), sign.or(MAX_EXPONENT));
  });
  const away = c.i32(ROUND_UP).when(sign.eqz(), ROUND_DOWN);
  const toInfinity = rounding.eqz().or(rounding.eq(away));
  c.setRaised(
    c
      .raised()
      .and(~C1)
      .or(c.i32(PE | C1).when(toInfinity, PE)),
  );
  const largest = unit.neg();
  c.return(
    c.i64(INTEGER_BIT).when(toInfinity, largest),
    sign.or(c.i32(MAX_EXPONENT).when(toInfinity, MAX_EXPONENT - 1)),
  );
}

/** Rounds hi:lo (not zero, top bit anywhere) with `exponent` for its top bit to 64 bits by the rounding control. */
export function roundFull(c: FpuCode, sign: Value, exponent: Value, { hi, lo }: Wide): Value {
  return c.call(ROUND, c.control().or(PRECISION_64), sign, exponent, hi, lo);
}

export const ROUNDING: FpuBodies = { [ROUND]: round, [ROUND_ANY]: roundAny };
