/**
 * Kept regions whose functions are in the table before it is known where their code lies, if it ever does: where a block
 * with such code is about to run, what it runs in need only be compared. What tells a region is known from the start; its
 * function comes with its group, for which another thread may have to be asked.
 */
import { ByteReader } from "../../wasm/byte-reader.ts";
import { FIRST_READY } from "../interpret/code-table.ts";
import type { CodeReader, PlacedCode } from "./code-reader.ts";
import { matchHead, type RegionIdentity, readSize } from "./region-encoding.ts";
import { hasPlace, placeOf, type RegionIndex, regionsOf } from "./region-index.ts";

/** Some of them, made on another thread (`KeptRegions.load`). */
export interface ReadyModule {
  /** Number of the first: its function's table entry counts from FIRST_READY on. */
  readonly first: number;
  readonly count: number;
  readonly module: WebAssembly.Module;
  /** Their heads (region-encoding.ts), each behind its length in 4 bytes. */
  readonly heads: Uint8Array;
}

export interface ReadyRegion extends PlacedCode {
  /** Table entry of its function. */
  readonly handler: number;
  readonly instructions: number;
  /** Distances at which its nodes begin. */
  readonly nodes: readonly number[];
}

export class ReadyRegions {
  #index: RegionIndex | undefined;
  /** Of those whose functions are in the table. */
  readonly #heads: (Uint8Array | undefined)[] = [];
  /** Numbers of those that stand for a block now: each can for one. */
  readonly #used = new Set<number>();
  /** Numbers of those that were used since this was last emptied. */
  news: number[] = [];
  /** Numbers of those that were looked for and whose functions are not there, since this was last emptied. */
  missing: number[] = [];

  expect(index: RegionIndex): void {
    this.#index = index;
  }

  add({ first, heads }: ReadyModule): void {
    const view = new DataView(heads.buffer, heads.byteOffset, heads.byteLength);
    for (let at = 0, region = first; at < heads.length; region++) {
      const length = view.getUint32(at, true);
      this.#heads[region] = heads.subarray(at + 4, at + 4 + length);
      at += 4 + length;
    }
  }

  /** Whether it is known which there are. */
  get areKnown(): boolean {
    return this.#index !== undefined;
  }

  /** Whether there may be one that begins at this offset in a page, with this byte. */
  mayHave(offset: number, first: number): boolean {
    return this.#index !== undefined && hasPlace(this.#index, placeOf({ offset, first }));
  }

  /** Whether there is one that begins with code of this `codeKey`. */
  has(key: number): boolean {
    return this.#index !== undefined && regionsOf(this.#index, key).length > 0;
  }

  /** One of just the code that `reader` finds now: it is in use until it is released. */
  take(identity: RegionIdentity, reader: CodeReader): ReadyRegion | undefined {
    for (const region of this.#index ? regionsOf(this.#index, identity.key) : []) {
      if (this.#used.has(region)) continue;
      const bytes = this.#heads[region];
      if (bytes === undefined) {
        this.missing.push(region);
        continue;
      }
      const head = new ByteReader(bytes);
      const placed = matchHead(head, identity, reader);
      if (placed === undefined) continue;
      this.#used.add(region);
      this.news.push(region);
      return { handler: FIRST_READY + region, ...placed, ...readSize(head) };
    }
    return undefined;
  }

  /** Whether the table entry was one of these, which may then be taken again. */
  release(handler: number): boolean {
    return this.#used.delete(handler - FIRST_READY);
  }
}
