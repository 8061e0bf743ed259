import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/assemble.ts";
import { COUNT, FIND, FIRST_HANDLER as HANDLER } from "../emit/table-entries.ts";
import { heatWord, runsOf } from "../interpret/block-table.ts";
import { BLOCK_FIRST, BLOCK_HEAT, MOST_HEAT } from "../state.ts";
import { BareMachine, CODE } from "../system/testing/bare-machine.ts";
import type { RegionJob } from "./region-job.ts";
import { RegionQueue } from "./region-queue.ts";
import type { RegionMaker } from "./translator.ts";

const RUNS = 1500;
const RECORDS = 4096;
const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

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
    const record = RECORDS + block * 64;
    this.#i32[record >> 2] = HANDLER;
    this.#i32[(record + BLOCK_FIRST) >> 2] = HANDLER;
  }

  drop(block: number): void {
    this.stop(block);
    this.#i32[(RECORDS + block * 64) >> 2] = FIND;
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
  blocks.drop(1);
  blocks.ask(5, { again: true, large: true });
  blocks.ask(6, { again: true, large: true });
  assert.deepEqual(blocks.next(16), [5]);
  assert.deepEqual(blocks.next(16), [6]);
  assert.deepEqual(blocks.next(3), [4, 2, 0]);
  // What was dropped has not run.
  blocks.run(3, RUNS + 1);
  assert.deepEqual(blocks.next(1), [3]);
  assert.deepEqual(blocks.next(1), [1]);
});

test("a block is counted while it waits for its region, and no more when there will be none", () => {
  const [HEAT, TURNS] = [100, 1000];
  const asked: RegionJob[] = [];
  const maker: RegionMaker = { request: (job) => void asked.push(job), done: () => {}, close: () => {} };
  const machine = new BareMachine(64, "max", () => maker, HEAT);
  const { processor, ram } = machine;
  const { bytes } = assemble("again: dec rcx\n jnz again\n ud2", { bits: 64, origin: BigInt(CODE) });
  new Uint8Array(ram.buffer, ram.byteOffset + CODE).set(bytes);
  const i32 = new Int32Array(ram.buffer);
  const run = () => {
    processor.registers.set64("ip", BigInt(CODE));
    processor.registers.setGpr(1, BigInt(TURNS));
    assert.equal(processor.stretch(10 * TURNS)?.vector, 6);
  };
  run();
  const [job] = asked as [RegionJob];
  const { record, runs } = job.block ?? assert.fail("not of a block");
  const counted = () => runsOf(i32[(record + BLOCK_HEAT) >> 2] as number);
  assert.equal(runs, HEAT);
  assert.equal(i32[record >> 2], COUNT);
  assert.equal(counted(), TURNS);
  run();
  assert.equal(counted(), 2 * TURNS);

  const nothing = { job, instructions: 0, isCovered: false, code: [], constants: [], unsure: 0 };
  maker.done({ regions: [nothing], module: new WebAssembly.Module(EMPTY_MODULE), size: 0 });
  run();
  assert.equal(counted(), 2 * TURNS);
  assert.equal(asked.length, 1);
});
