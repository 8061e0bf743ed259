/**
 * The physical region descriptors of one command, walked from the first to the last.
 * @spec AHCI 1.3.1 §4.2.3.3
 */
import { guestPhysical } from "../../bits/units.ts";
import type { GuestMemory } from "../../machine/device.ts";
import { PRD_COUNT, PRD_INTERRUPT, PrdEntry } from "./registers.ts";

/** "short": the descriptors name no more memory. "error": one of them, or what it names, is not in memory. */
export type PrdResult = "done" | "short" | "error";

export class PrdTable {
  /** Bytes moved. */
  moved = 0;
  /** A descriptor that asks for an interrupt was worked off. */
  interrupts = false;
  readonly #memory: GuestMemory;
  readonly #base: number;
  readonly #count: number;
  #next = 0;
  #address = 0;
  #left = 0;
  #interruptsWhenDone = false;

  constructor(memory: GuestMemory, base: number, count: number) {
    this.#memory = memory;
    this.#base = base;
    this.#count = count;
  }

  put(bytes: Uint8Array): PrdResult {
    return this.#move(bytes.length, "write", (view, at) => view.set(bytes.subarray(at, at + view.length)));
  }

  take(target: Uint8Array): PrdResult {
    return this.#move(target.length, "read", (view, at) => target.set(view, at));
  }

  #move(length: number, access: "read" | "write", copy: (view: Uint8Array, at: number) => void): PrdResult {
    let at = 0;
    while (at < length) {
      if (this.#left === 0) {
        const fetched = this.#fetch();
        if (fetched !== "done") return fetched;
      }
      const piece = Math.min(this.#left, length - at);
      const view = this.#memory.view(guestPhysical(this.#address), piece, access);
      if (view === undefined) return "error";
      copy(view, at);
      at += piece;
      this.moved += piece;
      this.#address += piece;
      this.#left -= piece;
      if (this.#left === 0 && this.#interruptsWhenDone) this.interrupts = true;
    }
    return "done";
  }

  #fetch(): PrdResult {
    if (this.#next >= this.#count) return "short";
    const view = this.#memory.view(guestPhysical(this.#base + this.#next * PrdEntry.size), PrdEntry.size, "read");
    if (view === undefined) return "error";
    this.#next++;
    const { address, addressHigh, count } = PrdEntry.at(view);
    this.#address = address + addressHigh * 2 ** 32;
    this.#left = (count & PRD_COUNT) + 1;
    this.#interruptsWhenDone = (count & PRD_INTERRUPT) !== 0;
    return "done";
  }
}
