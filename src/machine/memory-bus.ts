/**
 * Memory-mapped I/O: devices at ranges of guest-physical addresses. RAM and ROM are not on this bus; the
 * processor comes here with what is neither.
 *
 * An address nobody maps reads as all ones and drops what is written. Where ranges overlap (a guest can place
 * a PCI BAR over anything) the range mapped first keeps the shared addresses until it is unmapped.
 */
import type { AccessSize, MemoryDevice } from "./device.ts";
import { readPieces, writePieces } from "./pieces.ts";

/** First address that no guest can form (SDM vol. 3, "Physical Address Space": at most 52 bits). */
export const PHYSICAL_ADDRESS_LIMIT = 2 ** 52;

/** A mapped range; also the handle that unmaps it. */
export interface MemoryRange {
  readonly start: number;
  readonly length: number;
  readonly name: string;
}

interface Mapping extends MemoryRange {
  readonly device: MemoryDevice;
}

/** A piece of a mapping that no earlier one covers. */
interface Segment {
  readonly start: number;
  readonly end: number;
  readonly mapping: Mapping;
}

export class MemoryBus {
  /** In the order of mapping, which decides overlaps. */
  #mappings: Mapping[] = [];
  /** Ascending, not overlapping. */
  #segments: Segment[] = [];
  #lastHit: Segment | undefined;

  /** Puts `device` at `start` to `start + length - 1`. Throws RangeError outside of 0 to 2^52. */
  map(start: number, length: number, device: MemoryDevice, name = ""): MemoryRange {
    if (!(Number.isInteger(start) && start >= 0 && length > 0 && start + length <= PHYSICAL_ADDRESS_LIMIT)) {
      throw new RangeError(`no such addresses: ${length} from ${start}`);
    }
    const mapping: Mapping = { start, length, device, name };
    this.#mappings.push(mapping);
    this.#layOut();
    return mapping;
  }

  /** Takes a range off the bus; one that is not on it (any more) is left alone. */
  unmap(range: MemoryRange): void {
    const rest = this.#mappings.filter((mapping) => mapping !== range);
    if (rest.length === this.#mappings.length) return;
    this.#mappings = rest;
    this.#layOut();
  }

  /** The ranges on the bus, in the order of mapping. */
  ranges(): readonly MemoryRange[] {
    return this.#mappings;
  }

  /** The unsigned value of `size` bytes at `address`; a misaligned access is made byte by byte. */
  read(address: number, size: AccessSize): number {
    const segment = this.#find(address);
    if (address % size === 0 && (segment === undefined || address + size <= segment.end)) {
      if (segment !== undefined) {
        const { device, start } = segment.mapping;
        return truncate(device.readMemory(address - start, size), size);
      }
      if (size === 1) return 0xff;
    }
    return readPieces(address, size, 1, (each) => this.read(each, 1));
  }

  /** Writes the low `size` bytes of `value` at `address`; a misaligned access is made byte by byte. */
  write(address: number, size: AccessSize, value: number): void {
    const segment = this.#find(address);
    if (address % size === 0 && (segment === undefined || address + size <= segment.end)) {
      if (segment !== undefined) {
        const { device, start } = segment.mapping;
        device.writeMemory(address - start, size, truncate(value, size));
        return;
      }
      if (size === 1) return;
    }
    writePieces(address, size, 1, value, (each, rest) => this.write(each, 1, rest));
  }

  /** Reads 8 bytes at `address` as two accesses of 4, low half first, into `target[0]` (low) and `target[1]`. */
  read64(address: number, target: Uint32Array): void {
    target[0] = this.read(address, 4);
    target[1] = this.read(address + 4, 4);
  }

  /** Writes 8 bytes at `address` as two accesses of 4, low half first. */
  write64(address: number, low: number, high: number): void {
    this.write(address, 4, low);
    this.write(address + 4, 4, high);
  }

  #find(address: number): Segment | undefined {
    const last = this.#lastHit;
    if (last !== undefined && address >= last.start && address < last.end) return last;
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#segments[middle]!.end <= address) low = middle + 1;
      else high = middle;
    }
    const found = this.#segments[low];
    if (found === undefined || found.start > address) return undefined;
    this.#lastHit = found;
    return found;
  }

  /** Cuts the mappings into segments: each takes what those before it left. */
  #layOut(): void {
    let segments: Segment[] = [];
    for (const mapping of this.#mappings) {
      const added: Segment[] = [];
      const end = mapping.start + mapping.length;
      let from = mapping.start;
      for (const taken of segments) {
        if (taken.end <= from) continue;
        if (taken.start >= end) break;
        if (taken.start > from) added.push({ start: from, end: taken.start, mapping });
        from = taken.end;
      }
      if (from < end) added.push({ start: from, end, mapping });
      segments = [...segments, ...added].sort((a, b) => a.start - b.start);
    }
    this.#segments = segments;
    this.#lastHit = undefined;
  }
}

function truncate(value: number, size: AccessSize): number {
  return size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff);
}
