/**
 * Function 0 of the south bridge: PCI to ISA. Routes PIRQs to ISA interrupts and holds the reset control
 * register at port CF9h.
 * @spec Intel 82371SB (PIIX3) datasheet (290550), §2.2 and §2.5.4.
 *
 * Not modelled: ISA timing and decoding, distributed DMA, motherboard IRQ and DMA routing, system management
 * (their registers are stored), positive decoding (ports nobody owns belong to nobody).
 */
import { bits } from "../../bits/fields.ts";
import type { AccessSize, Device, PortDevice } from "../../machine/device.ts";
import type { BarBuses } from "./bar.ts";
import type { ConfigRegister } from "./config-space.ts";
import { PciFunction } from "./function.ts";
import type { PciBus } from "./pci-bus.ts";
import type { PirqRouter } from "./pirq-router.ts";
import { Header } from "./registers.ts";

export const RESET_CONTROL_PORT = 0xcf9;

/** RC: the processor is reset when `resetCpu` goes from 0 to 1; `hard` resets the rest of the board too. */
const ResetControl = bits({ hard: 1, resetCpu: 2 });

const PIRQRC = 0x60;
const PIRQ_COUNT = 4;

/** Registers without an effect here, as offset, bytes, reset value, writable bits. */
const STORED: readonly (readonly [number, AccessSize, number, number])[] = [
  [0x4c, 1, 0x4d, 0x7f], // IORT
  [0x4e, 2, 0x0003, 0x01ff], // XBCS
  [0x69, 1, 0x02, 0xfe], // TOM
  [0x6a, 2, 0x0000, 0x80c0], // MSTAT
  [0x70, 1, 0x80, 0xef], // MBIRQ0
  [0x76, 1, 0x0c, 0x8f], // MBDMA0
  [0x77, 1, 0x0c, 0x8f], // MBDMA1
  [0x78, 2, 0x0002, 0xffff], // PCSC
  [0x80, 1, 0x00, 0x7f], // APICBASE
  [0x82, 1, 0x00, 0x0f], // DLC
  [0xa0, 1, 0x08, 0x1f], // SMICNTL
  [0xa2, 2, 0x0000, 0x01ff], // SMIEN
  [0xa4, 4, 0x00000000, 0xf800ffff], // SEE
  [0xa8, 1, 0x0f, 0xff], // FTMR
  [0xac, 1, 0x00, 0xff], // CTLTMR
  [0xae, 1, 0x00, 0xff], // CTHTMR
];

export interface IsaBridgeState {
  resetControl: number;
}

export interface IsaBridgeWiring extends BarBuses {
  bus: PciBus;
  /** Device number; the board's other PIIX functions are at the same. */
  slot: number;
  pirq: PirqRouter;
  /** Software asks for a reset: of the whole board, or of the processor alone. */
  resetRequested(kind: "board" | "processor"): void;
}

/** Snapshots keep its `state` and that of its `pci`, which is a device of its own. */
export class Piix3IsaBridge implements Device<IsaBridgeState>, PortDevice {
  readonly state: IsaBridgeState = { resetControl: 0 };
  readonly pci: PciFunction;
  readonly #pirq: PirqRouter;
  readonly #resetRequested: (kind: "board" | "processor") => void;

  /** Attaches itself as function 0 of `slot`. The host bridge forwards port CF9h. */
  constructor({ ports, memory, bus, slot, pirq, resetRequested }: IsaBridgeWiring) {
    this.#pirq = pirq;
    this.#resetRequested = resetRequested;
    const stored = STORED.map(([offset, size, reset, writable]): ConfigRegister => ({ offset, size, reset, writable }));
    this.pci = new PciFunction(
      {
        name: "ISA bridge",
        identity: { vendor: 0x8086, device: 0x7000, revision: 0, classCode: 0x060100 },
        multifunction: true,
        registers: [
          // I/O space, memory space and bus master are always on.
          { offset: Header.offset.command, size: 2, reset: 0x0007, writable: 0x0108 },
          { offset: Header.offset.status, size: 2, reset: 0x0200, writeOneToClear: 0x7800 },
          ...Array.from({ length: PIRQ_COUNT }, (_, pirqNumber) => ({
            offset: PIRQRC + pirqNumber,
            size: 1 as const,
            reset: 0x80,
            writable: 0x8f,
          })),
          ...stored,
        ],
      },
      { ports, memory, configWritten: () => this.#route() },
    );
    bus.attach(slot, 0, this.pci);
  }

  reset(): void {
    this.state.resetControl = 0;
    this.pci.reset();
    this.#route();
  }

  readPort(): number {
    return this.state.resetControl;
  }

  writePort(_port: number, _size: AccessSize, value: number): void {
    const before = ResetControl(this.state.resetControl);
    const { hard, resetCpu } = ResetControl(value);
    this.state.resetControl = ResetControl.pack({ hard, resetCpu });
    if (resetCpu && !before.resetCpu) this.#resetRequested(hard ? "board" : "processor");
  }

  #route(): void {
    for (let pirq = 0; pirq < PIRQ_COUNT; pirq++) this.#pirq.route(pirq, this.pci.state.config[PIRQRC + pirq]!);
  }
}
