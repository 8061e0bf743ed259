/**
 * The machine's own BIOS: services in TypeScript, called by stubs of a few bytes in the segment F000h. Whatever code calls
 * an interrupt of the BIOS comes by an OUT to a port at which this device answers: it reads and writes the caller's
 * registers, stack and memory, and lets the stub give back.
 *
 * @spec IBM PC/AT Technical Reference (1502494), section 5; PS/2 and PC BIOS Interface Technical Reference; the services'
 * files name theirs
 *
 * Not modelled: the cassette, ROM BASIC, printers, joysticks, option ROMs, setup, PnP services, EISA and MCA functions, the
 * 16- and 32-bit interfaces of APM, 32-bit entries other than PCI's.
 */
import type { AccessSize, Device, PortDevice, TimeSource } from "../../machine/device.ts";
import type { AcpiBoard } from "../acpi/board.ts";
import type { MemoryMap } from "../memory-map.ts";
import type { VgaMemory } from "../vga/set-mode.ts";
import { Boot, type BootSettings, type BootState } from "./boot.ts";
import { NO_NETWORK } from "./boot-source.ts";
import { BiosCall, type Outcome } from "./call.ts";
import type { Ports } from "./chips.ts";
import { ClockService } from "./clock.ts";
import { Bda } from "./data-area.ts";
import { DiskService } from "./disk/disk-service.ts";
import type { BiosDrive } from "./disk/drive.ts";
import { driveSource } from "./disk/drive-source.ts";
import { type DiscState, DriveTable } from "./disk/drive-table.ts";
import { Keyboard } from "./keyboard.ts";
import { MouseService } from "./mouse.ts";
import type { Network, NetworkWiring } from "./net/network.ts";
import { pciService } from "./pci-service.ts";
import { printerService, serialService } from "./ports-service.ts";
import { setUpChips, setUpData } from "./post.ts";
import { type BiosProcessor, SEG } from "./processor.ts";
import {
  BIOS_BASE,
  BIOS_PORT,
  BIOS_SEGMENT,
  type BiosCode,
  biosCode,
  Internal,
  PCI32_PORT,
  vectorTable,
} from "./segment.ts";
import { SystemService } from "./system-service.ts";
import { segmentContents, TableAt } from "./tables.ts";
import { SerialScreen } from "./video/serial-screen.ts";
import { VideoService } from "./video/video-service.ts";

export interface BiosConfig {
  readonly map: MemoryMap;
  readonly board: AcpiBoard;
  readonly drives: readonly BiosDrive[];
  readonly boot: BootSettings;
  /** Makes what boots from the machine's network; absent where there is none. */
  readonly network?: (wiring: NetworkWiring) => Network;
  /** The screen is on COM1 too, and what is typed there counts as keys. */
  readonly serialScreen: boolean;
}

export interface BiosWiring {
  readonly ports: Ports;
  readonly videoMemory: VgaMemory;
  readonly time: TimeSource;
  readonly processor: BiosProcessor;
  /** As `AsyncWork.immediate`: media that can be read at once may be. */
  readonly immediate: boolean;
  /**
   * Told when nothing could be booted, with a line for each thing that was tried. Returns whether somebody may press a key,
   * upon which all is tried again.
   */
  nothingBoots(reasons: readonly string[]): boolean;
  /** A service was called; the machine may want to look at other things before more guest code runs. */
  called(): void;
}

/** "$PCI". */
const PCI_SERVICE = 0x4943_5024;
const POWER_CONTROL = 0x604;
const SUSPEND_ENABLE = 0x2000;
const RESET_CONTROL = 0xcf9;
const HARD_RESET = 0x06;

/**
 * What outlives a service and is not in the guest's memory. What a terminal on the serial line shows is not kept: after a
 * snapshot is loaded, it is sent anew.
 */
export interface BiosState {
  readonly boot: BootState;
  readonly disc: DiscState;
  readonly clock: ClockService["state"];
  readonly system: SystemService["state"];
  readonly vbe: VideoService["vbe"]["state"];
  readonly network?: Network["state"];
}

export class Bios implements PortDevice, Device<BiosState> {
  readonly state: BiosState;
  readonly #config: BiosConfig;
  readonly #wiring: BiosWiring;
  readonly #code: BiosCode;
  readonly #keyboard: Keyboard;
  readonly #clock: ClockService;
  readonly #table: DriveTable;
  readonly #disks: DiskService;
  readonly #mouse: MouseService;
  readonly #system: SystemService;
  readonly #video: VideoService;
  readonly #serial: SerialScreen | undefined;
  readonly #boot: Boot;
  readonly #network: Network | undefined;

  constructor(config: BiosConfig, wiring: BiosWiring) {
    const { ports } = wiring;
    this.#config = config;
    this.#wiring = wiring;
    this.#code = biosCode();
    this.#serial = config.serialScreen ? new SerialScreen(ports) : undefined;
    this.#keyboard = new Keyboard({ reset: () => this.#restart(), typed: () => this.#serial?.typed() });
    this.#clock = new ClockService(ports, wiring.time);
    this.#table = new DriveTable(config.drives);
    this.#disks = new DiskService({
      table: this.#table,
      floppyParameters: TableAt.floppyParameters,
      immediate: wiring.immediate,
    });
    this.#mouse = new MouseService(ports, BIOS_BASE + (this.#code.symbols.get("mouse_handler") as number));
    this.#system = new SystemService({
      ports,
      map: config.map,
      clock: this.#clock,
      mouse: this.#mouse,
      configurationTable: TableAt.configuration,
      powerOff: () => ports.write(POWER_CONTROL, 2, SUSPEND_ENABLE),
    });
    this.#video = new VideoService({
      ports,
      memory: wiring.videoMemory,
      serial: this.#serial,
      functionalityTable: TableAt.functionality,
      vbeStrings: TableAt.vbeStrings,
    });
    const print = (call: BiosCall, text: string) => this.#print(call, text);
    this.#network = config.network?.({ time: wiring.time, ports, print, symbols: this.#code.symbols });
    const boot = new Boot({
      sources: [...config.drives.map((drive) => driveSource(this.#table, drive)), this.#network?.source ?? NO_NETWORK],
      settings: config.boot,
      print,
      key: (call) => this.#keyboard.next(call, true),
      nextKey: (call) => this.#keyboard.next(call, false),
      clock: wiring.time,
      nothingBoots: wiring.nothingBoots,
      restart: () => this.#restart(),
    });
    this.#boot = boot;
    this.state = {
      boot: boot.state,
      disc: this.#table.state,
      clock: this.#clock.state,
      system: this.#system.state,
      vbe: this.#video.vbe.state,
      ...(this.#network ? { network: this.#network.state } : {}),
    };
  }

  reset(): void {
    for (const part of [this.#table, this.#disks, this.#clock, this.#system, this.#boot]) part.reset();
    this.#serial?.reset();
    this.#network?.reset();
  }

  restored(): void {
    this.#network?.restored();
  }

  /** Where the machine's first instruction is. */
  get entry(): { readonly segment: number; readonly offset: number } {
    return { segment: BIOS_SEGMENT, offset: this.#code.symbols.get("int_19") as number };
  }

  /** Does what the power-on self test does; memory is writable from F0000h on, and the processor in real mode. */
  powerOnSelfTest(): void {
    const { processor, ports } = this.#wiring;
    for (const { at, bytes } of segmentContents(this.#code, this.#config.board)) {
      processor.writePhysical(BIOS_BASE + at, Uint8Array.from(bytes));
    }
    setUpChips(ports);
    const call = new BiosCall(processor, 0);
    setUpData(call, ports, vectorTable(this.#code), this.#table);
    this.#keyboard.install(call);
    this.#clock.install(call);
    this.#video.install(call);
  }

  readPort(): number {
    return 0xff;
  }

  writePort(port: number, _size: AccessSize, _value: number): void {
    const { processor } = this.#wiring;
    if (port !== BIOS_PORT) {
      this.#service32(port);
      return;
    }
    // Nobody but the stubs calls: other code that writes to the port means nothing by it.
    if (!processor.realAddresses || processor.base(SEG.cs) !== BIOS_BASE) return;
    const call = new BiosCall(processor);
    const waits = this.#internal(call);
    if (waits !== undefined) {
      processor.setCarry(waits);
      return;
    }
    call.finish(this.#service(call));
    this.#wiring.called();
  }

  /** Entries for 32-bit protected mode, which use registers only. */
  #service32(port: number): void {
    const { processor, ports } = this.#wiring;
    if (processor.realAddresses) return;
    const call = new BiosCall(processor, 0);
    if (port === PCI32_PORT) {
      if (call.ah === 0xb1) processor.setCarry(pciService(call, ports));
      return;
    }
    const known = call.eax === PCI_SERVICE;
    call.al = known ? 0 : 0x80;
    if (!known) return;
    call.ebx = BIOS_BASE;
    call.ecx = 0x1_0000;
    call.edx = this.#code.symbols.get("pci32") as number;
  }

  /** Parts of interrupt handlers, whose stubs look at the carry flag in ways of their own. */
  #internal(call: BiosCall): boolean | undefined {
    switch (call.number) {
      case Internal.tick:
        this.#clock.tick(call);
        return false;
      case Internal.key:
        return this.#keyboard.interrupt(call);
      case Internal.keyPause: {
        const pauses = this.#keyboard.pauses(call);
        // The stub asks by the same number again.
        if (pauses) call.sp -= 2;
        return pauses;
      }
      case Internal.mouse:
        return this.#mouse.interrupt(call);
      case Internal.rtc:
        return this.#clock.interrupt(call);
      default:
        return undefined;
    }
  }

  #service(call: BiosCall): Outcome {
    const { ports } = this.#wiring;
    switch (call.number) {
      case 0x10:
        this.#video.service(call);
        return undefined;
      case 0x11:
        call.ax = call.u16(Bda.equipment);
        return undefined;
      case 0x12:
        call.ax = call.u16(Bda.memoryKib);
        return undefined;
      case 0x13:
      case 0x40:
        return this.#disks.service(call);
      case 0x14:
        return serialService(call, ports);
      case 0x15:
        return this.#system.service(call);
      case 0x16: {
        const outcome = this.#keyboard.service(call);
        // Somebody waits for a key: now the cursor matters.
        if (outcome === "again") this.#video.characters.showCursor(call);
        return outcome;
      }
      case 0x17:
        printerService(call);
        return undefined;
      case 0x18:
        return this.#boot.goOn(call);
      case 0x19:
        return this.#boot.start(call);
      case 0x1a:
        this.#time(call);
        return undefined;
      case Internal.pxenv:
        return this.#network?.pxe.pxenv(call);
      case Internal.pxe:
        return this.#network?.pxe.pxe(call);
      case Internal.reset:
        return this.#restart();
      default:
        return undefined;
    }
  }

  #time(call: BiosCall): void {
    if (this.#network?.pxe.check(call)) return;
    if (call.ah === 0xb1) call.carry = pciService(call, this.#wiring.ports);
    else this.#clock.service(call);
  }

  #print(call: BiosCall, text: string): void {
    for (const character of text) this.#video.characters.teletype(call, character.charCodeAt(0) & 0xff, 0, 7);
  }

  #restart(): undefined {
    this.#wiring.ports.write(RESET_CONTROL, 1, HARD_RESET);
    return undefined;
  }
}
