/**
 * Blocks and regions as they are entered, noted by the code that enters them: a ring in the shared memory that is read
 * before it can overflow, whenever the processor stops or something else happens that a trace tells.
 */
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { MemoryArea } from "./count-area.ts";

const ENTRY = 16;
/** Enough for what runs within one slice of guest time (vm/machine.ts), block by block. */
const ENTRIES = 1 << 19;
const HEADER = 16;
export const PATH_SIZE = HEADER + ENTRIES * ENTRY;

export interface PathEntry {
  /** Offset in the code segment. */
  readonly ip: bigint;
  readonly record: number;
  /** Instructions left before it. */
  readonly budget: number;
}

/** Builds code that notes an entry. */
export function noteEntry(f: FunctionBuilder, path: MemoryArea, ip: Value, record: Value, budget: Value): void {
  const count = f.load("i32", 0, path.at);
  const at = count.and(ENTRIES - 1).mul(ENTRY);
  f.store("i64", at, ip, path.at + HEADER);
  f.store("i32", at, record, path.at + HEADER + 8);
  f.store("i32", at, budget, path.at + HEADER + 12);
  f.store("i32", 0, count.add(1), path.at);
}

export class PathReader {
  readonly #words: Int32Array;
  readonly #wide: BigUint64Array;
  readonly #at: number;
  #seen = 0;

  constructor(memory: ArrayBufferLike, path: MemoryArea) {
    this.#words = new Int32Array(memory);
    this.#wide = new BigUint64Array(memory);
    this.#at = path.at;
  }

  get #count(): number {
    return this.#words[this.#at >> 2] as number;
  }

  /** Notes what code that is not emitted enters. */
  note({ ip, record, budget }: PathEntry): void {
    const count = this.#count;
    const at = this.#at + HEADER + (count & (ENTRIES - 1)) * ENTRY;
    this.#wide[at / 8] = ip;
    this.#words[(at + 8) >> 2] = record;
    this.#words[(at + 12) >> 2] = budget;
    this.#words[this.#at >> 2] = count + 1;
  }

  /** Visits what was noted since the last call, first to last; returns how many earlier ones are lost. */
  take(visit: (entry: PathEntry) => void): number {
    const count = this.#count;
    const noted = (count - this.#seen) >>> 0;
    const kept = Math.min(noted, ENTRIES);
    this.#seen = count;
    for (let i = (count - kept) | 0; i !== count; i = (i + 1) | 0) {
      const at = this.#at + HEADER + (i & (ENTRIES - 1)) * ENTRY;
      visit({
        ip: this.#wide[at / 8] as bigint,
        record: this.#words[(at + 8) >> 2] as number,
        budget: this.#words[(at + 12) >> 2] as number,
      });
    }
    return noted - kept;
  }

  /** Forgets what was noted. */
  skip(): void {
    this.#seen = this.#count;
  }
}
