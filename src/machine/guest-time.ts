/**
 * Guest time with its deadlines: the host's clock, or a count of executed instructions, read through one
 * function, so that devices cannot tell which.
 */
import { type Nanoseconds, nanoseconds } from "../bits/units.ts";
import type { Timer, TimeSource } from "./device.ts";

interface Armed {
  deadline: number;
  /** Order of arming, so that equal deadlines fire in the order they were set. */
  sequence: number;
  readonly fire: () => void;
}

export class GuestTime implements TimeSource {
  readonly #source: () => number;
  readonly #armed = new Set<Armed>();
  readonly #onEarlier: () => void;
  #sequence = 0;
  #last = 0;

  /**
   * `source` gives nanoseconds since power-on. `onEarlier` is told when a deadline was set before all others:
   * the run loop may have to come back sooner than it planned.
   */
  constructor(source: () => number, onEarlier: () => void) {
    this.#source = source;
    this.#onEarlier = onEarlier;
  }

  now(): Nanoseconds {
    const now = this.#source();
    if (now > this.#last) this.#last = now;
    return nanoseconds(this.#last);
  }

  createTimer(_name: string, fire: () => void): Timer {
    const entry: Armed = { deadline: 0, sequence: 0, fire };
    const armed = this.#armed;
    return {
      arm: (deadline) => {
        const first = this.nextDeadline;
        entry.deadline = deadline;
        entry.sequence = this.#sequence++;
        armed.add(entry);
        if (first === undefined || deadline < first) this.#onEarlier();
      },
      cancel: () => void armed.delete(entry),
      get deadline() {
        return armed.has(entry) ? nanoseconds(entry.deadline) : undefined;
      },
    };
  }

  #first(): Armed | undefined {
    let first: Armed | undefined;
    for (const entry of this.#armed) {
      if (
        first === undefined ||
        entry.deadline < first.deadline ||
        (entry.deadline === first.deadline && entry.sequence < first.sequence)
      ) {
        first = entry;
      }
    }
    return first;
  }

  /** The earliest deadline, or undefined. */
  get nextDeadline(): number | undefined {
    return this.#first()?.deadline;
  }

  /** Fires what is due, earliest first. */
  fireDue(): void {
    const now = this.now();
    // A bound, so that a timer that arms itself in the past cannot hold the loop.
    for (let i = 0; i < 1000; i++) {
      const first = this.#first();
      if (first === undefined || first.deadline > now) return;
      this.#armed.delete(first);
      first.fire();
    }
  }
}
