/** A PIIX's IDE function with drives, driven by its ports as a BIOS or a driver would. */
import type { AsyncWork } from "../../../machine/device.ts";
import { MemoryBus } from "../../../machine/memory-bus.ts";
import { PortBus } from "../../../machine/port-bus.ts";
import { ImmediateWork, PlainMemory, ProbeLine } from "../../../machine/testing/rig.ts";
import { AtaDisk } from "../../ata/ata-disk.ts";
import { AtapiDrive } from "../../ata/atapi-drive.ts";
import { PciBus } from "../../pci/pci-bus.ts";
import { ScsiCdrom } from "../../scsi/scsi-cdrom.ts";
import { settle, TestDisk } from "../../scsi/testing/test-disc.ts";
import { IDETIM, IDETIM_DECODE, PiixIde } from "../piix-ide.ts";

export const BLOCK = [0x1f0, 0x170] as const;
export const CONTROL = [0x3f6, 0x376] as const;
/** Where the bus master registers are put. */
export const BUS_MASTER = 0xc000;
export const MEMORY = 0x40_0000;

const COMMAND = 0x04;
const IO_AND_BUS_MASTER = 5;
const BMIBA = 0x20;

export interface RigOptions {
  readonly sectors?: number;
  readonly readOnly?: boolean;
  readonly work?: AsyncWork;
}

/** A disk is device 0 of the primary channel, a CD drive with a disc of 400 blocks device 0 of the secondary. */
export function ideRig({ sectors = 20_000, readOnly = false, work = new ImmediateWork() }: RigOptions = {}) {
  const ports = new PortBus();
  const ram = new PlainMemory(MEMORY);
  const irqs = [new ProbeLine(), new ProbeLine()] as const;
  const disk = new TestDisk(sectors * 512, { readOnly });
  const disc = new TestDisk(400 * 2048, { readOnly: true, seed: 2 });
  const ataDisk = new AtaDisk({ interface: "pata", serial: "DISK-1" }, { disk });
  const cdrom = new ScsiCdrom({ transport: "atapi" }, { medium: disc });
  const atapi = new AtapiDrive({ interface: "pata", serial: "CD-1" }, { unit: cdrom });
  const errors: Error[] = [];
  const ide = new PiixIde({
    ports,
    memory: new MemoryBus(),
    bus: new PciBus(),
    slot: 1,
    ram,
    work,
    interrupts: irqs,
    drives: [ataDisk, undefined, atapi, undefined],
    ioError: (error) => void errors.push(error),
  });
  ide.pci.reset();
  ide.reset();
  ide.pci.writeConfig(IDETIM, 2, IDETIM_DECODE);
  ide.pci.writeConfig(IDETIM + 2, 2, IDETIM_DECODE);
  ide.pci.writeConfig(BMIBA, 4, BUS_MASTER);
  ide.pci.writeConfig(COMMAND, 2, IO_AND_BUS_MASTER);
  return { ports, ram, irqs, disk, disc, ataDisk, cdrom, ide, errors };
}

export type IdeRig = ReturnType<typeof ideRig>;

const BSY = 0x80;
const DRQ = 0x08;

/** What a driver does with one channel. */
export class Driver {
  readonly #rig: IdeRig;
  readonly #base: number;
  readonly #control: number;
  readonly #busMaster: number;
  constructor(rig: IdeRig, channel: 0 | 1) {
    this.#rig = rig;
    this.#base = BLOCK[channel];
    this.#control = CONTROL[channel];
    this.#busMaster = BUS_MASTER + 8 * channel;
  }

  read(register: number): number {
    return this.#rig.ports.read(this.#base + register, 1);
  }
  write(register: number, value: number): void {
    this.#rig.ports.write(this.#base + register, 1, value);
  }
  writeControl(value: number): void {
    this.#rig.ports.write(this.#control, 1, value);
  }
  get status(): number {
    return this.#rig.ports.read(this.#control, 1);
  }
  /** Error, count, low, mid, high and device. */
  get registers(): number[] {
    return [1, 2, 3, 4, 5, 6].map((register) => this.read(register));
  }

  /** Writes a 28-bit command's registers and the command. */
  command(command: number, { features = 0, count = 0, lba = 0, device = 0xe0 } = {}): void {
    this.write(6, device | ((lba / 2 ** 24) & 0x0f));
    this.write(1, features);
    this.write(2, count);
    for (const [index, register] of [3, 4, 5].entries())
      this.write(register, Math.floor(lba / 2 ** (8 * index)) & 0xff);
    this.write(7, command);
  }

  /** Writes a 48-bit command's registers and the command. */
  extended(command: number, { features = 0, count = 0, lba = 0 } = {}): void {
    this.write(6, 0xe0);
    const bytes = Array.from({ length: 6 }, (_, index) => Math.floor(lba / 2 ** (8 * index)) & 0xff);
    for (const half of [1, 0] as const) {
      this.write(1, (features >>> (8 * half)) & 0xff);
      this.write(2, (count >>> (8 * half)) & 0xff);
      for (const index of [0, 1, 2]) this.write(3 + index, bytes[3 * half + index]!);
    }
    this.write(7, command);
  }

  /** Waits until the drive is not busy; returns its status, which ends an interrupt. */
  async ready(): Promise<number> {
    for (let i = 0; i < 50 && (this.status & BSY) !== 0; i++) await settle();
    return this.read(7);
  }

  /** Reads data while the drive has some. Returns them with the lengths of the blocks. */
  async receive(block: (offered: number) => number): Promise<{ data: Uint8Array; blocks: number[]; status: number }> {
    const data: number[] = [];
    const blocks: number[] = [];
    let status = await this.ready();
    while ((status & (BSY | DRQ)) === DRQ && blocks.length < 10_000) {
      const length = block((this.read(5) << 8) | this.read(4));
      blocks.push(length);
      for (let at = 0; at < length; at += 2) {
        const word = this.#rig.ports.read(this.#base, 2);
        data.push(word & 0xff);
        if (at + 1 < length) data.push(word >>> 8);
      }
      status = await this.ready();
    }
    return { data: Uint8Array.from(data), blocks, status };
  }

  /** Writes words of data. */
  transmit(data: Uint8Array): void {
    for (let at = 0; at < data.length; at += 2) {
      this.#rig.ports.write(this.#base, 2, data[at]! | ((data[at + 1] ?? 0) << 8));
    }
  }

  /** Sends a command packet. */
  async packet(cdb: readonly number[], { dma = false, limit = 0xfffe } = {}): Promise<void> {
    this.command(0xa0, { features: dma ? 1 : 0, lba: limit << 8, device: 0xa0 });
    await this.ready();
    this.transmit(Uint8Array.from({ length: 12 }, (_, index) => cdb[index] ?? 0));
  }

  /** Puts descriptors at `table` and starts the bus master. */
  startDma(toMemory: boolean, table: number, ...regions: readonly [address: number, length: number][]): void {
    const view = new DataView(this.#rig.ram.bytes.buffer);
    for (const [index, [address, length]] of regions.entries()) {
      view.setUint32(table + 8 * index, address, true);
      view.setUint16(table + 8 * index + 4, length, true);
      view.setUint16(table + 8 * index + 6, index === regions.length - 1 ? 0x8000 : 0, true);
    }
    const { ports } = this.#rig;
    ports.write(this.#busMaster + 4, 4, table);
    ports.write(this.#busMaster + 2, 1, 6);
    ports.write(this.#busMaster, 1, toMemory ? 9 : 1);
  }

  /** The bus master's status; stops it. */
  stopDma(): number {
    const status = this.#rig.ports.read(this.#busMaster + 2, 1);
    this.#rig.ports.write(this.#busMaster, 1, 0);
    return status;
  }
}
