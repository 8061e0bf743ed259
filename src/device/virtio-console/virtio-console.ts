/**
 * Virtio console with one port. Source: OASIS virtio 1.2, §5.3 "Console Device".
 *
 * Not modelled: VIRTIO_CONSOLE_F_MULTIPORT. Of one transmit request, bytes beyond `MAX_TRANSMIT` are
 * dropped; Linux sends at most 32 KiB at a time.
 */
import { struct, u16, u32 } from "../../bits/struct.ts";
import type { ByteSink, GuestMemory } from "../../machine/device.ts";
import { VirtioDevice, type VirtioEvents } from "../virtio/virtio-device.ts";

export interface VirtioConsoleState {
  /** Bytes that the guest has not taken yet, a ring buffer. */
  input: Uint8Array;
  inputStart: number;
  inputLength: number;
  columns: number;
  rows: number;
}

export interface VirtioConsoleWiring {
  memory: GuestMemory;
  output: ByteSink;
  /** Called when the guest took input, with the number of bytes that `receive` accepts again. */
  inputTaken?: (space: number) => void;
  /** Characters; 80 by 25 when absent. */
  columns?: number;
  rows?: number;
  events?: VirtioEvents;
}

/** Bytes of input held for a guest that does not read. */
export const INPUT_CAPACITY = 4096;
/** Bytes taken of one transmit request. */
export const MAX_TRANSMIT = 64 * 1024;

const FEATURE_SIZE = 0;
const FEATURE_EMERG_WRITE = 2;
const RECEIVEQ = 0;
const TRANSMITQ = 1;

/** Device configuration (§5.3.4). */
const Config = struct("LE", { cols: u16, rows: u16, maxNrPorts: u32, emergWr: u32 });

export class VirtioConsole extends VirtioDevice<VirtioConsoleState> {
  readonly #output: ByteSink;
  readonly #inputTaken: ((space: number) => void) | undefined;

  constructor({ memory, output, inputTaken, columns = 80, rows = 25, events }: VirtioConsoleWiring) {
    const type = {
      deviceId: 3,
      features: [FEATURE_SIZE, FEATURE_EMERG_WRITE],
      queueSizes: [64, 64],
      configLength: Config.size,
      initial: { input: new Uint8Array(INPUT_CAPACITY), inputStart: 0, inputLength: 0, columns, rows },
    };
    super(memory, type, events);
    this.#output = output;
    this.#inputTaken = inputTaken;
  }

  /** Bytes that `receive` accepts now. */
  get inputSpace(): number {
    return INPUT_CAPACITY - this.state.device.inputLength;
  }

  /** Input for the guest; returns how many bytes were accepted, from the first on. */
  receive(bytes: Uint8Array): number {
    const own = this.state.device;
    const accepted = Math.min(bytes.length, this.inputSpace);
    for (let i = 0; i < accepted; i++) {
      own.input[(own.inputStart + own.inputLength + i) % INPUT_CAPACITY] = bytes[i]!;
    }
    own.inputLength += accepted;
    this.notified(RECEIVEQ);
    return accepted;
  }

  /** The size of the host's terminal changed, in characters. */
  resize(columns: number, rows: number): void {
    const own = this.state.device;
    if (own.columns === columns && own.rows === rows) return;
    own.columns = columns;
    own.rows = rows;
    this.configChanged();
  }

  protected override config(): Uint8Array {
    const { columns, rows } = this.state.device;
    return Config.make({ cols: columns, rows, maxNrPorts: 1 });
  }

  /** Emergency write works in every device state (§5.3.4). */
  override writeConfig(offset: number, _size: number, value: number): void {
    if (offset === Config.offset.emergWr) this.#output.write(Uint8Array.of(value & 0xff));
  }

  protected override serviceQueue(index: number): void {
    if (index === RECEIVEQ) this.#deliver();
    else this.#transmit();
  }

  /** Unread input belongs to the driver that was reset. */
  protected override resetDevice(): void {
    const own = this.state.device;
    own.inputStart = 0;
    own.inputLength = 0;
    this.#inputTaken?.(INPUT_CAPACITY);
  }

  protected override restoredDevice(): void {
    const own = this.state.device;
    if (own.inputLength < INPUT_CAPACITY) this.#inputTaken?.(this.inputSpace);
  }

  #deliver(): void {
    const own = this.state.device;
    const queue = this.queues[RECEIVEQ]!;
    const before = own.inputLength;
    while (own.inputLength > 0) {
      const chain = queue.pop();
      if (chain === undefined) break;
      if (chain.writableLength === 0) {
        this.fail("a console receive buffer that is not device-writable");
        return;
      }
      let written = 0;
      while (own.inputLength > 0 && written < chain.writableLength) {
        const run = Math.min(own.inputLength, INPUT_CAPACITY - own.inputStart, chain.writableLength - written);
        const stored = chain.write(written, own.input.subarray(own.inputStart, own.inputStart + run));
        if (stored === 0) break;
        written += stored;
        own.inputStart = (own.inputStart + stored) % INPUT_CAPACITY;
        own.inputLength -= stored;
      }
      queue.push(chain.head, written);
    }
    this.notifyUsed(RECEIVEQ);
    if (own.inputLength < before) this.#inputTaken?.(this.inputSpace);
  }

  #transmit(): void {
    const queue = this.queues[TRANSMITQ]!;
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      // A sink may keep the bytes, and those in RAM change: it gets a copy.
      for (const view of chain.readableViews(0, MAX_TRANSMIT)) this.#output.write(view.slice());
      queue.push(chain.head, 0);
    }
    this.notifyUsed(TRANSMITQ);
  }
}
