/** Modes of the DISPI registers: pixels of 8 to 32 bits in rows, or four planes. */
import { Dispi, type DispiState, dispiPitch } from "./dispi.ts";
import { PLANAR_WORDS } from "./graphics-mode.ts";
import type { Picture } from "./picture.ts";

abstract class DispiPicture implements Picture {
  readonly width: number;
  readonly height: number;
  abstract readonly wordsPerLine: number;
  abstract readonly look: string;
  abstract readonly colours: 0 | 16 | 256;
  abstract readonly pixelsPerWord: number;
  abstract readonly lead: number;
  protected readonly memory: Int32Array;
  protected readonly xOffset: number;
  protected readonly yOffset: number;
  protected readonly pitch: number;

  constructor(dispi: DispiState, memory: Int32Array) {
    const { registers } = dispi;
    this.width = registers[Dispi.xres]!;
    this.height = registers[Dispi.yres]!;
    this.xOffset = registers[Dispi.xOffset]!;
    this.yOffset = registers[Dispi.yOffset]!;
    this.pitch = dispiPitch(dispi);
    this.memory = memory;
  }

  /** Index of a line's first word in video memory. */
  protected abstract firstWord(line: number): number;
  abstract paint(cache: Int32Array, at: number, colours: Uint32Array, pixels: Uint32Array, to: number): void;

  scan(line: number, cache: Int32Array, at: number): number {
    const from = this.firstWord(line);
    const count = Math.min(this.wordsPerLine, this.memory.length - from);
    const { memory } = this;
    let first = this.#equalPairs(cache, at, from, count) * 2;
    while (first < count && cache[at + first] === memory[from + first]) first++;
    if (first === count) return -1;
    let last = count - 1;
    while (cache[at + last] === memory[from + last]) last--;
    cache.set(memory.subarray(from + first, from + last + 1), at + first);
    return last * 0x10000 + first;
  }

  /** Pairs of words at the start of a line that are as they were: most lines are the same from end to end. */
  #equalPairs(cache: Int32Array, at: number, from: number, count: number): number {
    if ((at | from) & 1) return 0;
    const pairs = count >> 1;
    const seen = new BigInt64Array(cache.buffer, cache.byteOffset + at * 4, pairs);
    const shown = new BigInt64Array(this.memory.buffer, this.memory.byteOffset + from * 4, pairs);
    let equal = 0;
    while (equal < pairs && seen[equal] === shown[equal]) equal++;
    return equal;
  }
}

/** 4 bits a pixel. */
export class PlanarLinearPicture extends DispiPicture {
  readonly wordsPerLine: number;
  readonly look: string;
  readonly colours = 16;
  readonly pixelsPerWord = 8;
  readonly lead: number;
  readonly #dots: Uint32Array;

  constructor(dispi: DispiState, memory: Int32Array) {
    super(dispi, memory);
    this.wordsPerLine = this.width / 8 + 1;
    this.lead = this.xOffset & 7;
    this.look = `planar ${this.width}x${this.height}+${this.lead}`;
    this.#dots = new Uint32Array(this.wordsPerLine * 8);
  }

  protected firstWord(line: number): number {
    return (this.yOffset + line) * this.pitch + (this.xOffset >> 3);
  }

  paint(cache: Int32Array, at: number, colours: Uint32Array, pixels: Uint32Array, to: number): void {
    PLANAR_WORDS.paint(cache, at, this.wordsPerLine, 0, colours, this.#dots);
    pixels.set(this.#dots.subarray(this.lead, this.lead + this.width), to);
  }
}

/** 8 bits a pixel, through the palette, to 32. */
export class LinearPicture extends DispiPicture {
  readonly wordsPerLine: number;
  readonly look: string;
  readonly colours: 0 | 256;
  readonly pixelsPerWord: number;
  readonly lead: number;
  readonly #bpp: number;
  /** Of the first pixel in a line's first word. */
  readonly #skew: number;

  constructor(dispi: DispiState, memory: Int32Array) {
    super(dispi, memory);
    this.#bpp = dispi.registers[Dispi.bpp]!;
    const bytes = Math.ceil(this.#bpp / 8);
    this.#skew = (this.xOffset * bytes) & 3;
    // An even number, so that lines begin where pairs of words do.
    this.wordsPerLine = Math.ceil((this.#skew + this.width * bytes) / 8) * 2;
    this.colours = this.#bpp === 8 ? 256 : 0;
    this.pixelsPerWord = 4 / bytes;
    this.lead = this.#skew / bytes;
    this.look = `linear ${this.width}x${this.height}x${this.#bpp}+${this.#skew}`;
  }

  protected firstWord(line: number): number {
    return ((this.yOffset + line) * this.pitch + this.xOffset * Math.ceil(this.#bpp / 8)) >>> 2;
  }

  paint(cache: Int32Array, at: number, colours: Uint32Array, pixels: Uint32Array, to: number): void {
    const { width } = this;
    const start = at * 4 + this.#skew;
    switch (this.#bpp) {
      case 8: {
        const bytes = new Uint8Array(cache.buffer, cache.byteOffset + start, width);
        for (let x = 0; x < width; x++) pixels[to + x] = colours[bytes[x]!]!;
        break;
      }
      case 15: {
        const words = new Uint16Array(cache.buffer, cache.byteOffset + start, width);
        for (let x = 0; x < width; x++) {
          const pixel = words[x]!;
          pixels[to + x] = (five(pixel >> 10) << 16) | (five(pixel >> 5) << 8) | five(pixel);
        }
        break;
      }
      case 16: {
        const words = new Uint16Array(cache.buffer, cache.byteOffset + start, width);
        for (let x = 0; x < width; x++) {
          const pixel = words[x]!;
          const six = (pixel >> 5) & 0x3f;
          pixels[to + x] = (five(pixel >> 11) << 16) | (((six << 2) | (six >> 4)) << 8) | five(pixel);
        }
        break;
      }
      case 24: {
        const bytes = new Uint8Array(cache.buffer, cache.byteOffset + start, width * 3);
        for (let x = 0; x < width; x++) {
          pixels[to + x] = bytes[x * 3]! | (bytes[x * 3 + 1]! << 8) | (bytes[x * 3 + 2]! << 16);
        }
        break;
      }
      default:
        for (let x = 0; x < width; x++) pixels[to + x] = cache[at + x]! & 0xffffff;
    }
  }
}

/** 5 bits to 8, so that all ones stay all ones. */
function five(value: number): number {
  const bits = value & 0x1f;
  return (bits << 3) | (bits >> 2);
}
