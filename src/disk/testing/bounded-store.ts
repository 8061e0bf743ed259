/** A store that stops whoever writes outside of an image, or does without end what was to end. */

import type { ByteOffset } from "../../bits/units.ts";
import { BorrowedStore } from "../borrowed-store.ts";
import type { ByteStore } from "../byte-store.ts";
import { lengthOf, type Parts } from "../parts.ts";

export interface Bounds {
  /** Bytes that the image may grow to. */
  readonly size: number;
  /** Reads and writes, and bytes of all of them. */
  readonly operations: number;
  readonly bytes: number;
}

/** Not an error of a disk: what throws it is at fault. */
export class BoundsError extends Error {}

export class BoundedStore extends BorrowedStore {
  readonly #bounds: Bounds;
  #operations = 0;
  #bytes = 0;

  constructor(store: ByteStore, bounds: Bounds) {
    super(store);
    this.#bounds = bounds;
  }

  #count(offset: number, length: number): void {
    this.#operations++;
    this.#bytes += length;
    if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(length) || length < 0) {
      throw new BoundsError(`${length} bytes at ${offset}`);
    }
    if (this.#operations > this.#bounds.operations) throw new BoundsError("too many operations");
    if (this.#bytes > this.#bounds.bytes) throw new BoundsError("too many bytes");
  }

  #change(offset: number, length: number): void {
    this.#count(offset, length);
    if (offset + length > this.#bounds.size) throw new BoundsError(`a write of ${length} bytes at ${offset}`);
  }

  override async read(offset: ByteOffset, target: Uint8Array): Promise<void> {
    this.#count(offset, target.length);
    await super.read(offset, target);
  }
  override async write(offset: ByteOffset, source: Uint8Array): Promise<void> {
    this.#change(offset, source.length);
    await super.write(offset, source);
  }
  override readNow(offset: ByteOffset, targets: Parts): boolean {
    this.#count(offset, lengthOf(targets));
    return super.readNow(offset, targets);
  }
  override writeNow(offset: ByteOffset, sources: Parts): boolean {
    this.#change(offset, lengthOf(sources));
    return super.writeNow(offset, sources);
  }
  override async punchHole(offset: ByteOffset, length: number): Promise<boolean> {
    this.#count(offset, 0);
    return super.punchHole(offset, length);
  }
  override async writeZeroes(offset: ByteOffset, length: number): Promise<void> {
    this.#count(offset, 0);
    await super.writeZeroes(offset, length);
  }
  override async resize(size: number): Promise<void> {
    this.#change(0, 0);
    if (size > this.#bounds.size) throw new BoundsError(`a size of ${size} bytes`);
    await super.resize(size);
  }
}
