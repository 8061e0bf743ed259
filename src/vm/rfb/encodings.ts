/**
 * Rectangles of a picture as RFB sends them.
 *
 * @spec RFC 6143 §7.7.1 (Raw), §7.7.6 (ZRLE, before its compression)
 */
import type { Rectangle, Surface } from "../../machine/display.ts";
import { TILE } from "../screen/damage.ts";
import type { ByteWriter } from "./byte-writer.ts";
import type { PixelWriter } from "./pixel-format.ts";

/** Pixels of `part`; those outside of the picture are black. */
function copy(picture: Surface, part: Rectangle, pixels: PixelWriter, target: Uint32Array): void {
  const black = pixels.value(0);
  let previous = 0;
  let value = black;
  let i = 0;
  for (let y = part.y; y < part.y + part.height; y++) {
    for (let x = part.x; x < part.x + part.width; x++) {
      const rgb = x < picture.width && y < picture.height ? (picture.pixels[y * picture.width + x] as number) : 0;
      // Neighbours are mostly alike.
      if (rgb !== previous) {
        previous = rgb;
        value = pixels.value(rgb);
      }
      target[i++] = value;
    }
  }
}

export function writeRaw(out: ByteWriter, picture: Surface, part: Rectangle, pixels: PixelWriter): void {
  const row = new Uint32Array(part.width);
  for (let y = 0; y < part.height; y++) {
    copy(picture, { ...part, y: part.y + y, height: 1 }, pixels, row);
    let at = out.reserve(part.width * pixels.size);
    for (const value of row) {
      pixels.write(out.buffer, at, value);
      at += pixels.size;
    }
  }
}

/** Colours of a palette with indices of at most four bits. */
const PACKED_COLOURS = 16;
const MOST_COLOURS = 127;
const Kind = { raw: 0, solid: 1, plainRuns: 128, paletteRuns: 128 } as const;

/** Tiles from the left to the right, row by row. */
export function writeZrle(out: ByteWriter, picture: Surface, part: Rectangle, pixels: PixelWriter): void {
  const tile = new Uint32Array(TILE * TILE);
  for (let y = 0; y < part.height; y += TILE) {
    const height = Math.min(TILE, part.height - y);
    for (let x = 0; x < part.width; x += TILE) {
      const width = Math.min(TILE, part.width - x);
      copy(picture, { x: part.x + x, y: part.y + y, width, height }, pixels, tile);
      writeTile(out, tile.subarray(0, width * height), width, pixels);
    }
  }
}

/** In whichever way is the shortest. */
function writeTile(out: ByteWriter, tile: Uint32Array, width: number, pixels: PixelWriter): void {
  const { palette, runs, singles, runBytes } = measure(tile);
  const size = pixels.compactSize;
  const colours = palette?.size ?? 0;
  if (palette && colours === 1) {
    out.u8(Kind.solid);
    writePalette(out, palette, pixels);
    return;
  }
  const bits = colours <= 2 ? 1 : colours <= 4 ? 2 : 4;
  const height = tile.length / width;
  const raw = tile.length * size;
  const packed =
    palette && colours <= PACKED_COLOURS ? colours * size + height * Math.ceil((width * bits) / 8) : Infinity;
  const plain = runs * size + runBytes;
  const indexed = palette ? colours * size + runs + runBytes - singles : Infinity;
  const least = Math.min(raw, packed, plain, indexed);
  if (palette && least === packed) {
    out.u8(colours);
    writePalette(out, palette, pixels);
    writePacked(out, tile, width, bits, palette);
  } else if (palette && least === indexed) {
    out.u8(Kind.paletteRuns + colours);
    writePalette(out, palette, pixels);
    writeRuns(tile, (value, length) => {
      const index = palette.get(value) as number;
      if (length === 1) out.u8(index);
      else writeLength(out.u8(index | 0x80), length);
    });
  } else if (least === plain) {
    out.u8(Kind.plainRuns);
    writeRuns(tile, (value, length) => {
      const at = out.reserve(size);
      pixels.writeCompact(out.buffer, at, value);
      writeLength(out, length);
    });
  } else {
    out.u8(Kind.raw);
    let at = out.reserve(raw);
    for (const value of tile) {
      pixels.writeCompact(out.buffer, at, value);
      at += size;
    }
  }
}

/** Colours with their indices (undefined where there are too many), runs of the same colour, and what they take. */
function measure(tile: Uint32Array) {
  let palette: Map<number, number> | undefined = new Map();
  let runs = 0;
  let singles = 0;
  let runBytes = 0;
  writeRuns(tile, (value, length) => {
    runs++;
    if (length === 1) singles++;
    runBytes += Math.floor((length - 1) / 255) + 1;
    if (palette && !palette.has(value)) {
      if (palette.size === MOST_COLOURS) palette = undefined;
      else palette.set(value, palette.size);
    }
  });
  return { palette: palette as Map<number, number> | undefined, runs, singles, runBytes };
}

function writeRuns(tile: Uint32Array, run: (value: number, length: number) => void): void {
  for (let i = 0; i < tile.length; ) {
    const value = tile[i] as number;
    const start = i;
    while (i < tile.length && tile[i] === value) i++;
    run(value, i - start);
  }
}

/** One less than the length, in bytes of which all but the last are 255. */
function writeLength(out: ByteWriter, length: number): void {
  let rest = length - 1;
  for (; rest >= 255; rest -= 255) out.u8(255);
  out.u8(rest);
}

function writePalette(out: ByteWriter, palette: Map<number, number>, pixels: PixelWriter): void {
  for (const value of palette.keys()) {
    const at = out.reserve(pixels.compactSize);
    pixels.writeCompact(out.buffer, at, value);
  }
}

/** Each row begins with a new byte, the leftmost pixel in its highest bits. */
function writePacked(
  out: ByteWriter,
  tile: Uint32Array,
  width: number,
  bits: number,
  palette: Map<number, number>,
): void {
  for (let start = 0; start < tile.length; start += width) {
    let byte = 0;
    let used = 0;
    for (let i = start; i < start + width; i++) {
      byte = (byte << bits) | (palette.get(tile[i] as number) as number);
      used += bits;
      if (used < 8) continue;
      out.u8(byte);
      byte = used = 0;
    }
    if (used > 0) out.u8(byte << (8 - used));
  }
}
