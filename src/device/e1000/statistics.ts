/**
 * Statistics: counters that stay at their largest value and are cleared when they are read.
 *
 * @spec 317453 §13.7 "Statistics Registers"
 */
import { FIRST_STATISTIC, LAST_STATISTIC, Statistic } from "./registers.ts";

const LARGEST = 0xffff_ffff;
const FCS = 4;
/** Largest frames, with their check sequence, of the six counters by size. */
const SIZES = [64, 127, 255, 511, 1023];
/** Upper halves of the counts of octets. */
const UPPER_HALVES: ReadonlySet<number> = new Set([
  Statistic.gorcl + 4,
  Statistic.gotcl + 4,
  Statistic.torl + 4,
  Statistic.totl + 4,
]);

export const isStatistic = (register: number): boolean => register >= FIRST_STATISTIC && register <= LAST_STATISTIC;

/** Octets are counted in two registers; reading the upper one clears both, and the lower one neither. */
export function readStatistic(registers: Uint32Array, register: number): number {
  const index = register / 4;
  const value = registers[index]!;
  if (!UPPER_HALVES.has(register + 4)) registers[index] = 0;
  if (UPPER_HALVES.has(register)) registers[index - 1] = 0;
  return value;
}

export function count(registers: Uint32Array, register: number): void {
  const index = register / 4;
  if (registers[index] !== LARGEST) registers[index]! += 1;
}

function countOctets(registers: Uint32Array, register: number, octets: number): void {
  const index = register / 4;
  const sum = registers[index]! + registers[index + 1]! * 2 ** 32 + octets;
  registers[index] = sum % 2 ** 32;
  registers[index + 1] = Math.floor(sum / 2 ** 32);
}

/** Where a direction has its counters. */
export interface FrameCounters {
  readonly total: number;
  readonly totalOctets: number;
  readonly good: number;
  readonly goodOctets: number;
  /** The first of six. */
  readonly sizes: number;
  readonly multicast: number;
  readonly broadcast: number;
}

export const RECEIVED: FrameCounters = {
  total: Statistic.tpr,
  totalOctets: Statistic.torl,
  good: Statistic.gprc,
  goodOctets: Statistic.gorcl,
  sizes: Statistic.prc64,
  multicast: Statistic.mprc,
  broadcast: Statistic.bprc,
};

export const TRANSMITTED: FrameCounters = {
  total: Statistic.tpt,
  totalOctets: Statistic.totl,
  good: Statistic.gptc,
  goodOctets: Statistic.gotcl,
  sizes: Statistic.ptc64,
  multicast: Statistic.mptc,
  broadcast: Statistic.bptc,
};

/** Counts a frame, which has no frame check sequence, by everything that is counted of it. */
export function countFrame(registers: Uint32Array, counters: FrameCounters, frame: Uint8Array): void {
  const octets = frame.length + FCS;
  count(registers, counters.total);
  count(registers, counters.good);
  countOctets(registers, counters.totalOctets, octets);
  countOctets(registers, counters.goodOctets, octets);
  const size = SIZES.findIndex((largest) => octets <= largest);
  count(registers, counters.sizes + 4 * (size < 0 ? SIZES.length : size));
  if (isBroadcast(frame)) count(registers, counters.broadcast);
  else if (isGroup(frame)) count(registers, counters.multicast);
}

/** Whether a frame is for all stations. */
export const isBroadcast = (frame: Uint8Array): boolean => frame.subarray(0, 6).every((byte) => byte === 0xff);
/** Whether it is for more than one. */
export const isGroup = (frame: Uint8Array): boolean => (frame[0]! & 1) !== 0;
