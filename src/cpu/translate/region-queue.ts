/**
 * Regions that were asked for and are not made yet. Those whose blocks run most now are made first: they go on being counted
 * while they wait. What has run often once may never run again, and another program's code be hot meanwhile.
 */
import { COUNT } from "../emit/table-entries.ts";
import { runsOf } from "../interpret/block-table.ts";
import { BLOCK_FIRST, BLOCK_HEAT, MOST_HEAT } from "../state.ts";
import type { RegionJob } from "./region-job.ts";

/** What is left of what was counted before, each time that it is looked at. */
const KEPT_PART = 0.75;

interface Waiting {
  readonly job: RegionJob;
  /** How often its block had run when it was looked at last. */
  runs: number;
  /** How often it ran lately. */
  lately: number;
}

export class RegionQueue {
  /** The shared memory. */
  readonly #i32: Int32Array;
  readonly #waiting: Waiting[] = [];

  constructor(memory: ArrayBufferLike) {
    this.#i32 = new Int32Array(memory);
  }

  get length(): number {
    return this.#waiting.length;
  }

  add(job: RegionJob): void {
    this.#waiting.push({ job, runs: job.block?.runs ?? 0, lately: 0 });
  }

  /** Takes out what is to be made next, as one module: `most` at the most, and a large one by itself, as V8 takes long for it. */
  next(most: number): RegionJob[] {
    const large = this.#waiting.findIndex(({ job }) => job.large);
    if (large >= 0) return this.#waiting.splice(large, 1).map(({ job }) => job);
    if (this.#waiting.length > most) {
      for (const each of this.#waiting) this.#look(each);
      this.#waiting.sort((a, b) => b.lately - a.lately);
    }
    return this.#waiting.splice(0, most).map(({ job }) => job);
  }

  #look(waiting: Waiting): void {
    const { block } = waiting.job;
    // One that is made anew is in use.
    if (block === undefined) {
      waiting.lately = Number.POSITIVE_INFINITY;
      return;
    }
    const runs = this.#runsOf(block.record) ?? waiting.runs;
    waiting.lately = waiting.lately * KEPT_PART + runs - waiting.runs;
    waiting.runs = runs;
  }

  /** How often a block has run, as far as that can be counted; undefined for one that was dropped meanwhile. */
  #runsOf(record: number): number | undefined {
    const first = this.#i32[record >> 2];
    if (first === COUNT) return runsOf(this.#i32[(record + BLOCK_HEAT) >> 2] as number);
    return first === this.#i32[(record + BLOCK_FIRST) >> 2] ? MOST_HEAT : undefined;
  }
}
