/**
 * A crystal that counts from power-on: guest time in nanoseconds to whole ticks and back, without
 * rounding errors that add up. Exact while nanoseconds are (2^53 ns, 104 days); beyond that a timer armed
 * with `timeOf` may find itself a tick early, so its handler goes by the tick that it was armed for.
 */
import { type Nanoseconds, nanoseconds } from "../../bits/units.ts";

const NS_PER_SECOND = 1_000_000_000;

export interface Oscillator {
  readonly hertz: number;
  /** Whole ticks from power-on until `time`. */
  ticksAt(time: Nanoseconds): number;
  /** The first nanosecond at which `ticksAt` gives `tick`. */
  timeOf(tick: number): Nanoseconds;
}

/**
 * An oscillator of a whole number of hertz up to 9 MHz. Seconds and the rest are scaled apart: the product
 * of a rest (below 10^9 ns) and the frequency then stays under 2^53, and the division is exact.
 */
export function oscillator(hertz: number): Oscillator {
  return {
    hertz,
    ticksAt(time) {
      const seconds = Math.floor(time / NS_PER_SECOND);
      const rest = time - seconds * NS_PER_SECOND;
      return seconds * hertz + Math.floor((rest * hertz) / NS_PER_SECOND);
    },
    timeOf(tick) {
      const seconds = Math.floor(tick / hertz);
      const rest = tick - seconds * hertz;
      return nanoseconds(seconds * NS_PER_SECOND + Math.ceil((rest * NS_PER_SECOND) / hertz));
    },
  };
}
