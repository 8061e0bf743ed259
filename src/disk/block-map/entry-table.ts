/** A table of numbers in an image file, of which pages are in memory as they are needed. */
import { type ByteOffset, byteOffset } from "../../bits/units.ts";
import type { ByteStore } from "../byte-store.ts";
import { settled } from "../settled.ts";
import { type Table, TableCache, type TableCopy } from "../table-cache.ts";

const PAGE = 64 * 1024;
/** Bytes of pages in memory. */
const LIMIT = 4 * 1024 * 1024;

export interface EntryTableOptions {
  readonly offset: ByteOffset;
  readonly entries: number;
  /** Bytes of an entry. */
  readonly width: 4 | 8;
  readonly littleEndian: boolean;
}

/** Entries of 8 bytes are two halves: a pair of numbers of 32 bits, the lower first. */
export class EntryTable {
  readonly entries: number;
  readonly #store: ByteStore;
  readonly #offset: number;
  readonly #width: 4 | 8;
  readonly #littleEndian: boolean;
  readonly #pages: TableCache;

  constructor(store: ByteStore, { offset, entries, width, littleEndian }: EntryTableOptions) {
    this.#store = store;
    this.#offset = offset;
    this.entries = entries;
    this.#width = width;
    this.#littleEndian = littleEndian;
    this.#pages = new TableCache(store, PAGE, LIMIT);
  }

  #place(index: number): { page: number; at: number } {
    const at = index * this.#width;
    return { page: this.#offset + Math.floor(at / PAGE) * PAGE, at: at % PAGE };
  }

  async #page(offset: number): Promise<Table> {
    return this.#pages.peek(offset) ?? (await this.#pages.load(offset));
  }

  /** The low 32 bits of an entry, and the high ones of one that has 64. */
  async get(index: number): Promise<{ low: number; high: number }> {
    const { page, at } = this.#place(index);
    const { view } = await this.#page(page);
    if (this.#width === 4) return { low: view.getUint32(at, this.#littleEndian), high: 0 };
    const [first, second] = [view.getUint32(at, this.#littleEndian), view.getUint32(at + 4, this.#littleEndian)];
    return this.#littleEndian ? { low: first, high: second } : { low: second, high: first };
  }

  async set(index: number, low: number, high = 0): Promise<void> {
    const { page, at } = this.#place(index);
    for (;;) {
      const table = this.#pages.peek(page);
      if (table === undefined) {
        await this.#pages.load(page);
        continue;
      }
      const { view } = table;
      if (this.#width === 4) view.setUint32(at, low, this.#littleEndian);
      else {
        view.setUint32(at, this.#littleEndian ? low : high, this.#littleEndian);
        view.setUint32(at + 4, this.#littleEndian ? high : low, this.#littleEndian);
      }
      this.#pages.touch(table);
      return;
    }
  }

  get isDirty(): boolean {
    return this.#pages.isDirty;
  }

  get isCrowded(): boolean {
    return this.#pages.isCrowded;
  }

  /** The changes so far, for `write`. */
  takeDirty(): readonly TableCopy[] {
    return this.#pages.takeDirty();
  }

  /** Writes changes to the file, and to a second table of the same kind at `copyAt` where there is one. */
  async write(copies: readonly TableCopy[], copyAt?: ByteOffset): Promise<void> {
    const end = this.#offset + this.entries * this.#width;
    try {
      await settled(
        copies.flatMap(({ table, bytes }) => {
          // What follows the table is not a part of it.
          const part = bytes.subarray(0, Math.min(PAGE, end - table.offset));
          const places = [table.offset];
          if (copyAt !== undefined) places.push(table.offset - this.#offset + copyAt);
          return places.map((place) => this.#store.write(byteOffset(place), part));
        }),
      );
      this.#pages.written(copies);
    } catch (error) {
      this.#pages.notWritten(copies);
      throw error;
    }
  }

  /** Gives back changes that could not be written. */
  notWritten(copies: readonly TableCopy[]): void {
    this.#pages.notWritten(copies);
  }
}
