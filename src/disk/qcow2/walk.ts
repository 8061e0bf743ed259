/**
 * Everything that an image's tables refer to, table by table, straight from the file: for checks and repairs,
 * which trust nothing. References that lead outside the file are told as problems and not followed.
 */
import { byteOffset } from "../../bits/units.ts";
import type { ByteStore } from "../byte-store.ts";
import { hasContent } from "./cluster-writer.ts";
import type { Qcow2Header } from "./header.ts";
import { compressedExtent, ENTRY, hasReservedBits, hostOffset, kindOf } from "./layout.ts";
import type { SnapshotTable } from "./snapshot-table.ts";

/** A table with entries that refer to clusters. */
export interface WalkedTable {
  /** In the file. */
  readonly offset: number;
  readonly view: DataView;
  /** Whether it belongs to the present state of the disk, not to a snapshot only. */
  readonly isActive: boolean;
}

export interface Visitor {
  /** Clusters that something refers to. */
  reference(first: number, count: number): void;
  /** An entry of an active L1 or L2 table that refers to a whole cluster, for the sake of its flag. */
  entry?(table: WalkedTable, index: number, cluster: number): void;
  /** An entry that cannot be followed. */
  problem?(table: WalkedTable, index: number, what: string): void;
  /** The table was walked; it is written back where the visitor says that it changed. */
  changed?(table: WalkedTable): boolean;
  /** From 0 to 1. */
  progress?(fraction: number): void;
}

export class ImageWalk {
  readonly #store: ByteStore;
  readonly #header: Qcow2Header;
  readonly #snapshots: SnapshotTable;

  constructor(store: ByteStore, header: Qcow2Header, snapshots: SnapshotTable) {
    this.#store = store;
    this.#header = header;
    this.#snapshots = snapshots;
  }

  /** Clusters of the file, the last perhaps in part. */
  get clusters(): number {
    return Math.ceil(this.#store.size / this.#header.clusterSize);
  }

  /** Visits everything but the refcount table and its blocks. */
  async mapping(visitor: Visitor): Promise<void> {
    const { clusterSize, l1Offset, l1Size } = this.#header;
    visitor.reference(0, 1);
    const { snapshots, run } = this.#snapshots;
    if (snapshots.length > 0) visitor.reference(run.first, run.count);
    const states = [{ l1Offset: l1Offset as number, l1Size, isActive: true }].concat(
      snapshots.map(({ l1Offset, l1Size }) => ({ l1Offset, l1Size, isActive: false })),
    );
    for (const [i, state] of states.entries()) {
      const clusters = Math.ceil((state.l1Size * ENTRY) / clusterSize);
      visitor.reference(state.l1Offset / clusterSize, clusters);
      await this.#tree(state, visitor, (fraction) => visitor.progress?.((i + fraction) / states.length));
    }
  }

  async #tree(
    state: { l1Offset: number; l1Size: number; isActive: boolean },
    visitor: Visitor,
    report: (fraction: number) => void,
  ): Promise<void> {
    const { clusterSize } = this.#header;
    const l1 = await this.#load(state.l1Offset, state.l1Size * ENTRY, state.isActive);
    const seen = new Set<number>();
    for (let index = 0; index < state.l1Size; index++) {
      const offset = hostOffset(l1.view.getUint32(index * ENTRY), l1.view.getUint32(index * ENTRY + 4));
      if (offset === 0) continue;
      if (!this.#isCluster(offset)) visitor.problem?.(l1, index, `its L2 table is said to be at ${offset}`);
      else if (seen.has(offset)) visitor.problem?.(l1, index, `its L2 table at ${offset} is another entry's`);
      else {
        seen.add(offset);
        visitor.reference(offset / clusterSize, 1);
        visitor.entry?.(l1, index, offset / clusterSize);
        await this.#table(await this.#load(offset, clusterSize, state.isActive), visitor);
        report(index / state.l1Size);
      }
    }
    await this.#writeBack(l1, visitor);
  }

  async #table(table: WalkedTable, visitor: Visitor): Promise<void> {
    const { clusterSize, clusterBits } = this.#header;
    const { view } = table;
    for (let index = 0; index < clusterSize / ENTRY; index++) {
      const [high, low] = [view.getUint32(index * ENTRY), view.getUint32(index * ENTRY + 4)];
      if (high === 0 && low === 0) continue;
      const kind = kindOf(high, low);
      if (kind === "compressed") {
        const { offset, length } = compressedExtent(clusterBits, high, low);
        const first = Math.floor(offset / clusterSize);
        // The last sector may be cut off where the file ends.
        if (offset === 0 || offset >= this.#store.size || Math.ceil((offset + length) / clusterSize) > this.clusters) {
          visitor.problem?.(table, index, `its compressed cluster is said to be at ${offset}`);
        } else visitor.reference(first, Math.floor((offset + length - 1) / clusterSize) - first + 1);
        continue;
      }
      const offset = hostOffset(high, low);
      if (offset === 0 && !hasContent(high, low)) continue;
      if (!this.#isCluster(offset) || hasReservedBits(high, low)) {
        visitor.problem?.(table, index, `its cluster is said to be at ${offset}`);
        continue;
      }
      visitor.reference(offset / clusterSize, 1);
      visitor.entry?.(table, index, offset / clusterSize);
    }
    await this.#writeBack(table, visitor);
  }

  #isCluster(offset: number): boolean {
    const { clusterSize } = this.#header;
    return offset > 0 && offset % clusterSize === 0 && offset / clusterSize < this.clusters;
  }

  async #load(offset: number, length: number, isActive: boolean): Promise<WalkedTable> {
    const bytes = new Uint8Array(length);
    await this.#store.read(byteOffset(offset), bytes);
    return { offset, view: new DataView(bytes.buffer), isActive };
  }

  async #writeBack(table: WalkedTable, visitor: Visitor): Promise<void> {
    if (visitor.changed?.(table)) {
      await this.#store.write(byteOffset(table.offset), new Uint8Array(table.view.buffer));
    }
  }
}
