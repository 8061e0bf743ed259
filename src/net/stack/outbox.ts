/**
 * Frames on their way out of a station: each leaves a little later than it was made, as a station sends nothing from within
 * `receive`, and in the order they were made. What a receiver has no room for waits until there is some.
 *
 * Both are bounded. Frames that find the queue full are lost. A receiver without room for long (a guest that hangs) is not
 * waited for until it has some again: others may be listening.
 */
import { nanoseconds } from "../../bits/units.ts";
import type { Timer, TimeSource } from "../../machine/device.ts";
import type { EthernetPort } from "../link.ts";

/** Nanoseconds between a frame's making and its leaving. */
export const LATENCY = 20_000;
/** Most frames that wait. */
export const MOST_FRAMES = 1024;
/** Nanoseconds that a receiver without room is waited for. */
export const PATIENCE = 100_000_000;

interface Waiting {
  readonly frame: Uint8Array;
  /** Guest time in nanoseconds. */
  readonly due: number;
}

export class Outbox {
  readonly #port: EthernetPort;
  readonly #time: TimeSource;
  readonly #timer: Timer;
  #waiting: Waiting[] = [];
  /** "blocked": a receiver had no room, and is waited for. "impatient": it was waited for long enough. */
  #receiver: "ready" | "blocked" | "impatient" = "ready";

  constructor(port: EthernetPort, time: TimeSource) {
    this.#port = port;
    this.#time = time;
    this.#timer = time.createTimer("network", () => this.#sendDue());
  }

  /** Takes the frame as it is: its bytes must not change any more. */
  send(frame: Uint8Array): void {
    if (this.#waiting.length >= MOST_FRAMES) return;
    this.#waiting.push({ frame, due: this.#time.now() + LATENCY });
    if (this.#timer.deadline === undefined) this.#timer.arm(nanoseconds(this.#time.now() + LATENCY));
  }

  /** A receiver has room again. */
  roomAgain(): void {
    const wasBlocked = this.#receiver === "blocked";
    this.#receiver = "ready";
    // The caller may be in the middle of its work: nothing is sent from within this call either.
    if (wasBlocked) this.#timer.arm(this.#time.now());
  }

  /** Forgets what waits. */
  clear(): void {
    this.#waiting = [];
    this.#receiver = "ready";
    this.#timer.cancel();
  }

  #sendDue(): void {
    if (this.#receiver === "blocked") this.#receiver = "impatient";
    const now = this.#time.now();
    let sent = 0;
    for (const { frame, due } of this.#waiting) {
      if (due > now) break;
      if (this.#port.transmit(frame)) this.#receiver = "ready";
      else if (this.#receiver === "ready") {
        this.#receiver = "blocked";
        break;
      }
      sent++;
    }
    this.#waiting.splice(0, sent);
    const next = this.#waiting[0]?.due;
    if (this.#receiver === "blocked") this.#timer.arm(nanoseconds(now + PATIENCE));
    else if (next !== undefined) this.#timer.arm(nanoseconds(next));
  }
}
