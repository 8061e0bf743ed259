/**
 * A parallel NOR flash with Intel's command set, eight bits wide: where UEFI firmware keeps its variables. While it gives
 * its array it is ROM, read in place; commands make it answer reads itself until it is told to give its array again.
 *
 * @spec Intel StrataFlash 28F128J3 datasheet (290667), "Commands"; JEDEC JESD68.01 (query)
 *
 * Unlike the chip, and as UEFI firmware for virtual machines expects of it: the status register is 0 once it was cleared,
 * its ready bit included, and blocks are of 4 KiB. Not modelled: the times that programming and erasing take, suspending
 * them, locks of blocks (commands are taken, and lock nothing), the protection register.
 */
import { bits } from "../../bits/fields.ts";
import type { AccessSize, Device, MemoryDevice, PhysicalMemory } from "../../machine/device.ts";
import { BLOCK, IDENTIFIERS, queryTable, WRITE_BUFFER } from "./cfi.ts";

export const Command = {
  readArray: 0xff,
  program: 0x40,
  programAlternate: 0x10,
  erase: 0x20,
  confirm: 0xd0,
  clearStatus: 0x50,
  lock: 0x60,
  readStatus: 0x70,
  readIdentifiers: 0x90,
  query: 0x98,
  writeBuffer: 0xe8,
} as const;

export const Status = bits({ programError: 4, eraseError: 5, ready: 7 });
const ERASED = 0xff;

/** What reads give, and what the next write is. */
export type FlashMode = "array" | "status" | "identifiers" | "query";
export type FlashStep = "command" | "program" | "erase" | "lock" | "buffer count" | "buffer data" | "buffer confirm";

export interface PflashState {
  mode: FlashMode;
  step: FlashStep;
  /** Register SR. */
  status: number;
  /** A buffered write: the aligned bytes, those given (1), where they belong, and how many writes are to come. */
  buffer: Uint8Array;
  given: Uint8Array;
  bufferAt: number;
  left: number;
}

export interface PflashConfig {
  /** Physical address and bytes: multiples of 4 KiB. */
  readonly address: number;
  readonly length: number;
}

export interface PflashWiring {
  /** The array is the storage of the flash's addresses there. */
  readonly memory: PhysicalMemory;
  /** Told of bytes of the array that have changed. */
  changed(offset: number, length: number): void;
  /** Told when the flash gives its array again: what has changed until now belongs together. */
  settled(): void;
}

const powerOn = (): PflashState => ({
  mode: "array",
  step: "command",
  status: 0,
  buffer: new Uint8Array(WRITE_BUFFER),
  given: new Uint8Array(WRITE_BUFFER),
  bufferAt: 0,
  left: 0,
});

/** Mapped at its address: all writes come here, and reads while it does not give its array. */
export class Pflash implements Device<PflashState>, MemoryDevice {
  readonly state: PflashState = powerOn();
  readonly #config: PflashConfig;
  readonly #wiring: PflashWiring;
  readonly #query: Uint8Array;
  #isArray: boolean | undefined;

  constructor(config: PflashConfig, wiring: PflashWiring) {
    this.#config = config;
    this.#wiring = wiring;
    this.#query = queryTable(config.length);
  }

  /** The array keeps what it holds. */
  reset(): void {
    Object.assign(this.state, powerOn());
    this.#show();
  }

  restored(): void {
    this.#isArray = undefined;
    this.#show();
  }

  readMemory(offset: number, size: AccessSize): number {
    switch (this.state.mode) {
      case "array":
        return this.#array(offset, size, "read").reduceRight((value, byte) => value * 256 + byte, 0);
      case "status":
        return this.state.status;
      case "identifiers":
        return IDENTIFIERS[offset % BLOCK] ?? 0;
      case "query":
        return this.#query[offset % BLOCK] ?? 0;
    }
  }

  writeMemory(offset: number, size: AccessSize, value: number): void {
    const { state } = this;
    switch (state.step) {
      case "command":
        this.#command(value & 0xff);
        break;
      case "program":
        this.#program(offset, littleEndian(value, size));
        state.step = "command";
        break;
      case "erase":
        this.#erase(offset, value & 0xff);
        break;
      case "lock":
        state.status |= Status.mask.ready;
        state.step = "command";
        break;
      case "buffer count":
        this.#beginBuffer(offset, value & 0xff);
        break;
      case "buffer data":
        this.#fillBuffer(offset, littleEndian(value, size));
        break;
      case "buffer confirm":
        this.#writeBuffer(value & 0xff);
        break;
    }
    this.#show();
  }

  #command(command: number): void {
    const { state } = this;
    state.mode = "status";
    switch (command) {
      case Command.program:
      case Command.programAlternate:
        state.step = "program";
        break;
      case Command.erase:
        state.step = "erase";
        break;
      case Command.lock:
        state.step = "lock";
        break;
      case Command.writeBuffer:
        state.step = "buffer count";
        state.status |= Status.mask.ready;
        break;
      case Command.readStatus:
        break;
      case Command.readIdentifiers:
        state.mode = "identifiers";
        break;
      case Command.query:
        state.mode = "query";
        break;
      case Command.clearStatus:
        state.status = 0;
        state.mode = "array";
        break;
      default:
        state.mode = "array";
    }
  }

  /** Programming makes ones zeros, and never zeros ones. */
  #program(offset: number, bytes: Uint8Array): void {
    const length = Math.min(bytes.length, this.#config.length - offset);
    const target = this.#array(offset, length, "write");
    for (let i = 0; i < length; i++) target[i] = (target[i] as number) & (bytes[i] as number);
    this.#wiring.changed(offset, length);
    this.state.status |= Status.mask.ready;
  }

  #erase(offset: number, confirmation: number): void {
    const { state } = this;
    state.step = "command";
    state.status |= Status.mask.ready;
    if (confirmation !== Command.confirm) {
      state.status |= Status.mask.eraseError | Status.mask.programError;
      return;
    }
    const block = offset - (offset % BLOCK);
    this.#array(block, BLOCK, "write").fill(ERASED);
    this.#wiring.changed(block, BLOCK);
  }

  #beginBuffer(offset: number, count: number): void {
    const { state } = this;
    if (count >= WRITE_BUFFER) {
      this.#refuseBuffer();
      return;
    }
    state.bufferAt = offset - (offset % WRITE_BUFFER);
    state.given.fill(0);
    state.left = count + 1;
    state.step = "buffer data";
  }

  #fillBuffer(offset: number, bytes: Uint8Array): void {
    const { state } = this;
    const at = offset - state.bufferAt;
    if (at < 0 || at + bytes.length > WRITE_BUFFER) {
      this.#refuseBuffer();
      return;
    }
    state.buffer.set(bytes, at);
    state.given.fill(1, at, at + bytes.length);
    state.left = Math.max(state.left - bytes.length, 0);
    if (state.left === 0) state.step = "buffer confirm";
  }

  #writeBuffer(confirmation: number): void {
    const { state } = this;
    if (confirmation !== Command.confirm) {
      this.#refuseBuffer();
      return;
    }
    const bytes = state.buffer.map((byte, i) => (state.given[i] ? byte : ERASED));
    this.#program(state.bufferAt, bytes);
    state.step = "command";
  }

  #refuseBuffer(): void {
    this.state.status |= Status.mask.ready | Status.mask.eraseError | Status.mask.programError;
    this.state.step = "command";
  }

  #array(offset: number, length: number, access: "read" | "write"): Uint8Array {
    return this.#wiring.memory.storage(this.#config.address + offset, length, access);
  }

  /** Has the array read in place, or reads come here. */
  #show(): void {
    const isArray = this.state.mode === "array";
    if (isArray === this.#isArray) return;
    this.#isArray = isArray;
    const { address, length } = this.#config;
    this.#wiring.memory.setKind(address, length, isArray ? "rom" : "device");
    if (isArray) this.#wiring.settled();
  }
}

function littleEndian(value: number, size: AccessSize): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => Math.floor(value / 2 ** (8 * i)) & 0xff);
}
