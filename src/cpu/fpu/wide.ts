/** 128-bit integer arithmetic on pairs of i64, written out in place. */
import type { Value } from "../../wasm/value.ts";
import type { FpuCode } from "./code.ts";

export interface Wide {
  readonly hi: Value;
  readonly lo: Value;
}

const LOW_32 = 0xffff_ffffn;

/** The full product of two unsigned i64. */
export function multiplyWide(a: Value, b: Value): Wide {
  return { hi: multiplyHigh(a, b), lo: a.mul(b) };
}

/** The upper half of the product of two unsigned i64, from products of 32-bit parts. */
export function multiplyHigh(a: Value, b: Value): Value {
  const [a0, a1, b0, b1] = [a.and(LOW_32), a.shrU(32), b.and(LOW_32), b.shrU(32)];
  const cross = a0.mul(b1);
  // At most (2^32 - 1)^2 + 2 (2^32 - 1), which is 2^64 - 1.
  const middle = a1.mul(b0).add(a0.mul(b0).shrU(32)).add(cross.and(LOW_32));
  return a1.mul(b1).add(cross.shrU(32)).add(middle.shrU(32));
}

export function addWide(a: Wide, b: Wide): Wide {
  const lo = a.lo.add(b.lo);
  return { lo, hi: a.hi.add(b.hi).add(lo.ltU(b.lo).extendU()) };
}

export function subtractWide(a: Wide, b: Wide): Wide {
  return { lo: a.lo.sub(b.lo), hi: a.hi.sub(b.hi).sub(a.lo.ltU(b.lo).extendU()) };
}

/** i32: a < b, unsigned. */
export function lessWide(a: Wide, b: Wide): Value {
  return a.hi.ltU(b.hi).or(a.hi.eq(b.hi).and(a.lo.ltU(b.lo)));
}

/** Shifted left by `count` (i64, 0–63). */
export function shiftLeftWide({ hi, lo }: Wide, count: Value): Wide {
  // Shifted by 1 and by 63 - count, so that a count of 0 needs no case of its own.
  const carried = lo.shrU(1).shrU(count.xor(63));
  return { hi: hi.shl(count).or(carried), lo: lo.shl(count) };
}

/** Shifted right by `count` (i64, 0–63). */
export function shiftRightWide({ hi, lo }: Wide, count: Value): Wide {
  const carried = hi.shl(1).shl(count.xor(63));
  return { hi: hi.shrU(count), lo: lo.shrU(count).or(carried) };
}

/**
 * Shifted right by `count` (i32, any number from 0 up); the lowest bit of the result is set if any bit is lost, so that
 * rounding and comparisons come out as with all bits.
 */
export function shiftRightSticky(c: FpuCode, value: Wide, count: Value): Wide {
  const hi = c.variable("i64", value.hi);
  const lo = c.variable("i64", value.lo);
  c.if(
    count.geU(64),
    () => {
      c.if(
        count.geU(128),
        () => {
          lo.set(value.hi.or(value.lo).ne(0).extendU());
        },
        () => {
          const rest = shiftRightWide({ hi: value.hi, lo: c.i64(0) }, count.and(63).extendU());
          lo.set(rest.hi.or(rest.lo.or(value.lo).ne(0).extendU()));
        },
      );
      hi.set(0);
    },
    () => {
      const rest = shiftRightWide({ hi: value.lo, lo: c.i64(0) }, count.extendU());
      const shifted = shiftRightWide(value, count.extendU());
      hi.set(shifted.hi);
      lo.set(shifted.lo.or(rest.lo.ne(0).extendU()));
    },
  );
  return { hi: hi.get(), lo: lo.get() };
}

/**
 * Quotient and remainder of hi:lo by `divisor`, whose top bit is set; hi < divisor.
 * Two steps of the schoolbook method in base 2^32 (Knuth, TAOCP volume 2, 4.3.1, algorithm D).
 */
export function divideWide(c: FpuCode, { hi, lo }: Wide, divisor: Value): { quotient: Value; remainder: Value } {
  const top = divisor.shrU(32);
  const bottom = divisor.and(LOW_32);
  /** One digit of the quotient: of rest * 2^32 + digit, where rest < divisor. */
  const step = (rest: Value, digit: Value) => {
    const quotient = c.variable("i64", rest.divU(top));
    const part = c.variable("i64", rest.sub(quotient.get().mul(top)));
    // The estimate is too large by at most 2.
    for (let i = 0; i < 2; i++) {
      const q = quotient.get();
      const p = part.get();
      const over = q
        .shrU(32)
        .ne(0)
        .or(q.mul(bottom).gtU(p.shl(32).or(digit)));
      c.if(p.shrU(32).eqz().and(over), () => {
        quotient.set(q.sub(1));
        part.set(p.add(top));
      });
    }
    const q = quotient.get();
    return { q, rest: rest.shl(32).or(digit).sub(q.mul(divisor)) };
  };
  const first = step(hi, lo.shrU(32));
  const second = step(first.rest, lo.and(LOW_32));
  return { quotient: first.q.shl(32).or(second.q), remainder: second.rest };
}
