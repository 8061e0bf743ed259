/** Test doubles for a device's wiring: a clock that moves by hand, memory, lines and seeded randomness. */
import { type GuestPhysical, type Nanoseconds, nanoseconds } from "../../bits/units.ts";
import type { AsyncWork, GuestMemory, SignalLine, Timer, TimeSource } from "../device.ts";

export { SeededRandom } from "../../bits/testing/seeded-random.ts";

/** Guest time that stands still until `advance` is called; timers fire in deadline order. */
export class ManualTime implements TimeSource {
  #now = 0;
  readonly #armed = new Map<Timer, { deadline: number; fire: () => void }>();

  now(): Nanoseconds {
    return nanoseconds(this.#now);
  }

  createTimer(_name: string, fire: () => void): Timer {
    const armed = this.#armed;
    const timer: Timer = {
      arm: (deadline) => void armed.set(timer, { deadline, fire }),
      cancel: () => void armed.delete(timer),
      get deadline() {
        const entry = armed.get(timer);
        return entry && nanoseconds(entry.deadline);
      },
    };
    return timer;
  }

  /** Moves time on by `ns`, firing what falls due at its own time. */
  advance(ns: number): void {
    const end = this.#now + ns;
    for (;;) {
      let next: Timer | undefined;
      for (const timer of this.#armed.keys()) {
        if (timer.deadline! <= end && (next === undefined || timer.deadline! < next.deadline!)) next = timer;
      }
      if (next === undefined) break;
      const { deadline, fire } = this.#armed.get(next)!;
      this.#armed.delete(next);
      this.#now = Math.max(this.#now, deadline);
      fire();
    }
    this.#now = end;
  }
}

/** A signal line that remembers its level and how often it rose. */
export class ProbeLine implements SignalLine {
  level = false;
  rises = 0;
  set(level: boolean): void {
    if (level && !this.level) this.rises++;
    this.level = level;
  }
}

/** RAM from guest-physical 0 up. */
export class PlainMemory implements GuestMemory {
  readonly bytes: Uint8Array;
  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }
  view(address: GuestPhysical, length: number): Uint8Array | undefined {
    return this.has(address, length) ? this.bytes.subarray(address, address + length) : undefined;
  }
  has(address: GuestPhysical, length: number): boolean {
    return address >= 0 && length >= 0 && address + length <= this.bytes.length;
  }
}

/** Completes operations as soon as their promise settles. */
export class ImmediateWork implements AsyncWork {
  run<T>(
    operation: Promise<T>,
    complete: (result: { ok: true; value: T } | { ok: false; error: Error }) => void,
  ): void {
    operation.then(
      (value) => complete({ ok: true, value }),
      (error: Error) => complete({ ok: false, error }),
    );
  }
}
