/** What a region counts of itself: how often it was entered, what it ran, and which of its ways out were taken. */
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import { addTo, addToRefusal, type CountAllocator, PLACES, REFUSALS, whereAt } from "./count-area.ts";

/** Why a region leaves an instruction to the interpreter. */
export type InterpretReason =
  /** It is never part of a region, or the code cannot be read. */
  | "not translated"
  /** An access to memory that cannot be made in place: counted by REFUSALS. */
  | "memory"
  /** It raises an exception, or an execution unit must be looked at. */
  | "exception"
  | "unit"
  /** What is rare of it is the interpreter's, or a function that it calls found something. */
  | "rare case"
  /** It is started again, as a repeated one is after some elements. */
  | "again"
  /** The region does not lie in the code segment as a whole. */
  | "segment limit";

/** Why a region is left for other code. */
export type LeaveReason =
  | "budget"
  /** To an address that was known only now. */
  | "indirect"
  /** To code that the region does not have: it ran too rarely, or the region was as large as may be. */
  | "rare code"
  | "region full"
  | "calls too deep"
  | "too far"
  /** Into the middle of a loop. */
  | "irreducible";

export interface ExitSite {
  /** Distance from the region's start of the instruction that it is left at or after. */
  readonly delta: number;
  readonly reason: InterpretReason | LeaveReason;
  /** The instruction, with its address. */
  readonly text: string;
  /** Where it goes on, where that is known. */
  readonly to?: number;
  /** Address of the count; of a row of counts by REFUSALS for "memory". */
  readonly count: number;
}

export interface RegionCounts {
  /** Addresses of the counts. */
  readonly entries: number;
  readonly instructions: number;
  readonly exits: readonly ExitSite[];
}

/** Room that a region is given counts in: without it, none. */
const ROOM = 1 << 17;

/** Counts of a region under construction. */
export class RegionCountBuilder implements RegionCounts {
  readonly entries: number;
  readonly instructions: number;
  readonly exits: ExitSite[] = [];
  readonly #allocator: CountAllocator;
  readonly #describe: (delta: number) => string;
  readonly #known = new Map<string, ExitSite>();

  /** `describe` gives the text of the instruction at a distance. */
  static from(
    allocator: CountAllocator | undefined,
    describe: (delta: number) => string,
  ): RegionCountBuilder | undefined {
    return allocator && allocator.room > ROOM ? new RegionCountBuilder(allocator, describe) : undefined;
  }

  private constructor(allocator: CountAllocator, describe: (delta: number) => string) {
    this.#allocator = allocator;
    this.#describe = describe;
    this.entries = allocator.take(1);
    this.instructions = allocator.take(1);
  }

  entered(f: FunctionBuilder): void {
    addTo(f, this.entries);
    f.store("i32", 0, this.entries, whereAt(this.#allocator.area));
  }

  /** The region is left after so many instructions. */
  left(f: FunctionBuilder, instructions: Value): void {
    addTo(f, this.instructions, instructions);
    f.store("i32", 0, PLACES.indexOf("interpreter"), whereAt(this.#allocator.area));
  }

  /** Counts that the region is left here; the same ways out, on several paths, are one. */
  exit(f: FunctionBuilder, way: Omit<ExitSite, "count" | "text">): void {
    const key = `${way.delta} ${way.reason} ${way.to}`;
    const isMemory = way.reason === "memory";
    let site = this.#known.get(key);
    if (site === undefined) {
      site = { ...way, text: this.#describe(way.delta), count: this.#allocator.take(isMemory ? REFUSALS.length : 1) };
      this.#known.set(key, site);
      this.exits.push(site);
    }
    if (isMemory) addToRefusal(f, this.#allocator.area, site.count);
    else addTo(f, site.count);
  }
}
