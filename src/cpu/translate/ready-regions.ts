/**
 * Kept regions whose functions are in the table before it is known where their code lies, if it ever does: where a block
 * with such code is about to run, what it runs in need only be compared.
 */
import { ByteReader } from "../../wasm/byte-reader.ts";
import { FIRST_READY } from "../interpret/code-table.ts";
import type { CodeReader, PlacedCode } from "./code-reader.ts";
import { matchHead, type RegionIdentity, readIdentity, readSize } from "./region-encoding.ts";

/** Some of them, made on another thread (`KeptRegions.toReady`). */
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
}

export class ReadyRegions {
  readonly #heads: Uint8Array[] = [];
  readonly #byKey = new Map<number, number[]>();
  /** Offsets in a page and first bytes of all of them, a bit each: few blocks need a closer look. */
  readonly #places = new Uint8Array((4096 * 256) / 8);
  /** Numbers of those that stand for a block now: each can for one. */
  readonly #used = new Set<number>();
  /** Numbers of those that were used since this was last emptied. */
  news: number[] = [];

  add({ first, heads }: ReadyModule): void {
    const view = new DataView(heads.buffer, heads.byteOffset, heads.byteLength);
    for (let at = 0, region = first; at < heads.length; region++) {
      const length = view.getUint32(at, true);
      const head = heads.subarray(at + 4, at + 4 + length);
      this.#heads[region] = head;
      const { key, offset, first: byte } = readIdentity(new ByteReader(head));
      const place = offset * 256 + byte;
      this.#places[place >> 3] = (this.#places[place >> 3] as number) | (1 << (place & 7));
      const others = this.#byKey.get(key);
      if (others) others.push(region);
      else this.#byKey.set(key, [region]);
      at += 4 + length;
    }
  }

  get size(): number {
    return this.#heads.length;
  }

  /** Whether there may be one that begins at this offset in a page, with this byte. */
  mayHave(offset: number, byte: number): boolean {
    const place = offset * 256 + byte;
    return ((this.#places[place >> 3] as number) & (1 << (place & 7))) !== 0;
  }

  /** Whether there is one that begins with code of this `codeKey`. */
  has(key: number): boolean {
    return this.#byKey.has(key);
  }

  /** One of just the code that `reader` finds now: it is in use until it is released. */
  take(identity: RegionIdentity, reader: CodeReader): ReadyRegion | undefined {
    for (const region of this.#byKey.get(identity.key) ?? []) {
      if (this.#used.has(region)) continue;
      const head = new ByteReader(this.#heads[region] as Uint8Array);
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
