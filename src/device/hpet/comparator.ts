/**
 * The HPET's main counter and comparators as numbers: 64-bit values are kept in two halves of 32 bits, since
 * device state holds no big integers.
 *
 * @spec Intel IA-PC HPET Specification 1.0a, §2.3.7 (main counter) to §2.3.9 (comparators)
 */
import { bits } from "../../bits/fields.ts";

export const COMPARATOR_COUNT = 3;

/** No match to come. */
export const NEVER = -1;

const WRAP_32 = 2 ** 32;
/** Matches further away than this many ticks (130 days) are not waited for. */
const HORIZON = 2n ** 50n;
/** Fewest ticks between two interrupts of a periodic comparator: 10 µs. */
const MIN_INTERVAL = 1000;

/** Tn_CONF, low half. */
export const TimerConfig = bits({
  intTypeCnf: 1,
  intEnbCnf: 2,
  typeCnf: 3,
  perIntCap: 4,
  sizeCap: 5,
  valSetCnf: 6,
  mode32Cnf: 8,
  intRouteCnf: [9, 13],
  fsbEnCnf: 14,
  fsbIntDelCap: 15,
});

/** The main counter: its value at tick `since`, from which it counts while `running`. */
export interface CounterState {
  low: number;
  high: number;
  since: number;
  running: boolean;
}

export interface ComparatorState {
  /** Writable bits of Tn_CONF. */
  config: number;
  /** Tn_COMP: the next match; in periodic mode the accumulator. */
  low: number;
  high: number;
  periodLow: number;
  periodHigh: number;
  /** The low half of the accumulator was just written with VAL_SET: a high half written next is the accumulator's too. */
  accumulatorOpen: boolean;
  /** Tick of the next match, or `NEVER`. */
  fireAt: number;
  /** The line is high from an edge-triggered interrupt. */
  edge: boolean;
}

export const powerOnComparator = (): ComparatorState => ({
  config: 0,
  low: 0xffff_ffff,
  high: 0xffff_ffff,
  periodLow: 0,
  periodHigh: 0,
  accumulatorOpen: false,
  fireAt: NEVER,
  edge: false,
});

/** The low half at `tick`, plus what carries into the high half. */
const sumAt = (counter: CounterState, tick: number): number =>
  counter.running ? counter.low + (tick - counter.since) : counter.low;

export const counterLowAt = (counter: CounterState, tick: number): number => sumAt(counter, tick) % WRAP_32;

export const counterHighAt = (counter: CounterState, tick: number): number =>
  (counter.high + Math.floor(sumAt(counter, tick) / WRAP_32)) % WRAP_32;

/** The whole counter at `tick`. */
export const counterAt = (counter: CounterState, tick: number): bigint =>
  (BigInt(counterHighAt(counter, tick)) << 32n) | BigInt(counterLowAt(counter, tick));

/** The first tick from `tick` on at which the comparator equals the counter, in as many bits as it compares. */
export function nextMatch(comparator: ComparatorState, counter: CounterState, tick: number): number {
  if (!counter.running) return NEVER;
  const width = TimerConfig(comparator.config).mode32Cnf ? 32 : 64;
  const wanted = (BigInt(comparator.high) << 32n) | BigInt(comparator.low);
  const distance = BigInt.asUintN(width, wanted - counterAt(counter, tick));
  return distance > HORIZON ? NEVER : tick + Number(distance);
}

/** Moves a comparator that matched at `fireAt` to its first match after `tick`. */
export function advance(comparator: ComparatorState, tick: number): void {
  const { typeCnf, mode32Cnf } = TimerConfig(comparator.config);
  const { fireAt } = comparator;
  if (!typeCnf) {
    // A 32-bit comparator is met again each time that the counter's low half comes around.
    comparator.fireAt = mode32Cnf ? fireAt + (Math.floor((tick - fireAt) / WRAP_32) + 1) * WRAP_32 : NEVER;
    return;
  }
  const period = comparator.periodHigh * WRAP_32 + comparator.periodLow;
  if (period === 0 || !Number.isSafeInteger(tick + period)) {
    comparator.fireAt = NEVER;
    return;
  }
  const periods = Math.max(Math.floor((tick - fireAt) / period) + 1, Math.ceil(MIN_INTERVAL / period));
  comparator.fireAt = fireAt + periods * period;
  const accumulator = BigInt(comparator.low) + (BigInt(comparator.high) << 32n) + BigInt(periods) * BigInt(period);
  comparator.low = Number(BigInt.asUintN(32, accumulator));
  comparator.high = mode32Cnf ? 0 : Number(BigInt.asUintN(32, accumulator >> 32n));
}
