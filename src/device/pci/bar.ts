/**
 * Base address registers: what they look like in configuration space, and how the ranges they hold come and
 * go on the buses.
 * @spec PCI Local Bus Specification 3.0, §6.2.5 "Base Addresses".
 *
 * A BAR is not decoded at address 0, nor where its range ends at or beyond the last address of its space: a
 * BAR that is being sized (all ones written) while decoding is on must not take the top of the space.
 */
import { type GuestPhysical, guestPhysical } from "../../bits/units.ts";
import type { AccessSize, MemoryDevice, PortDevice } from "../../machine/device.ts";
import { type MemoryBus, type MemoryRange, PHYSICAL_ADDRESS_LIMIT } from "../../machine/memory-bus.ts";
import { PORT_COUNT, type PortBus, type PortRange } from "../../machine/port-bus.ts";
import { type ConfigSpace, readLittleEndian } from "./config-space.ts";
import { Header } from "./registers.ts";

export interface IoBarDescription {
  kind: "io";
  /** 0 to 5. */
  index: number;
  /** Bytes, a power of two from 4 to 256. */
  size: number;
  /** Called with ports counted from the start of the BAR. */
  device: PortDevice;
}

export interface MemoryBarDescription {
  kind: "memory";
  /** 0 to 5; a 64-bit BAR takes the next one too. */
  index: number;
  width: 32 | 64;
  prefetchable?: boolean;
  /** Bytes, a power of two from 16; up to 2^31 in a 32-bit BAR and 2^51 in a 64-bit one. */
  size: number;
  /** What is behind it; left out where `placed` maps memory instead. */
  device?: MemoryDevice;
  /** Told the base each time that the BAR starts, moves or (undefined) stops being decoded. */
  placed?(base: GuestPhysical | undefined): void;
}

export type BarDescription = IoBarDescription | MemoryBarDescription;

const IO_TYPE = 1;
const MEMORY_64_TYPE = 4;
const PREFETCHABLE = 8;
const ROM_ENABLE = 1;
const SMALLEST_ROM = 2048;

/** Ports as a device behind an I/O BAR sees them: from 0 up. */
export function relativePorts(device: PortDevice, base: number): PortDevice {
  return {
    readPort: (port, size) => device.readPort(port - base, size),
    writePort: (port, size, value) => device.writePort(port - base, size, value),
  };
}

/** A range that is decoded at one place at a time, or not at all. */
interface Placement {
  base: number | undefined;
  remove(): void;
}

export interface BarBuses {
  ports: PortBus;
  memory: MemoryBus;
}

/** One BAR: its register in configuration space and its range on a bus. */
export class Bar {
  readonly #description: BarDescription;
  readonly #buses: BarBuses;
  readonly #name: string;
  readonly #placement: Placement = { base: undefined, remove: () => {} };

  /** Throws RangeError for a size that no BAR can have. */
  constructor(description: BarDescription, space: ConfigSpace, buses: BarBuses, name: string) {
    this.#description = description;
    this.#buses = buses;
    this.#name = name;
    const { kind, size } = description;
    const [least, most] = kind === "io" ? [4, 256] : [16, description.width === 64 ? 2 ** 51 : 2 ** 31];
    if (!(size >= least && size <= most && Number.isInteger(Math.log2(size)))) {
      throw new RangeError(`${name}: a BAR cannot have ${size} bytes`);
    }
    const low = size >= 2 ** 32 ? 0 : -size >>> 0;
    if (kind === "io") {
      space.define({ offset: this.offset, size: 4, reset: IO_TYPE, writable: low });
      return;
    }
    const type = (description.width === 64 ? MEMORY_64_TYPE : 0) | (description.prefetchable ? PREFETCHABLE : 0);
    space.define({ offset: this.offset, size: 4, reset: type, writable: low });
    if (description.width === 64) {
      const high = size > 2 ** 32 ? -(size / 2 ** 32) >>> 0 : 0xffffffff;
      space.define({ offset: this.offset + 4, size: 4, writable: high });
    }
  }

  /** In configuration space. */
  get offset(): number {
    return Header.offset.bars + this.#description.index * 4;
  }

  get kind(): "io" | "memory" {
    return this.#description.kind;
  }

  /** Decodes the range at the base that `config` holds, or nowhere. */
  decode(config: Uint8Array, enabled: boolean): void {
    const base = enabled ? this.#base(config) : undefined;
    const { base: before } = this.#placement;
    if (base === before) return;
    this.#placement.remove();
    this.#placement.remove = () => {};
    this.#placement.base = base;
    const description = this.#description;
    if (description.kind === "io") {
      if (base !== undefined) this.#claimPorts(description, base);
      return;
    }
    if (base !== undefined && description.device !== undefined) this.#map(description.device, base);
    description.placed?.(base === undefined ? undefined : guestPhysical(base));
  }

  #claimPorts({ device, size }: IoBarDescription, base: number): void {
    const { ports } = this.#buses;
    const range: PortRange = ports.register(base, size, relativePorts(device, base), { name: this.#name });
    this.#placement.remove = () => ports.unregister(range);
  }

  #map(device: MemoryDevice, base: number): void {
    const { memory } = this.#buses;
    const range: MemoryRange = memory.map(base, this.#description.size, device, this.#name);
    this.#placement.remove = () => memory.unmap(range);
  }

  #base(config: Uint8Array): number | undefined {
    const description = this.#description;
    const low = readLittleEndian(config, this.offset, 4);
    let base = (low & (description.kind === "io" ? ~3 : ~0xf)) >>> 0;
    let limit = description.kind === "io" ? PORT_COUNT : 2 ** 32;
    if (description.kind === "memory" && description.width === 64) {
      base += readLittleEndian(config, this.offset + 4, 4) * 2 ** 32;
      limit = PHYSICAL_ADDRESS_LIMIT;
    }
    return base !== 0 && base + description.size < limit ? base : undefined;
  }
}

/** The expansion ROM's base address register (§6.2.5.2): read-only memory, decoded by its own enable bit. */
export class ExpansionRom implements MemoryDevice {
  readonly #image: Uint8Array;
  readonly #size: number;
  readonly #memory: MemoryBus;
  readonly #name: string;
  #range: MemoryRange | undefined;

  constructor(image: Uint8Array, space: ConfigSpace, memory: MemoryBus, name: string) {
    this.#image = image;
    this.#size = Math.max(SMALLEST_ROM, 2 ** Math.ceil(Math.log2(image.length)));
    this.#memory = memory;
    this.#name = name;
    space.define({ offset: Header.offset.expansionRom, size: 4, writable: (-this.#size >>> 0) | ROM_ENABLE });
  }

  decode(config: Uint8Array, enabled: boolean): void {
    const register = readLittleEndian(config, Header.offset.expansionRom, 4);
    const base = (register & -this.#size) >>> 0;
    const decoded = enabled && (register & ROM_ENABLE) !== 0 && base !== 0 && base + this.#size < 2 ** 32;
    if (this.#range?.start === (decoded ? base : undefined)) return;
    if (this.#range !== undefined) this.#memory.unmap(this.#range);
    this.#range = decoded ? this.#memory.map(base, this.#size, this, this.#name) : undefined;
  }

  readMemory(offset: number, size: AccessSize): number {
    return readLittleEndian(this.#image, offset, size);
  }

  writeMemory(): void {}
}
