/**
 * An AHCI host bus adapter like that of the ICH9: a PCI function with six ports.
 * @spec Serial ATA AHCI 1.3.1, §3.1 "Generic host control"; Intel ICH9 datasheet (316972) §15 for the PCI identity
 *
 * Not modelled: index and data registers in port space, command completion coalescing, enclosure management, handing
 * over from a BIOS, IDE mode, and what src/device/ahci/ahci-port.ts leaves out.
 */
import type { MsiTarget } from "../../machine/apic-bus.ts";
import type { AccessSize, AsyncWork, Device, GuestMemory, MemoryDevice, SignalLine } from "../../machine/device.ts";
import type { AtaDrive } from "../ata/ata-drive.ts";
import type { BarBuses } from "../pci/bar.ts";
import { PciFunction } from "../pci/function.ts";
import { AhciPort } from "./ahci-port.ts";
import type { AhciPortState } from "./port-state.ts";
import { AHCI_LENGTH, AHCI_VERSION, Cap, COMMAND_SLOTS, Ghc, Hba, PORT_BASE, PORT_STRIDE } from "./registers.ts";

export const AHCI_PORTS = 6;
/** The registers' BAR. */
const ABAR = 5;
/** Port control and status of the ICH: which ports are enabled. */
const MAP = 0x90;
const AHCI_MODE = 0x40;
const PCS = 0x92;
const SPEED_GEN3 = 3;

export interface AhciState {
  ghc: number;
  is: number;
  ports: AhciPortState[];
}

export interface AhciWiring extends BarBuses {
  readonly ram: GuestMemory;
  readonly work: AsyncWork;
  readonly intx: SignalLine;
  readonly msi: MsiTarget;
  /** By port. */
  readonly drives: readonly (AtaDrive | undefined)[];
  ioError?(error: Error): void;
}

const CAPABILITIES = Cap.pack({
  numberOfPorts: AHCI_PORTS - 1,
  commandSlots: COMMAND_SLOTS - 1,
  ahciOnly: true,
  speed: SPEED_GEN3,
  commandListOverride: true,
  nativeQueueing: true,
  addressing64: true,
});
const IMPLEMENTED = 2 ** AHCI_PORTS - 1;

/** Snapshots keep its `state` and that of its `pci`, which is a device of its own. */
export class Ahci implements Device<AhciState>, MemoryDevice {
  readonly state: AhciState;
  readonly pci: PciFunction;
  readonly #ports: readonly AhciPort[];

  constructor({ ports, memory, ram, work, intx, msi, drives, ioError }: AhciWiring) {
    this.pci = new PciFunction(
      {
        name: "AHCI",
        identity: { vendor: 0x8086, device: 0x2922, revision: 2, classCode: 0x010601 },
        interruptPin: 1,
        bars: [{ kind: "memory", index: ABAR, width: 32, size: AHCI_LENGTH, device: this }],
        msiVectors: 1,
        registers: [
          { offset: MAP, size: 1, reset: AHCI_MODE },
          { offset: PCS, size: 2, writable: 0xffff },
        ],
      },
      { ports, memory, intx, msi },
    );
    // Without the command register's bus master bit the function reaches no memory.
    const reachable: GuestMemory = {
      view: (address, length, access) => (this.pci.busMaster ? ram.view(address, length, access) : undefined),
      has: (address, length) => this.pci.busMaster && ram.has(address, length),
    };
    this.#ports = Array.from(
      { length: AHCI_PORTS },
      (_, index) =>
        new AhciPort({
          memory: reachable,
          work,
          drive: drives[index],
          changed: () => this.#update(),
          ...(ioError ? { ioError } : {}),
        }),
    );
    this.state = { ghc: Ghc.mask.ahciEnable, is: 0, ports: this.#ports.map((port) => port.state) };
  }

  reset(): void {
    for (const port of this.#ports) port.clear();
    Object.assign(this.state, { ghc: Ghc.mask.ahciEnable, is: 0 });
    this.#update();
  }

  restored(): void {
    for (const port of this.#ports) port.restored();
    this.pci.interrupt.set(this.#asserted);
  }

  readMemory(offset: number, size: AccessSize): number {
    const value = this.#readRegister(offset & ~3);
    return size === 4 ? value : value >>> ((offset & 3) * 8);
  }

  /** Software writes registers as a whole; parts of one are put together with what it reads as. */
  writeMemory(offset: number, size: AccessSize, value: number): void {
    const register = offset & ~3;
    if (size === 4) {
      this.#writeRegister(register, value);
      return;
    }
    const shift = (offset & 3) * 8;
    const mask = (2 ** (8 * size) - 1) << shift;
    // What software did not write must not count as ones that clear or set.
    const rest = WRITE_ONE.has(portRegister(register) ?? register) ? 0 : this.#readRegister(register) & ~mask;
    this.#writeRegister(register, (rest | ((value << shift) & mask)) >>> 0);
  }

  #readRegister(register: number): number {
    const at = portRegister(register);
    if (at !== undefined) return this.#portOf(register)?.read(at - PORT_BASE) ?? 0;
    switch (register) {
      case Hba.cap:
        return CAPABILITIES;
      case Hba.ghc:
        return this.state.ghc >>> 0;
      case Hba.is:
        return this.state.is;
      case Hba.pi:
        return IMPLEMENTED;
      case Hba.vs:
        return AHCI_VERSION;
      default:
        return 0;
    }
  }

  #writeRegister(register: number, value: number): void {
    const at = portRegister(register);
    if (at !== undefined) {
      this.#portOf(register)?.write(at - PORT_BASE, value);
    } else if (register === Hba.ghc) {
      if (Ghc(value).reset) {
        for (const port of this.#ports) port.reset();
        Object.assign(this.state, { ghc: Ghc.mask.ahciEnable, is: 0 });
      } else {
        const enabled = Ghc(value).interruptEnable && !Ghc(this.state.ghc).interruptEnable;
        this.state.ghc = (Ghc.mask.ahciEnable | (value & Ghc.mask.interruptEnable)) >>> 0;
        if (enabled && this.state.is !== 0) this.pci.signal(0);
      }
      this.#update();
    } else if (register === Hba.is) {
      this.state.is &= ~value;
      this.#update();
    }
  }

  #portOf(register: number): AhciPort | undefined {
    return this.#ports[Math.floor((register - PORT_BASE) / PORT_STRIDE)];
  }

  get #asserted(): boolean {
    return Ghc(this.state.ghc).interruptEnable && this.state.is !== 0;
  }

  /** A port's bit in IS comes with its interrupt, stays until it is cleared, and each time that it comes is a message. */
  #update(): void {
    let pending = 0;
    for (const [index, port] of this.#ports.entries()) if (port.pending) pending |= 1 << index;
    const { interruptEnable } = Ghc(this.state.ghc);
    const rises = (pending & ~this.state.is) !== 0;
    this.state.is |= pending;
    this.pci.interrupt.set(this.#asserted);
    if (rises && interruptEnable) this.pci.signal(0);
  }
}

/** PORT_BASE and the register's place in a port; undefined for the generic registers. */
function portRegister(register: number): number | undefined {
  return register < PORT_BASE ? undefined : PORT_BASE + ((register - PORT_BASE) % PORT_STRIDE);
}

/** Registers in which ones clear or set: IS, PxIS, PxSERR, PxSACT, PxCI. */
const WRITE_ONE: ReadonlySet<number> = new Set([Hba.is, 0x110, 0x130, 0x134, 0x138]);
