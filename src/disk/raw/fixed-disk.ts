/** A disk whose content is a part of a file, byte for byte: VHD images of fixed size, flat extents of VMDK. */

import { type ByteOffset, byteOffset } from "../../bits/units.ts";
import type { ByteStore } from "../byte-store.ts";
import type { ImageDisk, ImageInfo } from "../image-format.ts";
import { lengthOf, type Parts } from "../parts.ts";
import { isInside, mustBeInside, mustBeWritable } from "../range.ts";

export class FixedDisk implements ImageDisk {
  readonly size: number;
  readonly readOnly: boolean;
  readonly info: ImageInfo;
  readonly #store: ByteStore;
  readonly #start: number;

  /** `start` is where in the file the disk begins. */
  constructor(store: ByteStore, info: ImageInfo, readOnly: boolean, start = 0) {
    this.#store = store;
    this.info = info;
    this.size = info.size;
    this.readOnly = readOnly;
    this.#start = start;
  }

  async read(offset: ByteOffset, target: Uint8Array): Promise<void> {
    mustBeInside(this, offset, target.length);
    await this.#store.read(byteOffset(this.#start + offset), target);
  }

  readNow(offset: ByteOffset, targets: Parts): boolean {
    if (!isInside(this, offset, lengthOf(targets))) return false;
    return this.#store.readNow?.(byteOffset(this.#start + offset), targets) ?? false;
  }

  async write(offset: ByteOffset, source: Uint8Array): Promise<void> {
    mustBeWritable(this);
    mustBeInside(this, offset, source.length);
    await this.#store.write(byteOffset(this.#start + offset), source);
  }

  writeNow(offset: ByteOffset, sources: Parts): boolean {
    if (this.readOnly || !isInside(this, offset, lengthOf(sources))) return false;
    return this.#store.writeNow?.(byteOffset(this.#start + offset), sources) ?? false;
  }

  async flush(): Promise<void> {
    if (!this.readOnly) await this.#store.flush();
  }

  async discard(offset: ByteOffset, length: number): Promise<void> {
    mustBeWritable(this);
    mustBeInside(this, offset, length);
    await this.#store.punchHole(byteOffset(this.#start + offset), length);
  }

  async writeZeroes(offset: ByteOffset, length: number): Promise<void> {
    mustBeWritable(this);
    mustBeInside(this, offset, length);
    await this.#store.writeZeroes(byteOffset(this.#start + offset), length);
  }

  async close(): Promise<void> {
    await this.#store.close();
  }
}
