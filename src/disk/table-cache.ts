/**
 * Tables of one size each (L2 tables, refcount blocks, pages of larger tables), kept in memory up to a limit. The least recently used
 * clean one goes first; changed ones stay until they are written, which their owner does in the order that
 * keeps the image consistent (see commit in qcow2/metadata.ts).
 */
import { byteOffset } from "../bits/units.ts";
import type { ByteStore } from "./byte-store.ts";

export class Table {
  /** In the file. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Its place in the file has no content yet, and nothing in the file points there. */
  fresh = false;

  constructor(offset: number, bytes: Uint8Array) {
    this.offset = offset;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
}

/** A changed table as it was at one moment. */
export interface TableCopy {
  readonly table: Table;
  readonly bytes: Uint8Array;
}

/** However large clusters are, a few tables must fit. */
const LEAST_TABLES = 4;

export class TableCache {
  readonly #store: ByteStore;
  readonly #clusterSize: number;
  readonly #mostTables: number;
  /** In the order of use. */
  readonly #tables = new Map<number, Table>();
  readonly #loading = new Map<number, Promise<Table>>();
  readonly #dirty = new Set<Table>();
  /** Copies of them are being written; until that is done the file has an older state. */
  readonly #writing = new Set<Table>();

  /** `limit` is in bytes. */
  constructor(store: ByteStore, clusterSize: number, limit: number) {
    this.#store = store;
    this.#clusterSize = clusterSize;
    this.#mostTables = Math.max(LEAST_TABLES, Math.floor(limit / clusterSize));
  }

  /** The table, where it is in memory. It may be changed only at once: after an `await` it may be another. */
  peek(offset: number): Table | undefined {
    const table = this.#tables.get(offset);
    if (table !== undefined) {
      this.#tables.delete(offset);
      this.#tables.set(offset, table);
    }
    return table;
  }

  /** Whether a table of this offset is in memory, without counting as a use. */
  has(offset: number): boolean {
    return this.#tables.has(offset);
  }

  /** Brings a table into memory. */
  async load(offset: number): Promise<Table> {
    const found = this.peek(offset) ?? this.#loading.get(offset);
    if (found !== undefined) return found;
    const loading = this.#read(offset);
    this.#loading.set(offset, loading);
    try {
      return await loading;
    } finally {
      this.#loading.delete(offset);
    }
  }

  async #read(offset: number): Promise<Table> {
    const bytes = new Uint8Array(this.#clusterSize);
    await this.#store.read(byteOffset(offset), bytes);
    const table = new Table(offset, bytes);
    this.#insert(table);
    return table;
  }

  /** A new table, which the file does not have yet. */
  add(offset: number, bytes: Uint8Array): Table {
    const table = new Table(offset, bytes);
    table.fresh = true;
    this.#dirty.add(table);
    this.#insert(table);
    return table;
  }

  /** Forgets a table, changes included. */
  drop(offset: number): void {
    const table = this.#tables.get(offset);
    if (table !== undefined) this.#dirty.delete(table);
    this.#tables.delete(offset);
  }

  /** Says that a table in memory was changed. */
  touch(table: Table): void {
    this.#dirty.add(table);
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** Whether so many tables are changed that they should be written before more are. */
  get isCrowded(): boolean {
    return this.#dirty.size + this.#writing.size > this.#mostTables / 2;
  }

  /**
   * Copies of the changed tables, to be written; they count as unchanged from now on, and stay in memory until
   * `written` or `notWritten` is told.
   */
  takeDirty(): TableCopy[] {
    const copies = [...this.#dirty].map((table) => ({ table, bytes: table.bytes.slice() }));
    for (const { table } of copies) this.#writing.add(table);
    this.#dirty.clear();
    return copies;
  }

  written(copies: readonly TableCopy[]): void {
    for (const { table } of copies) this.#writing.delete(table);
  }

  notWritten(copies: readonly TableCopy[]): void {
    for (const { table } of copies) {
      this.#writing.delete(table);
      if (this.#tables.get(table.offset) === table) this.#dirty.add(table);
    }
  }

  #insert(table: Table): void {
    this.#tables.set(table.offset, table);
    if (this.#tables.size <= this.#mostTables) return;
    for (const other of this.#tables.values()) {
      if (this.#dirty.has(other) || this.#writing.has(other) || other === table) continue;
      this.#tables.delete(other.offset);
      if (this.#tables.size <= this.#mostTables) return;
    }
  }
}
