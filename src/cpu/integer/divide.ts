/** 128-bit division for DIV and IDIV of RDX:RAX. */
import type { WasmFunctions } from "../wasm-functions.ts";

/**
 * Unsigned 128 by 64 bits: schoolbook division in base 2^32 with a normalised divisor.
 * @spec Knuth, The Art of Computer Programming 2, 4.3.1, algorithm D
 */
export function divideFunctions(): WasmFunctions {
  return {
    divide128: (f) => {
      const [high, low, divisor] = [f.param(0), f.param(1), f.param(2)];
      f.if(high.eqz(), () => f.return(low.divU(divisor)));
      const shift = divisor.clz();
      const d = divisor.shl(shift);
      const dHigh = d.shrU(32);
      const dLow = d.and(0xffffffffn);
      // high:low shifted by the same; a shift of zero brings nothing in from the low half.
      const top = high.shl(shift).or(low.shrU(1).shrU(f.i64(63).sub(shift)));
      const bottom = low.shl(shift);

      /** One 32-bit digit of rest:next by d, and the rest after it. */
      const digit = (rest: typeof top, next: typeof top) => {
        const quotient = f.variable("i64", rest.divU(dHigh));
        const remainder = f.variable("i64", rest.sub(quotient.get().mul(dHigh)));
        // The estimate is at most two too large. A remainder beyond 32 bits ends the correction.
        for (let i = 0; i < 2; i++) {
          const q = quotient.get();
          const r = remainder.get();
          const tooLarge = q
            .shrU(32)
            .ne(0)
            .or(q.mul(dLow).gtU(r.shl(32).or(next)));
          f.if(r.shrU(32).eqz().and(tooLarge), () => {
            quotient.set(q.sub(1));
            remainder.set(r.add(dHigh));
          });
        }
        const q = quotient.get();
        return { quotient: q, rest: rest.shl(32).or(next).sub(q.mul(d)) };
      };

      const first = digit(top, bottom.shrU(32));
      const second = digit(first.rest, bottom.and(0xffffffffn));
      f.return(first.quotient.shl(32).or(second.quotient));
    },
  };
}
