/**
 * One request of a driver: a validated chain of descriptors (virtio 1.2 §2.7.5). The device sees two
 * byte streams, what it may read and what it may write, whatever the framing (§2.7.4.1).
 *
 * Segments are kept as addresses, not as views: a request may be served long after it was taken, and
 * `GuestMemory.view(..., "write")` must be followed by the write at once.
 */
import type { GuestPhysical } from "../../bits/units.ts";
import type { GuestMemory } from "../../machine/device.ts";

/** A buffer in guest RAM; `length` is above 0. */
export interface Segment {
  readonly address: GuestPhysical;
  readonly length: number;
}

export class DescriptorChain {
  /** Index of the first descriptor, which names the chain in the used ring. */
  readonly head: number;
  /** Device-readable buffers, in order. */
  readonly readable: readonly Segment[];
  /** Device-writable buffers, in order. */
  readonly writable: readonly Segment[];
  /** Bytes in `readable`. */
  readonly readableLength: number;
  /** Bytes in `writable`. */
  readonly writableLength: number;
  readonly #memory: GuestMemory;

  constructor(memory: GuestMemory, head: number, readable: readonly Segment[], writable: readonly Segment[]) {
    this.#memory = memory;
    this.head = head;
    this.readable = readable;
    this.writable = writable;
    this.readableLength = totalLength(readable);
    this.writableLength = totalLength(writable);
  }

  /** Copies device-readable bytes from `offset` on into `target`; returns how many there were. */
  read(offset: number, target: Uint8Array): number {
    let copied = 0;
    for (const view of this.readableViews(offset, target.length)) {
      target.set(view, copied);
      copied += view.length;
    }
    return copied;
  }

  /** Stores `source` in the device-writable bytes from `offset` on; returns how many bytes fitted. */
  write(offset: number, source: Uint8Array): number {
    let copied = 0;
    for (const view of this.#views(this.writable, offset, source.length, "write")) {
      view.set(source.subarray(copied, copied + view.length));
      copied += view.length;
    }
    return copied;
  }

  /** Live views of up to `length` device-writable bytes from `offset` on, to be changed now. */
  writableViews(offset: number, length: number): Uint8Array<ArrayBufferLike>[] {
    return this.#views(this.writable, offset, length, "write");
  }

  /** Live views of up to `length` device-readable bytes from `offset` on; valid until the guest runs again. */
  readableViews(offset: number, length: number): Uint8Array<ArrayBufferLike>[] {
    return this.#views(this.readable, offset, length, "read");
  }

  #views(
    segments: readonly Segment[],
    offset: number,
    length: number,
    access: "read" | "write",
  ): Uint8Array<ArrayBufferLike>[] {
    const views: Uint8Array<ArrayBufferLike>[] = [];
    let skip = offset;
    let left = length;
    for (const segment of segments) {
      if (left === 0) break;
      if (skip >= segment.length) {
        skip -= segment.length;
        continue;
      }
      const size = Math.min(segment.length - skip, left);
      // The chain was validated when it was taken, but the guest may have remapped RAM since.
      const view = this.#memory.view((segment.address + skip) as GuestPhysical, size, access);
      if (view === undefined) break;
      views.push(view);
      left -= size;
      skip = 0;
    }
    return views;
  }
}

const totalLength = (segments: readonly Segment[]): number =>
  segments.reduce((total, segment) => total + segment.length, 0);
