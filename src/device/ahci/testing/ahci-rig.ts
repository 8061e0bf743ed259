/** An AHCI host bus adapter with drives, driven by its registers and memory as a driver would. */
import type { AsyncWork } from "../../../machine/device.ts";
import { MemoryBus } from "../../../machine/memory-bus.ts";
import { PortBus } from "../../../machine/port-bus.ts";
import { ImmediateWork, PlainMemory, ProbeLine } from "../../../machine/testing/rig.ts";
import { AtaDisk } from "../../ata/ata-disk.ts";
import { AtapiDrive } from "../../ata/atapi-drive.ts";
import { ScsiCdrom } from "../../scsi/scsi-cdrom.ts";
import { TestDisk } from "../../scsi/testing/test-disc.ts";
import { Ahci } from "../ahci.ts";
import { CommandFlags, CommandHeader, Hba, PORT_BASE, PORT_STRIDE, PRDT, PrdEntry, Px, PxCmd } from "../registers.ts";

export const MEMORY = 0x100_0000;
/** Where a port's structures are, by port. */
export const listOf = (port: number) => 0x1_0000 + port * 0x1000;
export const receivedOf = (port: number) => 0x1_0800 + port * 0x1000;
export const tableOf = (slot: number) => 0x2_0000 + slot * 0x1000;

const PCI_COMMAND = 0x04;
const MEMORY_AND_BUS_MASTER = 6;
const PHYSICAL = 0xfebf_0000;
const ABAR = 0x24;

export interface RigOptions {
  readonly sectors?: number;
  readonly work?: AsyncWork;
  readonly msi?: boolean;
}

/** A disk at port 0, a CD drive with a disc of 400 blocks at port 1. */
export function ahciRig({ sectors = 20_000, work = new ImmediateWork() }: RigOptions = {}) {
  const ram = new PlainMemory(MEMORY);
  const intx = new ProbeLine();
  const messages: [number, number][] = [];
  const disk = new TestDisk(sectors * 512);
  const disc = new TestDisk(400 * 2048, { readOnly: true, seed: 2 });
  const cdrom = new ScsiCdrom({ transport: "atapi" }, { medium: disc });
  const memory = new MemoryBus();
  const ahci = new Ahci({
    ports: new PortBus(),
    memory,
    ram,
    work,
    intx,
    msi: { send: (address, data) => void messages.push([address, data]) },
    drives: [
      new AtaDisk({ interface: "sata", serial: "DISK-1" }, { disk }),
      new AtapiDrive({ interface: "sata", serial: "CD-1" }, { unit: cdrom }),
    ],
  });
  ahci.pci.reset();
  ahci.reset();
  ahci.pci.writeConfig(ABAR, 4, PHYSICAL);
  ahci.pci.writeConfig(PCI_COMMAND, 2, MEMORY_AND_BUS_MASTER);
  const read = (register: number) => memory.read(PHYSICAL + register, 4);
  const write = (register: number, value: number) => memory.write(PHYSICAL + register, 4, value >>> 0);
  return { ram, intx, messages, disk, disc, cdrom, memory, ahci, read, write };
}

export type AhciRig = ReturnType<typeof ahciRig>;

export interface CommandOptions {
  readonly features?: number;
  readonly count?: number;
  readonly lba?: number;
  readonly device?: number;
  readonly cdb?: readonly number[];
  readonly regions?: readonly (readonly [address: number, length: number])[];
  readonly flags?: Parameters<typeof CommandFlags.pack>[0];
  /** The control register, written instead of the command. */
  readonly control?: number;
}

/** What a driver does with one port. */
export class Driver {
  readonly #rig: AhciRig;
  readonly port: number;
  constructor(rig: AhciRig, port: number) {
    this.#rig = rig;
    this.port = port;
    this.write(Px.clb, listOf(port));
    this.write(Px.fb, receivedOf(port));
    this.write(Px.serr, 0xffff_ffff);
    this.write(Px.cmd, PxCmd.mask.fisReceive);
    this.write(Px.cmd, PxCmd.mask.fisReceive | PxCmd.mask.start);
    this.write(Px.is, 0xffff_ffff);
    rig.write(Hba.is, 0xffff_ffff);
    this.write(Px.ie, 0xffff_ffff);
    rig.write(Hba.ghc, 0x8000_0002);
  }

  read(register: number): number {
    return this.#rig.read(PORT_BASE + this.port * PORT_STRIDE + register);
  }
  write(register: number, value: number): void {
    this.#rig.write(PORT_BASE + this.port * PORT_STRIDE + register, value);
  }

  /** Puts a command in a slot's structures. */
  prepare(slot: number, command: number, options: CommandOptions = {}): void {
    const { features = 0, count = 0, lba = 0, device = 0x40, cdb, regions = [], flags = {}, control } = options;
    const { bytes } = this.#rig.ram;
    const table = tableOf(slot);
    const header = CommandHeader.make({
      flags: CommandFlags.pack({ fisLength: 5, atapi: cdb !== undefined, ...flags }),
      prdtLength: regions.length,
      table,
    });
    bytes.set(header, listOf(this.port) + slot * CommandHeader.size);
    bytes.fill(0, table, table + PRDT);
    const address = Array.from({ length: 6 }, (_, index) => Math.floor(lba / 2 ** (8 * index)) & 0xff);
    const fis = [0x27, control === undefined ? 0x80 : 0, command, features & 0xff, ...address.slice(0, 3), device];
    fis.push(...address.slice(3), features >>> 8, count & 0xff, count >>> 8, 0, control ?? 0);
    bytes.set(fis, table);
    if (cdb) bytes.set(cdb, table + 0x40);
    for (const [index, [at, length]] of regions.entries()) {
      bytes.set(PrdEntry.make({ address: at, count: length - 1 }), table + PRDT + index * PrdEntry.size);
    }
  }

  issue(...slots: number[]): void {
    this.write(
      Px.ci,
      slots.reduce((mask, slot) => mask | (1 << slot), 0),
    );
  }

  /** Issues queued commands, whose tags are their slots. */
  queue(...slots: number[]): void {
    this.write(
      Px.sact,
      slots.reduce((mask, slot) => mask | (1 << slot), 0),
    );
    this.issue(...slots);
  }

  /** Takes the port's pending interrupts. */
  interrupts(): number {
    const pending = this.read(Px.is);
    this.write(Px.is, pending);
    this.#rig.write(Hba.is, 1 << this.port);
    return pending;
  }

  /** A received FIS. */
  received(offset: number, length: number): number[] {
    const at = receivedOf(this.port) + offset;
    return [...this.#rig.ram.bytes.subarray(at, at + length)];
  }

  /** Bytes that a command's header says were moved. */
  moved(slot: number): number {
    return CommandHeader.at(this.#rig.ram.bytes, listOf(this.port) + slot * CommandHeader.size).prdByteCount;
  }

  /** Stops and starts the command list, as after an error; `override` for a device that is still busy. */
  restart({ override = false } = {}): void {
    this.write(Px.cmd, PxCmd.mask.fisReceive);
    if (override) this.write(Px.cmd, PxCmd.mask.fisReceive | PxCmd.mask.listOverride);
    this.write(Px.cmd, PxCmd.mask.fisReceive | PxCmd.mask.start);
  }
}
