/**
 * The local APIC's timer: one-shot, periodic and TSC-deadline.
 * @spec Intel SDM vol. 3, "APIC Timer".
 *
 * The count goes down at the bus frequency of 1 GHz, so that one count is the divisor in nanoseconds. A
 * period below `MINIMUM_PERIOD` still reads right in the current-count register but interrupts no more often
 * than that: a guest must not be able to keep the host busy with a period of 1 ns.
 */
import { nanoseconds } from "../../bits/units.ts";
import type { Timer, TimeSource } from "../../machine/device.ts";
import { Lvt, LvtIndex, TimerMode } from "./registers.ts";
import type { LocalApicState } from "./state.ts";
import type { NsAtTsc } from "./tsc.ts";

/** Nanoseconds. */
export const MINIMUM_PERIOD = 10_000;

const DIVISORS = [2, 4, 8, 16, 32, 64, 128, 1] as const;

export interface LocalApicTimerWiring {
  state: LocalApicState;
  time: TimeSource;
  nsAtTsc: NsAtTsc;
  /** The timer's interrupt, whether masked or not. */
  expired(): void;
}

export class LocalApicTimer {
  readonly #state: LocalApicState;
  readonly #time: TimeSource;
  readonly #nsAtTsc: NsAtTsc;
  readonly #expired: () => void;
  readonly #timer: Timer;

  constructor({ state, time, nsAtTsc, expired }: LocalApicTimerWiring) {
    this.#state = state;
    this.#time = time;
    this.#nsAtTsc = nsAtTsc;
    this.#expired = expired;
    this.#timer = time.createTimer("local APIC", () => this.#fire());
  }

  /** The LVT entry's timer mode, one of `TimerMode`; 3 is reserved and counts nothing. */
  get mode(): number {
    return (this.#state.lvt[LvtIndex.timer]! & Lvt.mask.timerMode) >>> 17;
  }

  /** Stops the timer. */
  disarm(): void {
    const state = this.#state;
    state.initialCount = 0;
    state.countFrom = 0;
    state.counting = false;
    state.tscDeadlineLow = 0;
    state.tscDeadlineHigh = 0;
    this.#timer.cancel();
  }

  /** Takes effect of an expiry that the host's timer has not reported yet; called before registers change. */
  settle(): void {
    const deadline = this.#timer.deadline;
    if (deadline === undefined || deadline > this.#time.now()) return;
    this.#timer.cancel();
    this.#fire();
  }

  /** Called after the LVT entry was written; `before` is the mode that it had. */
  modeWritten(before: number): void {
    const mode = this.mode;
    if (mode === before) this.schedule();
    else if (mode >= TimerMode.tscDeadline || before >= TimerMode.tscDeadline) this.disarm();
    else this.#countFrom(this.#countIn(before));
  }

  writeInitialCount(count: number): void {
    if (this.mode >= TimerMode.tscDeadline) return;
    this.#state.initialCount = count;
    this.#countFrom(count);
  }

  writeDivideConfiguration(value: number): void {
    const remaining = this.currentCount();
    this.#state.divideConfiguration = value & 0xb;
    this.#countFrom(remaining);
  }

  currentCount(): number {
    return this.#countIn(this.mode);
  }

  #countIn(mode: number): number {
    const { counting, countFrom, initialCount } = this.#state;
    if (!counting) return 0;
    const counted = this.#counted();
    if (counted < countFrom) return countFrom - counted;
    return mode === TimerMode.periodic ? initialCount - ((counted - countFrom) % initialCount) : 0;
  }

  /** IA32_TSC_DEADLINE; ignored in the other modes. */
  writeTscDeadline(low: number, high: number): void {
    if (this.mode !== TimerMode.tscDeadline) return;
    this.#state.tscDeadlineLow = low;
    this.#state.tscDeadlineHigh = high;
    this.schedule();
  }

  /** Sets the host's timer for the next expiry; also after the TSC's offset or the whole state has changed. */
  schedule(): void {
    const deadline = this.#nextExpiry();
    if (deadline <= this.#time.now()) {
      this.#timer.cancel();
      this.#fire();
    } else this.#arm(deadline);
  }

  #arm(deadline: number): void {
    if (deadline <= Number.MAX_SAFE_INTEGER) this.#timer.arm(nanoseconds(deadline));
    else this.#timer.cancel();
  }

  #countFrom(count: number): void {
    const state = this.#state;
    state.countFrom = count;
    state.countStart = this.#time.now();
    state.counting = count !== 0;
    this.schedule();
  }

  get #divisor(): number {
    const value = this.#state.divideConfiguration;
    return DIVISORS[(value & 3) | ((value >>> 1) & 4)]!;
  }

  /** Counts since `countStart`. */
  #counted(): number {
    return Math.max(0, Math.floor((this.#time.now() - this.#state.countStart) / this.#divisor));
  }

  /** Infinity where there is none. */
  #nextExpiry(): number {
    const { counting, countFrom, countStart, initialCount, tscDeadlineLow, tscDeadlineHigh } = this.#state;
    if (this.mode === TimerMode.tscDeadline) {
      if (tscDeadlineLow === 0 && tscDeadlineHigh === 0) return Infinity;
      return this.#nsAtTsc(tscDeadlineLow, tscDeadlineHigh);
    }
    if (!counting) return Infinity;
    const first = countStart + countFrom * this.#divisor;
    if (this.mode === TimerMode.oneShot) return first;
    // A masked periodic timer has no effect at its expiry, so nothing needs to wake up for it.
    if ((this.#state.lvt[LvtIndex.timer]! & Lvt.mask.masked) !== 0) return Infinity;
    const past = this.#counted() - countFrom;
    return past < 0 ? first : first + (Math.floor(past / initialCount) + 1) * initialCount * this.#divisor;
  }

  #fire(): void {
    const state = this.#state;
    const periodic = this.mode === TimerMode.periodic;
    if (!periodic) {
      state.counting = false;
      state.tscDeadlineLow = 0;
      state.tscDeadlineHigh = 0;
    }
    this.#expired();
    if (periodic) this.#arm(Math.max(this.#nextExpiry(), this.#time.now() + MINIMUM_PERIOD));
  }
}
