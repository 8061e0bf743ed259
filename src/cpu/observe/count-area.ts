/**
 * Where emitted code counts what it does, in a piece of the shared memory of its own. Code counts only where it was
 * built for a processor that has such a piece: without one nothing is emitted.
 */
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";

/** A piece of the shared memory, aligned to 8 bytes. */
export interface MemoryArea {
  readonly at: number;
  readonly size: number;
}

/** MMU modes that have a TLB of their own or none (state.ts, MMU_MODE), by number. */
export const MODE_NAMES = ["supervisor", "user", "supervisor, AC set", "checked"] as const;
/** Kinds of a page walk, by number: bits of ACCESS (mmu/address-translation.ts), and `probe` for those that change nothing. */
export const WALK_KINDS = ["read", "write", "execute", "probe"] as const;
/** Why an access could not be made in place, by number. */
export const REFUSALS = [
  /** One of a group of accesses (translate/access-groups.ts) that found their page, but cannot write it yet. */
  "group not ready",
  "page crossing",
  "exception",
  "device",
  "page with code",
  "read-only memory",
  /** All accesses are looked at, for breakpoints or alignment. */
  "checked",
] as const;
export type Refusal = (typeof REFUSALS)[number];

const SINGLE = [
  "findBlock",
  "interpretAt",
  "keepPage",
  "fillTlb",
  "pageFaults",
  "flushAll",
  "flushLocal",
  "flushPage",
] as const;
export type CountName = (typeof SINGLE)[number];

/**
 * First three words: the number of bytes that are given out to regions, the reason of the last refusal, and where the
 * processor is, for a thread that takes samples: a number of PLACES, or a region by the address of its first count.
 */
const TAKEN = 0;
const REFUSAL = 4;
const WHERE = 8;
/** Counts that nobody reads: of regions for which there is no room. */
const SPARE = 16;
const SINGLES = SPARE + REFUSALS.length * 8;
const WALKS = SINGLES + SINGLE.length * 8;
const FILLS = WALKS + MODE_NAMES.length * WALK_KINDS.length * 8;
const REGIONS = FILLS + MODE_NAMES.length * 8;

/** Where a machine's thread may be beside a region; 0 is before its start. */
export const PLACES = [
  "start",
  "interpreter",
  "system",
  "decoding",
  "translating",
  "device",
  "machine",
  "waiting",
] as const;
export type Place = (typeof PLACES)[number];

/** Address of the word that says where the processor is. */
export const whereAt = (area: MemoryArea): number => area.at + WHERE;

/** Builds code that adds to the count of 64 bits at an address. */
export function addTo(f: FunctionBuilder, at: number | Value, count: number | Value = 1): void {
  const [base, offset] = typeof at === "number" ? [0, at] : [at, 0];
  f.store("i64", base, f.load("i64", base, offset).add(typeof count === "number" ? count : count.extendU()), offset);
}

/** Builds code that counts, in the area; none where there is no area. */
export class CountBuilder {
  readonly #at: number | undefined;

  constructor(area: MemoryArea | undefined) {
    this.#at = area?.at;
  }

  single(f: FunctionBuilder, name: CountName): void {
    if (this.#at !== undefined) addTo(f, this.#at + SINGLES + SINGLE.indexOf(name) * 8);
  }

  /** `mode` and `kind` are numbers (i32). */
  walk(f: FunctionBuilder, mode: Value, kind: Value): void {
    if (this.#at !== undefined)
      addTo(
        f,
        mode
          .shl(2)
          .add(kind)
          .shl(3)
          .add(this.#at + WALKS),
      );
  }

  fill(f: FunctionBuilder, mode: Value): void {
    if (this.#at !== undefined) addTo(f, mode.shl(3).add(this.#at + FILLS));
  }

  /** Notes why an access was refused. */
  refusal(f: FunctionBuilder, why: Refusal): void {
    if (this.#at !== undefined) f.store("i32", 0, REFUSALS.indexOf(why), this.#at + REFUSAL);
  }

  /** Whether anything is counted, where code is needed for it. */
  get isOn(): boolean {
    return this.#at !== undefined;
  }
}

/** Builds code that adds to one of `REFUSALS.length` counts in a row, that of the last refusal. */
export function addToRefusal(f: FunctionBuilder, area: MemoryArea, first: number): void {
  addTo(
    f,
    f
      .load("i32", 0, area.at + REFUSAL)
      .shl(3)
      .add(first),
  );
  // The first is what nobody notes.
  f.store("i32", 0, 0, area.at + REFUSAL);
}

/** Gives out counts to regions; several threads may do so. */
export class CountAllocator {
  readonly #words: Int32Array;
  readonly area: MemoryArea;

  constructor(memory: ArrayBufferLike, area: MemoryArea) {
    this.#words = new Int32Array(memory);
    this.area = area;
  }

  /** Bytes that are left. */
  get room(): number {
    return this.area.size - REGIONS - Atomics.load(this.#words, (this.area.at + TAKEN) >> 2);
  }

  /** The address of the first of so many counts; of one that nobody reads where there is no room. */
  take(counts: number): number {
    const offset = Atomics.add(this.#words, (this.area.at + TAKEN) >> 2, counts * 8) + REGIONS;
    return offset + counts * 8 <= this.area.size ? this.area.at + offset : this.area.at + SPARE;
  }
}

/** Reads counts. */
export class CountReader {
  readonly #counts: BigInt64Array;
  readonly #at: number;

  constructor(memory: ArrayBufferLike, area: MemoryArea) {
    this.#counts = new BigInt64Array(memory);
    this.#at = area.at;
  }

  at(address: number): number {
    return Number(this.#counts[address / 8]);
  }

  single(name: CountName): number {
    return this.at(this.#at + SINGLES + SINGLE.indexOf(name) * 8);
  }

  walks(mode: number, kind: number): number {
    return this.at(this.#at + WALKS + (mode * WALK_KINDS.length + kind) * 8);
  }

  fills(mode: number): number {
    return this.at(this.#at + FILLS + mode * 8);
  }
}
