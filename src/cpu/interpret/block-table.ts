/** Decoded blocks by physical address, as a table in the shared memory that other threads may look into. */
import { BLOCK, BLOCK_ENTRIES, BLOCK_HEAT, BLOCK_TABLE, BLOCK_TARGETS, NOTED_TARGETS } from "../state.ts";
import { COUNT } from "./handlers.ts";

/** Index of a block's entry. */
export const blockSlot = (physical: number): number => (physical ^ (physical >>> 16)) & (BLOCK_ENTRIES - 1);

/** First record of the block at `physical` in the mode `context`; undefined where there is none. */
export function findRecord(memory: Int32Array, physical: number, context: number): number | undefined {
  const at = (BLOCK_TABLE + blockSlot(physical) * 16) >> 2;
  if (memory[at + BLOCK.physical / 4] !== (physical | 0) || memory[at + BLOCK.context / 4] !== context)
    return undefined;
  return memory[at + BLOCK.record / 4];
}

/** How often the block at `physical` has run in the mode `context`, up to `heat`: 0 where there is none. */
export function blockRuns(memory: Int32Array, physical: number, context: number, heat: number): number {
  const record = findRecord(memory, physical, context);
  if (record === undefined) return 0;
  // One that is not counted any more has run often enough.
  return memory[record >> 2] === COUNT ? heat - (memory[(record + BLOCK_HEAT) >> 2] as number) : heat;
}

/** Where the block at `physical` has jumped to, as offsets in the code segment cut to 32 bits: for its last instruction. */
export function notedTargets(memory: Int32Array, physical: number, context: number): number[] {
  const record = findRecord(memory, physical, context);
  const at = record === undefined ? 0 : (memory[(record + BLOCK_TARGETS) >> 2] as number);
  if (at === 0) return [];
  return [...memory.subarray(at >> 2, (at >> 2) + NOTED_TARGETS)].filter((target) => target !== 0);
}
