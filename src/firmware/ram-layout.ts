/**
 * Finds room in a VM's RAM for what a boot loader puts there, so that no piece overwrites another, and
 * writes it.
 */
import { type GuestPhysical, guestPhysical, MIB, PAGE_SIZE } from "../bits/units.ts";
import type { GuestMemory } from "../machine/device.ts";
import { BootError } from "./boot-error.ts";
import { E820Type, type MemoryMap, type MemoryRange } from "./memory-map.ts";

/** A piece of RAM in use, and for what ("the kernel"), for error messages. */
export interface Claim extends MemoryRange {
  readonly what: string;
}

const alignUp = (address: number, alignment: number) => Math.ceil(address / alignment) * alignment;
const alignDown = (address: number, alignment: number) => Math.floor(address / alignment) * alignment;
const hex = (address: number) => `0x${address.toString(16)}`;
const mib = (size: number) => `${Math.ceil(size / MIB)} MiB`;

export class RamLayout {
  readonly #memory: GuestMemory;
  readonly #map: MemoryMap;
  /** In ascending order. */
  readonly #claims: Claim[] = [];

  /** The first 4 KiB are never given out: they hold the real-mode interrupt vectors and the BIOS data area. */
  constructor(memory: GuestMemory, map: MemoryMap) {
    this.#memory = memory;
    this.#map = map;
    this.#insert({ address: guestPhysical(0), size: PAGE_SIZE, what: "the BIOS data area" });
  }

  /** Takes exactly this range; throws BootError where it is not usable RAM or already taken. */
  claim(address: number, size: number, what: string): GuestPhysical {
    const end = address + size;
    const inside = this.#usable().some(([start, stop]) => address >= start && end <= stop);
    if (!inside) {
      const last = this.#usable().at(-1)?.[1] ?? 0;
      const remedy = end > last ? `; the VM has ${mib(this.#map.ramSize)}, give it more than ${mib(end)}` : "";
      throw new BootError("no-room", `${what} needs RAM from ${hex(address)} to ${hex(end)}${remedy}`);
    }
    const other = this.#claims.find((claim) => claim.address < end && address < claim.address + claim.size);
    if (other !== undefined) {
      const range = `${hex(other.address)} to ${hex(other.address + other.size)}`;
      throw new BootError("no-room", `${what} at ${hex(address)} would overwrite ${other.what} (${range})`);
    }
    return this.#insert({ address: guestPhysical(address), size, what });
  }

  /** Takes the highest place that ends at or below `limit`. `alignment` is a power of two. */
  claimBelow(limit: number, size: number, alignment: number, what: string): GuestPhysical {
    for (const [start, end] of this.#free().reverse()) {
      const address = alignDown(Math.min(end, limit) - size, alignment);
      if (address >= start) return this.#insert({ address: guestPhysical(address), size, what });
    }
    throw this.#full(size, what);
  }

  /** Takes the lowest place at or above `minimum`. `alignment` is a power of two. */
  claimAbove(minimum: number, size: number, alignment: number, what: string): GuestPhysical {
    for (const [start, end] of this.#free()) {
      const address = alignUp(Math.max(start, minimum), alignment);
      if (address + size <= end) return this.#insert({ address: guestPhysical(address), size, what });
    }
    throw this.#full(size, what);
  }

  /**
   * Gives a piece at `address`, of which nothing is written yet, another place at or above it: the one of the number
   * that `choose` says when asked for one below the count of places. `alignment` is a power of two.
   */
  moveUp(address: GuestPhysical, alignment: number, choose: (places: number) => number): GuestPhysical {
    const index = this.#claims.findIndex((claim) => claim.address === address);
    const [piece] = this.#claims.splice(index, 1) as [Claim];
    const rows = this.#free().flatMap(([start, end]) => {
      const first = alignUp(Math.max(start, address), alignment);
      const count = Math.floor((end - first - piece.size) / alignment) + 1;
      return count > 0 ? [{ first, count }] : [];
    });
    let chosen = choose(rows.reduce((sum, { count }) => sum + count, 0));
    const row = rows.find(({ count }) => {
      if (chosen < count) return true;
      chosen -= count;
      return false;
    });
    return this.#insert({ ...piece, address: row ? guestPhysical(row.first + chosen * alignment) : address });
  }

  /** Gives a piece at `address` back. */
  release(address: GuestPhysical): void {
    const index = this.#claims.findIndex((claim) => claim.address === address);
    if (index >= 0) this.#claims.splice(index, 1);
  }

  /** Copies `bytes` to `address`, and zeros after them up to `size` in all. */
  write(address: GuestPhysical, bytes: Uint8Array, size = bytes.length): void {
    const target = this.open(address, size);
    target.set(bytes);
    target.fill(0, bytes.length);
  }

  /** The `size` bytes at `address`, to be written to. */
  open(address: GuestPhysical, size: number): Uint8Array {
    const target = this.#memory.view(address, size, "write");
    if (target !== undefined) return target;
    throw new BootError("no-room", `there is no RAM from ${hex(address)} to ${hex(address + size)}`);
  }

  /** Takes the lowest place at or above `minimum` and copies `bytes` there. */
  place(minimum: number, bytes: Uint8Array, alignment: number, what: string): GuestPhysical {
    const address = this.claimAbove(minimum, bytes.length, alignment, what);
    this.write(address, bytes);
    return address;
  }

  #insert(claim: Claim): GuestPhysical {
    this.#claims.push(claim);
    this.#claims.sort((a, b) => a.address - b.address);
    return claim.address;
  }

  #usable(): [start: number, end: number][] {
    return this.#map.entries
      .filter((entry) => entry.type === E820Type.usable)
      .map((entry) => [entry.address, entry.address + entry.size]);
  }

  #free(): [start: number, end: number][] {
    const free: [number, number][] = [];
    for (const [start, stop] of this.#usable()) {
      let from = start;
      for (const { address, size } of this.#claims) {
        if (address >= stop || address + size <= from) continue;
        if (address > from) free.push([from, address]);
        from = address + size;
      }
      if (from < stop) free.push([from, stop]);
    }
    return free;
  }

  #full(size: number, what: string): BootError {
    return new BootError(
      "no-room",
      `no room for ${what} (${size} bytes) in the VM's ${mib(this.#map.ramSize)} of RAM; give it more`,
    );
  }
}
