/**
 * The tables of an open image, and the order in which their changes reach the file.
 *
 * Changes are made in memory. A commit writes them so that a crash at any moment leaves an image in which, at
 * worst, clusters are counted that nothing refers to:
 *
 *     1. data (written before, by the disk), refcount blocks, L2 tables that nothing points at yet;  flush
 *     2. refcount table entries for new blocks, if there are any;                                     flush
 *     3. L2 tables, and the L1 entries that point at new ones;                                        flush
 *     4. in memory: counts of clusters that nothing refers to any more go down
 *
 * Each step relies on those before it alone, and within a step every entry of 8 bytes is right in its old and in
 * its new state. Clusters are used again only after step 4.
 */
import { byteOffset } from "../../bits/units.ts";
import type { ByteStore } from "../byte-store.ts";
import { SerialQueue } from "../serial-queue.ts";
import { settled } from "../settled.ts";
import { type Table, TableCache, type TableCopy } from "../table-cache.ts";
import { patchFeatures, type Qcow2Header } from "./header.ts";
import { COMPRESSED, COPIED, ENTRY, highOf, hostOffset, Incompatible, lowOf } from "./layout.ts";
import { corruptFailure, type Part } from "./problems.ts";
import { type ClusterRun, Refcounts } from "./refcounts.ts";

/** Bytes of L2 tables in memory. A table of 64 KiB maps 512 MiB. */
const L2_LIMIT = 8 * 1024 * 1024;
/** Runs of clusters that wait for a commit to become free. */
const MOST_FREES = 4096;

export class Metadata {
  readonly refcounts: Refcounts;
  readonly l2: TableCache;
  readonly l1: DataView;
  readonly l1Offset: number;
  readonly #store: ByteStore;
  readonly #header: Qcow2Header;
  readonly #commits = new SerialQueue();
  readonly #newTables = new SerialQueue();
  readonly #changedL1 = new Set<number>();
  #frees: { first: number; count: number }[] = [];
  #isCorrupt: boolean;
  /** Places that hold no disk content whatever the tables say. */
  #fixed: readonly ClusterRun[];

  constructor(store: ByteStore, header: Qcow2Header, refcounts: Refcounts, l1: Uint8Array, l1Offset: number) {
    this.#store = store;
    this.#header = header;
    this.refcounts = refcounts;
    this.l1 = new DataView(l1.buffer, l1.byteOffset, l1.length);
    this.l1Offset = l1Offset;
    this.l2 = new TableCache(store, header.clusterSize, L2_LIMIT);
    this.#isCorrupt = header.corrupt;
    const l1Clusters = Math.ceil(l1.length / header.clusterSize);
    this.#fixed = [
      { first: 0, count: 1 },
      { first: l1Offset / header.clusterSize, count: l1Clusters },
    ];
  }

  static async open(
    store: ByteStore,
    header: Qcow2Header,
    l1Place: { offset: number; entries: number },
  ): Promise<Metadata> {
    const l1 = new Uint8Array(l1Place.entries * ENTRY);
    await store.read(byteOffset(l1Place.offset), l1);
    return new Metadata(store, header, await Refcounts.open(store, header), l1, l1Place.offset);
  }

  get isCorrupt(): boolean {
    return this.#isCorrupt;
  }

  /** Adds places of the file that hold no disk content, such as the snapshot table. */
  protect(...runs: ClusterRun[]): void {
    this.#fixed = [...this.#fixed, ...runs];
  }

  /** Where the L2 table of an L1 entry is; 0 where there is none. */
  l2Offset(index: number): number {
    const [high, low] = [this.l1.getUint32(index * ENTRY), this.l1.getUint32(index * ENTRY + 4)];
    const offset = hostOffset(high, low);
    if (offset % this.#header.clusterSize !== 0 || offset >= this.refcounts.end * this.#header.clusterSize) {
      throw corruptFailure(this.#store.name, "L1 table", `entry ${index} points outside the file`);
    }
    return offset;
  }

  /** The L2 table of an L1 entry, if it is there and in memory. Valid until the next `await`. */
  peek(index: number): Table | undefined {
    const offset = this.l2Offset(index);
    return offset === 0 ? undefined : this.l2.peek(offset);
  }

  /** The L2 table of an L1 entry; undefined where there is none. Valid until the next `await`. */
  async table(index: number): Promise<Table | undefined> {
    for (;;) {
      const offset = this.l2Offset(index);
      if (offset === 0) return undefined;
      const table = this.l2.peek(offset);
      if (table !== undefined) return table;
      await this.l2.load(offset);
    }
  }

  /** The L2 table of an L1 entry, made where it is missing or shared, for `change` to change. */
  async change(index: number, change: (table: Table) => void): Promise<void> {
    if (!this.#ownsTable(index)) {
      await this.#newTables.run(async () => {
        if (!this.#ownsTable(index)) await this.#makeTable(index);
      });
    }
    for (;;) {
      const table = this.peek(index);
      if (table === undefined) {
        await this.l2.load(this.l2Offset(index));
        continue;
      }
      change(table);
      this.l2.touch(table);
      return;
    }
  }

  #ownsTable(index: number): boolean {
    return this.l2Offset(index) !== 0 && (this.l1.getUint32(index * ENTRY) & COPIED) !== 0;
  }

  async #makeTable(index: number): Promise<void> {
    const oldOffset = this.l2Offset(index);
    const { first } = await this.refcounts.allocate(1);
    try {
      this.mustHoldContent({ first, count: 1 });
      const offset = first * this.#header.clusterSize;
      const bytes = new Uint8Array(this.#header.clusterSize);
      // Written at once, so that a full disk shows here and not when the image is committed.
      await this.#store.write(byteOffset(offset), bytes);
      const old = await this.table(index);
      if (old !== undefined) copyShared(old, bytes);
      this.l2.add(offset, bytes);
      this.l1.setUint32(index * ENTRY, (highOf(offset) | COPIED) >>> 0);
      this.l1.setUint32(index * ENTRY + 4, lowOf(offset));
      this.#changedL1.add(index);
    } catch (error) {
      await this.refcounts.change({ first, count: 1 }, -1);
      throw error;
    }
    if (oldOffset !== 0) this.release({ first: oldOffset / this.#header.clusterSize, count: 1 });
  }

  /** Gives up a reference that the tables in memory no longer have; it ends with the next commit. */
  release(run: ClusterRun): void {
    const last = this.#frees.at(-1);
    if (last !== undefined && last.first + last.count === run.first) last.count += run.count;
    else this.#frees.push({ ...run });
  }

  /** Throws where clusters that content is to be written to are known to hold something else. */
  mustHoldContent(run: ClusterRun): void {
    const part = this.otherUse(run);
    if (part === undefined) return;
    this.#isCorrupt = true;
    throw corruptFailure(this.#store.name, part, `the disk's content at cluster ${run.first} would overwrite it`);
  }

  /** What clusters are known to hold that is no content of the disk; undefined where nothing is known. */
  otherUse({ first, count }: ClusterRun): Part | undefined {
    const { clusterSize } = this.#header;
    const overlaps = (run: ClusterRun) => run.first < first + count && first < run.first + run.count;
    if (overlaps(this.#fixed[0] as ClusterRun)) return "header";
    if (overlaps(this.refcounts.tableRun)) return "refcount table";
    if (this.#fixed.some(overlaps)) return "L1 table";
    for (let cluster = first; cluster < first + count; cluster++) {
      if (this.l2.has(cluster * clusterSize)) return "L2 table";
      if (this.refcounts.blocks.has(cluster * clusterSize)) return "refcount block";
    }
    return undefined;
  }

  /** Says in the file that it is damaged, where that is known. */
  async markCorrupt(): Promise<void> {
    if (!this.#isCorrupt || this.#header.corrupt || this.#header.version < 3 || this.#store.readOnly) return;
    await patchFeatures(this.#store, 1n << BigInt(Incompatible.corrupt), 0n);
  }

  /** Resolves when there is room for changes in memory. */
  async makeRoom(): Promise<void> {
    if (this.l2.isCrowded || this.refcounts.blocks.isCrowded || this.#frees.length > MOST_FREES) await this.commit();
  }

  /** Whether `makeRoom` has something to do. */
  get isCrowded(): boolean {
    return this.l2.isCrowded || this.refcounts.blocks.isCrowded || this.#frees.length > MOST_FREES;
  }

  /** Brings every change to stable storage. */
  commit(): Promise<void> {
    return this.#commits.run(() => this.#commit());
  }

  async #commit(): Promise<void> {
    const tables = this.l2.takeDirty();
    const l1 = this.#takeL1();
    const entries = this.refcounts.takeChangedEntries();
    const frees = this.#frees;
    this.#frees = [];
    const wasFresh = new Set(tables.filter(({ table }) => table.fresh));
    try {
      await this.refcounts.writeBlocks();
      await this.#write([...wasFresh]);
      await this.#store.flush();
      for (const { table } of wasFresh) table.fresh = false;
      if (entries.length > 0) {
        await this.refcounts.writeEntries(entries);
        await this.#store.flush();
      }
      if (tables.length > 0 || l1.length > 0) {
        await this.#write(tables.filter((copy) => !wasFresh.has(copy)));
        for (const { at, bytes } of l1) await this.#store.write(byteOffset(this.l1Offset + at), bytes);
        await this.#store.flush();
      }
    } catch (error) {
      this.l2.notWritten(tables);
      for (const { at } of l1) this.#changedL1.add(at / ENTRY);
      this.refcounts.entriesNotWritten(entries);
      this.#frees = [...frees, ...this.#frees];
      throw error;
    }
    this.l2.written(tables);
    for (const run of frees) await this.refcounts.free(run);
  }

  #takeL1(): { at: number; bytes: Uint8Array }[] {
    const taken = [...this.#changedL1].map((index) => {
      const at = index * ENTRY;
      return { at, bytes: new Uint8Array(this.l1.buffer, this.l1.byteOffset + at, ENTRY).slice() };
    });
    this.#changedL1.clear();
    return taken;
  }

  async #write(copies: readonly TableCopy[]): Promise<void> {
    await settled(copies.map(({ table, bytes }) => this.#store.write(byteOffset(table.offset), bytes)));
  }

  /** Commits, and writes the counts that went down by it. */
  async finish(): Promise<void> {
    await this.commit();
    await this.refcounts.writeBlocks();
    await this.#store.flush();
  }
}

/** Copies a table that something else refers to as well: none of its clusters is the new table's alone. */
function copyShared(old: Table, bytes: Uint8Array): void {
  bytes.set(old.bytes);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += ENTRY) {
    const high = view.getUint32(at);
    if ((high & COPIED) !== 0 && (high & COMPRESSED) === 0) view.setUint32(at, (high & ~COPIED) >>> 0);
  }
}
