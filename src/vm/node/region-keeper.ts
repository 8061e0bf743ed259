/** Stores regions that were made, now and then: whoever runs a machine may end it at any time. */
import type { KeptRegions } from "../../cpu/translate/kept-regions.ts";

/** So many new ones are worth a file at once, or fewer after the milliseconds that none was made for. */
const MANY = 128;
const QUIET = 1500;
/** Milliseconds before the first file at the least, and from one to the next at the most: each pause is twice the last. */
const SHORTEST_PAUSE = 5000;
const LONGEST_PAUSE = 40_000;

export class RegionKeeper {
  readonly #regions: KeptRegions;
  #stored = performance.now();
  #pause = SHORTEST_PAUSE;
  #timer: NodeJS.Timeout | undefined;

  constructor(regions: KeptRegions) {
    this.#regions = regions;
  }

  /** Some may have been added. */
  changed(): void {
    const { added } = this.#regions;
    clearTimeout(this.#timer);
    if (added === 0) return;
    const since = performance.now() - this.#stored;
    if (added >= MANY && since >= this.#pause) this.#store();
    else this.#timer = setTimeout(() => this.#store(), Math.max(QUIET, this.#pause - since)).unref();
  }

  #store(): void {
    this.#regions.store();
    this.#stored = performance.now();
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }
}
