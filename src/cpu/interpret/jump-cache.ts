/** Has the jump cache (state.ts, JUMP) forget what code it has found. */
import type { Registers } from "../registers.ts";
import { JUMP, JUMP_CACHE, JUMP_ENTRIES, JUMP_ENTRY, JUMP_VICTIM_ENTRIES, JUMP_VICTIMS } from "../state.ts";

const CACHES = [
  { at: JUMP_CACHE, entries: JUMP_ENTRIES },
  { at: JUMP_VICTIMS, entries: JUMP_VICTIM_ENTRIES },
] as const;

const contextOf = ({ base }: Registers, cache: number, entry: number): number =>
  (base + cache + entry * JUMP_ENTRY + JUMP.context) >> 2;

export function forgetJumps(registers: Registers): void {
  for (const { at, entries } of CACHES) {
    const end = contextOf(registers, at, entries);
    for (let word = contextOf(registers, at, 0); word < end; word += JUMP_ENTRY >> 2) registers.i32[word] = -1;
  }
}

/** What it has at one linear address; the hash is that of emit/enter-block.ts. */
export function forgetJump(registers: Registers, linear: bigint): void {
  const low = Number(BigInt.asIntN(32, linear));
  const hash = low ^ (low >>> 13);
  for (const { at, entries } of CACHES) registers.i32[contextOf(registers, at, hash & (entries - 1))] = -1;
}
