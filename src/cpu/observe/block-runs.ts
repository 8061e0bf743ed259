/** How often decoded blocks ran in the interpreter: what a translator would have to have, or has left to it. */
import { BLOCK_COUNT, BLOCK_MODE, BLOCK_PHYSICAL, BLOCK_REGION, BLOCK_RUNS } from "../state.ts";

export interface BlockRuns {
  /** Where it was decoded at first; the same bytes may run at other linear addresses, too. */
  readonly linear: bigint;
  readonly physical: number;
  /** BLOCK_CONTEXT's bits; -1 where its code was written since. */
  readonly context: number;
  /** Instructions in it. */
  readonly size: number;
  /** How often it was entered. */
  readonly runs: number;
  /** Whether a region begins with it. */
  readonly hasRegion: boolean;
}

const instructionsOf = ({ size, runs }: BlockRuns): number => size * runs;
const most = (blocks: readonly BlockRuns[], limit: number): BlockRuns[] =>
  [...blocks].sort((one, other) => instructionsOf(other) - instructionsOf(one)).slice(0, limit);

/** Blocks that are remembered when all decoded code is cleared. */
const MOST_CLEARED = 500;

export class BlockRunsReader {
  readonly #words: Int32Array;
  /** Linear addresses by first records. */
  readonly #blocks = new Map<number, bigint>();
  #cleared: BlockRuns[] = [];

  constructor(memory: ArrayBufferLike) {
    this.#words = new Int32Array(memory);
  }

  #field(record: number, field: number): number {
    return this.#words[(record + field) >> 2] as number;
  }

  decoded(record: number, linear: bigint): void {
    this.#words[(record + BLOCK_RUNS) >> 2] = 0;
    this.#blocks.set(record, linear);
  }

  /** The run loop enters it. */
  entered(record: number): void {
    this.#words[(record + BLOCK_RUNS) >> 2] = this.#field(record, BLOCK_RUNS) + 1;
  }

  /** All records are about to go. */
  clearing(): void {
    this.#cleared = this.most(MOST_CLEARED);
    this.#blocks.clear();
  }

  /** Those that ran most instructions, the most first. */
  most(limit: number): BlockRuns[] {
    return most([...this.#cleared, ...[...this.#blocks].map(([record, linear]) => this.#read(record, linear))], limit);
  }

  #read(record: number, linear: bigint): BlockRuns {
    return {
      linear,
      physical: this.#field(record, BLOCK_PHYSICAL) >>> 0,
      context: this.#field(record, BLOCK_MODE),
      size: this.#field(record, BLOCK_COUNT),
      runs: this.#field(record, BLOCK_RUNS) >>> 0,
      hasRegion: this.#field(record, BLOCK_REGION) !== 0,
    };
  }
}
