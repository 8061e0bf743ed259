/** Has the jump cache (state.ts, JUMP) forget what code it has found. */
import type { Registers } from "../registers.ts";
import { JUMP, JUMP_CACHE, JUMP_ENTRIES, JUMP_ENTRY } from "../state.ts";

const contextOf = ({ base }: Registers, entry: number): number =>
  (base + JUMP_CACHE + entry * JUMP_ENTRY + JUMP.context) >> 2;

export function forgetJumps(registers: Registers): void {
  const end = contextOf(registers, JUMP_ENTRIES);
  for (let at = contextOf(registers, 0); at < end; at += JUMP_ENTRY >> 2) registers.i32[at] = -1;
}

/** What it has at one linear address; the hash is that of emit/enter-block.ts. */
export function forgetJump(registers: Registers, linear: bigint): void {
  const low = Number(BigInt.asIntN(32, linear));
  registers.i32[contextOf(registers, (low ^ (low >>> 13)) & (JUMP_ENTRIES - 1))] = -1;
}
