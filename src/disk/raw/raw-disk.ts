/**
 * Raw disk image: byte n of the disk is byte n of the store. An image that is not a multiple of 512 bytes
 * long appears rounded up, with zeros at the end; it grows by them when the guest writes its last sector.
 */

import { type ByteOffset, SECTOR_SIZE } from "../../bits/units.ts";
import type { BlockDevice } from "../block-device.ts";
import type { ByteStore } from "../byte-store.ts";
import { lengthOf, type Parts } from "../parts.ts";
import { isInside, mustBeInside, mustBeWritable } from "../range.ts";

export class RawDisk implements BlockDevice {
  readonly size: number;
  readonly readOnly: boolean;
  readonly #store: ByteStore;

  /** The disk closes `store`. It is read-only if the store is, or on request. */
  constructor(store: ByteStore, { readOnly = store.readOnly }: { readOnly?: boolean } = {}) {
    this.#store = store;
    this.size = Math.ceil(store.size / SECTOR_SIZE) * SECTOR_SIZE;
    this.readOnly = readOnly || store.readOnly;
  }

  async read(offset: ByteOffset, target: Uint8Array): Promise<void> {
    mustBeInside(this, offset, target.length);
    await this.#store.read(offset, target);
  }

  readNow(offset: ByteOffset, targets: Parts): boolean {
    return isInside(this, offset, lengthOf(targets)) && (this.#store.readNow?.(offset, targets) ?? false);
  }

  async write(offset: ByteOffset, source: Uint8Array): Promise<void> {
    mustBeWritable(this);
    mustBeInside(this, offset, source.length);
    await this.#store.write(offset, source);
  }

  writeNow(offset: ByteOffset, sources: Parts): boolean {
    if (this.readOnly || !isInside(this, offset, lengthOf(sources))) return false;
    return this.#store.writeNow?.(offset, sources) ?? false;
  }

  async flush(): Promise<void> {
    await this.#store.flush();
  }

  /** Frees storage where the store can; otherwise the content stays as it is. */
  async discard(offset: ByteOffset, length: number): Promise<void> {
    mustBeWritable(this);
    mustBeInside(this, offset, length);
    await this.#store.punchHole(offset, length);
  }

  async writeZeroes(offset: ByteOffset, length: number): Promise<void> {
    mustBeWritable(this);
    mustBeInside(this, offset, length);
    await this.#store.writeZeroes(offset, length);
  }

  async close(): Promise<void> {
    await this.#store.close();
  }
}
