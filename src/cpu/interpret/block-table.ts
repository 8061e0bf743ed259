/** Decoded blocks by physical address, as a hash table in the shared memory that other threads may look into. */

import { COUNT } from "../emit/table-entries.ts";
import {
  BLOCK_ENTRIES,
  BLOCK_HEADER,
  BLOCK_HEAT,
  BLOCK_MODE,
  BLOCK_NEXT,
  BLOCK_PHYSICAL,
  BLOCK_TABLE,
  BLOCK_TARGETS,
  MOST_HEAT,
  NOTED_TARGETS,
  RECORDS,
  RECORDS_SIZE,
} from "../state.ts";

/** Blocks that another thread looks at for one: what it reads may be changing. */
const LONGEST_CHAIN = 256;

/** Address of the word that a chain of blocks begins with. */
export const blockSlot = (physical: number): number =>
  BLOCK_TABLE + ((physical ^ (physical >>> 16)) & (BLOCK_ENTRIES - 1)) * 4;

/** First record of the block at `physical` in the mode `context`; undefined where there is none. */
export function findRecord(memory: Int32Array, physical: number, context: number): number | undefined {
  let record = memory[blockSlot(physical) >> 2] as number;
  for (let i = 0; i < LONGEST_CHAIN; i++) {
    if (record < RECORDS + BLOCK_HEADER || record >= RECORDS + RECORDS_SIZE) return undefined;
    const isSame =
      memory[(record + BLOCK_PHYSICAL) >> 2] === (physical | 0) && memory[(record + BLOCK_MODE) >> 2] === context;
    if (isSame) return record;
    record = memory[(record + BLOCK_NEXT) >> 2] as number;
  }
  return undefined;
}

/** How often a block has run of which the word at BLOCK_HEAT is this. */
export const runsOf = (word: number): number => (word >>> 16) - (word & MOST_HEAT);

/** The word for a block that has run `runs` times and is looked at when it has run `heat` times: more, MOST_HEAT at the most. */
export const heatWord = (runs: number, heat: number): number => (heat << 16) | (heat - runs);

/** How often the block at `physical` has run in the mode `context`, up to `heat`: 0 where there is none. */
export function blockRuns(memory: Int32Array, physical: number, context: number, heat: number): number {
  const record = findRecord(memory, physical, context);
  if (record === undefined) return 0;
  // One that is not counted any more has run often enough.
  return memory[record >> 2] === COUNT ? runsOf(memory[(record + BLOCK_HEAT) >> 2] as number) : heat;
}

/** Where the block at `physical` has jumped to, as offsets in the code segment cut to 32 bits: for its last instruction. */
export function notedTargets(memory: Int32Array, physical: number, context: number): number[] {
  const record = findRecord(memory, physical, context);
  const at = record === undefined ? 0 : (memory[(record + BLOCK_TARGETS) >> 2] as number);
  if (at === 0) return [];
  return [...memory.subarray(at >> 2, (at >> 2) + NOTED_TARGETS)].filter((target) => target !== 0);
}
