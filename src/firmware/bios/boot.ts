/**
 * Boots: tries what there is in order, lets the user choose, and says why nothing could be booted.
 * @spec BIOS Boot Specification 1.01 (order of devices, INT 18h, INT 19h)
 */

import type { Clock } from "../../machine/device.ts";
import type { BootKind } from "./boot-order.ts";
import { type BootSource, enterProgram } from "./boot-source.ts";
import type { BiosCall, Outcome } from "./call.ts";

export interface BootSettings {
  /** Kinds of source in the order in which they are tried. */
  readonly order: readonly BootKind[];
  /** Lets the user choose, before anything is booted: at once, or, where it is "offered", if F12 is pressed in time. */
  readonly menu: boolean | "offered";
}

export interface BootParts {
  /** All that there is; of one kind, in the order in which they are tried. */
  readonly sources: readonly BootSource[];
  readonly settings: BootSettings;
  /** Writes to the screen; a line ends with CR LF. */
  print(call: BiosCall, text: string): void;
  /** The next key: scan code and character. */
  key(call: BiosCall): number | undefined;
  /** The next key, which stays where it is. */
  nextKey(call: BiosCall): number | undefined;
  clock: Clock;
  /** Nothing could be booted: a line for each thing that was tried. Returns whether somebody may press a key. */
  nothingBoots(reasons: readonly string[]): boolean;
  restart(): void;
}

const ESCAPE = 0x1b;
const F12 = 0x8600;
/** Nanoseconds in which F12 is waited for: long enough for a key that is held or was pressed early, short for all others. */
const OFFER = 500e6;

export interface BootState {
  phase: "start" | "offer" | "menu" | "try" | "failed";
  /** Guest time at which F12 is no longer waited for. */
  offerEnds: number;
  /** Indices of the sources that are still to be tried. */
  queue: number[];
  /** Why what was tried could not be booted. */
  reasons: string[];
  /** The source of what has control; -1 for none. */
  entered: number;
}

const AT_START = { phase: "start", offerEnds: 0, entered: -1 } as const;

export class Boot {
  readonly state: BootState = { ...AT_START, queue: [], reasons: [] };
  readonly #parts: BootParts;

  constructor(parts: BootParts) {
    this.#parts = parts;
  }

  reset(): void {
    Object.assign(this.state, { ...AT_START, queue: [], reasons: [] });
  }

  get #candidates(): number[] {
    const { sources, settings } = this.#parts;
    const all = sources.map(({ kind }, index) => ({ kind, index }));
    return settings.order.flatMap((kind) => all.filter((source) => source.kind === kind).map(({ index }) => index));
  }

  #source(index: number): BootSource | undefined {
    return this.#parts.sources[index];
  }

  /** INT 19h: from the first source on. */
  start(call: BiosCall): Outcome {
    if (this.state.phase === "offer") return this.#afterOffer(call);
    if (this.state.phase === "menu") return this.#choose(call);
    if (this.state.phase === "failed") return this.#afterFailure(call);
    const isFirst = this.state.phase === "start";
    this.#leave(call);
    this.state.reasons = [];
    this.state.queue = this.#candidates;
    if (this.#parts.settings.menu === true) return this.#showMenu(call);
    // What calls INT 19h later may have left no clock to wait by.
    if (!isFirst || !this.#canChoose) return this.#next(call);
    this.state.phase = "offer";
    this.state.offerEnds = this.#parts.clock.now();
    if (this.#parts.settings.menu === "offered") {
      this.#parts.print(call, "F12: boot menu\r\n");
      this.state.offerEnds += OFFER;
    }
    return this.#afterOffer(call);
  }

  /** Whether more than one source may have something. */
  get #canChoose(): boolean {
    return this.state.queue.filter((index) => this.#source(index)?.isReady()).length > 1;
  }

  /** Waits for F12; any other key is for what is booted, and ends the wait. */
  #afterOffer(call: BiosCall): Outcome {
    const { key, nextKey, clock } = this.#parts;
    const next = nextKey(call);
    if (next === F12) {
      key(call);
      return this.#showMenu(call);
    }
    if (next === undefined && clock.now() < this.state.offerEnds) return "again";
    return this.#next(call);
  }

  /** INT 18h: what was booted gives up. */
  goOn(call: BiosCall): Outcome {
    if (this.state.phase === "failed") return this.#afterFailure(call);
    const entered = this.#leave(call);
    if (entered) {
      this.state.reasons.push(`${entered.name}: what was booted gave up`);
      // It may have left the cursor anywhere.
      this.#parts.print(call, "\r\n");
    }
    return this.#next(call);
  }

  /** What was booted has no control any more; what it was booted from. */
  #leave(call: BiosCall): BootSource | undefined {
    const entered = this.#source(this.state.entered);
    entered?.left?.(call);
    this.state.entered = -1;
    return entered;
  }

  /** Tries the next source. */
  #next(call: BiosCall): Outcome {
    this.state.phase = "try";
    const index = this.state.queue.shift() ?? -1;
    const source = this.#source(index);
    if (source === undefined) return this.#fail(call);
    return source.find(call, (found) => {
      if ("reason" in found) {
        this.state.reasons.push(`${source.name}: ${found.reason}`);
        return this.#next(call);
      }
      this.state.entered = index;
      this.#parts.print(call, `Booting from ${source.name}...\r\n`);
      enterProgram(call, found);
      return undefined;
    });
  }

  #fail(call: BiosCall): Outcome {
    this.state.phase = "failed";
    const { print, nothingBoots } = this.#parts;
    const reasons =
      this.state.reasons.length > 0 ? this.state.reasons : ["there is no disk, CD or floppy in the boot order"];
    print(call, "No bootable device.\r\n");
    for (const reason of reasons) print(call, `  ${reason}\r\n`);
    if (nothingBoots(reasons)) print(call, "Press a key to try again.\r\n");
    return "again";
  }

  #afterFailure(call: BiosCall): Outcome {
    if (this.#parts.key(call) === undefined) return "again";
    this.#parts.restart();
    return undefined;
  }

  #showMenu(call: BiosCall): Outcome {
    this.state.phase = "menu";
    const { print } = this.#parts;
    print(call, "\r\nBoot from:\r\n\r\n");
    for (const [i, index] of this.state.queue.entries()) {
      const source = this.#source(index);
      print(call, `  ${i + 1}  ${source?.title ?? source?.name}\r\n`);
    }
    print(call, "\r\nPress a number, or Escape for the usual order.\r\n");
    return "again";
  }

  #choose(call: BiosCall): Outcome {
    const key = this.#parts.key(call);
    if (key === undefined) return "again";
    const character = key & 0xff;
    const index = character - 0x31;
    if (character === ESCAPE || character === 0x0d) return this.#next(call);
    const chosen = this.state.queue[index];
    if (chosen === undefined) return "again";
    this.state.queue = [chosen, ...this.state.queue.filter((index) => index !== chosen)];
    return this.#next(call);
  }
}
