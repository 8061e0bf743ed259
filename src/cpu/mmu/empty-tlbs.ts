/** The software TLBs as a processor begins with them. */
import type { Registers } from "../registers.ts";
import { noPage, TLB, TLB_ENTRY, TLB_SIZE, TLBS } from "../state.ts";

export function emptyTlbs({ base, bytes, i32 }: Registers): void {
  const first = base + TLBS;
  for (let entry = first; entry < first + TLB_SIZE; entry += TLB_ENTRY) {
    const none = noPage(entry);
    i32[(entry + TLB.read) >> 2] = none;
    i32[(entry + TLB.write) >> 2] = none;
    i32[(entry + TLB.execute) >> 2] = none;
    i32[(entry + TLB.frame) >> 2] = -1;
  }
  // What an entry's tags must not be is the same in each of the TLBs.
  for (let mode = 1; mode < 4; mode++) bytes.copyWithin(first + mode * TLB_SIZE, first, first + TLB_SIZE);
}
