/**
 * A VGA with linear modes: QEMU's standard display adapter, for which every system has a driver.
 *
 * At ports 3B0h to 3DFh and at A0000h it is IBM's VGA; at 1CEh and 1CFh are the DISPI registers. As a PCI function it has
 * video memory in BAR 0 and, in BAR 2, EDID, the VGA's ports from 3C0h on, and the DISPI registers.
 *
 * Registers are in `state`; video memory is the byte array that the adapter is given, kept by whoever keeps memory. The
 * guest may change it behind the adapter's back: pictures are found by comparing.
 *
 * @spec IBM PS/2 Hardware Interface Technical Reference, Video Subsystem; QEMU docs/specs/standard-vga.rst
 *
 * Not modelled: what ./crtc.ts, ./planar-memory.ts and ./graphics-mode.ts name; input status 0; the overscan border;
 * big-endian framebuffers.
 */
import type { AccessSize, Clock, Device, MemoryDevice, PortDevice } from "../../machine/device.ts";
import type { DisplaySource } from "../../machine/display.ts";
import { readPieces, writePieces } from "../../machine/pieces.ts";
import type { BarBuses, MemoryBarDescription } from "../pci/bar.ts";
import { PciFunction } from "../pci/function.ts";
import { readAttribute, writeAttribute } from "./attribute-controller.ts";
import { inputStatus1, type Timing, timing, writeCrtc } from "./crtc.ts";
import { readDacData, readDacState, setReadIndex, setWriteIndex, writeDacData } from "./dac.ts";
import { readDispi, writeDispi } from "./dispi.ts";
import { edid } from "./edid.ts";
import { LinearMemory, PlanarMemory } from "./planar-memory.ts";
import { GRAPHICS_WRITABLE, Miscellaneous, Port, SEQUENCER_WRITABLE } from "./registers.ts";
import { Screen } from "./screen.ts";
import { powerOnState, type VgaState } from "./state.ts";

/** Bytes of video memory. */
export const VIDEO_MEMORY_SIZE = 16 << 20;
export const LEGACY_ADDRESS = 0xa0000;
export const LEGACY_LENGTH = 0x20000;
const FIRST_PORT = 0x3b0;
const PORTS = 0x30;
export const DISPI_INDEX_PORT = 0x1ce;
export const DISPI_DATA_PORT = 0x1cf;
/** Data is of 16 bits, from its port on. */
const DISPI_PORTS = 3;
const FLOATING = 0xff;

const IDENTITY = {
  vendor: 0x1234,
  device: 0x1111,
  revision: 2,
  classCode: 0x030000,
  subsystemVendor: 0x1af4,
  subsystem: 0x1100,
};
const FRAMEBUFFER_BAR = 0;
const REGISTERS_BAR = 2;
const REGISTERS_SIZE = 0x1000;
/** What is where in BAR 2. */
const EDID_AT = 0x000;
const PORTS_AT = 0x400;
const PORTS_LENGTH = 0x20;
const DISPI_AT = 0x500;
const DISPI_LENGTH = 0x16;
/** QEMU's extended registers: their length in bytes, and the framebuffer's byte order. */
const EXTENDED_AT = 0x600;
const EXTENDED_LENGTH = 8;
const BYTE_ORDER_AT = 0x604;
const LITTLE_ENDIAN = 0x1e1e1e1e;

export interface VgaWiring extends BarBuses {
  readonly clock: Clock;
  /** Told where BAR 0 is, so that the processor can find video memory there without asking the bus. */
  readonly framebufferPlaced?: MemoryBarDescription["placed"];
  /** Expansion ROM: a VGA BIOS, for firmware that asks the card for one. */
  readonly rom?: Uint8Array;
}

export class Vga implements Device<VgaState>, PortDevice {
  readonly state: VgaState;
  /** For the board to put on the PCI bus, and to keep as a device of its own. */
  readonly pci: PciFunction;
  readonly display: DisplaySource;
  readonly #clock: Clock;
  readonly #videoMemory: Uint8Array;
  readonly #memory: PlanarMemory;
  readonly #edid = edid();
  #timing: Timing | undefined;

  /** `videoMemory` has a power of two of bytes, up to 16 MiB. */
  constructor(videoMemory: Uint8Array, { clock, ports, memory, framebufferPlaced, rom }: VgaWiring) {
    this.state = powerOnState(videoMemory.length);
    this.#clock = clock;
    this.#videoMemory = videoMemory;
    this.#memory = new PlanarMemory(this.state, videoMemory);
    this.display = new Screen(this.state, videoMemory, clock);
    ports.register(FIRST_PORT, PORTS, this, { name: "VGA", width: 1 });
    const dispi: PortDevice = {
      readPort: (port, size) => this.#readDispiPort(port, size),
      writePort: (port, size, value) => this.#writeDispiPort(port, size, value),
    };
    ports.register(DISPI_INDEX_PORT, DISPI_PORTS, dispi, { name: "VGA DISPI", width: 2 });
    memory.map(LEGACY_ADDRESS, LEGACY_LENGTH, this.#memory, "VGA memory");
    this.pci = new PciFunction(
      {
        name: "VGA",
        identity: IDENTITY,
        ...(rom && { rom }),
        bars: [
          {
            kind: "memory",
            index: FRAMEBUFFER_BAR,
            width: 32,
            prefetchable: true,
            size: videoMemory.length,
            device: new LinearMemory(videoMemory),
            ...(framebufferPlaced && { placed: framebufferPlaced }),
          },
          { kind: "memory", index: REGISTERS_BAR, width: 32, size: REGISTERS_SIZE, device: this.#registers() },
        ],
      },
      { ports, memory },
    );
  }

  /** Registers only: what is in video memory stays. */
  reset(): void {
    Object.assign(this.state, powerOnState(this.#videoMemory.length));
    this.#changed();
  }

  restored(): void {
    this.#changed();
  }

  readPort(port: number): number {
    const { state } = this;
    switch (port) {
      case Port.attributeIndex:
        return state.attributeIndex;
      case Port.attributeRead:
        return readAttribute(state);
      case Port.miscellaneousWrite:
        return 0;
      case Port.videoEnable:
        return state.videoEnable;
      case Port.sequencerIndex:
        return state.sequencerIndex;
      case Port.sequencerData:
        return state.sequencer[state.sequencerIndex] ?? 0;
      case Port.dacMask:
        return state.dac.mask;
      case Port.dacReadIndex:
        return readDacState(state.dac);
      case Port.dacWriteIndex:
        return state.dac.writeIndex;
      case Port.dacData:
        return readDacData(state.dac);
      case Port.featureRead:
        return state.featureControl;
      case Port.miscellaneousRead:
        return state.miscellaneous;
      case Port.graphicsIndex:
        return state.graphicsIndex;
      case Port.graphicsData:
        return state.graphics[state.graphicsIndex] ?? 0;
    }
    switch (this.#crtcPort(port)) {
      case Port.crtcIndex:
        return state.crtcIndex;
      case Port.crtcData:
        return state.crtc[state.crtcIndex] ?? 0;
      case Port.status:
        state.attributeData = false;
        this.#timing ??= timing(state);
        return inputStatus1(this.#timing, this.#clock.now());
    }
    return FLOATING;
  }

  writePort(port: number, _size: AccessSize, written: number): void {
    const value = written & 0xff;
    const { state } = this;
    switch (port) {
      case Port.attributeIndex:
        writeAttribute(state, value);
        break;
      case Port.miscellaneousWrite:
        state.miscellaneous = value;
        this.#changed();
        break;
      case Port.videoEnable:
        state.videoEnable = value & 1;
        break;
      case Port.sequencerIndex:
        state.sequencerIndex = value & 7;
        break;
      case Port.sequencerData:
        if (state.sequencerIndex < state.sequencer.length) {
          state.sequencer[state.sequencerIndex] = value & SEQUENCER_WRITABLE[state.sequencerIndex]!;
          this.#changed();
        }
        break;
      case Port.dacMask:
        state.dac.mask = value;
        break;
      case Port.dacReadIndex:
        setReadIndex(state.dac, value);
        break;
      case Port.dacWriteIndex:
        setWriteIndex(state.dac, value);
        break;
      case Port.dacData:
        writeDacData(state.dac, value);
        break;
      case Port.graphicsIndex:
        state.graphicsIndex = value & 0x0f;
        break;
      case Port.graphicsData:
        if (state.graphicsIndex < state.graphics.length) {
          state.graphics[state.graphicsIndex] = value & GRAPHICS_WRITABLE[state.graphicsIndex]!;
          this.#memory.update();
        }
        break;
    }
    switch (this.#crtcPort(port)) {
      case Port.crtcIndex:
        state.crtcIndex = value & 0x1f;
        break;
      case Port.crtcData:
        writeCrtc(state, value);
        this.#timing = undefined;
        break;
      case Port.status:
        state.featureControl = value;
        break;
    }
  }

  /** The port's name with colour, where it is one of the CRTC's group and that group is there now. */
  #crtcPort(port: number): number | undefined {
    const { colourPorts } = Miscellaneous(this.state.miscellaneous);
    if (port >= 0x3b0 && port <= 0x3bf) return colourPorts ? undefined : port + 0x20;
    if (port >= 0x3d0 && port <= 0x3df) return colourPorts ? port : undefined;
    return undefined;
  }

  #changed(): void {
    this.#memory.update();
    this.#timing = undefined;
  }

  #readDispiPort(port: number, size: AccessSize): number {
    const { dispi } = this.state;
    if (port === DISPI_INDEX_PORT) return size === 2 ? dispi.index : dispi.index & 0xff;
    const value = readDispi(dispi, dispi.index);
    return port === DISPI_DATA_PORT ? value : value >> 8;
  }

  #writeDispiPort(port: number, size: AccessSize, value: number): void {
    if (port === DISPI_INDEX_PORT) this.state.dispi.index = value & 0xffff;
    // A byte of data is no access that software makes: the registers are of 16 bits.
    else if (port === DISPI_DATA_PORT && size === 2) this.#writeDispi(this.state.dispi.index, value);
  }

  #writeDispi(index: number, value: number): void {
    writeDispi(this.state, this.#videoMemory, index, value);
    this.#changed();
  }

  #registers(): MemoryDevice {
    return {
      readMemory: (offset, size) => {
        if (offset >= DISPI_AT && offset < DISPI_AT + DISPI_LENGTH) {
          return readPieces(offset, size, 1, (each) => this.#readDispiByte(each));
        }
        return readPieces(offset, size, 1, (each) => this.#readRegisterByte(each));
      },
      writeMemory: (offset, size, value) => {
        if (offset >= DISPI_AT && offset < DISPI_AT + DISPI_LENGTH) {
          // Registers of 16 bits, two of them in an access of 32.
          if (size === 1) return;
          this.#writeDispi((offset - DISPI_AT) >> 1, value & 0xffff);
          if (size === 4) this.#writeDispi(((offset - DISPI_AT) >> 1) + 1, value >>> 16);
          return;
        }
        writePieces(offset, size, 1, value, (each, rest) => {
          if (each >= PORTS_AT && each < PORTS_AT + PORTS_LENGTH) {
            this.writePort(each - PORTS_AT + Port.attributeIndex, 1, rest & 0xff);
          }
        });
      },
    };
  }

  #readDispiByte(offset: number): number {
    const at = offset - DISPI_AT;
    const value = readDispi(this.state.dispi, at >> 1);
    return at & 1 ? value >> 8 : value & 0xff;
  }

  #readRegisterByte(offset: number): number {
    const block = this.#edid[offset - EDID_AT];
    if (block !== undefined) return block;
    if (offset >= PORTS_AT && offset < PORTS_AT + PORTS_LENGTH) {
      return this.readPort(offset - PORTS_AT + Port.attributeIndex);
    }
    if (offset >= BYTE_ORDER_AT && offset < BYTE_ORDER_AT + 4) {
      return (LITTLE_ENDIAN >> ((offset - BYTE_ORDER_AT) * 8)) & 0xff;
    }
    return offset === EXTENDED_AT ? EXTENDED_LENGTH : 0;
  }
}
