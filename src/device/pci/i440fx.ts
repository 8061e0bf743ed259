/**
 * The host bridge, device 0 on PCI bus 0: configuration mechanism #1 and the shadow RAM switches.
 * @spec Intel 82441FX (PMC) datasheet (290549), §3.
 *
 * Not modelled: DRAM timing and row boundaries, ECC and error reporting, PCI arbitration (their registers
 * are stored); SMRAM (its register is stored: there is no memory behind A0000h but the VGA's); the turbo
 * reset control register.
 */
import { bits } from "../../bits/fields.ts";
import { type GuestPhysical, guestPhysical } from "../../bits/units.ts";
import type { AccessSize, Device, PortDevice } from "../../machine/device.ts";
import type { BarBuses } from "./bar.ts";
import { PciFunction } from "./function.ts";
import type { PciBus } from "./pci-bus.ts";
import { RESET_CONTROL_PORT } from "./piix3-isa-bridge.ts";
import { Header } from "./registers.ts";

export const CONFIG_ADDRESS_PORT = 0xcf8;
export const CONFIG_DATA_PORT = 0xcfc;

/** CONFADD. */
const ConfigAddress = bits({ register: [2, 7], place: [8, 15], bus: [16, 23], enabled: 31 });
const CONFIG_ADDRESS_WRITABLE = 0x80fffffc;

/** First of the seven PAM registers, and what each half of them (low first) switches. */
const PAM = 0x59;
const PAM_COUNT = 7;
const SHADOW_AREAS: readonly { half: number; start: number; length: number }[] = [
  { half: 1, start: 0xf0000, length: 0x10000 },
  ...Array.from({ length: 12 }, (_, area) => ({ half: 2 + area, start: 0xc0000 + area * 0x4000, length: 0x4000 })),
];
const PamHalf = bits({ readEnabled: 0, writeEnabled: 1 });

/** Where reads and writes of a part of C0000h to FFFFFh go: to RAM, or (false) to PCI, that is ROM. */
export interface ShadowArea {
  start: GuestPhysical;
  length: number;
  readRam: boolean;
  writeRam: boolean;
}

export interface HostBridgeState {
  /** CONFADD. */
  configAddress: number;
}

export interface HostBridgeWiring extends BarBuses {
  bus: PciBus;
  /** Told of an area whenever it switches, and of all of them at reset and restore. */
  shadow(area: ShadowArea): void;
  /** The south bridge's reset control register: a byte at CF9h, which only 32-bit accesses to CF8h hide. */
  resetControl: PortDevice;
}

/** Snapshots keep its `state` and that of its `pci`, which is a device of its own. */
export class HostBridge implements Device<HostBridgeState>, PortDevice {
  readonly state: HostBridgeState = { configAddress: 0 };
  readonly pci: PciFunction;
  readonly #bus: PciBus;
  readonly #shadow: (area: ShadowArea) => void;
  readonly #resetControl: PortDevice;
  /** The halves of the PAM registers that `shadow` was told last. */
  readonly #told = new Uint8Array(PAM_COUNT * 2);

  /** Claims ports CF8h-CFFh and attaches itself as device 0. */
  constructor({ ports, memory, bus, shadow, resetControl }: HostBridgeWiring) {
    this.#bus = bus;
    this.#shadow = shadow;
    this.#resetControl = resetControl;
    this.pci = new PciFunction(
      {
        name: "host bridge",
        identity: {
          vendor: 0x8086,
          device: 0x1237,
          revision: 2,
          classCode: 0x060000,
          // By these SeaBIOS and others know a virtual machine of this kind, and look for fw_cfg.
          subsystemVendor: 0x1af4,
          subsystem: 0x1100,
        },
        registers: [
          // Memory space and bus master are always on.
          { offset: Header.offset.command, size: 2, reset: 0x0006, writable: 0x0140 },
          { offset: Header.offset.status, size: 2, reset: 0x0280, writeOneToClear: 0xf900 },
          { offset: 0x50, size: 2, reset: 0x0000, writable: 0xffff }, // PMCCFG
          { offset: 0x57, size: 2, reset: 0x1001, writable: 0xffff }, // DRAMC, DRAMT
          ...Array.from({ length: PAM_COUNT }, (_, register) => ({
            offset: PAM + register,
            size: 1 as const,
            writable: register === 0 ? 0xf0 : 0xff,
          })),
          ...Array.from({ length: 8 }, (_, row) => ({ offset: 0x60 + row, size: 1 as const, writable: 0xff })), // DRB
          { offset: 0x68, size: 1, writable: 0xff }, // FDHC
          { offset: 0x70, size: 2, writable: 0xffff }, // MTT, CLT
          { offset: 0x72, size: 1, reset: 0x02, writable: 0x78 }, // SMRAM
          { offset: 0x90, size: 2, writable: 0x00ff }, // ERRCMD
        ],
      },
      {
        ports,
        memory,
        configWritten: (offset, size) => {
          if (offset < PAM + PAM_COUNT && offset + size > PAM) this.#switchShadow(false);
        },
      },
    );
    ports.register(CONFIG_ADDRESS_PORT, 4, this, { name: "PCI configuration address" });
    ports.register(CONFIG_DATA_PORT, 4, this, { name: "PCI configuration data" });
    bus.attach(0, 0, this.pci);
  }

  reset(): void {
    this.state.configAddress = 0;
    this.pci.reset();
    this.#switchShadow(true);
  }

  restored(): void {
    this.#switchShadow(true);
  }

  readPort(port: number, size: AccessSize): number {
    if (port < CONFIG_DATA_PORT) {
      if (port === CONFIG_ADDRESS_PORT && size === 4) return this.state.configAddress;
      if (port === RESET_CONTROL_PORT && size === 1) return this.#resetControl.readPort(port, size);
      return 2 ** (8 * size) - 1;
    }
    const { enabled, bus, place, register } = ConfigAddress(this.state.configAddress);
    if (!enabled) return 2 ** (8 * size) - 1;
    return this.#bus.readConfig(bus, place, register * 4 + (port - CONFIG_DATA_PORT), size);
  }

  writePort(port: number, size: AccessSize, value: number): void {
    if (port < CONFIG_DATA_PORT) {
      if (port === RESET_CONTROL_PORT && size === 1) this.#resetControl.writePort(port, size, value);
      if (port !== CONFIG_ADDRESS_PORT || size !== 4) return;
      this.state.configAddress = (value & CONFIG_ADDRESS_WRITABLE) >>> 0;
      return;
    }
    const { enabled, bus, place, register } = ConfigAddress(this.state.configAddress);
    if (enabled) this.#bus.writeConfig(bus, place, register * 4 + (port - CONFIG_DATA_PORT), size, value);
  }

  #switchShadow(all: boolean): void {
    for (const { half, start, length } of SHADOW_AREAS) {
      const value = (this.pci.state.config[PAM + (half >>> 1)]! >>> ((half & 1) * 4)) & 0xf;
      const before = this.#told[half];
      this.#told[half] = value;
      if (!all && before === value) continue;
      const { readEnabled, writeEnabled } = PamHalf(value);
      this.#shadow({ start: guestPhysical(start), length, readRam: readEnabled, writeRam: writeEnabled });
    }
  }
}
