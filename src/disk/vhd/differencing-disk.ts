/** A VHD image that holds the sectors which differ from its parent's: the bitmap before each block says which. Read only. */
import { type ByteOffset, byteOffset } from "../../bits/units.ts";
import { type BlockDevice, BlockError } from "../block-device.ts";
import type { ByteStore } from "../byte-store.ts";
import type { ImageDisk, ImageInfo } from "../image-format.ts";
import { piecesOf } from "../pieces.ts";
import { mustBeInside } from "../range.ts";
import { settled } from "../settled.ts";
import type { VhdMap } from "./vhd-disk.ts";

export interface DifferencingWiring {
  readonly store: ByteStore;
  readonly map: VhdMap;
  readonly parent: BlockDevice;
  readonly info: ImageInfo;
}

const SECTOR = 512;

export class DifferencingDisk implements ImageDisk {
  readonly size: number;
  readonly readOnly = true;
  readonly info: ImageInfo;
  readonly #store: ByteStore;
  readonly #map: VhdMap;
  readonly #parent: BlockDevice;

  constructor({ store, map, parent, info }: DifferencingWiring) {
    this.#store = store;
    this.#map = map;
    this.#parent = parent;
    this.info = info;
    this.size = info.size;
  }

  async read(offset: ByteOffset, target: Uint8Array): Promise<void> {
    mustBeInside(this, offset, target.length);
    const reads: Promise<void>[] = [];
    try {
      for (const { index, start, from, length } of piecesOf(this.#map.blockSize, offset, target.length)) {
        const place = await this.#map.place(index);
        const part = target.subarray(from, from + length);
        if (place.kind !== "data") reads.push(this.#readParent(offset + from, part));
        else reads.push(this.#readBlock(place.offset, start, offset + from, part));
      }
    } finally {
      await settled(reads);
    }
  }

  async #readBlock(block: number, start: number, offset: number, target: Uint8Array): Promise<void> {
    const bitmap = new Uint8Array(this.#map.bitmapSize);
    await this.#store.read(byteOffset(block - this.#map.bitmapSize), bitmap);
    const isOwn = (sector: number) => ((bitmap[sector >>> 3] as number) & (0x80 >>> (sector & 7))) !== 0;
    for (let at = 0; at < target.length; ) {
      const first = Math.floor((start + at) / SECTOR);
      const own = isOwn(first);
      let sector = first + 1;
      while (sector * SECTOR < start + target.length && isOwn(sector) === own) sector++;
      const end = Math.min(sector * SECTOR - start, target.length);
      const part = target.subarray(at, end);
      if (own) await this.#store.read(byteOffset(block + start + at), part);
      else await this.#readParent(offset + at, part);
      at = end;
    }
  }

  async #readParent(offset: number, target: Uint8Array): Promise<void> {
    const inside = Math.max(0, Math.min(target.length, this.#parent.size - offset));
    target.fill(0, inside);
    if (inside > 0) await this.#parent.read(byteOffset(offset), target.subarray(0, inside));
  }

  async write(): Promise<void> {
    throw this.#refusal();
  }
  async discard(): Promise<void> {
    throw this.#refusal();
  }
  async writeZeroes(): Promise<void> {
    throw this.#refusal();
  }
  async flush(): Promise<void> {}

  async close(): Promise<void> {
    await this.#parent.close();
    await this.#store.close();
  }

  #refusal(): BlockError {
    return new BlockError("read-only", "the disk is opened for reading only");
  }
}
