/**
 * Function 1 of the south bridge: two IDE channels at their legacy ports and interrupts, with bus master DMA.
 * @spec Intel 82371SB (PIIX3) datasheet (290550) §2.3 "IDE controller configuration registers", §2.7 "IDE controller
 * registers"; ports as in ANSI X3.221
 *
 * Unlike the chip's, the channels are decoded from the start (IDETIM): UEFI firmware for virtual machines expects that.
 *
 * Not modelled: bus timing (IDETIM and SIDETIM are stored; the decode enable bits count), simplex operation.
 */
import type { AccessSize, AsyncWork, Device, GuestMemory, PortDevice, SignalLine } from "../../machine/device.ts";
import type { PortRange } from "../../machine/port-bus.ts";
import type { AtaDrive } from "../ata/ata-drive.ts";
import type { BarBuses } from "../pci/bar.ts";
import { readLittleEndian } from "../pci/config-space.ts";
import { PciFunction } from "../pci/function.ts";
import type { PciBus } from "../pci/pci-bus.ts";
import { Header, Command as PciCommand } from "../pci/registers.ts";
import { BusMaster, type BusMasterState } from "./bus-master.ts";
import type { IdeChannelState } from "./channel-state.ts";
import { IdeChannel } from "./ide-channel.ts";

/** IDETIM of the primary and the secondary channel. */
export const IDETIM = 0x40;
export const IDETIM_DECODE = 0x8000;
const SIDETIM = 0x44;
/** The bus master registers' BAR. */
const BMIBA_BAR = 4;
const BMIBA_SIZE = 16;
const BUS_MASTER_STRIDE = 8;
const Bmi = { command: 0, status: 2, table: 4 } as const;

const LEGACY = [
  { block: 0x1f0, control: 0x3f6 },
  { block: 0x170, control: 0x376 },
] as const;
const BLOCK_LENGTH = 8;

export interface PiixIdeState {
  channels: [IdeChannelState, IdeChannelState];
  busMasters: [BusMasterState, BusMasterState];
}

export interface PiixIdeWiring extends BarBuses {
  readonly bus: PciBus;
  /** Device number; the board's other PIIX functions are at the same. */
  readonly slot: number;
  readonly ram: GuestMemory;
  readonly work: AsyncWork;
  /** IRQ 14 and 15. */
  readonly interrupts: readonly [SignalLine, SignalLine];
  /** Device 0 and 1 of the primary channel, then those of the secondary. */
  readonly drives: readonly (AtaDrive | undefined)[];
  ioError?(error: Error): void;
}

interface Channel {
  readonly ide: IdeChannel;
  readonly busMaster: BusMaster;
}

/** Snapshots keep its `state` and that of its `pci`, which is a device of its own. */
export class PiixIde implements Device<PiixIdeState> {
  readonly state: PiixIdeState;
  readonly pci: PciFunction;
  readonly #wiring: PiixIdeWiring;
  readonly #channels: readonly [Channel, Channel];
  /** Legacy ranges, while they are decoded. */
  readonly #ranges: [PortRange[], PortRange[]] = [[], []];

  /** Attaches itself as function 1 of `slot`. */
  constructor(wiring: PiixIdeWiring) {
    this.#wiring = wiring;
    const { ports, memory, bus, slot } = wiring;
    this.#channels = [this.#channel(0), this.#channel(1)];
    const [primary, secondary] = this.#channels;
    this.state = {
      channels: [primary.ide.state, secondary.ide.state],
      busMasters: [primary.busMaster.state, secondary.busMaster.state],
    };
    this.pci = new PciFunction(
      {
        name: "IDE controller",
        // Bus master; both channels at their legacy places for good.
        identity: { vendor: 0x8086, device: 0x7010, revision: 0, classCode: 0x010180 },
        bars: [{ kind: "io", index: BMIBA_BAR, size: BMIBA_SIZE, device: this.#busMasterPorts() }],
        registers: [
          { offset: Header.offset.status, size: 2, reset: 0x0280, writeOneToClear: 0x7800 },
          { offset: IDETIM, size: 2, reset: IDETIM_DECODE, writable: 0xffff },
          { offset: IDETIM + 2, size: 2, reset: IDETIM_DECODE, writable: 0xffff },
          { offset: SIDETIM, size: 1, writable: 0xff },
        ],
      },
      { ports, memory, configWritten: () => this.#decode() },
    );
    bus.attach(slot, 1, this.pci);
  }

  reset(): void {
    for (const { ide, busMaster } of this.#channels) {
      busMaster.reset();
      ide.reset();
    }
    this.#decode();
  }

  restored(): void {
    for (const { ide } of this.#channels) ide.restored();
    this.#decode();
  }

  #channel(index: 0 | 1): Channel {
    const { ram, work, interrupts, drives, ioError } = this.#wiring;
    let level = false;
    const busMaster = new BusMaster({
      memory: ram,
      allowed: () => this.pci.busMaster,
      started: () => ide.busMasterStarted(),
    });
    const interrupt: SignalLine = {
      set: (next) => {
        if (next && !level) busMaster.interrupted();
        level = next;
        interrupts[index].set(next);
      },
    };
    const ide: IdeChannel = new IdeChannel({
      work,
      interrupt,
      busMaster,
      drives: [drives[2 * index], drives[2 * index + 1]],
      ...(ioError ? { ioError } : {}),
    });
    return { ide, busMaster };
  }

  /** Puts the legacy ranges on the bus where they are decoded, and takes them off where not. */
  #decode(): void {
    const { config } = this.pci.state;
    const { ports } = this.#wiring;
    const { ioSpace } = PciCommand(readLittleEndian(config, Header.offset.command, 2));
    for (const [index, { ide }] of this.#channels.entries()) {
      const decoded = ioSpace && (readLittleEndian(config, IDETIM + 2 * index, 2) & IDETIM_DECODE) !== 0;
      const ranges = this.#ranges[index as 0 | 1];
      if (decoded === ranges.length > 0) continue;
      for (const range of ranges.splice(0)) ports.unregister(range);
      if (!decoded) continue;
      const { block, control } = LEGACY[index as 0 | 1];
      const name = index === 0 ? "primary IDE" : "secondary IDE";
      ranges.push(ports.register(block, BLOCK_LENGTH, blockPorts(ide, block), { name }));
      ranges.push(ports.register(control, 1, controlPorts(ide), { name: `${name} control`, width: 1 }));
    }
  }

  #busMasterPorts(): PortDevice {
    return {
      readPort: (port, size) => {
        const { state } = this.#channels[port < BUS_MASTER_STRIDE ? 0 : 1].busMaster;
        const image = Uint8Array.of(state.command, 0, state.status, 0, 0, 0, 0, 0);
        new DataView(image.buffer).setUint32(Bmi.table, state.table, true);
        return readLittleEndian(image, port % BUS_MASTER_STRIDE, size);
      },
      writePort: (port, size, value) => {
        const { busMaster } = this.#channels[port < BUS_MASTER_STRIDE ? 0 : 1];
        for (let at = 0; at < size; at++) {
          this.#writeBusMaster(busMaster, (port % BUS_MASTER_STRIDE) + at, (value >>> (8 * at)) & 0xff);
        }
      },
    };
  }

  #writeBusMaster(busMaster: BusMaster, register: number, value: number): void {
    if (register === Bmi.command) busMaster.writeCommand(value);
    else if (register === Bmi.status) busMaster.writeStatus(value);
    else if (register >= Bmi.table && register < BUS_MASTER_STRIDE) {
      const shift = 8 * (register - Bmi.table);
      const { state } = busMaster;
      state.table = (((state.table & ~(0xff << shift)) | (value << shift)) & ~3) >>> 0;
    }
  }
}

/** The command block: the data register takes words of any size, the others bytes. */
function blockPorts(ide: IdeChannel, base: number): PortDevice {
  const piece = (port: number, size: AccessSize): AccessSize => (port === base ? size : 1);
  return {
    readPort: (port, size) => {
      if (port === base) return ide.read(0, size);
      let value = 0;
      for (let at = 0; at < size; at++) value |= (ide.read(port - base + at, piece(port, 1)) & 0xff) << (8 * at);
      return value >>> 0;
    },
    writePort: (port, size, value) => {
      if (port === base) ide.write(0, size, value);
      else for (let at = 0; at < size; at++) ide.write(port - base + at, 1, (value >>> (8 * at)) & 0xff);
    },
  };
}

function controlPorts(ide: IdeChannel): PortDevice {
  return { readPort: () => ide.readAlternateStatus(), writePort: (_port, _size, value) => ide.writeControl(value) };
}
