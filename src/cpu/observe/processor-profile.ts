/** Adds up what a processor does: counts of emitted code, and of what TypeScript does for it. */
import type { RegionJob } from "../translate/region-job.ts";
import { BlockRunsReader } from "./block-runs.ts";
import { CountReader, type MemoryArea, PLACES, type Place, REFUSALS, whereAt } from "./count-area.ts";
import type { AddedRegion, DeliveredEvent, DropCause, ProcessorObserver } from "./observer.ts";
import type { ExitSite } from "./region-counts.ts";
import type { RegionListing } from "./region-listing.ts";

/** A way out of a region and how often it was taken. */
export interface TakenExit extends Omit<ExitSite, "count"> {
  readonly taken: number;
  /** Of "memory": by REFUSALS. */
  readonly refusals: readonly number[];
}

export interface RegionProfile {
  readonly job: RegionJob;
  /** What stands for it in samples (count-area.ts, WHERE); 0 where it has no counts. */
  readonly place: number;
  /** Guest instructions in it, and bytes of WebAssembly with the code that counts. */
  readonly size: number;
  readonly bytes: number;
  readonly entries: number;
  /** Guest instructions that ran in it. */
  readonly ran: number;
  /** The most taken first. */
  readonly exits: readonly TakenExit[];
  /** Undefined where it is in use. */
  readonly dropped: DropCause | undefined;
  readonly listing: RegionListing | undefined;
}

interface Kept extends AddedRegion {
  dropped: DropCause | undefined;
}

/** A count for each key; the most first. */
export class Tally<K> {
  readonly #counts = new Map<K, number>();
  readonly #limit: number;
  /** What was counted without its key, when there were too many. */
  others = 0;

  constructor(limit = Number.POSITIVE_INFINITY) {
    this.#limit = limit;
  }

  add(key: K, count = 1): void {
    const before = this.#counts.get(key);
    if (before === undefined && this.#counts.size >= this.#limit) this.others += count;
    else this.#counts.set(key, (before ?? 0) + count);
  }

  get(key: K): number {
    return this.#counts.get(key) ?? 0;
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, this.others);
  }

  get sorted(): (readonly [key: K, count: number])[] {
    return [...this.#counts].sort(([, one], [, other]) => other - one);
  }
}

/** Functions that are called for something else than the system's. */
const PLACE_OF: Readonly<Record<string, Place>> = {
  decodeBlock: "decoding",
  hot: "translating",
  remakeRegion: "translating",
};

export class ProcessorProfile implements ProcessorObserver {
  readonly counts: CountReader;
  /** Exceptions and interrupts, as "14 exception". */
  readonly events = new Tally<string>();
  /** By EXIT. */
  readonly returns = new Tally<number>();
  /** Calls from WebAssembly to TypeScript, by function. */
  readonly calls = new Tally<string>();
  readonly regionsDropped = new Tally<DropCause>();
  readonly blocks: BlockRunsReader;
  blocksDropped = 0;
  clears = -1;
  /** Regions that came when there was no room for their counts. */
  uncounted = 0;
  readonly #regions: Kept[] = [];
  readonly #byHandler = new Map<number, Kept>();
  readonly #words: Int32Array;
  readonly #where: number;

  constructor(memory: ArrayBufferLike, area: MemoryArea) {
    this.#words = new Int32Array(memory);
    this.#where = whereAt(area) >> 2;
    this.counts = new CountReader(memory, area);
    this.blocks = new BlockRunsReader(memory);
  }

  /** The thread does something else from now on; returns what to give to `back`. */
  goTo(place: Place): number {
    const before = this.#words[this.#where] as number;
    this.#words[this.#where] = PLACES.indexOf(place);
    return before;
  }
  back(before: number): void {
    this.#words[this.#where] = before;
  }

  entering(record: number): void {
    this.blocks.entered(record);
    this.goTo("interpreter");
  }

  pausing(): void {
    this.goTo("machine");
  }

  delivering({ vector, kind }: DeliveredEvent): void {
    this.events.add(`${vector} ${kind}`);
  }

  returned(exit: number): void {
    this.goTo("system");
    this.returns.add(exit);
  }

  regionAdded(region: AddedRegion): void {
    if (region.counts === undefined) {
      this.uncounted++;
      return;
    }
    const kept: Kept = { ...region, dropped: undefined };
    this.#regions.push(kept);
    this.#byHandler.set(region.job.handler, kept);
  }

  regionDropped(handler: number, cause: DropCause): void {
    this.regionsDropped.add(cause);
    const region = this.#byHandler.get(handler);
    if (region) region.dropped = cause;
    this.#byHandler.delete(handler);
  }

  blockDropped(): void {
    this.blocksDropped++;
  }

  /** The first time, before anything was there, does not count. */
  clearing(): void {
    this.clears++;
    this.blocks.clearing();
  }

  hostFunctions(functions: Record<string, WebAssembly.ImportValue>): Record<string, WebAssembly.ImportValue> {
    return Object.fromEntries(
      Object.entries(functions).map(([name, call]) => {
        if (typeof call !== "function") return [name, call];
        const place = PLACE_OF[name] ?? "system";
        // What is called catches what it throws.
        const counted = (...args: unknown[]) => {
          this.calls.add(name);
          const before = this.goTo(place);
          const result = (call as (...args: unknown[]) => unknown)(...args);
          this.back(before);
          // (physical, linear) → a record, its negative, or 0.
          if (name === "decodeBlock" && result !== 0) this.blocks.decoded(Math.abs(Number(result)), args[1] as bigint);
          return result;
        };
        return [name, counted as unknown as WebAssembly.ImportValue];
      }),
    );
  }

  /** All regions that there were, those that ran most first. */
  get regions(): RegionProfile[] {
    return this.#regions.map((region) => this.#read(region)).sort((one, other) => other.ran - one.ran);
  }

  #read({ job, instructions, bytes, counts, dropped, listing }: Kept): RegionProfile {
    const exits = (counts?.exits ?? []).map(({ count, ...exit }): TakenExit => {
      const row = exit.reason === "memory" ? REFUSALS.map((_, i) => this.counts.at(count + i * 8)) : [];
      const taken = row.length > 0 ? row.reduce((sum, times) => sum + times, 0) : this.counts.at(count);
      return { ...exit, taken, refusals: row };
    });
    return {
      job,
      place: counts?.entries ?? 0,
      size: instructions,
      bytes,
      entries: counts ? this.counts.at(counts.entries) : 0,
      ran: counts ? this.counts.at(counts.instructions) : 0,
      exits: exits.filter(({ taken }) => taken > 0).sort((one, other) => other.taken - one.taken),
      dropped,
      listing,
    };
  }
}
