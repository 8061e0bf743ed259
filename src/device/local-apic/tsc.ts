/** The time-stamp counter as the local APIC's TSC-deadline timer needs it. */

/**
 * The guest time in nanoseconds at which the counter first reads the 64-bit value `high:low` or more; before
 * the present where it already does (negative too), Infinity where it never will.
 */
export type NsAtTsc = (low: number, high: number) => number;

/**
 * A counter that reads floor(ns * frequencyHz / 10^9) + offset(). `frequencyHz` is a whole number; `offset` is
 * what software added by writing IA32_TIME_STAMP_COUNTER or IA32_TSC_ADJUST.
 */
export function fixedRateTsc({ frequencyHz, offset }: { frequencyHz: number; offset(): bigint }): NsAtTsc {
  const frequency = BigInt(frequencyHz);
  return (low, high) => {
    const ticks = ((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)) - offset();
    if (ticks <= 0n) return 0;
    return Number((ticks * 1_000_000_000n + frequency - 1n) / frequency);
  };
}
