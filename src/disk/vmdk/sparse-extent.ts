/** A sparse extent of VMDK: grains, found by a directory of tables. */
import { byteOffset } from "../../bits/units.ts";
import type { BlockMap, BlockPlace } from "../block-map/block-map.ts";
import type { ByteStore } from "../byte-store.ts";
import type { Decompressor } from "../decompress.ts";
import { TableCache, type TableCopy } from "../table-cache.ts";
import { descriptorOf } from "./descriptor.ts";
import {
  ABSENT,
  COMPRESSION_DEFLATE,
  DIRECTORY_AT_END,
  Flag,
  GrainMarker,
  MAGIC,
  SparseHeader,
  ZEROED,
} from "./layout.ts";
import { openFailure } from "./problems.ts";

export interface SparseExtent {
  /** Bytes. */
  readonly size: number;
  readonly map: GrainMap;
  readonly isCompressed: boolean;
  /** The embedded description, if there is one. */
  readonly descriptor: string | undefined;
}

const MOST_DIRECTORY = 64 * 1024 * 1024;
const MOST_DESCRIPTOR = 64 * 1024;
const SECTOR = 512;
const NO_DIRECTORY = 0;

/** Reads an extent's header; rejects with ImageError<OpenProblem>. */
export async function openSparseExtent(store: ByteStore, decompressor: Decompressor): Promise<SparseExtent> {
  const corrupt = (what: string) => openFailure(store.name, { kind: "corrupt", what });
  const first = new Uint8Array(SparseHeader.size);
  await store.read(byteOffset(0), first);
  let header = SparseHeader.at(first);
  if (header.magic !== MAGIC) throw openFailure(store.name, { kind: "not-vmdk" });
  const descriptor = await readDescriptor(store, header);
  if (header.directory === DIRECTORY_AT_END) {
    // The last sectors: a marker, the footer, the end of the stream.
    const footer = new Uint8Array(SparseHeader.size);
    await store.read(byteOffset(Math.max(0, Math.floor(store.size / SECTOR) * SECTOR - 2 * SECTOR)), footer);
    header = SparseHeader.at(footer);
    if (header.magic !== MAGIC || header.directory === DIRECTORY_AT_END)
      throw corrupt("it has no footer: it was cut off");
  }
  const { version, flags, entriesPerTable } = header;
  if (version < 1 || version > 3) throw openFailure(store.name, { kind: "bad-version", version });
  const isCompressed = (flags & Flag.compressed) !== 0;
  if (isCompressed && header.compression !== COMPRESSION_DEFLATE) {
    throw openFailure(store.name, { kind: "bad-compression", type: header.compression });
  }
  const grainSectors = Number(header.grainSize);
  if (header.grainSize < 1n || header.grainSize > 8192n || (grainSectors & (grainSectors - 1)) !== 0) {
    throw corrupt(`grains of ${header.grainSize} sectors`);
  }
  if (entriesPerTable < 1 || entriesPerTable > 4096) throw corrupt(`grain tables of ${entriesPerTable} entries`);
  if (header.capacity > 2n ** 42n) throw corrupt(`a capacity of ${header.capacity} sectors`);
  const capacity = Number(header.capacity);
  const tables = Math.ceil(capacity / (grainSectors * entriesPerTable));
  const readDirectory = async (at: bigint): Promise<DataView> => {
    const offset = Number(at) * SECTOR;
    if (tables * 4 > MOST_DIRECTORY || at === 0n || offset + tables * 4 > store.size) {
      throw corrupt("its directory is not in the file");
    }
    const bytes = new Uint8Array(tables * 4);
    await store.read(byteOffset(offset), bytes);
    return new DataView(bytes.buffer);
  };
  const directory = await readDirectory(header.directory);
  const hasSecond = (flags & Flag.redundantTable) !== 0 && header.redundantDirectory !== 0n;
  const second = hasSecond ? await readDirectory(header.redundantDirectory) : undefined;
  const map = new GrainMap(store, decompressor, {
    grainSize: grainSectors * SECTOR,
    entriesPerTable,
    directory,
    second,
    hasZeroes: (flags & Flag.zeroedGrains) !== 0,
    isCompressed,
    size: capacity * SECTOR,
  });
  return { size: capacity * SECTOR, map, isCompressed, descriptor };
}

async function readDescriptor(
  store: ByteStore,
  { descriptorOffset, descriptorSize }: ReturnType<typeof SparseHeader.at>,
): Promise<string | undefined> {
  const length = Math.min(Number(descriptorSize) * SECTOR, MOST_DESCRIPTOR);
  const offset = Number(descriptorOffset) * SECTOR;
  if (length === 0 || offset === 0 || offset + length > store.size) return undefined;
  const bytes = new Uint8Array(length);
  await store.read(byteOffset(offset), bytes);
  return descriptorOf(bytes);
}

interface GrainTables {
  /** Bytes. */
  readonly grainSize: number;
  readonly entriesPerTable: number;
  readonly directory: DataView;
  readonly second: DataView | undefined;
  readonly hasZeroes: boolean;
  readonly isCompressed: boolean;
  /** Bytes of the extent's disk. */
  readonly size: number;
}

/** Bytes of grain tables in memory. */
const CACHE_LIMIT = 1024 * 1024;
const KEPT = 16;

export class GrainMap implements BlockMap {
  readonly blockSize: number;
  readonly #store: ByteStore;
  readonly #decompressor: Decompressor;
  readonly #tables: GrainTables;
  readonly #cache: TableCache;
  readonly #tableSize: number;
  readonly #unpacked = new Map<number, Promise<Uint8Array>>();
  readonly setZero?: (block: number) => Promise<void>;

  constructor(store: ByteStore, decompressor: Decompressor, tables: GrainTables) {
    this.#store = store;
    this.#decompressor = decompressor;
    this.#tables = tables;
    this.blockSize = tables.grainSize;
    this.#tableSize = tables.entriesPerTable * 4;
    this.#cache = new TableCache(store, this.#tableSize, CACHE_LIMIT);
    if (tables.hasZeroes) this.setZero = (block) => this.#set(block, ZEROED);
  }

  #tableOffset(directory: DataView, block: number): number {
    const offset = directory.getUint32(Math.floor(block / this.#tables.entriesPerTable) * 4, true) * SECTOR;
    if (offset + this.#tableSize <= this.#store.size) return offset;
    const what = `the table of grain ${block} is said to be at ${offset}`;
    throw openFailure(this.#store.name, { kind: "corrupt", what });
  }

  async place(block: number): Promise<BlockPlace> {
    const at = this.#tableOffset(this.#tables.directory, block);
    if (at === NO_DIRECTORY) return { kind: "absent" };
    const table = this.#cache.peek(at) ?? (await this.#cache.load(at));
    const entry = table.view.getUint32((block % this.#tables.entriesPerTable) * 4, true);
    if (entry === ABSENT) return { kind: "absent" };
    if (entry === ZEROED && this.#tables.hasZeroes) return { kind: "zero" };
    const offset = entry * SECTOR;
    if (this.#tables.isCompressed && offset < this.#store.size) return { kind: "packed", offset };
    // The last grain of an extent may be cut off where the disk ends.
    const length = Math.min(this.blockSize, this.#tables.size - block * this.blockSize);
    if (!this.#tables.isCompressed && offset + length <= Math.ceil(this.#store.size / SECTOR) * SECTOR) {
      return { kind: "data", offset };
    }
    throw openFailure(this.#store.name, { kind: "corrupt", what: `grain ${block} is said to be at ${offset}` });
  }

  unpack({ offset }: { readonly offset: number }): Promise<Uint8Array> {
    const found = this.#unpacked.get(offset);
    const unpacking = found ?? this.#unpack(offset);
    this.#unpacked.delete(offset);
    this.#unpacked.set(offset, unpacking);
    if (found === undefined) {
      unpacking.catch(() => this.#unpacked.delete(offset));
      for (const key of this.#unpacked.keys()) {
        if (this.#unpacked.size <= KEPT) break;
        this.#unpacked.delete(key);
      }
    }
    return unpacking;
  }

  async #unpack(offset: number): Promise<Uint8Array> {
    const corrupt = (what: string) =>
      openFailure(this.#store.name, { kind: "corrupt", what: `a grain at ${offset}: ${what}` });
    const marker = new Uint8Array(GrainMarker.size);
    await this.#store.read(byteOffset(offset), marker);
    const { size } = GrainMarker.at(marker);
    // Packed data that is much larger than the grain is none.
    if (size === 0 || size > 2 * this.blockSize + 1024) throw corrupt(`${size} packed bytes`);
    const packed = new Uint8Array(size);
    await this.#store.read(byteOffset(offset + GrainMarker.size), packed);
    let content: Uint8Array;
    try {
      content = await this.#decompressor.inflate(packed, this.blockSize);
    } catch (error) {
      throw corrupt(error instanceof Error ? error.message : "it cannot be unpacked");
    }
    if (content.length === this.blockSize) return content;
    // The last one may be short.
    const whole = new Uint8Array(this.blockSize);
    whole.set(content);
    return whole;
  }

  async allocate(): Promise<number> {
    const offset = Math.ceil(this.#store.size / this.blockSize) * this.blockSize;
    if (offset / SECTOR >= 2 ** 32)
      throw openFailure(this.#store.name, { kind: "corrupt", what: "it can have no more grains" });
    await this.#store.resize(offset + this.blockSize);
    return offset;
  }

  async setData(block: number, offset: number): Promise<void> {
    await this.#set(block, offset / SECTOR);
  }

  async #set(block: number, entry: number): Promise<void> {
    const at = this.#tableOffset(this.#tables.directory, block);
    if (at === NO_DIRECTORY) {
      throw openFailure(this.#store.name, { kind: "corrupt", what: `there is no table for grain ${block}` });
    }
    for (;;) {
      const table = this.#cache.peek(at);
      if (table === undefined) {
        await this.#cache.load(at);
        continue;
      }
      table.view.setUint32((block % this.#tables.entriesPerTable) * 4, entry, true);
      this.#cache.touch(table);
      return;
    }
  }

  get isDirty(): boolean {
    return this.#cache.isDirty;
  }

  get isCrowded(): boolean {
    return this.#cache.isCrowded;
  }

  async commit(stable: () => Promise<void>): Promise<void> {
    const copies = this.#cache.takeDirty();
    try {
      await stable();
      await this.#write(copies);
    } catch (error) {
      this.#cache.notWritten(copies);
      throw error;
    }
    this.#cache.written(copies);
    await stable();
  }

  /** Each table, and its second copy. */
  async #write(copies: readonly TableCopy[]): Promise<void> {
    const { directory, second } = this.#tables;
    for (const { table, bytes } of copies) {
      await this.#store.write(byteOffset(table.offset), bytes);
      if (second === undefined) continue;
      for (let index = 0; index * 4 < directory.byteLength; index++) {
        if (directory.getUint32(index * 4, true) * SECTOR !== table.offset) continue;
        const at = second.getUint32(index * 4, true) * SECTOR;
        if (at > 0 && at + bytes.length <= this.#store.size) await this.#store.write(byteOffset(at), bytes);
      }
    }
  }
}
