/**
 * The I/O port space: 65,536 byte-wide ports, each owned by at most one device.
 *
 * A port nobody owns reads as all ones and drops what is written. Where ranges overlap (a guest can place a
 * PCI BAR over anything) the range registered first owns the shared ports until it is taken away.
 */
import type { AccessSize, PortDevice } from "./device.ts";
import { readPieces, writePieces } from "./pieces.ts";

export const PORT_COUNT = 65536;

/** A registered range; also the handle that takes it off the bus again. */
export interface PortRange {
  readonly first: number;
  readonly count: number;
  readonly name: string;
}

export interface PortRangeOptions {
  /** Shown in listings. */
  name?: string;
  /** Bytes of the widest access that the device takes (4 if left out); wider ones reach it in pieces, lowest port first. */
  width?: AccessSize;
}

interface Claim extends PortRange {
  readonly device: PortDevice;
  readonly width: AccessSize;
}

export class PortBus {
  /** For each port an index into `#claims`; 0 is nobody. */
  readonly #owner = new Uint16Array(PORT_COUNT);
  readonly #claims: (Claim | undefined)[] = [undefined];
  /** In the order of registration, which decides overlaps. */
  #order: Claim[] = [];

  /** Puts `device` at ports `first` to `first + count - 1`. Throws RangeError outside of 0 to 65,535. */
  register(first: number, count: number, device: PortDevice, options: PortRangeOptions = {}): PortRange {
    if (
      !(Number.isInteger(first) && Number.isInteger(count) && first >= 0 && count > 0 && first + count <= PORT_COUNT)
    ) {
      throw new RangeError(`no such ports: ${count} from ${first}`);
    }
    const claim: Claim = { first, count, device, name: options.name ?? "", width: options.width ?? 4 };
    let index = this.#claims.indexOf(undefined, 1);
    if (index < 0) index = this.#claims.length;
    this.#claims[index] = claim;
    this.#order.push(claim);
    this.#fill(claim, first, first + count);
    return claim;
  }

  /** Takes a range off the bus; one that is not on it (any more) is left alone. */
  unregister(range: PortRange): void {
    const index = this.#claims.indexOf(range as Claim, 1);
    if (index < 0) return;
    for (let port = range.first; port < range.first + range.count; port++) {
      if (this.#owner[port] === index) this.#owner[port] = 0;
    }
    this.#claims[index] = undefined;
    this.#order = this.#order.filter((claim) => claim !== range);
    for (const claim of this.#order) {
      const first = Math.max(claim.first, range.first);
      this.#fill(claim, first, Math.min(claim.first + claim.count, range.first + range.count));
    }
  }

  /** The ranges on the bus, in the order of registration. */
  ranges(): readonly PortRange[] {
    return this.#order;
  }

  /** The unsigned value of `size` bytes from `port` up. */
  read(port: number, size: AccessSize): number {
    const claim = this.#claims[this.#owner[port] ?? 0];
    const width = claim !== undefined && this.#owns(port, size) ? claim.width : 1;
    if (claim !== undefined && size <= width) return truncate(claim.device.readPort(port, size), size);
    if (size === 1) return 0xff;
    const piece = width === 2 ? 2 : 1;
    return readPieces(port, size, piece, (each) => this.read(each, piece));
  }

  /** Writes the low `size` bytes of `value` from `port` up. */
  write(port: number, size: AccessSize, value: number): void {
    const claim = this.#claims[this.#owner[port] ?? 0];
    const width = claim !== undefined && this.#owns(port, size) ? claim.width : 1;
    if (claim !== undefined && size <= width) {
      claim.device.writePort(port, size, truncate(value, size));
      return;
    }
    if (size === 1) return;
    const piece = width === 2 ? 2 : 1;
    writePieces(port, size, piece, value, (each, rest) => this.write(each, piece, rest));
  }

  /** Whether the owner of `port` owns all `size` ports from there. */
  #owns(port: number, size: AccessSize): boolean {
    for (let at = 1; at < size; at++) if (this.#owner[port + at] !== this.#owner[port]) return false;
    return true;
  }

  /** Gives `claim` the ports of `first` to `end - 1` that nobody owns. */
  #fill(claim: Claim, first: number, end: number): void {
    const index = this.#claims.indexOf(claim, 1);
    for (let port = first; port < end; port++) if (this.#owner[port] === 0) this.#owner[port] = index;
  }
}

function truncate(value: number, size: AccessSize): number {
  return size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff);
}
