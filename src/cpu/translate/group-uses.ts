/** How much of kept regions' groups was used. */
import type { GroupUse, RegionPart } from "./region-store.ts";

/** Groups that are noted at the most. */
const MOST = 256;

export class GroupUses {
  readonly #counts: Map<string, { part: string; group: number; weight: number }>;

  constructor(counts = new Map<string, { part: string; group: number; weight: number }>()) {
    this.#counts = counts;
  }

  copy(): GroupUses {
    return new GroupUses(new Map([...this.#counts].map(([key, use]) => [key, { ...use }])));
  }

  /** One more region of the group is in use. */
  count({ name: part }: Pick<RegionPart, "name">, group: number, weight = 1): void {
    const key = `${part} ${group}`;
    const use = this.#counts.get(key);
    if (use) use.weight += weight;
    else this.#counts.set(key, { part, group, weight });
  }

  /** These and half of what was noted before, the most used first. */
  after(before: readonly GroupUse[]): GroupUse[] {
    const all = this.copy();
    for (const { part, group, weight } of before) all.count({ name: part }, group, Math.floor(weight / 2));
    return [...all.#counts.values()]
      .filter(({ weight }) => weight > 0)
      .sort((a, b) => b.weight - a.weight)
      .slice(0, MOST);
  }
}
