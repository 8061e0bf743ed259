/** What a region is asked for with, and what follows from that. */
import type { Feature } from "../../isa/instruction.ts";
import { codeKey } from "../interpret/code-key.ts";
import { codeContext } from "../interpret/handlers.ts";
import type { CodeWalk, PagingMode } from "../mmu/code-walk.ts";
import { GROUP_MISSES, GROUP_MISSES_SIZE, hostAddress, SCATTERED, SCATTERED_SIZE } from "../state.ts";
import { CodeReader } from "./code-reader.ts";
import type { RegionIdentity } from "./region-encoding.ts";

/** A region that is asked for. */
export interface RegionJob {
  /** Table entry for its function. */
  readonly handler: number;
  /** Linear and physical address that it begins at. */
  readonly linear: bigint;
  readonly physical: number;
  /** Offset in the code segment that it begins at, cut to 32 bits. */
  readonly ip: number;
  /** What decoding depends on (state.ts, BLOCK_CONTEXT). */
  readonly context: number;
  readonly paging: PagingMode;
  /** Whether the region has run much already, and may be large. */
  readonly large: boolean;
  /** Offsets in a page of instructions that are left to the interpreter. */
  readonly marks: readonly number[];
  /** How many modules' regions the processor had when it asked for this one; infinite where it is to be made anyway. */
  readonly seen: number;
  /** Distances at which nodes begin of the region that it is to replace: code that runs, though it is not counted. */
  readonly warm: readonly number[];
  /** The block that it is for, which is counted while it waits: its first record, and how often it had run; undefined for one that is made again. */
  readonly block?: { readonly record: number; readonly runs: number } | undefined;
}

/** Code that is a part of a region: the physical addresses at which its nodes begin, all in one mode. */
export interface RegionNodes {
  readonly context: number;
  readonly physical: readonly number[];
}

/** Where it is noted that the pages of addresses from `origin` change too often in the region that begins at `physical`. */
export function scatteredSlot(physical: number, origin: string, write: boolean): number {
  let hash = physical ^ (physical >>> 15) ^ (write ? 0x5555 : 0);
  for (let i = 0; i < origin.length; i++) hash = (Math.imul(hash, 31) + origin.charCodeAt(i)) | 0;
  return (hash ^ (hash >>> 16)) & (SCATTERED_SIZE - 1);
}

/** Address of the byte to set where groups of accesses are often not found in the region. */
export function unsureByte(vcpu: number, { physical }: Pick<RegionJob, "physical">): number {
  return vcpu + SCATTERED + scatteredSlot(physical, "group", false);
}

/** How far apart the bytes of GROUP_MISSES are for instructions whose distances differ by one: odd, so that they spread. */
export const MISSES_STRIDE = 10007;

/** How many of the misses for which a region is made again a group has to have for its accesses to look for themselves. */
const SOME_MISSES = 20;

/** Whether what the instruction at `delta` looks for is nearly always found in the region, as far as is known. */
export function isSure(memory: Uint8Array, vcpu: number, job: Pick<RegionJob, "physical">, delta: number): boolean {
  const unsure = unsureByte(vcpu, job);
  if (memory[unsure] === 0) return true;
  const slot = (unsure - vcpu - SCATTERED + Math.imul(delta, MISSES_STRIDE)) & (GROUP_MISSES_SIZE - 1);
  return (memory[vcpu + GROUP_MISSES + slot] as number) < SOME_MISSES;
}

/** Where code is read from. */
export interface CodeMemory {
  /** The shared memory. */
  readonly bytes: Uint8Array;
  readonly walk: CodeWalk;
  has(feature: Feature): boolean;
}

/** Reads the code around where the region begins. */
export function codeReader(
  { linear, physical, context, paging, marks }: Omit<RegionJob, "handler" | "large" | "seen" | "ip" | "warm">,
  { bytes, walk, has }: CodeMemory,
): CodeReader {
  const { long, code32 } = codeContext(context);
  const firstPage = linear & ~0xfffn;
  return new CodeReader(
    {
      memory: bytes,
      has,
      isMarked: (offset) => marks.includes(offset),
      // The page that it begins in is known, whatever has become of the page tables.
      translate: (address) => (address === firstPage ? physical - (physical % 4096) : walk.translate(address, paging)),
    },
    linear,
    { long, code32 },
  );
}

/** The `codeKey` of the block that the region begins with; `reader` reads its code in the shared memory `bytes`. */
export function keyOfCode({ physical, context }: RegionPlace, reader: CodeReader, bytes: Uint8Array): number {
  return codeKey(bytes, hostAddress(physical), physical % 4096, context, reader.block);
}

/** What tells the region among those that are kept for processors of a model. */
export function identityOf(
  { physical, context }: RegionPlace,
  key: number,
  bytes: Uint8Array,
  model: string,
): RegionIdentity {
  const first = bytes[hostAddress(physical)] as number;
  return { key, model, context, offset: physical % 4096, first };
}

type RegionPlace = Pick<RegionJob, "physical" | "context">;
