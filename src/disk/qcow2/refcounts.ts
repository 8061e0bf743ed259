/**
 * The reference counts of an image's clusters, and the allocation of new ones. Counts are changed in memory;
 * metadata.ts writes them before anything that relies on them.
 *
 * @spec "Host cluster management"
 */
import { byteOffset } from "../../bits/units.ts";
import { BlockError } from "../block-device.ts";
import type { ByteStore } from "../byte-store.ts";
import { SerialQueue } from "../serial-queue.ts";
import { type Table, TableCache } from "../table-cache.ts";
import { mostRefcountTableClusters, patchHeader, type Qcow2Header } from "./header.ts";
import { ENTRY, highOf, hostOffset, lowOf } from "./layout.ts";
import { corruptFailure } from "./problems.ts";
import { type RefcountBits, refcountBits } from "./refcount-bits.ts";

/** Bytes of refcount blocks in memory. A block of 64 KiB counts the clusters of 2 GiB. */
const CACHE_LIMIT = 2 * 1024 * 1024;

/** Neighbouring clusters of the file. */
export interface ClusterRun {
  readonly first: number;
  readonly count: number;
}

export interface NewClusters extends ClusterRun {
  /** They were never used, and are zeros until something is written. */
  readonly areZeros: boolean;
}

export class Refcounts {
  readonly blocks: TableCache;
  readonly #store: ByteStore;
  readonly #clusterSize: number;
  readonly #bits: RefcountBits;
  readonly #queue = new SerialQueue();
  #table: DataView;
  #tableOffset: number;
  /** Entries of the table that the file does not have yet. */
  readonly #changedEntries = new Set<number>();
  /** No cluster below is free. */
  #lowestFree = 1;
  /** Clusters from here on were never used, unless their count says so. */
  #end: number;

  private constructor(store: ByteStore, header: Qcow2Header, table: Uint8Array) {
    this.#store = store;
    this.#clusterSize = header.clusterSize;
    this.#bits = refcountBits(header.refcountOrder, header.clusterSize);
    this.#table = new DataView(table.buffer);
    this.#tableOffset = header.refcountTableOffset;
    this.#end = Math.ceil(store.size / header.clusterSize);
    this.blocks = new TableCache(store, header.clusterSize, CACHE_LIMIT);
  }

  static async open(store: ByteStore, header: Qcow2Header): Promise<Refcounts> {
    const table = new Uint8Array(header.refcountTableClusters * header.clusterSize);
    await store.read(header.refcountTableOffset, table);
    return new Refcounts(store, header, table);
  }

  /** Clusters that the file has, or will have. */
  get end(): number {
    return this.#end;
  }

  get most(): number {
    return this.#bits.most;
  }

  get tableRun(): ClusterRun {
    return { first: this.#tableOffset / this.#clusterSize, count: this.#table.byteLength / this.#clusterSize };
  }

  /** Entries of the refcount table that the file does not have yet; they count as written from now on. */
  takeChangedEntries(): number[] {
    const entries = [...this.#changedEntries];
    this.#changedEntries.clear();
    return entries;
  }

  /** Gives back entries that could not be written. */
  entriesNotWritten(entries: readonly number[]): void {
    for (const index of entries) this.#changedEntries.add(index);
  }

  /** Where the blocks of the table are, without those that are not there. */
  *blockOffsets(): Iterable<number> {
    for (let index = 0; index < this.#table.byteLength / ENTRY; index++) {
      const offset = this.#blockOffset(index);
      if (offset !== 0) yield offset;
    }
  }

  /** The count of one cluster. */
  get(cluster: number): Promise<number> {
    return this.#queue.run(() => this.#get(cluster));
  }

  /** Adds `delta` to the counts of neighbouring clusters. Returns those that became free. */
  change(run: ClusterRun, delta: number): Promise<ClusterRun[]> {
    return this.#queue.run(() => this.#change(run, delta));
  }

  /** Finds free clusters, up to `wanted` in a row and at least one, and counts them as used. */
  allocate(wanted: number): Promise<NewClusters> {
    return this.#queue.run(async () => (await this.#allocateInside(wanted)) ?? (await this.#append(wanted)));
  }

  /** Exactly `count` clusters in a row. */
  allocateWhole(count: number): Promise<NewClusters> {
    return this.#queue.run(() => this.#append(count));
  }

  /**
   * Drops one reference of each of these clusters and gives the storage of those that became free back to the
   * host. Nothing on stable storage may refer to them any more.
   */
  free(run: ClusterRun): Promise<void> {
    return this.#queue.run(async () => {
      for (const { first, count } of await this.#change(run, -1)) {
        await this.#store.punchHole(byteOffset(first * this.#clusterSize), count * this.#clusterSize);
      }
    });
  }

  /** Writes the blocks that changed. Counts are never below what the file refers to, so any moment is right. */
  writeBlocks(): Promise<void> {
    return this.#queue.run(() => this.#writeBlocks());
  }

  async #writeBlocks(): Promise<void> {
    const copies = this.blocks.takeDirty();
    try {
      for (const { table, bytes } of copies) await this.#store.write(byteOffset(table.offset), bytes);
      this.blocks.written(copies);
    } catch (error) {
      this.blocks.notWritten(copies);
      throw error;
    }
  }

  writeEntries(entries: readonly number[]): Promise<void> {
    return this.#queue.run(async () => {
      for (const index of entries) {
        const entry = new Uint8Array(this.#table.buffer, index * ENTRY, ENTRY).slice();
        await this.#store.write(byteOffset(this.#tableOffset + index * ENTRY), entry);
      }
    });
  }

  #blockOffset(index: number): number {
    if (index * ENTRY >= this.#table.byteLength) return 0;
    const [high, low] = [this.#table.getUint32(index * ENTRY), this.#table.getUint32(index * ENTRY + 4)];
    const offset = hostOffset(high, low);
    // Offsets here have up to 63 bits; whatever is above 55 cannot be inside a file.
    if (high > 0x00ff_ffff || offset % this.#clusterSize !== 0 || offset >= this.#end * this.#clusterSize) {
      throw corruptFailure(this.#store.name, "refcount table", `entry ${index} points outside the file`);
    }
    return offset;
  }

  /** The block that has a cluster's count, or undefined where none is there, which means zero. */
  async #block(index: number): Promise<Table | undefined> {
    const offset = this.#blockOffset(index);
    if (offset === 0) return undefined;
    for (;;) {
      const table = this.blocks.peek(offset);
      if (table !== undefined) return table;
      await this.blocks.load(offset);
    }
  }

  async #get(cluster: number): Promise<number> {
    const block = await this.#block(Math.floor(cluster / this.#bits.entries));
    return block === undefined ? 0 : this.#bits.get(block.view, cluster % this.#bits.entries);
  }

  async #change({ first, count }: ClusterRun, delta: number): Promise<ClusterRun[]> {
    const { entries, most } = this.#bits;
    const freed: { first: number; count: number }[] = [];
    for (let cluster = first; cluster < first + count; ) {
      const index = Math.floor(cluster / entries);
      const block = await this.#block(index);
      if (block === undefined) throw this.#wrongCount(cluster, 0);
      const end = Math.min(first + count, (index + 1) * entries);
      for (; cluster < end; cluster++) {
        const before = this.#bits.get(block.view, cluster % entries);
        const after = before + delta;
        if (after < 0 || before > most) throw this.#wrongCount(cluster, before);
        if (after > most) {
          throw new BlockError("no-space", `${this.#store.name} cannot have more snapshots that share a cluster`);
        }
        this.#bits.set(block.view, cluster % entries, after);
        this.blocks.touch(block);
        if (after > 0 || before === 0) continue;
        this.#lowestFree = Math.min(this.#lowestFree, cluster);
        const last = freed.at(-1);
        if (last !== undefined && last.first + last.count === cluster) last.count++;
        else freed.push({ first: cluster, count: 1 });
      }
    }
    return freed;
  }

  #wrongCount(cluster: number, count: number) {
    return corruptFailure(
      this.#store.name,
      "refcount block",
      `cluster ${cluster} is in use, but counted ${count} times`,
    );
  }

  /** Free clusters among those that the file has. */
  async #allocateInside(wanted: number): Promise<NewClusters | undefined> {
    const { entries } = this.#bits;
    for (let cluster = this.#lowestFree; cluster < this.#end; ) {
      const index = Math.floor(cluster / entries);
      const blockEnd = Math.min((index + 1) * entries, this.#end);
      const block = await this.#block(index);
      if (block === undefined) {
        // Making a block takes a cluster of its own: left to the end of the file.
        cluster = blockEnd;
        this.#lowestFree = cluster;
        continue;
      }
      while (cluster < blockEnd && this.#bits.get(block.view, cluster % entries) !== 0) cluster++;
      this.#lowestFree = cluster;
      const first = cluster;
      while (cluster < blockEnd && cluster - first < wanted && this.#bits.get(block.view, cluster % entries) === 0) {
        this.#bits.set(block.view, cluster % entries, 1);
        cluster++;
      }
      if (cluster === first) continue;
      this.blocks.touch(block);
      this.#lowestFree = cluster;
      return { first, count: cluster - first, areZeros: false };
    }
    return undefined;
  }

  /** New clusters at the end of the file, with the blocks that count them. */
  async #append(count: number): Promise<NewClusters> {
    for (;;) {
      const start = await this.#unusedFrom(this.#end, count);
      const missing = this.#missingBlocks(start, count);
      const end = start + missing.length + count;
      const tableEntries = this.#table.byteLength / ENTRY;
      if (Math.ceil(end / this.#bits.entries) > tableEntries) {
        await this.#growTable(end);
        continue;
      }
      // Blocks may lie in clusters that a crash left counted: look again.
      if ((await this.#unusedFrom(start, end - start)) !== start) {
        this.#end = await this.#unusedFrom(start, end - start);
        continue;
      }
      await this.#addBlocks(missing, start);
      await this.#change({ first: start, count: end - start }, 1);
      this.#end = end;
      return { first: start + missing.length, count, areZeros: true };
    }
  }

  /** The first cluster from `start` on at which `count` in a row are not used. */
  async #unusedFrom(start: number, count: number): Promise<number> {
    const { entries } = this.#bits;
    let first = start;
    for (let cluster = start; cluster < first + count; ) {
      const index = Math.floor(cluster / entries);
      const block = await this.#block(index);
      const end = Math.min((index + 1) * entries, first + count);
      if (block === undefined) {
        cluster = end;
        continue;
      }
      for (; cluster < Math.min((index + 1) * entries, first + count); cluster++) {
        if (this.#bits.get(block.view, cluster % entries) !== 0) first = cluster + 1;
      }
    }
    return first;
  }

  /** Numbers of the blocks that `count` clusters from `start` on need, with those for the blocks themselves. */
  #missingBlocks(start: number, count: number): number[] {
    const { entries } = this.#bits;
    for (let missing: number[] = []; ; ) {
      const first = Math.floor(start / entries);
      const last = Math.floor((start + missing.length + count - 1) / entries);
      const found: number[] = [];
      for (let index = first; index <= last; index++) if (this.#blockOffset(index) === 0) found.push(index);
      if (found.length === missing.length) return found;
      missing = found;
    }
  }

  /** Writes at once, as zeros, what will be written with counts later: a full disk shows here. */
  async #addBlocks(indices: readonly number[], start: number): Promise<void> {
    for (const [i, index] of indices.entries()) {
      const offset = (start + i) * this.#clusterSize;
      const bytes = new Uint8Array(this.#clusterSize);
      await this.#store.write(byteOffset(offset), bytes);
      this.#end = Math.max(this.#end, start + i + 1);
      this.blocks.add(offset, bytes);
      this.#setEntry(index, offset);
    }
  }

  #setEntry(index: number, offset: number): void {
    this.#table.setUint32(index * ENTRY, highOf(offset));
    this.#table.setUint32(index * ENTRY + 4, lowOf(offset));
    this.#changedEntries.add(index);
  }

  /** A larger refcount table at the end of the file, which counts at least the clusters below `needed`. */
  async #growTable(needed: number): Promise<void> {
    const { entries } = this.#bits;
    const old = this.tableRun;
    const perCluster = this.#clusterSize / ENTRY;
    const most = mostRefcountTableClusters(this.#clusterSize);
    let clusters = Math.max(old.count + Math.ceil(old.count / 2), 1);
    // The table counts itself and its blocks, too.
    const endOf = (count: number) => needed + count + Math.ceil((needed + count) / entries) + 1;
    while (clusters * perCluster * entries < endOf(clusters)) clusters++;
    if (clusters > most) clusters = most;
    if (clusters * perCluster * entries < endOf(clusters) || clusters <= old.count) {
      throw new BlockError(
        "no-space",
        `${this.#store.name} cannot become larger with clusters of ${this.#clusterSize} bytes`,
      );
    }
    const bytes = new Uint8Array(clusters * this.#clusterSize);
    bytes.set(new Uint8Array(this.#table.buffer));
    const [oldTable, oldOffset] = [this.#table, this.#tableOffset];
    this.#table = new DataView(bytes.buffer);
    const start = await this.#unusedFrom(this.#end, clusters + Math.ceil(clusters / entries) + 1);
    const missing = this.#missingBlocks(start, clusters);
    const first = start + missing.length;
    try {
      await this.#addBlocks(missing, start);
      await this.#change({ first: start, count: missing.length + clusters }, 1);
      await this.#writeBlocks();
      await this.#store.write(byteOffset(first * this.#clusterSize), bytes);
      await this.#store.flush();
      await patchHeader(this.#store, {
        refcountTableOffset: BigInt(first * this.#clusterSize),
        refcountTableClusters: clusters,
      });
      await this.#store.flush();
    } catch (error) {
      // The old table is still the image's; what was counted in new blocks is only leaked.
      this.#table = oldTable;
      this.#tableOffset = oldOffset;
      this.#changedEntries.clear();
      throw error;
    }
    this.#tableOffset = first * this.#clusterSize;
    this.#changedEntries.clear();
    this.#end = Math.max(this.#end, first + clusters);
    await this.#change(old, -1);
  }
}
