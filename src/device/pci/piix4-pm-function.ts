/**
 * Function 3 of the south bridge: places the power management I/O block (ACPI and APM) in port space.
 * @spec Intel 82371AB (PIIX4) datasheet (290562), §7.1.
 *
 * Not modelled: the SMBus controller (its enable bit reads zero, so that drivers leave it alone), device
 * monitors, traps and general purpose outputs (their registers are stored), system management interrupts:
 * APMC_EN in DEVACTB reads one from the start, which tells firmware that they are taken care of.
 */
import type { Device, PortDevice } from "../../machine/device.ts";
import type { PortRange } from "../../machine/port-bus.ts";
import { type BarBuses, relativePorts } from "./bar.ts";
import { type ConfigRegister, readLittleEndian } from "./config-space.ts";
import { PciFunction, type PciFunctionState } from "./function.ts";
import type { PciBus } from "./pci-bus.ts";
import { Header } from "./registers.ts";

/** Bytes of the I/O block. */
export const PM_IO_LENGTH = 64;

const PMBA = 0x40;
const PMBA_ADDRESS = 0xffc0;
const DEVACTB = 0x58;
const APMC_EN = 0x02000000;
const PMREGMISC = 0x80;
const PMIOSE = 1;
const SMBBA = 0x90;

export interface Piix4PmWiring extends BarBuses {
  bus: PciBus;
  /** Device number; the board's other PIIX functions are at the same. */
  slot: number;
  /** The I/O block. Called with ports counted from the block's base, 0 to 63. */
  block: PortDevice;
}

export class Piix4PmFunction implements Device<PciFunctionState> {
  readonly state: PciFunctionState;
  readonly pci: PciFunction;
  readonly #wiring: Piix4PmWiring;
  #range: PortRange | undefined;

  /** Attaches itself as function 3 of `slot`. */
  constructor(wiring: Piix4PmWiring) {
    this.#wiring = wiring;
    const { ports, memory, bus, slot } = wiring;
    // CNTA to DEVRESJ: control and monitors of devices.
    const monitors = Array.from(
      { length: (PMREGMISC - 0x44) / 4 },
      (_, index): ConfigRegister => ({ offset: 0x44 + index * 4, size: 4, writable: 0xffffffff }),
    );
    this.pci = new PciFunction(
      {
        name: "power management",
        identity: { vendor: 0x8086, device: 0x7113, revision: 3, classCode: 0x068000 },
        interruptPin: 1,
        registers: [
          { offset: Header.offset.status, size: 2, reset: 0x0280, writeOneToClear: 0x7800 },
          { offset: PMBA, size: 4, reset: 1, writable: PMBA_ADDRESS },
          ...monitors,
          { offset: DEVACTB, size: 4, reset: APMC_EN, writable: 0xffffffff },
          { offset: PMREGMISC, size: 1, writable: PMIOSE },
          { offset: SMBBA, size: 4, reset: 1, writable: 0xfff0 },
        ],
      },
      { ports, memory, configWritten: () => this.#place() },
    );
    this.state = this.pci.state;
    bus.attach(slot, 3, this.pci);
  }

  reset(): void {
    this.pci.reset();
    this.#place();
  }

  restored(): void {
    this.pci.restored();
    this.#place();
  }

  /** Port that the I/O block begins at, undefined while it is not decoded. */
  get base(): number | undefined {
    const { config } = this.state;
    const base = readLittleEndian(config, PMBA, 4) & PMBA_ADDRESS;
    return (config[PMREGMISC]! & PMIOSE) !== 0 && base !== 0 ? base : undefined;
  }

  #place(): void {
    const { ports, block } = this.#wiring;
    const { base } = this;
    if (this.#range?.first === base) return;
    if (this.#range !== undefined) ports.unregister(this.#range);
    this.#range =
      base === undefined
        ? undefined
        : ports.register(base, PM_IO_LENGTH, relativePorts(block, base), { name: "power management" });
  }
}
