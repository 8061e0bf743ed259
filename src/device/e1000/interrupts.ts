/**
 * The interrupt: causes, their mask, and the least time between two interrupts.
 *
 * @spec 317453 §13.4.17 ICR to §13.4.21 IMC
 *
 * Not modelled: the delay timers of single causes (RDTR, RADV, TIDV, TADV). A cause comes at once; how often the processor
 * is interrupted is what ITR says.
 */
import { nanoseconds } from "../../bits/units.ts";
import type { SignalLine, Timer, TimeSource } from "../../machine/device.ts";
import { CAUSES, Register } from "./registers.ts";
import type { E1000Registers } from "./state.ts";

/** Nanoseconds that ITR counts in. */
const ITR_UNIT = 256;

export class Interrupts {
  readonly #state: E1000Registers;
  readonly #line: SignalLine;
  readonly #time: TimeSource;
  readonly #timer: Timer;
  #level = false;

  constructor(state: E1000Registers, line: SignalLine, time: TimeSource) {
    this.#state = state;
    this.#line = line;
    this.#time = time;
    this.#timer = time.createTimer("e1000 interrupt throttle", () => this.drive());
  }

  /** Nanoseconds from one interrupt to the next. */
  get #interval(): number {
    return this.#state.registers[Register.itr / 4]! * ITR_UNIT;
  }

  raise(causes: number): void {
    const state = this.#state.interrupts;
    state.causes = (state.causes | (causes & CAUSES)) >>> 0;
    this.drive();
  }

  clear(causes: number): void {
    const state = this.#state.interrupts;
    state.causes = (state.causes & ~causes) >>> 0;
    this.drive();
  }

  setMask(mask: number): void {
    this.#state.interrupts.mask = (mask & CAUSES) >>> 0;
    this.drive();
  }

  /** ITR was written. */
  intervalChanged(): void {
    const state = this.#state.interrupts;
    state.throttledUntil = Math.min(state.throttledUntil, this.#time.now() + this.#interval);
    this.drive();
  }

  /** Sets the line from the state. */
  drive(): void {
    const state = this.#state.interrupts;
    const asserted = (state.causes & state.mask) !== 0;
    const now = this.#time.now();
    if (asserted && !this.#level) {
      if (now < state.throttledUntil) {
        this.#timer.arm(nanoseconds(state.throttledUntil));
        return;
      }
      state.throttledUntil = now + this.#interval;
    }
    this.#timer.cancel();
    this.#level = asserted;
    this.#line.set(asserted);
  }

  /** Sets the line from a state that was kept; ITR holds for that interrupt too. */
  restored(): void {
    this.#level = false;
    this.#line.set(false);
    this.drive();
  }
}
