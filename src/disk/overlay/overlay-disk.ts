/**
 * Throwaway copy-on-write overlay: the guest sees the base with its own changes over it; the changes are kept
 * in memory and end with the overlay, and the base is never written.
 *
 * Memory is taken by cluster of 64 KiB, up to a limit; a write that would need more fails as on a full disk.
 * Discarded clusters give their memory back.
 */
import { type ByteOffset, byteOffset } from "../../bits/units.ts";
import { type BlockDevice, BlockError } from "../block-device.ts";
import { cut, fill, gather, lengthOf, type Parts, scatter } from "../parts.ts";
import { type Piece, piecesOf } from "../pieces.ts";
import { isInside, mustBeInside } from "../range.ts";
import { ClusterSet } from "./cluster-set.ts";

/** Bytes. */
export const CLUSTER = 64 * 1024;

export interface OverlayOptions {
  /** The overlay closes it. */
  base: BlockDevice;
  /** Bytes of changed data that are kept, at most; rounded down to whole clusters. */
  limit: number;
}

export class OverlayDisk implements BlockDevice {
  readonly size: number;
  readonly readOnly = false;
  readonly #base: BlockDevice;
  readonly #mostClusters: number;
  /** Clusters with content of their own. */
  readonly #own = new Map<number, Uint8Array>();
  /** Clusters whose content is being copied from the base. */
  readonly #copying = new Map<number, Promise<Uint8Array>>();
  /** Clusters that read as zeros whatever the base holds; none of them is in `#own`. */
  readonly #zero = new ClusterSet();

  constructor({ base, limit }: OverlayOptions) {
    this.#base = base;
    this.size = base.size;
    this.#mostClusters = Math.floor(limit / CLUSTER);
  }

  /** Bytes of memory in use for changed data. */
  get allocated(): number {
    return (this.#own.size + this.#copying.size) * CLUSTER;
  }

  async read(offset: ByteOffset, target: Uint8Array): Promise<void> {
    mustBeInside(this, offset, target.length);
    const fromBase: Promise<void>[] = [];
    /** Neighbouring pieces of the base are read in one go. */
    let run: { from: number; length: number } | undefined;
    const readRun = () => {
      if (run === undefined) return;
      const part = target.subarray(run.from, run.from + run.length);
      fromBase.push(this.#base.read(byteOffset(offset + run.from), part));
      run = undefined;
    };
    for (const { index, start, from, length } of piecesOf(CLUSTER, offset, target.length)) {
      const cluster = this.#own.get(index);
      if (cluster !== undefined) target.set(cluster.subarray(start, start + length), from);
      else if (this.#zero.has(index)) target.fill(0, from, from + length);
      else {
        run = { from: run?.from ?? from, length: (run?.length ?? 0) + length };
        continue;
      }
      readRun();
    }
    readRun();
    await Promise.all(fromBase);
  }

  readNow(offset: ByteOffset, targets: Parts): boolean {
    const total = lengthOf(targets);
    if (!isInside(this, offset, total)) return false;
    for (const { index, start, from, length } of piecesOf(CLUSTER, offset, total)) {
      const cluster = this.#own.get(index);
      const parts = cut(targets, from, length);
      if (cluster !== undefined) scatter(parts, cluster.subarray(start, start + length));
      else if (this.#zero.has(index)) fill(parts, 0);
      else if (!this.#base.readNow?.(byteOffset(offset + from), parts)) return false;
    }
    return true;
  }

  async write(offset: ByteOffset, source: Uint8Array): Promise<void> {
    mustBeInside(this, offset, source.length);
    for (const piece of piecesOf(CLUSTER, offset, source.length)) {
      const cluster = await this.#ownCluster(piece);
      cluster.set(source.subarray(piece.from, piece.from + piece.length), piece.start);
    }
  }

  /** Where the clusters have content of their own. */
  writeNow(offset: ByteOffset, sources: Parts): boolean {
    const total = lengthOf(sources);
    if (!isInside(this, offset, total)) return false;
    for (const { index, start, from, length } of piecesOf(CLUSTER, offset, total)) {
      const cluster = this.#own.get(index);
      if (cluster === undefined) return false;
      gather(cut(sources, from, length), cluster.subarray(start, start + length));
    }
    return true;
  }

  async flush(): Promise<void> {}

  /** Whole clusters that hold changes become zeros and free their memory; the rest stays as it is. */
  async discard(offset: ByteOffset, length: number): Promise<void> {
    mustBeInside(this, offset, length);
    for (const piece of piecesOf(CLUSTER, offset, length)) {
      if (this.#isWhole(piece) && this.#own.delete(piece.index)) this.#zero.add(piece.index);
    }
  }

  async writeZeroes(offset: ByteOffset, length: number): Promise<void> {
    mustBeInside(this, offset, length);
    for (const piece of piecesOf(CLUSTER, offset, length)) {
      const { index, start } = piece;
      if (this.#zero.has(index)) continue;
      if (this.#isWhole(piece)) {
        // A copy that is under way would otherwise bring the base's content back.
        await this.#copying.get(index)?.catch(() => undefined);
        this.#own.delete(index);
        this.#zero.add(index);
      } else {
        (await this.#ownCluster(piece)).fill(0, start, start + piece.length);
      }
    }
  }

  async close(): Promise<void> {
    this.#own.clear();
    await this.#base.close();
  }

  /** Whether a piece is its cluster to the end, or to the end of the disk. */
  #isWhole({ index, start, length }: Piece): boolean {
    return start === 0 && length === Math.min(CLUSTER, this.size - index * CLUSTER);
  }

  /** The cluster of `piece` with content of its own, ready to be changed. */
  async #ownCluster(piece: Piece): Promise<Uint8Array> {
    const { index } = piece;
    const found = this.#own.get(index) ?? this.#copying.get(index);
    if (found !== undefined) return found;
    if (this.#own.size + this.#copying.size >= this.#mostClusters) {
      throw new BlockError(
        "no-space",
        `the throwaway disk's limit of ${this.#mostClusters * CLUSTER} bytes is reached`,
      );
    }
    const cluster = new Uint8Array(CLUSTER);
    if (this.#zero.has(index) || this.#isWhole(piece)) {
      this.#zero.delete(index);
      this.#own.set(index, cluster);
      return cluster;
    }
    const copy = this.#copyFromBase(index, cluster);
    this.#copying.set(index, copy);
    return copy;
  }

  async #copyFromBase(index: number, cluster: Uint8Array): Promise<Uint8Array> {
    const start = index * CLUSTER;
    try {
      await this.#base.read(byteOffset(start), cluster.subarray(0, this.size - start));
      this.#own.set(index, cluster);
      return cluster;
    } finally {
      this.#copying.delete(index);
    }
  }
}
