/**
 * Video memory as the processor sees it at A0000h: four planes behind the graphics controller's latches and logic,
 * or a row of bytes.
 *
 * Plane p of address a is byte 4a + p of video memory, so that an address's four bytes are one word, which the logic
 * works on at once. Where the DISPI registers have a mode on, chain-4 is linear: byte a of the window is byte a of
 * video memory, as in BAR 0. Without, it is as in IBM's VGA, which uses every fourth address of a plane.
 *
 * @spec IBM PS/2 Hardware Interface Technical Reference, Video Subsystem, "Graphics Controller Registers",
 * "Video Memory Organization"
 *
 * Not modelled: the page bit of odd/even mode (it is taken as clear, as all modes have it).
 */
import type { AccessSize, MemoryDevice } from "../../machine/device.ts";
import { Dispi, dispiEnabled } from "./dispi.ts";
import { Graphics, GraphicsMiscellaneous, GraphicsMode, MemoryMode, Miscellaneous, Sequencer } from "./registers.ts";
import type { VgaState } from "./state.ts";

/** The windows of memory map select: start from A0000h and length. */
const WINDOWS = [
  [0x00000, 0x20000],
  [0x00000, 0x10000],
  [0x10000, 0x08000],
  [0x18000, 0x08000],
] as const;
/** The window that a linear mode has. */
const BANKED = 1;
const BANK = 0x10000;
const ALL_PLANES = 0xf;
/** Of addresses within a plane. */
const PLANE_MASK = 0xffff;
const FLOATING = 0xff;

/** For each set of planes, a word with all bits of their bytes set. */
const PLANES = Uint32Array.from({ length: 16 }, (_, set) => {
  let word = 0;
  for (let plane = 0; plane < 4; plane++) if (set & (1 << plane)) word |= 0xff << (plane * 8);
  return word >>> 0;
});

/** How a window address is laid onto planes. */
type Layout = "planar" | "odd-even" | "chain-4" | "linear";

export class PlanarMemory implements MemoryDevice {
  readonly #state: VgaState;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  #start = 0;
  #length = 0;
  #layout: Layout = "planar";
  #readOddEven = false;
  /** Added to the offset in the window. */
  #bank = 0;
  /** Addresses wrap here; beyond a VGA's 64 Ki only in a mode of the DISPI registers. */
  #mask = PLANE_MASK;
  #mapMask = 0;
  /** Writes put the processor's byte into each plane of the map mask as it is. */
  #plain = false;
  /** Two bytes at an even address are those of two planes at one address, as in text modes: written, and read. */
  #writePairs = false;
  #readPairs = false;

  /** `videoMemory` begins on a word of its buffer and has a power of two of bytes. */
  constructor(state: VgaState, videoMemory: Uint8Array) {
    this.#state = state;
    this.#bytes = videoMemory;
    this.#words = new Int32Array(videoMemory.buffer, videoMemory.byteOffset, videoMemory.length / 4);
    this.update();
  }

  /** To be called after a register has changed that says how memory is seen. */
  update(): void {
    const { graphics, sequencer, miscellaneous, dispi } = this.#state;
    const { memoryMap, chainOddEven } = GraphicsMiscellaneous(graphics[Graphics.miscellaneous]!);
    const { chain4, sequential } = MemoryMode(sequencer[Sequencer.memoryMode]!);
    const mode = GraphicsMode(graphics[Graphics.mode]!);
    const extended = dispiEnabled(dispi);
    // Systems leave the VGA's registers as they like in a linear mode, and take the window for granted.
    const linear = extended && dispi.registers[Dispi.bpp] !== 4;
    const [start, length] = WINDOWS[linear ? BANKED : memoryMap]!;
    this.#start = start;
    this.#length = Miscellaneous(miscellaneous).enableRam ? length : 0;
    this.#layout = linear ? "linear" : chain4 ? "chain-4" : sequential ? "planar" : "odd-even";
    this.#readOddEven = mode.oddEven && chainOddEven;
    const pairs = this.#layout === "odd-even" && chainOddEven;
    this.#readPairs = pairs && mode.oddEven && !mode.readCompare;
    this.#bank = extended && length === BANK ? dispi.registers[Dispi.bank]! * BANK : 0;
    this.#mask = extended ? this.#words.length - 1 : PLANE_MASK;
    this.#mapMask = linear ? ALL_PLANES : sequencer[Sequencer.mapMask]!;
    this.#plain =
      linear ||
      (mode.writeMode === 0 &&
        graphics[Graphics.enableSetReset] === 0 &&
        graphics[Graphics.dataRotate] === 0 &&
        graphics[Graphics.bitMask] === 0xff);
    this.#writePairs = pairs && this.#plain;
  }

  readMemory(offset: number, size: AccessSize): number {
    if (this.#readPairs && size !== 1 && this.#within(offset, size)) {
      const low = this.#readPair(offset - this.#start);
      return size === 2 ? low : (low | (this.#readPair(offset - this.#start + 2) << 16)) >>> 0;
    }
    let value = this.#readByte(offset);
    if (size === 1) return value;
    value |= this.#readByte(offset + 1) << 8;
    if (size === 2) return value;
    value |= this.#readByte(offset + 2) << 16;
    return (value | (this.#readByte(offset + 3) << 24)) >>> 0;
  }

  writeMemory(offset: number, size: AccessSize, value: number): void {
    if (this.#writePairs && size !== 1 && this.#within(offset, size)) {
      this.#writePair(offset - this.#start, value & 0xffff);
      if (size === 4) this.#writePair(offset - this.#start + 2, value >>> 16);
      return;
    }
    if (size === 4 && this.#plain && this.#mapMask === ALL_PLANES && this.#writeWord(offset - this.#start, value))
      return;
    this.#writeByte(offset, value & 0xff);
    if (size === 1) return;
    this.#writeByte(offset + 1, (value >> 8) & 0xff);
    if (size === 2) return;
    this.#writeByte(offset + 2, (value >> 16) & 0xff);
    this.#writeByte(offset + 3, value >>> 24);
  }

  /** Whether an access, which is at a multiple of its size, is in the window. */
  #within(offset: number, size: AccessSize): boolean {
    return offset >= this.#start && offset + size <= this.#start + this.#length && (offset & 1) === 0;
  }

  #readPair(at: number): number {
    const word = this.#words[(at + this.#bank) & this.#mask & ~1]!;
    this.#state.latch = word;
    return (this.#state.graphics[Graphics.readMapSelect]! & 2 ? word >>> 16 : word) & 0xffff;
  }

  #writePair(at: number, value: number): void {
    const address = (at + this.#bank) & this.#mask & ~1;
    const mask = PLANES[this.#mapMask]!;
    this.#words[address] = (this.#words[address]! & ~mask) | ((value | (value << 16)) & mask);
  }

  /** Four pixels of a byte each, which are the four planes' bytes of one address. */
  #writeWord(offset: number, value: number): boolean {
    if (offset < 0 || offset >= this.#length) return false;
    if (this.#layout === "chain-4") this.#words[offset & PLANE_MASK & ~3] = value;
    else if (this.#layout === "linear") this.#words[((this.#bank + offset) & (this.#bytes.length - 1)) >>> 2] = value;
    else return false;
    return true;
  }

  #readByte(offset: number): number {
    const at = offset - this.#start;
    if (at < 0 || at >= this.#length) return FLOATING;
    const { graphics } = this.#state;
    let address = (at + this.#bank) & this.#mask;
    let plane = graphics[Graphics.readMapSelect]!;
    switch (this.#layout) {
      case "linear": {
        const byte = (at + this.#bank) & (this.#bytes.length - 1);
        this.#state.latch = this.#words[byte >>> 2]!;
        return this.#bytes[byte]!;
      }
      case "chain-4":
        plane = at & 3;
        address = at & PLANE_MASK & ~3;
        break;
      default:
        if (!this.#readOddEven) break;
        plane = (plane & 2) | (at & 1);
        address &= ~1;
    }
    const latch = this.#words[address]!;
    this.#state.latch = latch;
    if (graphics[Graphics.mode]! & GraphicsMode.mask.readCompare) return this.#compare(latch);
    return (latch >>> (plane * 8)) & 0xff;
  }

  /** Read mode 1: the pixels whose planes, as far as they matter, are the colour to compare with. */
  #compare(latch: number): number {
    const { graphics } = this.#state;
    let differ = (latch ^ PLANES[graphics[Graphics.colourCompare]!]!) & PLANES[graphics[Graphics.colourDontCare]!]!;
    differ |= differ >>> 16;
    differ |= differ >>> 8;
    return ~differ & 0xff;
  }

  #writeByte(offset: number, value: number): void {
    const at = offset - this.#start;
    if (at < 0 || at >= this.#length) return;
    let planes = this.#mapMask;
    let address = (at + this.#bank) & this.#mask;
    switch (this.#layout) {
      case "linear": {
        const byte = (at + this.#bank) & (this.#bytes.length - 1);
        planes &= 1 << (byte & 3);
        address = byte >>> 2;
        break;
      }
      case "chain-4":
        planes &= 1 << (at & 3);
        address = at & PLANE_MASK & ~3;
        break;
      case "odd-even":
        planes &= at & 1 ? 0b1010 : 0b0101;
        if (this.#state.graphics[Graphics.miscellaneous]! & GraphicsMiscellaneous.mask.chainOddEven) address &= ~1;
        break;
    }
    const mask = PLANES[planes]!;
    const data = this.#plain ? value * 0x01010101 : this.#data(value);
    this.#words[address] = (this.#words[address]! & ~mask) | (data & mask);
  }

  /** What the graphics controller makes of the processor's byte, for all four planes. */
  #data(value: number): number {
    const { graphics, latch } = this.#state;
    const rotate = graphics[Graphics.dataRotate]!;
    const count = rotate & 7;
    const rotated = ((value >> count) | (value << (8 - count))) & 0xff;
    let mask = graphics[Graphics.bitMask]!;
    let data: number;
    switch (graphics[Graphics.mode]! & 3) {
      case 0: {
        const set = PLANES[graphics[Graphics.enableSetReset]!]!;
        data = ((rotated * 0x01010101) & ~set) | (PLANES[graphics[Graphics.setReset]!]! & set);
        break;
      }
      case 1:
        return latch;
      case 2:
        data = PLANES[value & 0xf]!;
        break;
      default:
        data = PLANES[graphics[Graphics.setReset]!]!;
        mask &= rotated;
    }
    switch (rotate >> 3) {
      case 1:
        data &= latch;
        break;
      case 2:
        data |= latch;
        break;
      case 3:
        data ^= latch;
        break;
    }
    const bits = mask * 0x01010101;
    return (data & bits) | (latch & ~bits);
  }
}

/** Video memory in BAR 0, for where the processor does not find it by itself. */
export class LinearMemory implements MemoryDevice {
  readonly #view: DataView;

  constructor(videoMemory: Uint8Array) {
    this.#view = new DataView(videoMemory.buffer, videoMemory.byteOffset, videoMemory.length);
  }

  readMemory(offset: number, size: AccessSize): number {
    if (size === 4) return this.#view.getUint32(offset, true);
    return size === 2 ? this.#view.getUint16(offset, true) : this.#view.getUint8(offset);
  }

  writeMemory(offset: number, size: AccessSize, value: number): void {
    if (size === 4) this.#view.setUint32(offset, value, true);
    else if (size === 2) this.#view.setUint16(offset, value, true);
    else this.#view.setUint8(offset, value);
  }
}
