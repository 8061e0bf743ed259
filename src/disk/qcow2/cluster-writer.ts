/** Changes a qcow2 disk's content. The callers hold locks on the clusters. */
import { byteOffset } from "../../bits/units.ts";
import type { ByteStore } from "../byte-store.ts";
import { cut, type Parts } from "../parts.ts";
import { settled } from "../settled.ts";
import type { Table } from "../table-cache.ts";
import type { ClusterReader } from "./cluster-reader.ts";
import { type Extent, extentAt } from "./extent.ts";
import type { Qcow2Header } from "./header.ts";
import { COPIED, compressedExtent, ENTRY, highOf, hostOffset, kindOf, lowOf, ZERO } from "./layout.ts";
import type { Metadata } from "./metadata.ts";
import type { ClusterRun, NewClusters } from "./refcounts.ts";

export interface WriterWiring {
  readonly store: ByteStore;
  readonly header: Qcow2Header;
  readonly metadata: Metadata;
  readonly reader: ClusterReader;
  /** Bytes of the disk. */
  readonly size: number;
}

/** Bytes of zeros written at once. */
const ZERO_PIECE = 1024 * 1024;

/** The part of an operation that lies in clusters of one L2 table. */
interface Part {
  readonly table: number;
  /** Entry of the first cluster. */
  readonly index: number;
  readonly clusters: number;
  /** On the disk. */
  readonly offset: number;
  readonly length: number;
}

export class ClusterWriter {
  readonly #store: ByteStore;
  readonly #metadata: Metadata;
  readonly #reader: ClusterReader;
  readonly #header: Qcow2Header;
  readonly #size: number;
  readonly #clusterSize: number;
  readonly #perTable: number;

  constructor({ store, header, metadata, reader, size }: WriterWiring) {
    this.#store = store;
    this.#metadata = metadata;
    this.#reader = reader;
    this.#header = header;
    this.#size = size;
    this.#clusterSize = header.clusterSize;
    this.#perTable = header.clusterSize / ENTRY;
  }

  /** Writes where every cluster has a place of its own already; false, with nothing written, where not. */
  async writeInPlace(offset: number, source: Uint8Array): Promise<boolean> {
    const places: { host: number; from: number; length: number }[] = [];
    for (const part of this.#parts(offset, source.length)) {
      const table = this.#metadata.peek(part.table) ?? (await this.#metadata.table(part.table));
      for (let done = 0; done < part.length; ) {
        const extent = this.#extent(table, part, done);
        if (!extent.isOwn) return false;
        const start = (part.offset + done) % this.#clusterSize;
        const length = Math.min(extent.count * this.#clusterSize - start, part.length - done);
        places.push({ host: extent.host + start, from: part.offset + done - offset, length });
        done += length;
      }
    }
    for (const { host, length } of places) this.#metadata.mustHoldContent(this.#clustersOf(host, length));
    await settled(
      places.map(({ host, from, length }) => this.#store.write(byteOffset(host), source.subarray(from, from + length))),
    );
    return true;
  }

  /** Writes at once where the tables in memory say that every cluster has a place of its own; false where not. */
  writeNow(offset: number, total: number, sources: Parts): boolean {
    for (const part of this.#parts(offset, total)) {
      const table = this.#metadata.peek(part.table);
      for (let done = 0; done < part.length; ) {
        const extent = this.#extent(table, part, done);
        const start = (part.offset + done) % this.#clusterSize;
        const length = Math.min(extent.count * this.#clusterSize - start, part.length - done);
        const host = extent.host + start;
        if (!extent.isOwn || this.#metadata.otherUse(this.#clustersOf(host, length)) !== undefined) return false;
        const from = part.offset + done - offset;
        const bytes = length === total ? sources : cut(sources, from, length);
        if (!this.#store.writeNow?.(byteOffset(host), bytes)) return false;
        done += length;
      }
    }
    return true;
  }

  /** Writes, with new places for the clusters that have none or share theirs. */
  async write(offset: number, source: Uint8Array): Promise<void> {
    for (const part of this.#parts(offset, source.length)) {
      for (let done = 0; done < part.length; ) {
        const table = this.#metadata.peek(part.table) ?? (await this.#metadata.table(part.table));
        const extent = this.#extent(table, part, done);
        const at = part.offset + done;
        const start = at % this.#clusterSize;
        const length = Math.min(extent.count * this.#clusterSize - start, part.length - done);
        const bytes = source.subarray(at - offset, at - offset + length);
        if (extent.isOwn) {
          this.#metadata.mustHoldContent(this.#clustersOf(extent.host + start, length));
          await this.#store.write(byteOffset(extent.host + start), bytes);
          done += length;
        } else {
          done += await this.#writeNew(part, extent, at, bytes);
        }
      }
    }
  }

  /** Writes as much of `source` as new clusters in a row are found for; returns its length. */
  async #writeNew(part: Part, extent: Extent, offset: number, source: Uint8Array): Promise<number> {
    const start = offset % this.#clusterSize;
    const run = await this.#metadata.refcounts.allocate(Math.ceil((start + source.length) / this.#clusterSize));
    const length = Math.min(run.count * this.#clusterSize - start, source.length);
    try {
      this.#metadata.mustHoldContent(run);
      await this.#fill(run, extent, offset, source.subarray(0, length));
      await this.#point(part, offset, run, extent);
    } catch (error) {
      await this.#metadata.refcounts.change(run, -1);
      throw error;
    }
    return length;
  }

  /** Makes the L2 entries of the clusters from `offset` on point at `run`, and gives up what they pointed at. */
  async #point(part: Part, offset: number, run: ClusterRun, old: Extent): Promise<void> {
    const index = Math.floor(offset / this.#clusterSize) % this.#perTable;
    await this.#metadata.change(part.table, ({ view }) => {
      for (let i = 0; i < run.count; i++) {
        const host = (run.first + i) * this.#clusterSize;
        view.setUint32((index + i) * ENTRY, (highOf(host) | COPIED) >>> 0);
        view.setUint32((index + i) * ENTRY + 4, lowOf(host));
      }
    });
    this.#release(old, run.count);
  }

  /** Fills new clusters with `source` and, around it, with what the disk has there. */
  async #fill(run: NewClusters, extent: Extent, offset: number, source: Uint8Array): Promise<void> {
    const host = run.first * this.#clusterSize;
    const start = offset % this.#clusterSize;
    const end = start + source.length;
    const whole = run.count * this.#clusterSize;
    const isBlank =
      extent.kind === "zero" || (extent.kind === "unallocated" && this.#reader.isBlankBelow(offset - start));
    if ((start === 0 && end === whole) || (isBlank && run.areZeros)) {
      await this.#store.write(byteOffset(host + start), source);
      return;
    }
    // The edges are completed in memory, a cluster each, so that they are written in one go.
    const firstEnd = Math.min(this.#clusterSize - start, source.length);
    const lastStart = Math.max(firstEnd, source.length - (end % this.#clusterSize));
    const writes: Promise<void>[] = [];
    let middle = 0;
    if (start > 0 || end < this.#clusterSize) {
      writes.push(this.#fillEdge(host, offset - start, start, source.subarray(0, firstEnd)));
      middle = firstEnd;
    }
    if (end % this.#clusterSize !== 0 && lastStart < source.length) {
      const tail = source.subarray(lastStart);
      writes.push(this.#fillEdge(host + start + lastStart, offset + lastStart, 0, tail));
    }
    const middleEnd = end % this.#clusterSize === 0 ? source.length : lastStart;
    if (middleEnd > middle) {
      writes.push(this.#store.write(byteOffset(host + start + middle), source.subarray(middle, middleEnd)));
    }
    await settled(writes);
  }

  /** Writes one cluster: `bytes` from `start` on, the disk's present content around them. */
  async #fillEdge(host: number, offset: number, start: number, bytes: Uint8Array): Promise<void> {
    const cluster = new Uint8Array(this.#clusterSize);
    await this.#reader.read(offset, cluster.subarray(0, Math.min(this.#clusterSize, this.#size - offset)));
    cluster.set(bytes, start);
    await this.#store.write(byteOffset(host), cluster);
  }

  async writeZeroes(offset: number, length: number): Promise<void> {
    await this.#clear(offset, length, { mustBeZeros: true });
  }

  async discard(offset: number, length: number): Promise<void> {
    await this.#clear(offset, length, { mustBeZeros: false });
  }

  /** Gives up the whole clusters of a range; writes zeros to the rest of it where they must be there. */
  async #clear(offset: number, length: number, { mustBeZeros }: { mustBeZeros: boolean }): Promise<void> {
    const end = offset + length;
    const first = Math.ceil(offset / this.#clusterSize) * this.#clusterSize;
    const last = end === this.#size ? end : Math.floor(end / this.#clusterSize) * this.#clusterSize;
    if (first >= last) {
      if (mustBeZeros) await this.#writeZeros(offset, length);
      return;
    }
    if (mustBeZeros && first > offset) await this.#writeZeros(offset, first - offset);
    for (const part of this.#parts(first, last - first)) {
      if (this.#metadata.isCrowded) await this.#metadata.makeRoom();
      await this.#clearPart(part, mustBeZeros);
    }
    if (mustBeZeros && end > last) await this.#writeZeros(last, end - last);
  }

  async #clearPart(part: Part, mustBeZeros: boolean): Promise<void> {
    const blank = this.#reader.isBlankBelow(part.offset);
    const hasZeroFlag = this.#header.version >= 3;
    // Version 2 cannot say that a cluster hides what is below it.
    if (!blank && !hasZeroFlag) {
      if (mustBeZeros) await this.#writeZeros(part.offset, part.length);
      return;
    }
    const table = this.#metadata.peek(part.table) ?? (await this.#metadata.table(part.table));
    const isCleared = ({ kind }: Extent) => kind === "zero" || (kind === "unallocated" && (blank || !mustBeZeros));
    const extents: { index: number; extent: Extent }[] = [];
    for (let index = part.index; index < part.index + part.clusters; ) {
      const extent = extentAt(table, index, part.index + part.clusters - index, this.#clusterSize);
      if (!isCleared(extent)) {
        this.#reader.checked(extent, part.table * this.#perTable + index);
        extents.push({ index, extent });
      }
      index += extent.count;
    }
    if (extents.length === 0) return;
    await this.#metadata.change(part.table, ({ view }) => {
      for (const { index, extent } of extents) {
        for (let i = index; i < index + extent.count; i++) {
          view.setUint32(i * ENTRY, 0);
          view.setUint32(i * ENTRY + 4, blank ? 0 : ZERO);
        }
      }
    });
    for (const { extent } of extents) this.#release(extent, extent.count);
  }

  /** Zeros as content, where the disk does not read as such already. */
  async #writeZeros(offset: number, length: number): Promise<void> {
    for (let done = 0; done < length; ) {
      const known = Math.min(await this.#reader.zeroesFrom(offset + done), length - done);
      done += known;
      const piece = Math.min(ZERO_PIECE, length - done);
      if (known > 0 || piece === 0) continue;
      await this.write(offset + done, new Uint8Array(piece));
      done += piece;
    }
  }

  /** Gives up the first `count` clusters of what an extent pointed at. */
  #release({ kind, host, high, low }: Extent, count: number): void {
    if (kind === "data") this.#metadata.release({ first: host / this.#clusterSize, count });
    if (kind === "zero" && hostOffset(high, low) !== 0) {
      // A preallocated zero cluster: extents of zeros do not say where the others are.
      this.#metadata.release({ first: hostOffset(high, low) / this.#clusterSize, count: 1 });
    }
    if (kind !== "compressed") return;
    const { offset, length } = compressedExtent(this.#header.clusterBits, high, low);
    this.#reader.forget(offset);
    this.#metadata.release(this.#clustersOf(offset, length));
  }

  #clustersOf(host: number, length: number): ClusterRun {
    const first = Math.floor(host / this.#clusterSize);
    return { first, count: Math.floor((host + length - 1) / this.#clusterSize) - first + 1 };
  }

  #extent(table: Table | undefined, part: Part, done: number): Extent {
    const skipped = Math.floor(((part.offset % this.#clusterSize) + done) / this.#clusterSize);
    const index = part.index + skipped;
    const extent = extentAt(table, index, part.clusters - skipped, this.#clusterSize);
    const checked = this.#reader.checked(extent, part.table * this.#perTable + index);
    if (checked.kind !== "zero" || table === undefined) return checked;
    // Zero clusters with and without places of their own are given up in different ways.
    const { view } = table;
    const isPlaced = (i: number) => hostOffset(view.getUint32(i * ENTRY), view.getUint32(i * ENTRY + 4)) !== 0;
    if (isPlaced(index)) return { ...checked, count: 1 };
    let count = 1;
    while (count < checked.count && !isPlaced(index + count)) count++;
    return { ...checked, count };
  }

  *#parts(offset: number, length: number): Iterable<Part> {
    const perTable = this.#clusterSize * this.#perTable;
    for (let at = offset; at < offset + length; ) {
      const table = Math.floor(at / perTable);
      const end = Math.min((table + 1) * perTable, offset + length);
      const index = Math.floor(at / this.#clusterSize) - table * this.#perTable;
      const clusters = Math.ceil(end / this.#clusterSize) - table * this.#perTable - index;
      yield { table, index, clusters, offset: at, length: end - at };
      at = end;
    }
  }
}

/** Whether an entry maps to content. */
export const hasContent = (high: number, low: number): boolean => {
  const kind = kindOf(high, low);
  return kind === "data" || kind === "compressed";
};
