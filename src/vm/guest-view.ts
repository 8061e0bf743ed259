/**
 * Guest memory by linear address as a debugger sees it: whatever the rights of the page, and without a trace in the
 * guest (no accessed bits, no device read). Device memory is not seen.
 */
import { guestPhysical } from "../bits/units.ts";
import { physicalAddress, type ReadEntry } from "../cpu/mmu/page-walk.ts";
import type { Registers } from "../cpu/registers.ts";
import type { GuestMemory } from "../machine/device.ts";

const PAGE = 4096;
const LONG_MODE_ACTIVE = 0x400;

export class GuestView {
  readonly #registers: Registers;
  readonly #ram: Pick<GuestMemory, "view">;

  constructor(registers: Registers, ram: Pick<GuestMemory, "view">) {
    this.#registers = registers;
    this.#ram = ram;
  }

  readonly readEntry: ReadEntry = (physical, bytes) => {
    const view = this.#ram.view(guestPhysical(Number(physical)), bytes, "read");
    if (view === undefined) return undefined;
    const data = new DataView(view.buffer, view.byteOffset, bytes);
    return bytes === 8 ? data.getBigUint64(0, true) : BigInt(data.getUint32(0, true));
  };

  /** Up to `length` bytes: fewer where the next is not mapped, or no memory. */
  read(linear: bigint, length: number): Uint8Array {
    return join(this.#pieces(linear, length, "read").views);
  }

  /** Up to `length` bytes of RAM and ROM at a physical address. */
  readPhysical(physical: bigint, length: number): Uint8Array {
    return join(this.#physicalPieces(physical, length, "read").views);
  }

  /** Writes all of the bytes, or nothing and returns false where one has no place in RAM. */
  write(linear: bigint, bytes: Uint8Array): boolean {
    return spread(this.#pieces(linear, bytes.length, "write"), bytes);
  }

  writePhysical(physical: bigint, bytes: Uint8Array): boolean {
    return spread(this.#physicalPieces(physical, bytes.length, "write"), bytes);
  }

  /** What of a linear range is memory from its start on, a view for each page. */
  #pieces(linear: bigint, length: number, access: "read" | "write"): Pieces {
    const width = this.#registers.get32("efer") & LONG_MODE_ACTIVE ? 64 : 32;
    return gather(length, (done) => {
      const at = BigInt.asUintN(width, linear + BigInt(done));
      const bytes = Math.min(length - done, PAGE - Number(at & BigInt(PAGE - 1)));
      const physical = physicalAddress(this.#registers, at, this.readEntry);
      return physical === undefined ? undefined : this.#ram.view(guestPhysical(Number(physical)), bytes, access);
    });
  }

  #physicalPieces(physical: bigint, length: number, access: "read" | "write"): Pieces {
    return gather(length, (done) => {
      const at = physical + BigInt(done);
      const bytes = Math.min(length - done, PAGE - Number(at & BigInt(PAGE - 1)));
      return this.#ram.view(guestPhysical(Number(at)), bytes, access);
    });
  }
}

interface Pieces {
  readonly views: readonly Uint8Array[];
  readonly complete: boolean;
}

function gather(length: number, next: (done: number) => Uint8Array | undefined): Pieces {
  const views: Uint8Array[] = [];
  let done = 0;
  while (done < length) {
    const view = next(done);
    if (view === undefined) return { views, complete: false };
    views.push(view);
    done += view.length;
  }
  return { views, complete: true };
}

function join(views: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(views.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const view of views) {
    bytes.set(view, at);
    at += view.length;
  }
  return bytes;
}

function spread({ views, complete }: Pieces, bytes: Uint8Array): boolean {
  if (!complete) return false;
  let at = 0;
  for (const view of views) {
    view.set(bytes.subarray(at, at + view.length));
    at += view.length;
  }
  return true;
}
