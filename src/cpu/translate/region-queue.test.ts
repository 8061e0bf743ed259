import assert from "node:assert/strict";
import { test } from "node:test";
import { COUNT } from "../emit/table-entries.ts";
import { heatWord } from "../interpret/block-table.ts";
import { BLOCK_HEAT, MOST_HEAT } from "../state.ts";
import type { RegionJob } from "./region-job.ts";
import { RegionQueue } from "./region-queue.ts";

const RUNS = 1500;
const RECORDS = 4096;

class Blocks {
  readonly memory = new SharedArrayBuffer(65536);
  readonly queue = new RegionQueue(this.memory);
  readonly #i32 = new Int32Array(this.memory);

  run(block: number, runs: number): void {
    const record = RECORDS + block * 64;
    this.#i32[record >> 2] = COUNT;
    this.#i32[(record + BLOCK_HEAT) >> 2] = heatWord(runs, MOST_HEAT);
  }

  /** Counts no more. */
  stop(block: number): void {
    this.#i32[(RECORDS + block * 64) >> 2] = COUNT + 1;
  }

  ask(block: number, { large = false, again = false } = {}): void {
    if (!again) this.run(block, RUNS);
    const counted = again ? undefined : { record: RECORDS + block * 64, runs: RUNS };
    this.queue.add({ handler: block, large, block: counted } as RegionJob);
  }

  next(most: number): number[] {
    return this.queue.next(most).map(({ handler }) => handler);
  }
}

test("what runs most while it waits is made first, and what came first where all wait alike", () => {
  const blocks = new Blocks();
  for (let block = 0; block < 6; block++) blocks.ask(block);
  blocks.run(3, RUNS + 50);
  blocks.run(5, RUNS + 70);
  assert.deepEqual(blocks.next(2), [5, 3]);
  assert.deepEqual(blocks.next(2), [0, 1]);
  assert.equal(blocks.queue.length, 2);
  assert.deepEqual(blocks.next(16), [2, 4]);
  assert.deepEqual(blocks.next(16), []);
});

test("what ran long ago comes after what runs now", () => {
  const TURNS = 8;
  const [OLD, PRESENT] = [100, 101];
  const blocks = new Blocks();
  for (const block of [OLD, PRESENT]) blocks.ask(block);
  for (let block = 0; block < TURNS; block++) blocks.ask(block);
  blocks.run(OLD, RUNS + 1000);
  const taken = Array.from({ length: TURNS }, (_, turn) => {
    blocks.run(PRESENT, RUNS + turn * 100);
    // One that runs more than either.
    blocks.run(turn, RUNS + 2000);
    return blocks.next(1);
  });
  assert.deepEqual(taken.flat(), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(blocks.next(1), [PRESENT]);
  assert.deepEqual(blocks.next(1), [OLD]);
});

test("large regions are made one by one, and first; what is made again, or has run as much as can be counted, before others", () => {
  const blocks = new Blocks();
  for (let block = 0; block < 4; block++) blocks.ask(block);
  blocks.run(0, RUNS + 1000);
  blocks.ask(4, { again: true });
  blocks.stop(2);
  blocks.ask(5, { again: true, large: true });
  blocks.ask(6, { again: true, large: true });
  assert.deepEqual(blocks.next(16), [5]);
  assert.deepEqual(blocks.next(16), [6]);
  assert.deepEqual(blocks.next(3), [4, 2, 0]);
});
