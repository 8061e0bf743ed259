/**
 * How a viewer wants its pixels.
 *
 * @spec RFC 6143 §7.4
 */
import type { ByteWriter } from "./byte-writer.ts";

export interface PixelFormat {
  readonly bitsPerPixel: 8 | 16 | 32;
  readonly depth: number;
  readonly bigEndian: boolean;
  /** False: pixels are indices of a colour map that the server chooses. */
  readonly trueColour: boolean;
  /** The largest value of each colour, and the bit that it begins at. */
  readonly max: readonly [red: number, green: number, blue: number];
  readonly shift: readonly [red: number, green: number, blue: number];
}

export const PIXEL_FORMAT_BYTES = 16;

/** 0x00RRGGBB, as surfaces have it. */
export const NATIVE: PixelFormat = {
  bitsPerPixel: 32,
  depth: 24,
  bigEndian: false,
  trueColour: true,
  max: [255, 255, 255],
  shift: [16, 8, 0],
};

/** What pixels of a colour map are: three bits of red, three of green, two of blue. */
const MAPPED = { max: [7, 7, 3], shift: [5, 2, 0] } as const;

export function writePixelFormat(out: ByteWriter, format: PixelFormat): void {
  out.u8(format.bitsPerPixel).u8(format.depth).u8(Number(format.bigEndian)).u8(Number(format.trueColour));
  for (const max of format.max) out.u16(max);
  for (const shift of format.shift) out.u8(shift);
  out.put([0, 0, 0]);
}

/** Undefined where the bytes make no sense. */
export function readPixelFormat(bytes: Uint8Array): PixelFormat | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, PIXEL_FORMAT_BYTES);
  const bitsPerPixel = view.getUint8(0);
  if (bitsPerPixel !== 8 && bitsPerPixel !== 16 && bitsPerPixel !== 32) return undefined;
  const format = {
    bitsPerPixel,
    depth: view.getUint8(1),
    bigEndian: view.getUint8(2) !== 0,
    trueColour: view.getUint8(3) !== 0,
    max: [view.getUint16(4), view.getUint16(6), view.getUint16(8)],
    shift: [view.getUint8(10), view.getUint8(11), view.getUint8(12)],
  } as const;
  if (!format.trueColour) return bitsPerPixel === 8 ? { ...format, ...MAPPED } : undefined;
  const fits = format.max.every((max, i) => {
    const width = 32 - Math.clz32(max);
    return max === 2 ** width - 1 && (format.shift[i] as number) + width <= bitsPerPixel;
  });
  return fits ? format : undefined;
}

/** The map that goes with MAPPED: 256 colours of 16 bits each. */
export function writeColourMap(out: ByteWriter): void {
  out.u8(1).u8(0).u16(0).u16(256);
  for (let index = 0; index < 256; index++) {
    MAPPED.max.forEach(
      (max, i) => void out.u16(Math.round((((index >> (MAPPED.shift[i] as number)) & max) * 0xffff) / max)),
    );
  }
}

/** Writes 0x00RRGGBB as a viewer's pixels. */
export class PixelWriter {
  /** Bytes of a pixel. */
  readonly size: number;
  /** Bytes of a pixel in ZRLE, which leaves out a byte that is always 0. */
  readonly compactSize: number;
  readonly #red: Uint32Array;
  readonly #green: Uint32Array;
  readonly #blue: Uint32Array;
  /** Bit shifts of a pixel's bytes, in the order that they are sent. */
  readonly #shifts: readonly number[];
  readonly #compactShifts: readonly number[];

  constructor(format: PixelFormat) {
    const scale = (i: 0 | 1 | 2) =>
      Uint32Array.from({ length: 256 }, (_, value) => Math.round((value * format.max[i]) / 255) * 2 ** format.shift[i]);
    this.#red = scale(0);
    this.#green = scale(1);
    this.#blue = scale(2);
    this.size = format.bitsPerPixel / 8;
    const little = Array.from({ length: this.size }, (_, i) => 8 * i);
    const order = (shifts: number[]) => (format.bigEndian ? shifts.toReversed() : shifts);
    this.#shifts = order(little);
    this.#compactShifts = order(compact(format, little));
    this.compactSize = this.#compactShifts.length;
  }

  /** The viewer's value of a pixel. */
  value(rgb: number): number {
    return (
      ((this.#red[(rgb >> 16) & 0xff] as number) |
        (this.#green[(rgb >> 8) & 0xff] as number) |
        (this.#blue[rgb & 0xff] as number)) >>>
      0
    );
  }

  write(target: Uint8Array, at: number, value: number): void {
    let i = at;
    for (const shift of this.#shifts) target[i++] = value >>> shift;
  }

  writeCompact(target: Uint8Array, at: number, value: number): void {
    let i = at;
    for (const shift of this.#compactShifts) target[i++] = value >>> shift;
  }
}

/** @spec RFC 6143 §7.7.5, CPIXEL */
function compact({ bitsPerPixel, depth, trueColour, max, shift }: PixelFormat, bytes: number[]): number[] {
  if (!trueColour || bitsPerPixel !== 32 || depth > 24) return bytes;
  if (max.every((value, i) => value * 2 ** (shift[i] as number) < 2 ** 24)) return bytes.slice(0, 3);
  return shift.every((bit) => bit >= 8) ? bytes.slice(1) : bytes;
}
