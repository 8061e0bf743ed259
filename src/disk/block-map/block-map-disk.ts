/**
 * A disk over a BlockMap. The table's changes are in memory until a flush: first content becomes stable, then the
 * table that leads to it, so that a crash leaves at worst room in the file that nothing uses.
 *
 * Blocks are never given up: discarded ones give their storage back to the host where that has holes in files.
 */
import { type ByteOffset, byteOffset } from "../../bits/units.ts";
import { type BlockDevice, BlockError } from "../block-device.ts";
import type { ByteStore } from "../byte-store.ts";
import type { CheckResult, ImageDisk, ImageInfo, Report } from "../image-format.ts";
import { type Piece, piecesOf } from "../pieces.ts";
import { mustBeInside, mustBeWritable } from "../range.ts";
import { RangeLock } from "../range-lock.ts";
import { SerialQueue } from "../serial-queue.ts";
import { settled } from "../settled.ts";
import type { BlockMap, BlockPlace } from "./block-map.ts";

export interface BlockMapWiring {
  readonly store: ByteStore;
  readonly map: BlockMap;
  readonly info: ImageInfo;
  readonly readOnly: boolean;
  readonly backing?: BlockDevice;
  /** What is still to be done when everything is committed and the image is closed. */
  readonly finish?: () => Promise<void>;
}

/** Neighbouring pieces that are served by one read or write. */
interface Run {
  readonly place: BlockPlace;
  /** From the start of the operation's range. */
  readonly from: number;
  length: number;
  /** Of the first piece in its block. */
  readonly start: number;
}

const ZERO_PIECE = 1024 * 1024;
/** Blocks that one question about zeros goes through. */
const MOST_LOOKED_AT = 1024;
const MOST_MESSAGES = 20;
/** Blocks whose places are compared with one another. */
const MOST_COMPARED = 2 ** 22;

export class BlockMapDisk implements ImageDisk {
  readonly size: number;
  readonly readOnly: boolean;
  readonly info: ImageInfo;
  readonly #store: ByteStore;
  readonly #map: BlockMap;
  readonly #backing: BlockDevice | undefined;
  readonly #finish: () => Promise<void>;
  readonly #locks = new RangeLock();
  readonly #allocations = new SerialQueue();
  readonly #commits = new SerialQueue();

  /** The disk closes `store` and `backing`. */
  constructor({ store, map, info, readOnly, backing, finish }: BlockMapWiring) {
    this.#store = store;
    this.#map = map;
    this.#backing = backing;
    this.#finish = finish ?? (async () => {});
    this.info = info;
    this.size = info.size;
    this.readOnly = readOnly || store.readOnly;
  }

  async read(offset: ByteOffset, target: Uint8Array): Promise<void> {
    mustBeInside(this, offset, target.length);
    await this.#locked(offset, target.length, false, () => this.#read(offset, target));
  }

  async write(offset: ByteOffset, source: Uint8Array): Promise<void> {
    mustBeWritable(this);
    mustBeInside(this, offset, source.length);
    if (this.#map.isCrowded) await this.flush();
    const isDone = await this.#locked(offset, source.length, false, () => this.#writeInPlace(offset, source));
    if (!isDone) await this.#locked(offset, source.length, true, () => this.#write(offset, source));
  }

  async writeZeroes(offset: ByteOffset, length: number): Promise<void> {
    mustBeWritable(this);
    mustBeInside(this, offset, length);
    if (this.#map.isCrowded) await this.flush();
    await this.#locked(offset, length, true, async () => {
      for (const piece of this.#pieces(offset, length)) await this.#zero(piece, offset + piece.from);
    });
  }

  async discard(offset: ByteOffset, length: number): Promise<void> {
    mustBeWritable(this);
    mustBeInside(this, offset, length);
    await this.#locked(offset, length, true, async () => {
      for (const { place, start, length: part } of await this.#runs(offset, length)) {
        if (place.kind === "data") await this.#store.punchHole(byteOffset(place.offset + start), part);
      }
    });
  }

  async zeroesFrom(offset: ByteOffset): Promise<number> {
    mustBeInside(this, offset, 0);
    let at: number = offset;
    for (let looked = 0; at < this.size && looked < MOST_LOOKED_AT; looked++) {
      const block = Math.floor(at / this.#map.blockSize);
      const place = await this.#map.place(block);
      const end = Math.min((block + 1) * this.#map.blockSize, this.size);
      if (place.kind === "data" || place.kind === "packed") break;
      if (place.kind === "absent" && this.#backing !== undefined && at < this.#backing.size) {
        const below = (await this.#backing.zeroesFrom?.(byteOffset(at))) ?? 0;
        if (at + below < Math.min(end, this.#backing.size)) {
          at += below;
          break;
        }
      }
      at = end;
    }
    return Math.min(at, this.size) - offset;
  }

  /** Looks at every block's place: each must be in the file, and no two at one place. */
  async check(report?: Report): Promise<CheckResult> {
    const messages: string[] = [];
    const seen = new Set<number>();
    let [corruptions, allocated] = [0, 0];
    const blocks = Math.ceil(this.size / this.#map.blockSize);
    for (let block = 0; block < blocks; block++) {
      if (block % 1024 === 0) report?.(block / blocks);
      let problem: string | undefined;
      try {
        const place = await this.#map.place(block);
        if (place.kind !== "data" && place.kind !== "packed") continue;
        allocated++;
        if (seen.has(place.offset)) problem = `block ${block} is at ${place.offset}, where another is, too`;
        else if (seen.size < MOST_COMPARED) seen.add(place.offset);
      } catch (error) {
        if (!(error instanceof BlockError)) throw error;
        problem = error.message;
      }
      if (problem === undefined) continue;
      corruptions++;
      if (messages.length < MOST_MESSAGES) messages.push(problem);
    }
    return { corruptions, leaks: 0, flaws: 0, messages, allocated };
  }

  flush(): Promise<void> {
    return this.#commits.run(async () => {
      if (this.readOnly) return;
      if (this.#map.isDirty) await this.#map.commit(() => this.#store.flush());
      else await this.#store.flush();
    });
  }

  async close(): Promise<void> {
    try {
      await this.flush();
      if (!this.readOnly) await this.#finish();
    } finally {
      await this.#backing?.close();
      await this.#store.close();
    }
  }

  async #locked<T>(offset: number, length: number, exclusive: boolean, operation: () => Promise<T>): Promise<T> {
    const { blockSize } = this.#map;
    const last = Math.floor((offset + Math.max(length, 1) - 1) / blockSize);
    const lock = this.#locks.acquire(Math.floor(offset / blockSize), last, exclusive);
    const release = lock instanceof Promise ? await lock : lock;
    try {
      return await operation();
    } finally {
      release();
    }
  }

  #pieces(offset: number, length: number): Iterable<Piece> {
    return piecesOf(this.#map.blockSize, offset, length);
  }

  /** The range as runs of blocks that are neighbours in the file, too. */
  async #runs(offset: number, length: number): Promise<Run[]> {
    const runs: Run[] = [];
    for (const piece of this.#pieces(offset, length)) {
      const found = this.#map.place(piece.index);
      const place = found instanceof Promise ? await found : found;
      const last = runs.at(-1);
      if (last !== undefined && last.place.kind === place.kind && place.kind !== "packed") {
        const isNext =
          place.kind !== "data" ||
          (last.place.kind === "data" && last.place.offset + last.start + last.length === place.offset);
        if (isNext) {
          last.length += piece.length;
          continue;
        }
      }
      runs.push({ place, from: piece.from, length: piece.length, start: piece.start });
    }
    return runs;
  }

  async #read(offset: number, target: Uint8Array): Promise<void> {
    const runs = await this.#runs(offset, target.length);
    await settled(
      runs.map(({ place, from, length, start }) =>
        this.#readRun(place, start, offset + from, target.subarray(from, from + length)),
      ),
    );
  }

  async #readRun(place: BlockPlace, start: number, offset: number, target: Uint8Array): Promise<void> {
    switch (place.kind) {
      case "data":
        return this.#store.read(byteOffset(place.offset + start), target);
      case "zero":
        target.fill(0);
        return;
      case "packed": {
        const content = await this.#map.unpack?.(place);
        if (content !== undefined) target.set(content.subarray(start, start + target.length));
        return;
      }
      case "absent": {
        const inside = Math.max(0, Math.min(target.length, (this.#backing?.size ?? 0) - offset));
        target.fill(0, inside);
        if (inside > 0) await this.#backing?.read(byteOffset(offset), target.subarray(0, inside));
      }
    }
  }

  /** Writes where every block is in the file; false, with nothing written, where not. */
  async #writeInPlace(offset: number, source: Uint8Array): Promise<boolean> {
    const runs = await this.#runs(offset, source.length);
    if (runs.some(({ place }) => place.kind !== "data")) return false;
    await settled(
      runs.map(({ place, from, length, start }) => {
        const at = place.kind === "data" ? place.offset + start : 0;
        return this.#store.write(byteOffset(at), source.subarray(from, from + length));
      }),
    );
    return true;
  }

  async #write(offset: number, source: Uint8Array): Promise<void> {
    for (const piece of this.#pieces(offset, source.length)) {
      const bytes = source.subarray(piece.from, piece.from + piece.length);
      const place = await this.#map.place(piece.index);
      if (place.kind === "data") await this.#store.write(byteOffset(place.offset + piece.start), bytes);
      else await this.#writeNew(piece, place, bytes);
    }
  }

  /** Gives a block its place, with `bytes` and around them what the disk has there. */
  async #writeNew({ index, start }: Piece, place: BlockPlace, bytes: Uint8Array): Promise<void> {
    const first = index * this.#map.blockSize;
    const length = Math.min(this.#map.blockSize, this.size - first);
    const isBlank = place.kind === "zero" || (place.kind === "absent" && first >= (this.#backing?.size ?? 0));
    const at = await this.#allocations.run(() => this.#map.allocate());
    if (isBlank || bytes.length === length) await this.#store.write(byteOffset(at + start), bytes);
    else {
      const content = new Uint8Array(length);
      await this.#readRun(place, 0, first, content);
      content.set(bytes, start);
      await this.#store.write(byteOffset(at), content);
    }
    await this.#map.setData(index, at);
  }

  async #zero({ index, start, length }: Piece, offset: number): Promise<void> {
    const place = await this.#map.place(index);
    if (place.kind === "data") return this.#store.writeZeroes(byteOffset(place.offset + start), length);
    if (place.kind === "zero") return;
    const first = index * this.#map.blockSize;
    if (place.kind === "absent" && first >= (this.#backing?.size ?? 0)) return;
    const isWhole = length === Math.min(this.#map.blockSize, this.size - first);
    if (isWhole && this.#map.setZero !== undefined) return this.#map.setZero(index);
    for (let done = 0; done < length; done += ZERO_PIECE) {
      await this.#write(offset + done, new Uint8Array(Math.min(ZERO_PIECE, length - done)));
    }
  }
}
