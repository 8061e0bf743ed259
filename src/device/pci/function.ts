/**
 * One PCI function: its configuration space with identity, command and status, BARs, capabilities, and its
 * interrupt by pin (INTx) or by message (MSI, MSI-X). A device has one and gives it what is behind the BARs.
 * @spec PCI Local Bus Specification 3.0, §6.
 *
 * Not modelled: bus timing (latency timer and cache line size are stored), errors (SERR#, PERR#), power
 * management states, built-in self test, bridges (type 1 headers), the extended space of PCI Express.
 */
import type { MsiTarget } from "../../machine/apic-bus.ts";
import type { AccessSize, Device, SignalLine } from "../../machine/device.ts";
import { Bar, type BarBuses, type BarDescription, ExpansionRom } from "./bar.ts";
import { type ConfigRegister, ConfigSpace, readLittleEndian } from "./config-space.ts";
import { MSI_LENGTH, Msi } from "./msi.ts";
import { MSIX_LENGTH, Msix, type MsixDescription } from "./msix.ts";
import {
  CapabilityId,
  CONFIG_SPACE_SIZE,
  Command,
  FIRST_CAPABILITY,
  Header,
  MULTIFUNCTION,
  STATUS_WRITE_ONE_TO_CLEAR,
  Status,
} from "./registers.ts";

export interface PciIdentity {
  vendor: number;
  device: number;
  revision: number;
  /** Base class, subclass and programming interface, as in 0x010180. */
  classCode: number;
  subsystemVendor?: number;
  subsystem?: number;
}

export interface CapabilityDescription {
  id: number;
  /** What follows the ID and the link. */
  body: Uint8Array;
  /** The bits of `body` that software can write; none if left out. */
  writable?: Uint8Array;
}

export interface PciFunctionConfig {
  /** In listings of the buses. */
  name: string;
  identity: PciIdentity;
  /** Set on function 0 of a device with more than one. */
  multifunction?: boolean;
  /** INTA# to INTD# are 1 to 4; no pin if left out. */
  interruptPin?: 1 | 2 | 3 | 4;
  bars?: readonly BarDescription[];
  /** Expansion ROM. */
  rom?: Uint8Array;
  /** Put one after the other from 40h; MSI-X and MSI follow. */
  capabilities?: readonly CapabilityDescription[];
  /** Messages, a power of two up to 32. */
  msiVectors?: number;
  msix?: MsixDescription;
  /** What the header above and the capabilities do not define, or define otherwise. */
  registers?: readonly ConfigRegister[];
}

export interface PciFunctionWiring extends BarBuses {
  /** The function's interrupt pin, as routed by the board. */
  intx?: SignalLine;
  msi?: MsiTarget;
  /** Called after software wrote configuration space. */
  configWritten?(offset: number, size: AccessSize): void;
  /** Called before software reads configuration space, to bring `state.config` up to date. */
  configRead?(offset: number, size: AccessSize): void;
}

export interface PciFunctionState {
  config: Uint8Array;
  msixTable: Uint8Array;
  msixPending: Uint8Array;
}

/** Configuration space as the host bridge reaches it: `offset` 0 to 255. */
export interface PciConfigTarget {
  readConfig(offset: number, size: AccessSize): number;
  writeConfig(offset: number, size: AccessSize, value: number): void;
}

const COMMAND_WRITABLE =
  Command.mask.ioSpace |
  Command.mask.memorySpace |
  Command.mask.busMaster |
  Command.mask.parity |
  Command.mask.systemError |
  Command.mask.interruptDisable;

export class PciFunction implements Device<PciFunctionState>, PciConfigTarget {
  readonly state: PciFunctionState = {
    config: new Uint8Array(CONFIG_SPACE_SIZE),
    msixTable: new Uint8Array(0),
    msixPending: new Uint8Array(0),
  };
  /** The function's interrupt by pin: level-triggered. */
  readonly interrupt: SignalLine = { set: (level) => this.#setInterrupt(level) };
  /** Offsets in configuration space, in the order of `PciFunctionConfig.capabilities`. */
  readonly capabilityOffsets: readonly number[];
  readonly #space = new ConfigSpace();
  readonly #bars: readonly Bar[];
  readonly #rom: ExpansionRom | undefined;
  readonly #msi: Msi | undefined;
  readonly #msix: Msix | undefined;
  readonly #wiring: PciFunctionWiring;

  /** Throws RangeError where the description fits no configuration space. */
  constructor(config: PciFunctionConfig, wiring: PciFunctionWiring) {
    const { capabilities = [], msix, msiVectors = 0, name, rom } = config;
    this.#wiring = wiring;
    this.#defineHeader(config);
    const links = capabilities.map(({ id, body }) => ({ id, length: 2 + body.length }));
    if (msix) links.push({ id: CapabilityId.msix, length: MSIX_LENGTH });
    if (msiVectors > 0) links.push({ id: CapabilityId.msi, length: MSI_LENGTH });
    const offsets = this.#linkCapabilities(links);
    this.capabilityOffsets = offsets.slice(0, capabilities.length);
    capabilities.forEach(({ body, writable }, index) => {
      for (const [at, reset] of body.entries()) {
        this.#space.define({ offset: offsets[index]! + 2 + at, size: 1, reset, writable: writable?.[at] ?? 0 });
      }
    });
    const messages: MsiTarget = {
      // A message is a memory write, which only a bus master makes.
      send: (address, data) => {
        if (this.busMaster) wiring.msi?.send(address, data);
      },
    };
    if (msix) {
      if (!config.bars?.some(({ kind, index }) => kind === "memory" && index === msix.bar)) {
        throw new RangeError(`${name}: MSI-X needs memory BAR ${msix.bar}`);
      }
      this.#msix = new Msix(this.state, this.#space, messages, offsets[capabilities.length]!, msix);
      this.#msix.reset();
    }
    if (msiVectors > 0) this.#msi = new Msi(this.state, this.#space, messages, offsets.at(-1)!, msiVectors);
    this.#bars = (config.bars ?? []).map((bar) => new Bar(this.#withMsix(bar, msix), this.#space, wiring, name));
    if (rom) this.#rom = new ExpansionRom(rom, this.#space, wiring.memory, `${name} ROM`);
    for (const register of config.registers ?? []) this.#space.define(register);
    this.#space.reset(this.state.config);
  }

  reset(): void {
    this.#space.reset(this.state.config);
    this.#msix?.reset();
    this.#decode();
    this.#driveInterrupt();
  }

  restored(): void {
    this.#decode();
    this.#driveInterrupt();
  }

  readConfig(offset: number, size: AccessSize): number {
    this.#wiring.configRead?.(offset, size);
    return readLittleEndian(this.state.config, offset, size);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    this.#space.write(this.state.config, offset, size, value);
    this.#decode();
    this.#msi?.written();
    this.#msix?.written();
    this.#driveInterrupt();
    this.#wiring.configWritten?.(offset, size);
  }

  /** Whether software lets the function reach memory: without that a device must not do DMA. */
  get busMaster(): boolean {
    return (this.#command & Command.mask.busMaster) !== 0;
  }

  /** Sends message `vector`. Returns false where software enabled neither MSI-X nor MSI and `interrupt` is to be used. */
  signal(vector: number): boolean {
    if (this.#msix?.enabled) this.#msix.signal(vector);
    else if (this.#msi?.enabled) this.#msi.signal(vector);
    else return false;
    return true;
  }

  /** Whether interrupts go by message, so that `interrupt` reaches nobody. */
  get usesMessages(): boolean {
    return this.#msix?.enabled === true || this.#msi?.enabled === true;
  }

  #defineHeader({ identity, multifunction, interruptPin }: PciFunctionConfig): void {
    const { vendor, device, revision, classCode, subsystemVendor = 0, subsystem = 0 } = identity;
    const { offset } = Header;
    this.#space.define({ offset: offset.vendor, size: 4, reset: vendor | (device << 16) });
    this.#space.define({ offset: offset.command, size: 2, writable: COMMAND_WRITABLE });
    this.#space.define({ offset: offset.status, size: 2, writeOneToClear: STATUS_WRITE_ONE_TO_CLEAR });
    this.#space.define({ offset: offset.revision, size: 4, reset: revision | (classCode << 8) });
    this.#space.define({ offset: offset.cacheLineSize, size: 2, writable: 0xffff });
    this.#space.define({ offset: offset.headerType, size: 1, reset: multifunction ? MULTIFUNCTION : 0 });
    this.#space.define({ offset: offset.subsystemVendor, size: 4, reset: subsystemVendor | (subsystem << 16) });
    if (interruptPin === undefined) return;
    this.#space.define({ offset: offset.interruptLine, size: 1, writable: 0xff });
    this.#space.define({ offset: offset.interruptPin, size: 1, reset: interruptPin });
  }

  /** Lays capabilities out one after the other and links them; returns their offsets. */
  #linkCapabilities(links: readonly { id: number; length: number }[]): number[] {
    const offsets: number[] = [];
    let next = FIRST_CAPABILITY;
    for (const { length } of links) {
      offsets.push(next);
      next += (length + 3) & ~3;
    }
    if (next > CONFIG_SPACE_SIZE) throw new RangeError("the capabilities do not fit into configuration space");
    links.forEach(({ id }, index) => {
      this.#space.define({ offset: offsets[index]!, size: 2, reset: id | ((offsets[index + 1] ?? 0) << 8) });
    });
    if (links.length > 0) {
      this.#space.define({
        offset: Header.offset.status,
        size: 2,
        reset: Status.mask.capabilityList,
        writeOneToClear: STATUS_WRITE_ONE_TO_CLEAR,
      });
      this.#space.define({ offset: Header.offset.capabilities, size: 1, reset: offsets[0]! });
    }
    return offsets;
  }

  #withMsix(bar: BarDescription, msix: MsixDescription | undefined): BarDescription {
    if (bar.kind !== "memory" || bar.index !== msix?.bar || !this.#msix) return bar;
    return { ...bar, device: this.#msix.within(bar.device) };
  }

  get #command(): number {
    return readLittleEndian(this.state.config, Header.offset.command, 2);
  }

  #decode(): void {
    const { config } = this.state;
    const { ioSpace, memorySpace } = Command(this.#command);
    for (const bar of this.#bars) bar.decode(config, bar.kind === "io" ? ioSpace : memorySpace);
    this.#rom?.decode(config, memorySpace);
  }

  #setInterrupt(level: boolean): void {
    const { config } = this.state;
    if (((config[Header.offset.status]! & Status.mask.interrupt) !== 0) === level) return;
    config[Header.offset.status]! ^= Status.mask.interrupt;
    this.#driveInterrupt();
  }

  /** The pin follows the status register's interrupt bit, unless it is disabled or messages replace it. */
  #driveInterrupt(): void {
    const asserted = (this.state.config[Header.offset.status]! & Status.mask.interrupt) !== 0;
    const disabled = (this.#command & Command.mask.interruptDisable) !== 0;
    this.#wiring.intx?.set(asserted && !disabled && !this.usesMessages);
  }
}
