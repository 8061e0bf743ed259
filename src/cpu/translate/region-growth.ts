/** Whether regions are worth making larger: where few of them run most of the time. */

/** Instructions that a region runs between two looks at it, as far as samples tell (Translator.regionRan). */
export const GROWTH_STEP = 16_000_000;
/** Looks that are remembered. */
const LOOKS = 64;
/** What part of all that ran meanwhile these must be, and among how many regions: as if all of these ran alike. */
const [LEAST_PART, MOST_REGIONS] = [0.5, 24];
/** A region that alone is such a part of what runs is worth it among any others; so is one that has run so much by and by. */
const OWN_PART = 1 / 32;
const MOST_RUN = 400_000_000;

/** What is known of one region. */
export interface Growth {
  /** What it is to run before the next look. */
  left: number;
  /** What it had run when it was looked at last, and what the processor had. */
  ran: number;
  at: number;
}

export class RegionGrowth {
  /** Each by the region's number, and what the processor had run. */
  readonly #looks: { readonly region: number; readonly at: number }[] = [];

  /** A region has run GROWTH_STEP instructions more; the processor has run `now`. Whether it is to be made larger. */
  isDue(region: number, growth: Growth, now: number): boolean {
    const share = GROWTH_STEP / (now - growth.at);
    growth.ran += GROWTH_STEP;
    growth.at = now;
    this.#looks.push({ region, at: now });
    if (this.#looks.length > LOOKS) this.#looks.shift();
    return share >= OWN_PART || growth.ran >= MOST_RUN || this.#areFew(now);
  }

  #areFew(now: number): boolean {
    const since = (this.#looks[0] as { at: number }).at;
    if (this.#looks.length < LOOKS || ((LOOKS - 1) * GROWTH_STEP) / (now - since) < LEAST_PART) return false;
    const counts = new Map<number, number>();
    for (const { region } of this.#looks) counts.set(region, (counts.get(region) ?? 0) + 1);
    const squares = [...counts.values()].reduce((sum, count) => sum + (count / LOOKS) ** 2, 0);
    return 1 / squares <= MOST_REGIONS;
  }
}
