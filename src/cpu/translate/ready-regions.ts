/**
 * Kept regions whose functions are in the table before it is known where their code lies, if it ever does: where a block
 * with such code is about to run, what it runs in need only be compared. What tells a region is known from the start; its
 * function comes with its group, for which another thread may have to be asked.
 */
import { ByteReader } from "../../wasm/byte-reader.ts";
import { FIRST_READY } from "../interpret/code-table.ts";
import type { CodeReader, PlacedCode } from "./code-reader.ts";
import { matchHead, type RegionIdentity, readSize } from "./region-encoding.ts";

/** What is known of all of them (`KeptRegions.index`), by their numbers. */
export interface ReadyIndex {
  /** `codeKey` of the blocks that they begin with. */
  readonly keys: Uint32Array;
  /** What `placeOf` says; NO_PLACE where there is none of that number. */
  readonly places: Uint32Array;
}

/** The offset in its page and the first byte that a region has. */
export const placeOf = ({ offset, first }: Pick<RegionIdentity, "offset" | "first">): number => offset * 256 + first;
export const NO_PLACE = 0xffff_ffff;

/** Some of them, made on another thread (`KeptRegions.load`). */
export interface ReadyModule {
  /** Number of the first: its function's table entry counts from FIRST_READY on. */
  readonly first: number;
  readonly count: number;
  readonly module: WebAssembly.Module;
  /** Their heads (region-encoding.ts), each behind its length in 4 bytes: 0 where there is none of that number. */
  readonly heads: Uint8Array;
}

export interface ReadyRegion extends PlacedCode {
  /** Table entry of its function. */
  readonly handler: number;
  readonly instructions: number;
}

export class ReadyRegions {
  /** Of those whose functions are in the table. */
  readonly #heads: (Uint8Array | undefined)[] = [];
  readonly #byKey = new Map<number, number | number[]>();
  /** Offsets in a page and first bytes of all of them, a bit each: few blocks need a closer look. */
  readonly #places = new Uint8Array((4096 * 256) / 8);
  /** Numbers of those that stand for a block now: each can for one. */
  readonly #used = new Set<number>();
  /** Numbers of those that were used since this was last emptied. */
  news: number[] = [];
  /** Numbers of those that were looked for and whose functions are not there, since this was last emptied. */
  missing: number[] = [];

  expect({ keys, places }: ReadyIndex): void {
    keys.forEach((key, region) => {
      const place = places[region] as number;
      if (place === NO_PLACE) return;
      this.#places[place >> 3] = (this.#places[place >> 3] as number) | (1 << (place & 7));
      const known = this.#byKey.get(key);
      if (known === undefined) this.#byKey.set(key, region);
      else if (typeof known === "number") this.#byKey.set(key, [known, region]);
      else known.push(region);
    });
  }

  add({ first, heads }: ReadyModule): void {
    const view = new DataView(heads.buffer, heads.byteOffset, heads.byteLength);
    for (let at = 0, region = first; at < heads.length; region++) {
      const length = view.getUint32(at, true);
      if (length > 0) this.#heads[region] = heads.subarray(at + 4, at + 4 + length);
      at += 4 + length;
    }
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** Whether there may be one that begins at this offset in a page, with this byte. */
  mayHave(offset: number, first: number): boolean {
    const place = placeOf({ offset, first });
    return ((this.#places[place >> 3] as number) & (1 << (place & 7))) !== 0;
  }

  /** Whether there is one that begins with code of this `codeKey`. */
  has(key: number): boolean {
    return this.#byKey.has(key);
  }

  /** One of just the code that `reader` finds now: it is in use until it is released. */
  take(identity: RegionIdentity, reader: CodeReader): ReadyRegion | undefined {
    const regions = this.#byKey.get(identity.key) ?? [];
    for (const region of typeof regions === "number" ? [regions] : regions) {
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
      return { handler: FIRST_READY + region, ...placed, instructions: readSize(head).instructions };
    }
    return undefined;
  }

  /** Whether the table entry was one of these, which may then be taken again. */
  release(handler: number): boolean {
    return this.#used.delete(handler - FIRST_READY);
  }
}
