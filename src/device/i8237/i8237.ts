/**
 * The PC's two 8237A DMA controllers with their page registers: channels 0 to 3 move bytes (ports 00h to 0Fh), 5 to 7
 * words (ports C0h to DFh), channel 4 cascades the first controller into the second.
 *
 * Transfers happen at one moment, when request, mask and mode first allow them: they take no guest time, and the modes
 * (demand, single, block) differ in nothing but who stops them, which is the device here.
 *
 * @spec Intel 8237A datasheet (231466); Intel 82371AB (PIIX4) datasheet (290562), §8.1 (DMA registers)
 *
 * Not modelled: memory-to-memory transfers, the senses of DREQ and DACK (stored), rotating priority (nothing can show
 * it), the temporary register (reads as 0), the PIIX4's distributed and type F DMA. Memory that is no RAM reads as FFh.
 */
import { guestPhysical } from "../../bits/units.ts";
import type { Device, GuestMemory, SignalLine } from "../../machine/device.ts";
import type { DmaChannel, DmaDevice } from "../../machine/dma.ts";
import { ByteWidePorts, FLOATING_BYTE } from "../isa-bus/byte-wide.ts";
import { CASCADE, ChannelBit, Command, Mode, PAGE_OF_CHANNEL, Register, Transfer } from "./registers.ts";

export const DMA1_PORT = 0x00;
export const DMA2_PORT = 0xc0;
export const DMA_PAGE_PORT = 0x80;

const CHANNELS = 8;
const CASCADE_CHANNEL = 4;
/** Transfers done in one piece. */
const PIECE = 4096;

export interface ChannelState {
  baseAddress: number;
  address: number;
  baseCount: number;
  /** Transfers left, less one. */
  count: number;
  mode: number;
}

export interface ControllerState {
  command: number;
  /** Bit n masks channel n of the controller. */
  mask: number;
  /** Software requests. */
  request: number;
  /** Channels that reached terminal count since the status was read. */
  terminal: number;
  /** The next access to an address or count is to its high byte. */
  highByte: boolean;
  channels: ChannelState[];
}

export interface I8237State {
  controllers: [ControllerState, ControllerState];
  pages: Uint8Array;
}

const powerOn = (): ControllerState => ({
  command: 0,
  mask: 0xf,
  request: 0,
  terminal: 0,
  highByte: false,
  channels: Array.from({ length: 4 }, () => ({ baseAddress: 0, address: 0, baseCount: 0, count: 0, mode: 0 })),
});

export class I8237Pair extends ByteWidePorts implements Device<I8237State> {
  readonly state: I8237State = { controllers: [powerOn(), powerOn()], pages: new Uint8Array(16) };
  readonly #memory: GuestMemory;
  readonly #devices: (DmaDevice | undefined)[] = new Array(CHANNELS).fill(undefined);
  /** Bit n is DREQn. */
  #requests = 0;
  #serving = false;
  readonly #buffer = new Uint8Array(2 * PIECE);

  constructor({ memory }: { readonly memory: GuestMemory }) {
    super();
    this.#memory = memory;
  }

  reset(): void {
    this.state.controllers = [powerOn(), powerOn()];
    this.state.pages.fill(0);
  }

  restored(): void {
    this.#serve();
  }

  /** Channel 0 to 7, without 4. */
  channel(number: number): DmaChannel {
    const request: SignalLine = {
      set: (level) => {
        this.#requests = level ? this.#requests | (1 << number) : this.#requests & ~(1 << number);
        if (level) this.#serve();
      },
    };
    const connect = (device: DmaDevice) => {
      this.#devices[number] = device;
    };
    return { request, connect };
  }

  protected readByte(port: number): number {
    if (isPage(port)) return this.state.pages[port & 15] ?? FLOATING_BYTE;
    const { controller, register, index } = this.#decode(port);
    switch (register) {
      case Register.command: {
        const status = controller.terminal | (((this.#pending(index) | controller.request) & 0xf) << 4);
        controller.terminal = 0;
        return status;
      }
      case Register.masterClear:
        return 0;
      case Register.allMask:
        return controller.mask;
    }
    if (register > 7) return FLOATING_BYTE;
    const channel = controller.channels[register >>> 1]!;
    const value = register & 1 ? channel.count : channel.address;
    return this.#takeHighByte(controller) ? value >>> 8 : value & 0xff;
  }

  protected writeByte(port: number, value: number): void {
    if (isPage(port)) {
      this.state.pages[port & 15] = value;
      return;
    }
    const { controller, register, index } = this.#decode(port);
    if (register <= 7) this.#writeChannel(controller, register, value);
    else this.#writeControl(controller, register, value, index);
    this.#serve();
  }

  #decode(port: number): { controller: ControllerState; register: number; index: 0 | 1 } {
    const index = port >= DMA2_PORT ? 1 : 0;
    const register = index === 1 ? ((port - DMA2_PORT) >>> 1) & 15 : port & 15;
    return { controller: this.state.controllers[index], register, index };
  }

  #takeHighByte(controller: ControllerState): boolean {
    controller.highByte = !controller.highByte;
    return !controller.highByte;
  }

  #writeChannel(controller: ControllerState, register: number, value: number): void {
    const channel = controller.channels[register >>> 1]!;
    const high = this.#takeHighByte(controller);
    const replace = (before: number) => (high ? (before & 0x00ff) | (value << 8) : (before & 0xff00) | value);
    if (register & 1) {
      channel.baseCount = replace(channel.baseCount);
      channel.count = replace(channel.count);
    } else {
      channel.baseAddress = replace(channel.baseAddress);
      channel.address = replace(channel.address);
    }
  }

  #writeControl(controller: ControllerState, register: number, value: number, index: 0 | 1): void {
    const { channel, set } = ChannelBit(value);
    const setBit = (before: number) => (set ? before | (1 << channel) : before & ~(1 << channel));
    switch (register) {
      case Register.command:
        controller.command = value;
        break;
      case Register.request:
        controller.request = setBit(controller.request);
        break;
      case Register.singleMask:
        controller.mask = setBit(controller.mask);
        break;
      case Register.mode:
        controller.channels[channel]!.mode = value & ~Mode.mask.channel;
        break;
      case Register.clearFlipFlop:
        controller.highByte = false;
        break;
      case Register.masterClear: {
        const { channels } = controller;
        this.state.controllers[index] = { ...powerOn(), channels };
        break;
      }
      case Register.clearMask:
        controller.mask = 0;
        break;
      case Register.allMask:
        controller.mask = value & 0xf;
        break;
    }
  }

  /** Bits 0 to 3: the requests of a controller's devices. */
  #pending(index: 0 | 1): number {
    return (this.#requests >>> (4 * index)) & 0xf;
  }

  /** Runs every channel that may run, the lowest first, until none is left. */
  #serve(): void {
    if (this.#serving) return;
    this.#serving = true;
    // A channel whose device has nothing for now is out until its request is set again.
    let out = 0;
    for (;;) {
      const channel = this.#next(out);
      if (channel === undefined) break;
      if (!this.#run(channel)) out |= 1 << channel;
    }
    this.#serving = false;
  }

  #next(out: number): number | undefined {
    for (let channel = 0; channel < CHANNELS; channel++) {
      if ((out & (1 << channel)) === 0 && channel !== CASCADE_CHANNEL && this.#ready(channel)) return channel;
    }
    return undefined;
  }

  #ready(channel: number): boolean {
    const controller = this.state.controllers[channel >>> 2]!;
    const bit = 1 << (channel & 3);
    if ((controller.command & Command.mask.disable) !== 0) return false;
    // Software requests are not maskable.
    const wanted = (controller.request & bit) !== 0 || (this.#requests & (1 << channel) && !(controller.mask & bit));
    if (!wanted || Mode(controller.channels[channel & 3]!.mode).mode === CASCADE) return false;
    return channel > CASCADE_CHANNEL || this.#cascades;
  }

  /** Channel 4 passes the first controller's requests on. */
  get #cascades(): boolean {
    const second = this.state.controllers[1];
    return (
      (second.command & Command.mask.disable) === 0 &&
      (second.mask & 1) === 0 &&
      Mode(second.channels[0]!.mode).mode === CASCADE
    );
  }

  /** Moves one piece; returns whether anything was moved. */
  #run(number: number): boolean {
    const controller = this.state.controllers[number >>> 2]!;
    const channel = controller.channels[number & 3]!;
    const width = number > CASCADE_CHANNEL ? 2 : 1;
    const { transfer } = Mode(channel.mode);
    const length = Math.min(channel.count + 1, PIECE);
    const bytes = this.#buffer.subarray(0, length * width);
    const direction = transfer === Transfer.write ? "to-memory" : transfer === Transfer.read ? "from-memory" : "verify";
    if (direction === "from-memory") this.#load(number, channel, width, bytes);
    else bytes.fill(FLOATING_BYTE);
    const terminalCount = length === channel.count + 1;
    const device = this.#devices[number];
    const moved = device ? device.acknowledge({ direction, bytes, terminalCount }) : bytes.length;
    const transfers = Math.min(Math.floor(moved / width), length);
    if (!(transfers > 0)) {
      // What software asked of a device that has nothing would otherwise stand for ever.
      controller.request &= ~(1 << (number & 3));
      return false;
    }
    if (direction === "to-memory") this.#store(number, channel, width, bytes.subarray(0, transfers * width));
    const step = Mode(channel.mode).decrement ? -transfers : transfers;
    channel.address = (channel.address + step) & 0xffff;
    channel.count = (channel.count - transfers) & 0xffff;
    if (terminalCount && transfers === length) this.#terminal(controller, number & 3);
    return true;
  }

  #terminal(controller: ControllerState, index: number): void {
    const channel = controller.channels[index]!;
    controller.terminal |= 1 << index;
    controller.request &= ~(1 << index);
    if (Mode(channel.mode).autoInit) {
      channel.address = channel.baseAddress;
      channel.count = channel.baseCount;
    } else {
      controller.mask |= 1 << index;
    }
  }

  #load(number: number, channel: ChannelState, width: 1 | 2, bytes: Uint8Array): void {
    for (const { at, address, length } of this.#ranges(number, channel, width, bytes.length)) {
      const view = this.#memory.view(guestPhysical(address), length, "read");
      if (view) bytes.set(view, at);
      else bytes.fill(FLOATING_BYTE, at, at + length);
    }
  }

  #store(number: number, channel: ChannelState, width: 1 | 2, bytes: Uint8Array): void {
    for (const { at, address, length } of this.#ranges(number, channel, width, bytes.length)) {
      this.#memory.view(guestPhysical(address), length, "write")?.set(bytes.subarray(at, at + length));
    }
  }

  /**
   * Where `total` bytes from the channel's address on lie. The address counts within a page of 64 Ki transfers, and a
   * range lies within 4 KiB of memory, as what is RAM may change from one page to the next.
   */
  *#ranges(
    number: number,
    { address: first, mode }: ChannelState,
    width: 1 | 2,
    total: number,
  ): Iterable<{ at: number; address: number; length: number }> {
    const { decrement } = Mode(mode);
    const page = (this.state.pages[PAGE_OF_CHANNEL[number]!] ?? 0) & (width === 2 ? 0xfe : 0xff);
    let low = first;
    for (let at = 0; at < total; ) {
      const address = page * 0x1_0000 + low * width;
      const left = total - at;
      const length = decrement ? width : Math.min(left, (0x1_0000 - low) * width, PIECE - (address % PIECE));
      yield { at, address, length };
      at += length;
      low = (low + (decrement ? -1 : length / width)) & 0xffff;
    }
  }
}

const isPage = (port: number): boolean => port >= DMA_PAGE_PORT && port < DMA_PAGE_PORT + 16;
