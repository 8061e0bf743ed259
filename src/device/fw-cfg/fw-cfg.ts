/**
 * QEMU's firmware configuration device on a PC: selector at port 0x510, data at 0x511, and the DMA address
 * register, big-endian, at 0x514 (high half) and 0x518 (low half; writing it starts the transfer).
 *
 * @spec QEMU docs/specs/fw_cfg.rst, interface revisions 1 and 3 (traditional and DMA)
 *
 * Not modelled: writing through the data port, which QEMU withdrew in 2.4 too (it is ignored).
 */
import { bits } from "../../bits/fields.ts";
import { bytes, struct, u16, u32, u64 } from "../../bits/struct.ts";
import { guestPhysical } from "../../bits/units.ts";
import type { AccessSize, Device, GuestMemory, PortDevice } from "../../machine/device.ts";

export const SELECTOR_PORT = 0x510;
export const DATA_PORT = 0x511;
export const DMA_PORT = 0x514;

/** Well-known items. What the firmware needs of them is added by whoever builds the machine. */
export const FwCfgKey = {
  signature: 0x00,
  id: 0x01,
  uuid: 0x02,
  ramSize: 0x03,
  noGraphic: 0x04,
  cpuCount: 0x05,
  machineId: 0x06,
  kernelAddress: 0x07,
  kernelSize: 0x08,
  kernelCommandLine: 0x09,
  initrdAddress: 0x0a,
  initrdSize: 0x0b,
  bootDevice: 0x0c,
  numa: 0x0d,
  bootMenu: 0x0e,
  maxCpus: 0x0f,
  kernelEntry: 0x10,
  kernelData: 0x11,
  initrdData: 0x12,
  commandLineAddress: 0x13,
  commandLineSize: 0x14,
  commandLineData: 0x15,
  setupAddress: 0x16,
  setupSize: 0x17,
  setupData: 0x18,
  fileDirectory: 0x19,
  fileFirst: 0x20,
  /** Items of the architecture have this bit. */
  architecture: 0x8000,
  acpiTables: 0x8000,
  smbiosEntries: 0x8001,
  irq0Override: 0x8002,
  e820Table: 0x8003,
} as const;

/** Bit 14 of the selector once asked for writing; it is not part of the key. */
const KEY_MASK = 0xbfff;
const FILE_LAST = 0x3fff;
const FILE_NAME_SIZE = 56;

/** Item 1: interface features. */
const Id = bits({ traditional: 0, dma: 1 });

const FileEntry = struct("BE", { size: u32, select: u16, reserved: u16, name: bytes(FILE_NAME_SIZE) });
const DmaAccess = struct("BE", { control: u32, length: u32, address: u64 });
const DmaControl = bits({ error: 0, read: 1, skip: 2, select: 3, write: 4, key: [16, 31] });

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const SIGNATURE = ascii("QEMU");
/** What the DMA address register reads as. */
const DMA_SIGNATURE = ascii("QEMU CFG");

/** Contents that are made when the guest selects them, or that it may write. */
export interface FwCfgContents {
  /** Bytes; what `read` gives is cut or filled up to it. */
  readonly size: number;
  /** The bytes, asked for each time that the guest selects the item. */
  read(): Uint8Array;
  /** The guest has written these bytes at `offset` (DMA only); without it the item is read-only. */
  written?(offset: number, bytes: Uint8Array): void;
}

export interface FwCfgState {
  /** The selected key. */
  selected: number;
  offset: number;
  /** The high half of the DMA address, as a number. */
  dmaAddressHigh: number;
}

export interface FwCfgWiring {
  /** Where DMA reads and writes; without it the device has no DMA interface. */
  readonly memory?: GuestMemory;
}

const powerOn = (): FwCfgState => ({ selected: FwCfgKey.signature, offset: 0, dmaAddressHigh: 0 });

const swap32 = (value: number): number =>
  (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;

export class FwCfg implements Device<FwCfgState>, PortDevice {
  readonly state: FwCfgState = powerOn();
  readonly #memory: GuestMemory | undefined;
  readonly #items = new Map<number, FwCfgContents>();
  readonly #files: { name: string; key: number; size: number }[] = [];
  /** The selected item's bytes, once they were asked for. */
  #contents: Uint8Array | undefined;

  constructor({ memory }: FwCfgWiring = {}) {
    this.#memory = memory;
    this.addItem(FwCfgKey.signature, SIGNATURE);
    const id = struct("LE", { features: u32 }).make({
      features: Id.pack({ traditional: true, dma: memory !== undefined }),
    });
    this.addItem(FwCfgKey.id, id);
    this.#writeDirectory();
  }

  reset(): void {
    Object.assign(this.state, powerOn());
    this.#contents = undefined;
  }

  restored(): void {
    this.#contents = undefined;
  }

  /** Sets the item `key`. The bytes are kept, not copied. */
  addItem(key: number, contents: Uint8Array | FwCfgContents): void {
    const item = contents instanceof Uint8Array ? { size: contents.length, read: () => contents } : contents;
    this.#items.set(key & KEY_MASK, item);
    this.#contents = undefined;
  }

  /**
   * Adds a file to the directory, or replaces the one of that name. Returns its key. Throws RangeError for a
   * name that is not 1 to 55 characters of ASCII, and when the keys are used up.
   */
  addFile(name: string, contents: Uint8Array | FwCfgContents): number {
    if (!/^[\x21-\x7e]{1,55}$/.test(name))
      throw new RangeError(`fw_cfg file name "${name}" is not 1 to 55 ASCII characters`);
    const known = this.#files.find((file) => file.name === name);
    const key = known?.key ?? FwCfgKey.fileFirst + this.#files.length;
    if (key > FILE_LAST) throw new RangeError("fw_cfg has no file key left");
    const size = contents instanceof Uint8Array ? contents.length : contents.size;
    if (known) known.size = size;
    else this.#files.push({ name, key, size });
    this.addItem(key, contents);
    this.#writeDirectory();
    return key;
  }

  readPort(port: number, size: AccessSize): number {
    if (port >= DMA_PORT) return this.#readDmaSignature(port - DMA_PORT, size);
    if (port !== DATA_PORT) return 0;
    let value = 0;
    for (let i = 0; i < size; i++) value += this.#readData() * 2 ** (8 * i);
    return value;
  }

  writePort(port: number, size: AccessSize, value: number): void {
    if (port === SELECTOR_PORT && size !== 1) {
      this.#select(value & 0xffff);
    } else if (this.#memory && size === 4 && port === DMA_PORT) {
      this.state.dmaAddressHigh = swap32(value);
    } else if (this.#memory && size === 4 && port === DMA_PORT + 4) {
      const address = this.state.dmaAddressHigh * 2 ** 32 + swap32(value);
      this.state.dmaAddressHigh = 0;
      this.#transfer(this.#memory, address);
    }
  }

  #select(key: number): void {
    this.state.selected = key & KEY_MASK;
    this.state.offset = 0;
    this.#contents = undefined;
  }

  /** The selected item's bytes, exactly as many as its size says; none where there is no such item. */
  #selectedBytes(): Uint8Array {
    if (this.#contents) return this.#contents;
    const item = this.#items.get(this.state.selected);
    let contents = item ? item.read() : new Uint8Array(0);
    if (item && contents.length !== item.size) {
      const sized = new Uint8Array(item.size);
      sized.set(contents.subarray(0, item.size));
      contents = sized;
    }
    this.#contents = contents;
    return contents;
  }

  /** A byte beyond the end is 0. */
  #readData(): number {
    const contents = this.#selectedBytes();
    const { offset } = this.state;
    if (offset >= contents.length) return 0;
    this.state.offset = offset + 1;
    return contents[offset] ?? 0;
  }

  #readDmaSignature(at: number, size: AccessSize): number {
    let value = 0;
    for (let i = 0; i < size; i++) value += (this.#memory ? (DMA_SIGNATURE[at + i] ?? 0) : 0xff) * 2 ** (8 * i);
    return value;
  }

  /** Does what the FWCfgDmaAccess at `address` says and writes the outcome into its control field. */
  #transfer(memory: GuestMemory, address: number): void {
    const request = memory.view(guestPhysical(address), DmaAccess.size, "read")?.slice();
    if (!request) return;
    const { control, length, address: target } = DmaAccess.at(request);
    const { read, write, skip, select, key } = DmaControl(control);
    if (select) this.#select(key);
    let done = true;
    if (read) done = this.#dmaRead(memory, Number(target), length);
    else if (write) done = this.#dmaWrite(memory, Number(target), length);
    else if (skip) this.state.offset = Math.min(this.state.offset + length, this.#selectedBytes().length);
    // The transfer may have written over the request; its control field still gets the outcome.
    const answer = memory.view(guestPhysical(address), 4, "write");
    answer?.set([0, 0, 0, done ? 0 : DmaControl.mask.error]);
  }

  #dmaRead(memory: GuestMemory, target: number, length: number): boolean {
    if (length === 0) return true;
    const view = memory.view(guestPhysical(target), length, "write");
    if (!view) return false;
    const part = this.#selectedBytes().subarray(this.state.offset, this.state.offset + length);
    view.set(part);
    view.fill(0, part.length);
    this.state.offset += part.length;
    return true;
  }

  /** A write must be allowed by the item and lie within it. */
  #dmaWrite(memory: GuestMemory, source: number, length: number): boolean {
    if (length === 0) return true;
    const item = this.#items.get(this.state.selected);
    const { offset } = this.state;
    if (!item?.written || offset + length > item.size) return false;
    const view = memory.view(guestPhysical(source), length, "read");
    if (!view) return false;
    item.written(offset, view.slice());
    this.state.offset += length;
    this.#contents = undefined;
    return true;
  }

  #writeDirectory(): void {
    const directory = new Uint8Array(4 + this.#files.length * FileEntry.size);
    struct("BE", { count: u32 }).at(directory).count = this.#files.length;
    for (const [n, { name, key, size }] of this.#files.entries()) {
      Object.assign(FileEntry.at(directory, 4 + n * FileEntry.size), { size, select: key, name: ascii(name) });
    }
    this.addItem(FwCfgKey.fileDirectory, directory);
  }
}
