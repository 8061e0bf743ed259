/** Reads a qcow2 disk's content. The callers hold locks on the clusters. */
import { byteOffset } from "../../bits/units.ts";
import type { BlockDevice } from "../block-device.ts";
import type { ByteStore } from "../byte-store.ts";
import { zstdFrameLength } from "../decompress.ts";
import type { ImageHost } from "../image-format.ts";
import { cut, fill, type Parts } from "../parts.ts";
import { settled } from "../settled.ts";
import type { Table } from "../table-cache.ts";
import { type Extent, extentAt } from "./extent.ts";
import type { Qcow2Header } from "./header.ts";
import { compressedExtent, ENTRY, hasReservedBits } from "./layout.ts";
import type { Metadata } from "./metadata.ts";
import { corruptFailure } from "./problems.ts";

export interface ReaderWiring {
  readonly store: ByteStore;
  readonly header: Qcow2Header;
  readonly metadata: Metadata;
  readonly backing: BlockDevice | undefined;
  readonly host: Pick<ImageHost, "decompressor">;
  /** Bytes of the disk. */
  readonly size: number;
}

/** Unpacked clusters that are kept: guests read them in pieces. */
const KEPT_BYTES = 4 * 1024 * 1024;

/** Extents that one question about zeros goes through. */
const MOST_LOOKED_AT = 1024;

export class ClusterReader {
  readonly #store: ByteStore;
  readonly #header: Qcow2Header;
  readonly #metadata: Metadata;
  readonly #backing: BlockDevice | undefined;
  readonly #host: Pick<ImageHost, "decompressor">;
  readonly #size: number;
  readonly #clusterSize: number;
  readonly #perTable: number;
  /** By offset of the compressed bytes, in the order of use. */
  readonly #unpacked = new Map<number, Promise<Uint8Array>>();

  constructor({ store, header, metadata, backing, host, size }: ReaderWiring) {
    this.#store = store;
    this.#header = header;
    this.#metadata = metadata;
    this.#backing = backing;
    this.#host = host;
    this.#size = size;
    this.#clusterSize = header.clusterSize;
    this.#perTable = header.clusterSize / ENTRY;
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    const pending: Promise<void>[] = [];
    try {
      for (let at = 0; at < target.length; ) {
        const cluster = Math.floor((offset + at) / this.#clusterSize);
        const start = (offset + at) % this.#clusterSize;
        const index = Math.floor(cluster / this.#perTable);
        const table = this.#metadata.peek(index) ?? (await this.#metadata.table(index));
        const extent = this.#extent(table, cluster, start + target.length - at);
        const length = Math.min(extent.count * this.#clusterSize - start, target.length - at);
        pending.push(this.#readExtent(extent, offset + at, start, target.subarray(at, at + length)));
        at += length;
      }
    } finally {
      await settled(pending);
    }
  }

  /** Reads at once what the tables in memory lead to, as far as the file and what is below it can; false where not. */
  readNow(offset: number, total: number, targets: Parts): boolean {
    for (let at = 0; at < total; ) {
      const cluster = Math.floor((offset + at) / this.#clusterSize);
      const start = (offset + at) % this.#clusterSize;
      const index = Math.floor(cluster / this.#perTable);
      const table = this.#metadata.peek(index);
      if (table === undefined && this.#metadata.l2Offset(index) !== 0) return false;
      const extent = this.#extent(table, cluster, start + total - at);
      const length = Math.min(extent.count * this.#clusterSize - start, total - at);
      const parts = length === total ? targets : cut(targets, at, length);
      if (!this.#readExtentNow(extent, offset + at, start, length, parts)) return false;
      at += length;
    }
    return true;
  }

  #readExtentNow(extent: Extent, offset: number, start: number, length: number, targets: Parts): boolean {
    switch (extent.kind) {
      case "data":
        return this.#store.readNow?.(byteOffset(extent.host + start), targets) ?? false;
      case "zero":
        fill(targets, 0);
        return true;
      case "compressed":
        return false;
      case "unallocated": {
        const inside = Math.max(0, Math.min(length, (this.#backing?.size ?? 0) - offset));
        fill(cut(targets, inside, length - inside), 0);
        return inside === 0 || (this.#backing?.readNow?.(byteOffset(offset), cut(targets, 0, inside)) ?? false);
      }
    }
  }

  /** The extent at a cluster, of clusters that hold `length` bytes from the start of the first at most. */
  #extent(table: Table | undefined, cluster: number, length: number): Extent {
    const within = cluster % this.#perTable;
    const most = Math.min(Math.ceil(length / this.#clusterSize), this.#perTable - within);
    return this.checked(extentAt(table, within, most, this.#clusterSize), cluster);
  }

  /** The extent, if it is inside the file; throws ImageError<CorruptProblem> otherwise. */
  checked(extent: Extent, cluster: number): Extent {
    if (extent.kind !== "data") return extent;
    const end = extent.host + extent.count * this.#clusterSize;
    const isInside = end <= this.#metadata.refcounts.end * this.#clusterSize;
    if (isInside && extent.host % this.#clusterSize === 0 && !hasReservedBits(extent.high, extent.low)) return extent;
    throw corruptFailure(
      this.#store.name,
      "L2 entry",
      `cluster ${cluster} of the disk is said to be at ${extent.host}`,
    );
  }

  async #readExtent(extent: Extent, offset: number, start: number, target: Uint8Array): Promise<void> {
    switch (extent.kind) {
      case "data":
        return this.#store.read(byteOffset(extent.host + start), target);
      case "zero":
        target.fill(0);
        return;
      case "compressed":
        target.set((await this.unpack(extent)).subarray(start, start + target.length));
        return;
      case "unallocated":
        return this.#readBacking(offset, target);
    }
  }

  /** Beyond the end of a smaller backing file are zeros. */
  async #readBacking(offset: number, target: Uint8Array): Promise<void> {
    const inside = Math.max(0, Math.min(target.length, (this.#backing?.size ?? 0) - offset));
    target.fill(0, inside);
    if (inside > 0) await this.#backing?.read(byteOffset(offset), target.subarray(0, inside));
  }

  /** The content of a compressed cluster. */
  unpack({ high, low }: Pick<Extent, "high" | "low">): Promise<Uint8Array> {
    const { offset, length } = compressedExtent(this.#header.clusterBits, high, low);
    const found = this.#unpacked.get(offset);
    const unpacking = found ?? this.#unpack(offset, length);
    // Put last again, so that the first is the one unused for longest.
    this.#unpacked.delete(offset);
    this.#unpacked.set(offset, unpacking);
    if (found === undefined) {
      unpacking.catch(() => this.#unpacked.delete(offset));
      const most = Math.max(2, Math.floor(KEPT_BYTES / this.#clusterSize));
      for (const key of this.#unpacked.keys()) {
        if (this.#unpacked.size <= most) break;
        this.#unpacked.delete(key);
      }
    }
    return unpacking;
  }

  /** Forgets what was at an offset that is given up. */
  forget(offset: number): void {
    this.#unpacked.delete(offset);
  }

  async #unpack(offset: number, length: number): Promise<Uint8Array> {
    const corrupt = (what: string) => corruptFailure(this.#store.name, "compressed cluster", `at ${offset}: ${what}`);
    if (offset === 0 || offset >= this.#store.size) throw corrupt("it is outside the file");
    // An image may have been cut after the last byte of a stream, within its last sector.
    const packed = new Uint8Array(Math.min(length, this.#store.size - offset));
    await this.#store.read(byteOffset(offset), packed);
    const { decompressor } = this.#host;
    let content: Uint8Array;
    try {
      if (this.#header.compression === "zlib") content = await decompressor.inflateRaw(packed, this.#clusterSize);
      else content = await decompressor.zstd(packed.subarray(0, zstdFrameLength(packed)), this.#clusterSize);
    } catch (error) {
      throw corrupt(error instanceof Error ? error.message : "it cannot be unpacked");
    }
    if (content.length === this.#clusterSize) return content;
    throw corrupt(`it has ${content.length} bytes in place of ${this.#clusterSize}`);
  }

  /** Whether clusters without content of their own read as zeros from `offset` on. */
  isBlankBelow(offset: number): boolean {
    return this.#backing === undefined || offset >= this.#backing.size;
  }

  async zeroesFrom(offset: number): Promise<number> {
    let at = offset;
    for (let looked = 0; at < this.#size && looked < MOST_LOOKED_AT; looked++) {
      const cluster = Math.floor(at / this.#clusterSize);
      const index = Math.floor(cluster / this.#perTable);
      const table = this.#metadata.peek(index) ?? (await this.#metadata.table(index));
      const extent = this.#extent(table, cluster, this.#size - cluster * this.#clusterSize);
      const end = Math.min((cluster + extent.count) * this.#clusterSize, this.#size);
      if (extent.kind === "zero" || (extent.kind === "unallocated" && this.isBlankBelow(at))) {
        at = end;
        continue;
      }
      if (extent.kind !== "unallocated") break;
      const below = (await this.#backing?.zeroesFrom?.(byteOffset(at))) ?? 0;
      if (at + below < Math.min(end, this.#backing?.size ?? 0)) {
        at += below;
        break;
      }
      at = end;
    }
    return Math.min(at, this.#size) - offset;
  }
}
