/**
 * Dots and characters in the graphics modes: two and four colours interleaved (CGA), planes of 16 colours (EGA, VGA), a
 * byte a dot.
 * @spec IBM EGA Technical Reference, "WRITE DOT" and "WRITE CHARACTER"; Ferraro, chapters 7 and 9
 */
import type { BiosCall } from "../call.ts";
import type { Ports } from "../chips.ts";
import { kindOf, type Screen, writeGraphics, writeSequencer } from "./screen.ts";

const XOR = 0x80;
const CGA_FIELD = 0x2000;
const CGA_ROW = 80;
const PACKED_ROW = 320;
const PLANAR_WINDOW = 0xa0000;
const WINDOW_LENGTH = 0x10000;

interface Place {
  readonly at: number;
  /** The dot's bits in the byte, and how far they are from the lowest. */
  readonly mask: number;
  readonly shift: number;
}

function placeOf(screen: Screen, page: number, x: number, y: number): Place {
  switch (kindOf(screen)) {
    case "cga": {
      const wide = screen.columns >= 80;
      const row = 0xb8000 + (y & 1) * CGA_FIELD + (y >> 1) * CGA_ROW;
      if (wide) return { at: row + (x >> 3), mask: 0x80 >> (x & 7), shift: 7 - (x & 7) };
      return { at: row + (x >> 2), mask: 0xc0 >> (2 * (x & 3)), shift: 6 - 2 * (x & 3) };
    }
    case "planar": {
      const offset = page * screen.pageSize + y * screen.columns + (x >> 3);
      return { at: PLANAR_WINDOW + (offset % WINDOW_LENGTH), mask: 0x80 >> (x & 7), shift: 7 - (x & 7) };
    }
    default:
      return { at: PLANAR_WINDOW + ((y * PACKED_ROW + x) % WINDOW_LENGTH), mask: 0xff, shift: 0 };
  }
}

export function writeDot(
  call: BiosCall,
  ports: Ports,
  screen: Screen,
  page: number,
  x: number,
  y: number,
  colour: number,
): void {
  const { at, mask, shift } = placeOf(screen, page, x, y);
  const kind = kindOf(screen);
  if (kind === "planar") {
    // Write mode 2: the colour is in the byte that is written, the bit mask says which dots.
    writeGraphics(ports, 8, mask);
    writeGraphics(ports, 5, 0x02);
    if (colour & XOR) writeGraphics(ports, 3, 0x18);
    call.u8(at);
    call.setU8(at, colour & 0x0f);
    endPlanar(ports);
    return;
  }
  if (kind === "packed") {
    call.setU8(at, colour);
    return;
  }
  const dots = (colour << shift) & mask;
  const before = call.u8(at);
  call.setU8(at, colour & XOR ? before ^ dots : (before & ~mask) | dots);
}

function endPlanar(ports: Ports): void {
  writeGraphics(ports, 8, 0xff);
  writeGraphics(ports, 5, 0x00);
  writeGraphics(ports, 3, 0x00);
}

export function readDot(call: BiosCall, ports: Ports, screen: Screen, page: number, x: number, y: number): number {
  const { at, mask, shift } = placeOf(screen, page, x, y);
  if (kindOf(screen) !== "planar") return (call.u8(at) & mask) >> shift;
  let colour = 0;
  for (let plane = 0; plane < 4; plane++) {
    writeGraphics(ports, 4, plane);
    if (call.u8(at) & mask) colour |= 1 << plane;
  }
  writeGraphics(ports, 4, 0);
  return colour;
}

/** Draws a character; `rows` are its rows of eight dots. */
export function drawCharacter(
  call: BiosCall,
  ports: Ports,
  screen: Screen,
  cell: { readonly page: number; readonly row: number; readonly column: number },
  rows: Uint8Array,
  colour: number,
): void {
  const { page, row, column } = cell;
  const kind = kindOf(screen);
  const top = row * rows.length;
  if (kind === "planar") {
    writeGraphics(ports, 5, 0x02);
    if (colour & XOR) writeGraphics(ports, 3, 0x18);
    for (const [y, bits] of rows.entries()) {
      const { at } = placeOf(screen, page, column * 8, top + y);
      writeGraphics(ports, 8, bits);
      call.u8(at);
      call.setU8(at, colour & 0x0f);
      if (colour & XOR) continue;
      writeGraphics(ports, 8, ~bits & 0xff);
      call.u8(at);
      call.setU8(at, 0);
    }
    endPlanar(ports);
    return;
  }
  for (const [y, bits] of rows.entries()) {
    for (let x = 0; x < 8; x++) {
      const on = (bits & (0x80 >> x)) !== 0;
      if (kind === "packed") writeDot(call, ports, screen, page, column * 8 + x, top + y, on ? colour : 0);
      else if (on || !(colour & XOR)) {
        const dot = on ? colour : 0;
        writeDot(call, ports, screen, page, column * 8 + x, top + y, dot);
      }
    }
  }
}

/** Copies rows of dots of a rectangle of characters, or fills them. */
export function moveDots(
  call: BiosCall,
  ports: Ports,
  screen: Screen,
  area: { readonly page: number; readonly left: number; readonly width: number; readonly row: number },
  fromRow: number | undefined,
  colour: number,
): void {
  const kind = kindOf(screen);
  const { page, left, width, row } = area;
  const dotsOfByte = kind === "packed" ? 1 : kind === "cga" && screen.columns < 80 ? 4 : 8;
  const length = (width * 8) / dotsOfByte;
  const place = (y: number) => placeOf(screen, page, left * 8, y).at;
  if (kind === "planar") writePlanar(call, ports, { place, length, height: screen.height, row, fromRow, colour });
  else {
    for (let y = 0; y < screen.height; y++) {
      const to = place(row * screen.height + y);
      const bytes =
        fromRow === undefined
          ? new Uint8Array(length).fill(kind === "packed" ? colour : 0)
          : call.bytes(place(fromRow * screen.height + y), length);
      call.setBytes(to, bytes);
    }
  }
}

interface PlanarMove {
  place(y: number): number;
  readonly length: number;
  readonly height: number;
  readonly row: number;
  readonly fromRow: number | undefined;
  readonly colour: number;
}

function writePlanar(call: BiosCall, ports: Ports, { place, length, height, row, fromRow, colour }: PlanarMove): void {
  if (fromRow === undefined) {
    writeGraphics(ports, 5, 0x02);
    const bytes = new Uint8Array(length).fill(colour & 0x0f);
    for (let y = 0; y < height; y++) call.setBytes(place(row * height + y), bytes);
    endPlanar(ports);
    return;
  }
  // Write mode 1: the latches, all planes at once.
  writeSequencer(ports, 2, 0x0f);
  writeGraphics(ports, 5, 0x01);
  for (let y = 0; y < height; y++) {
    const [from, to] = [place(fromRow * height + y), place(row * height + y)];
    for (let i = 0; i < length; i++) {
      call.u8(from + i);
      call.setU8(to + i, 0);
    }
  }
  endPlanar(ports);
}
