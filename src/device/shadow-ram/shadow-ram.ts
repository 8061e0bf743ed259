/**
 * The memory behind C0000h to FFFFFh on a board with a system ROM: the ROM (through the south bridge, which repeats the
 * last 128 KiB of it below 1 MiB) or RAM, for reads and for writes apart, as the host bridge's PAM registers say.
 *
 * What reads see is what lies in the guest's memory; the RAM of an area that shows the ROM is kept in `state`.
 *
 * @spec Intel 82441FX (PMC) datasheet (290549), §3.2.18 "PAM"; 82371AB (PIIX4) datasheet (290562), §4.1.8 "XBCS"
 *
 * Not modelled: XBCS, which turns off parts of the ROM; writing ROM below 1 MiB (such writes are dropped).
 */
import type { AccessSize, Device, MemoryDevice, PhysicalMemory } from "../../machine/device.ts";

export const SHADOW_START = 0xc_0000;
export const SHADOW_LENGTH = 0x4_0000;
/** The smallest area that a PAM register switches. */
const PIECE = 0x4000;
const PIECES = SHADOW_LENGTH / PIECE;
/** How much of the ROM shows up to 1 MiB. */
const ROM_SHOWN = 0x2_0000;
/** What no chip answers reads as. */
const FLOATING = 0xff;

/** Where reads and writes of a range go: to RAM, or (false) to the ROM. */
export interface ShadowSwitch {
  readonly start: number;
  readonly length: number;
  readonly readRam: boolean;
  readonly writeRam: boolean;
}

export interface ShadowRamState {
  /** RAM of the pieces that show the ROM. */
  hidden: Uint8Array;
  /** For each piece of 16 KiB, whether RAM shows. */
  showsRam: boolean[];
  writesRam: boolean[];
}

export interface ShadowRamWiring {
  readonly memory: PhysicalMemory;
  /** The system ROM. */
  readonly rom: Uint8Array;
}

/** Mapped at SHADOW_START: writes come here where they do not go to RAM in place. */
export class ShadowRam implements Device<ShadowRamState>, MemoryDevice {
  readonly state: ShadowRamState = {
    hidden: new Uint8Array(SHADOW_LENGTH),
    showsRam: Array(PIECES).fill(true),
    writesRam: Array(PIECES).fill(true),
  };
  readonly #memory: PhysicalMemory;
  /** What is there where no RAM shows. */
  readonly #rom: Uint8Array;

  constructor({ memory, rom }: ShadowRamWiring) {
    this.#memory = memory;
    this.#rom = new Uint8Array(SHADOW_LENGTH).fill(FLOATING);
    const shown = rom.subarray(-ROM_SHOWN);
    this.#rom.set(shown, SHADOW_LENGTH - shown.length);
  }

  /** RAM keeps what it holds; the host bridge says what shows. */
  reset(): void {}

  /** The host bridge's registers have changed. */
  switch({ start, length, readRam, writeRam }: ShadowSwitch): void {
    for (let piece = 0; piece < PIECES; piece++) {
      const at = SHADOW_START + piece * PIECE;
      if (at < start || at >= start + length) continue;
      this.state.writesRam[piece] = writeRam;
      if (this.state.showsRam[piece] !== readRam) this.#show(piece, readRam);
    }
    this.#memory.setKind(start, length, readRam && writeRam ? "ram" : "rom");
  }

  #show(piece: number, ram: boolean): void {
    const { hidden, showsRam } = this.state;
    const [from, to] = [piece * PIECE, (piece + 1) * PIECE];
    const storage = this.#memory.storage(SHADOW_START + from, PIECE, "write");
    if (ram) storage.set(hidden.subarray(from, to));
    else {
      hidden.set(storage, from);
      storage.set(this.#rom.subarray(from, to));
    }
    showsRam[piece] = ram;
  }

  readMemory(offset: number, size: AccessSize): number {
    let value = 0;
    const bytes = this.#memory.storage(SHADOW_START + offset, size);
    for (let i = 0; i < size; i++) value += (bytes[i] as number) * 2 ** (8 * i);
    return value;
  }

  writeMemory(offset: number, size: AccessSize, value: number): void {
    const piece = Math.floor(offset / PIECE);
    if (!this.state.writesRam[piece]) return;
    const target = this.state.showsRam[piece]
      ? this.#memory.storage(SHADOW_START + offset, size, "write")
      : this.state.hidden.subarray(offset, offset + size);
    for (let i = 0; i < size; i++) target[i] = Math.floor(value / 2 ** (8 * i)) & 0xff;
  }
}
