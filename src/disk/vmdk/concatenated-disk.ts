/** Disks one after the other as one disk, for reading. */
import { type ByteOffset, byteOffset } from "../../bits/units.ts";
import { type BlockDevice, BlockError } from "../block-device.ts";
import type { ByteStore } from "../byte-store.ts";
import type { ImageDisk, ImageInfo } from "../image-format.ts";
import { mustBeInside } from "../range.ts";
import { settled } from "../settled.ts";

export interface ConcatenatedWiring {
  readonly parts: readonly BlockDevice[];
  readonly info: ImageInfo;
  /** Of the description. */
  readonly store: ByteStore;
}

export class ConcatenatedDisk implements ImageDisk {
  readonly size: number;
  readonly readOnly = true;
  readonly info: ImageInfo;
  readonly #parts: readonly BlockDevice[];
  readonly #starts: readonly number[];
  readonly #store: ByteStore;

  constructor({ parts, info, store }: ConcatenatedWiring) {
    this.info = info;
    this.size = info.size;
    this.#parts = parts;
    this.#store = store;
    let start = 0;
    this.#starts = parts.map(({ size }) => {
      start += size;
      return start - size;
    });
  }

  async read(offset: ByteOffset, target: Uint8Array): Promise<void> {
    mustBeInside(this, offset, target.length);
    const reads: Promise<void>[] = [];
    for (const [i, part] of this.#parts.entries()) {
      const start = this.#starts[i] as number;
      const from = Math.max(offset, start);
      const to = Math.min(offset + target.length, start + part.size);
      if (from < to) reads.push(part.read(byteOffset(from - start), target.subarray(from - offset, to - offset)));
    }
    await settled(reads);
  }

  async zeroesFrom(offset: ByteOffset): Promise<number> {
    mustBeInside(this, offset, 0);
    const i = this.#starts.findLastIndex((start) => start <= offset);
    const part = this.#parts[i];
    const within = offset - (this.#starts[i] ?? 0);
    if (part === undefined || within >= part.size) return 0;
    return (await part.zeroesFrom?.(byteOffset(within))) ?? 0;
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
    for (const part of this.#parts) await part.close();
    await this.#store.close();
  }

  #refusal(): BlockError {
    return new BlockError("read-only", "the disk is opened for reading only");
  }
}
