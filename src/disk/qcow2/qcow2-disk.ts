/**
 * A qcow2 image as a disk. Reads and writes of different clusters run side by side; what changes the place of a
 * cluster has it alone (range-lock.ts).
 *
 * @spec QEMU docs/interop/qcow2.txt
 *
 * Not modelled: extended L2 entries, external data files and encryption (refused on opening); dirty bitmaps
 * (their feature bit is cleared when the image is written, as the specification asks for). Refcounts are never
 * lazy: an image with that feature is kept exact all the time. Nothing is written compressed.
 */
import { type ByteOffset, byteOffset } from "../../bits/units.ts";
import { type BlockDevice, BlockError } from "../block-device.ts";
import type { ByteStore } from "../byte-store.ts";
import { ImageError } from "../image-error.ts";
import type { ImageDisk, ImageHost, ImageInfo, OpenOptions } from "../image-format.ts";
import { lengthOf, type Parts } from "../parts.ts";
import { isInside, mustBeInside, mustBeWritable } from "../range.ts";
import { RangeLock, type Release } from "../range-lock.ts";
import { rebuildRefcounts } from "./check.ts";
import { ClusterReader } from "./cluster-reader.ts";
import { ClusterWriter } from "./cluster-writer.ts";
import { patchHeader, type Qcow2Header, readHeader } from "./header.ts";
import { Metadata } from "./metadata.ts";
import { openFailure } from "./problems.ts";
import { findSnapshot, readSnapshots, type SnapshotTable } from "./snapshot-table.ts";

export class Qcow2Disk implements ImageDisk {
  readonly size: number;
  readonly readOnly: boolean;
  readonly info: ImageInfo;
  readonly header: Qcow2Header;
  readonly metadata: Metadata;
  readonly #store: ByteStore;
  readonly #backing: BlockDevice | undefined;
  readonly #reader: ClusterReader;
  readonly #writer: ClusterWriter;
  readonly #locks = new RangeLock();
  /** Whether the header says what it must before content is written. */
  #isPrepared = false;

  private constructor(
    store: ByteStore,
    header: Qcow2Header,
    { snapshots }: SnapshotTable,
    metadata: Metadata,
    backing: BlockDevice | undefined,
    host: Pick<ImageHost, "decompressor">,
    options: { size: number; readOnly: boolean },
  ) {
    this.#store = store;
    this.header = header;
    this.metadata = metadata;
    this.#backing = backing;
    this.size = options.size;
    this.readOnly = options.readOnly;
    this.#reader = new ClusterReader({ store, header, metadata, backing, host, size: this.size });
    this.#writer = new ClusterWriter({ store, header, metadata, reader: this.#reader, size: this.size });
    this.info = {
      format: "qcow2",
      size: this.size,
      clusterSize: header.clusterSize,
      ...(header.backing === undefined ? {} : { backing: header.backing }),
      snapshots: snapshots.map(({ id, name, seconds, diskSize, vmStateSize }) => ({
        id,
        name,
        time: seconds,
        size: diskSize,
        vmStateSize: Number(vmStateSize),
      })),
      details: details(header),
    };
  }

  /** Rejects with ImageError<OpenProblem>; `store` is closed then. */
  static async open(store: ByteStore, host: ImageHost, options: OpenOptions): Promise<Qcow2Disk> {
    let backing: BlockDevice | undefined;
    try {
      const readOnly = options.readOnly || store.readOnly || options.snapshot !== undefined;
      let header = await readHeader(store);
      if (header.corrupt && !readOnly) throw openFailure(store.name, { kind: "marked-corrupt" });
      if (header.dirty && !readOnly) {
        await rebuildRefcounts(store, header);
        header = await readHeader(store);
      }
      const table = await readSnapshots(store, header);
      let l1 = { offset: header.l1Offset as number, entries: header.l1Size };
      let { size } = header;
      if (options.snapshot !== undefined) {
        const snapshot = findSnapshot(table.snapshots, options.snapshot);
        if (snapshot === undefined) {
          const known = table.snapshots.map(({ name }) => name);
          throw openFailure(store.name, { kind: "no-snapshot", name: options.snapshot, known });
        }
        l1 = { offset: snapshot.l1Offset, entries: snapshot.l1Size };
        // Not more than its table maps, whatever its entry says.
        const mapped = snapshot.l1Size * (header.clusterSize / 8) * header.clusterSize;
        size = Math.min(Math.floor(snapshot.diskSize / 512) * 512, mapped);
      }
      const metadata = await Metadata.open(store, header, l1);
      metadata.protect(table.run);
      for (const { l1Offset, l1Size } of table.snapshots) {
        const first = l1Offset / header.clusterSize;
        metadata.protect({ first, count: Math.ceil((l1Size * 8) / header.clusterSize) });
      }
      if (header.backing !== undefined) {
        backing = await host.openBacking(header.backing.name, header.backing.format);
      }
      return new Qcow2Disk(store, header, table, metadata, backing, host, { size, readOnly });
    } catch (error) {
      await backing?.close();
      await store.close();
      throw error;
    }
  }

  async read(offset: ByteOffset, target: Uint8Array): Promise<void> {
    mustBeInside(this, offset, target.length);
    if (target.length === 0) return;
    const lock = this.#lock(offset, target.length, false);
    const release = lock instanceof Promise ? await lock : lock;
    try {
      await this.#reader.read(offset, target);
    } finally {
      release();
    }
  }

  readNow(offset: ByteOffset, targets: Parts): boolean {
    const length = lengthOf(targets);
    if (length === 0 || !isInside(this, offset, length) || !this.#isFree(offset, length)) return false;
    return succeeds(() => this.#reader.readNow(offset, length, targets));
  }

  writeNow(offset: ByteOffset, sources: Parts): boolean {
    const length = lengthOf(sources);
    if (length === 0 || this.readOnly || !isInside(this, offset, length)) return false;
    const { isCorrupt, isCrowded } = this.metadata;
    if (isCorrupt || isCrowded || !this.#isPrepared || !this.#isFree(offset, length)) return false;
    return succeeds(() => this.#writer.writeNow(offset, length, sources));
  }

  async write(offset: ByteOffset, source: Uint8Array): Promise<void> {
    mustBeWritable(this);
    mustBeInside(this, offset, source.length);
    if (source.length === 0) return;
    await this.#change(async () => {
      const shared = this.#lock(offset, source.length, false);
      const release = shared instanceof Promise ? await shared : shared;
      try {
        if (await this.#writer.writeInPlace(offset, source)) return;
      } finally {
        release();
      }
      await this.#alone(offset, source.length, () => this.#writer.write(offset, source));
    });
  }

  async writeZeroes(offset: ByteOffset, length: number): Promise<void> {
    mustBeWritable(this);
    mustBeInside(this, offset, length);
    if (length === 0) return;
    await this.#change(() => this.#alone(offset, length, () => this.#writer.writeZeroes(offset, length)));
  }

  async discard(offset: ByteOffset, length: number): Promise<void> {
    mustBeWritable(this);
    mustBeInside(this, offset, length);
    if (length === 0) return;
    await this.#change(() => this.#alone(offset, length, () => this.#writer.discard(offset, length)));
  }

  async zeroesFrom(offset: ByteOffset): Promise<number> {
    mustBeInside(this, offset, 0);
    return this.#reader.zeroesFrom(offset);
  }

  async flush(): Promise<void> {
    if (!this.readOnly) await this.metadata.commit();
  }

  async close(): Promise<void> {
    try {
      if (!this.readOnly && this.#isPrepared) await this.metadata.finish();
    } finally {
      await this.#backing?.close();
      await this.#store.close();
    }
  }

  /** Runs a change with what goes before and after every one. */
  async #change(operation: () => Promise<void>): Promise<void> {
    if (this.metadata.isCorrupt) throw openFailure(this.#store.name, { kind: "marked-corrupt" });
    if (!this.#isPrepared) await this.#prepare();
    if (this.metadata.isCrowded) await this.metadata.makeRoom();
    try {
      await operation();
    } catch (error) {
      if (this.metadata.isCorrupt) await this.metadata.markCorrupt().catch(() => undefined);
      throw error;
    }
  }

  /** What the image says besides the disk's content is not kept up to date with it. */
  async #prepare(): Promise<void> {
    if (this.header.autoclear !== 0n) {
      await patchHeader(this.#store, { autoclearFeatures: 0n });
      await this.#store.flush();
    }
    this.#isPrepared = true;
  }

  #lock(offset: number, length: number, exclusive: boolean): Release | Promise<Release> {
    const { clusterSize } = this.header;
    const first = Math.floor(offset / clusterSize);
    return this.#locks.acquire(first, Math.floor((offset + length - 1) / clusterSize), exclusive);
  }

  /** Whether a range could be locked, not alone, without waiting. */
  #isFree(offset: number, length: number): boolean {
    const { clusterSize } = this.header;
    const first = Math.floor(offset / clusterSize);
    return this.#locks.isFree(first, Math.floor((offset + length - 1) / clusterSize), false);
  }

  async #alone(offset: number, length: number, operation: () => Promise<void>): Promise<void> {
    const lock = this.#lock(offset, length, true);
    const release = lock instanceof Promise ? await lock : lock;
    try {
      await operation();
    } finally {
      release();
    }
  }

  /** Waits for every operation, and runs `operation` with none beside it. */
  async exclusively<T>(operation: () => Promise<T>): Promise<T> {
    const release = await this.#lock(0, byteOffset(Math.max(this.size, 1)), true);
    try {
      if (this.readOnly) throw new BlockError("read-only", `${this.#store.name} is opened for reading only`);
      if (!this.#isPrepared) await this.#prepare();
      return await operation();
    } finally {
      release();
    }
  }
}

/** What an image is found to have wrong is told by the operation that is not made at once. */
function succeeds(operation: () => boolean): boolean {
  try {
    return operation();
  } catch (error) {
    if (error instanceof ImageError) return false;
    throw error;
  }
}

function details(header: Qcow2Header): string[] {
  const list = [`version: ${header.version}`, `compression: ${header.compression}`];
  list.push(`refcounts: ${2 ** header.refcountOrder} bits`);
  if (header.lazyRefcounts) list.push("lazy refcounts: on");
  if (header.dirty) list.push("dirty: its refcounts are counted anew when it is opened for writing");
  if (header.corrupt) list.push("corrupt: mend it with bunk disk check --repair");
  return list;
}
