/**
 * Services that wait in guest time, written in the order in which things happen. An operation is a generator: it yields the
 * time until which it waits, and goes on when that has come or something has arrived that it may be waiting for. It is not
 * told which, and looks by itself. Nothing of it is in a snapshot, as the processor is held while one is under way.
 */
import { nanoseconds } from "../../../bits/units.ts";
import type { Timer, TimeSource } from "../../../machine/device.ts";

/** Yields guest time in nanoseconds. */
export type Operation<T> = Generator<number, T, undefined>;

export const SECOND = 1e9;

/** Runs one operation at a time. */
export class Operations {
  readonly #timer: Timer;
  #step: (() => void) | undefined;

  constructor(time: TimeSource) {
    this.#timer = time.createTimer("BIOS network wait", () => this.#step?.());
  }

  /** Whether an operation waits. */
  get isBusy(): boolean {
    return this.#step !== undefined;
  }

  /** Tells `ended` the operation's result, at once where it waits for nothing. */
  run<T>(operation: Operation<T>, ended: (result: T) => void): void {
    if (this.#step !== undefined) throw new Error("an operation of the BIOS began while another waits");
    this.#step = () => {
      const result = operation.next();
      if (result.done) {
        this.reset();
        ended(result.value);
      } else this.#timer.arm(nanoseconds(result.value));
    };
    this.#step();
  }

  /** Something has arrived. */
  wake(): void {
    this.#step?.();
  }

  /** Drops what is under way. */
  reset(): void {
    this.#step = undefined;
    this.#timer.cancel();
  }
}
