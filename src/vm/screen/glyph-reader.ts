/**
 * Reads text off a picture: cells of eight dots by a font's height, compared with the font's glyphs. It finds what a
 * console of a graphics mode shows in a font that is known; what else is in a picture, it does not.
 */
import type { Surface } from "../../machine/display.ts";

/** Glyphs of eight dots across: a byte is a row, its highest bit the leftmost dot. */
export interface GlyphFont {
  readonly height: number;
  /** `height` bytes for each of `characters`, one after the other. */
  readonly bitmaps: Uint8Array;
  readonly characters: readonly string[];
}

const CELL_WIDTH = 8;
/** For a cell that no glyph is like. */
export const UNREADABLE = "\ufffd";
/** A picture of which less can be read is no text. */
const LEAST_READABLE = 0.5;
const FULL_ROW = 0xff;
/** Rows at the bottom of a cell in which a cursor may be drawn. */
const CURSOR_ROWS = 3;

interface Reading {
  readonly rows: string[];
  readonly read: number;
  readonly unread: number;
}

/** The rows of text in a picture by the font that fits it best; undefined where none does. */
export function readGlyphs(picture: Surface, fonts: readonly GlyphFont[]): string[] | undefined {
  let best: Reading | undefined;
  for (const font of fonts) {
    const reading = readWith(picture, font);
    if (best === undefined || reading.read - reading.unread > best.read - best.unread) best = reading;
  }
  if (best === undefined || best.read < LEAST_READABLE * (best.read + best.unread)) return undefined;
  return best.rows;
}

const tables = new WeakMap<GlyphFont, ReadonlyMap<string, string>>();

/** Characters by their glyph's rows; of characters that look the same, the first. */
function tableOf(font: GlyphFont): ReadonlyMap<string, string> {
  let table = tables.get(font);
  if (table === undefined) {
    const made = new Map<string, string>();
    font.characters.forEach((character, i) => {
      const key = keyOf(font.bitmaps.subarray(i * font.height, (i + 1) * font.height));
      if (!made.has(key)) made.set(key, character);
    });
    table = made;
    tables.set(font, table);
  }
  return table;
}

const keyOf = (rows: Uint8Array) => String.fromCharCode(...rows);

function readWith(picture: Surface, font: GlyphFont): Reading {
  const table = tableOf(font);
  const columns = Math.floor(picture.width / CELL_WIDTH);
  const lines = Math.floor(picture.height / font.height);
  const cell = new Uint8Array(font.height);
  const rows: string[] = [];
  let read = 0;
  let unread = 0;
  for (let line = 0; line < lines; line++) {
    let text = "";
    for (let column = 0; column < columns; column++) {
      const kind = cut(picture, column * CELL_WIDTH, line * font.height, cell);
      const character = kind === "plain" ? " " : kind === "many" ? undefined : match(cell, table);
      if (character === undefined) unread++;
      else if (kind !== "plain") read++;
      text += character ?? UNREADABLE;
    }
    rows.push(text);
  }
  return { rows, read, unread };
}

/** The dots of a cell that differ from its first one; whether it has one colour, two, or more. */
function cut({ pixels, width }: Surface, left: number, top: number, cell: Uint8Array): "plain" | "two" | "many" {
  const background = pixels[top * width + left] as number;
  let foreground = background;
  for (let y = 0; y < cell.length; y++) {
    let bits = 0;
    for (let x = 0; x < CELL_WIDTH; x++) {
      const pixel = pixels[(top + y) * width + left + x] as number;
      if (pixel !== background) {
        if (foreground === background) foreground = pixel;
        else if (pixel !== foreground) return "many";
        bits |= 0x80 >> x;
      }
    }
    cell[y] = bits;
  }
  return foreground === background ? "plain" : "two";
}

/** Either colour may be the glyph's, and a cursor may be under it. */
function match(cell: Uint8Array, table: ReadonlyMap<string, string>): string | undefined {
  for (const rows of [cell, cell.map((row) => ~row)]) {
    const character = table.get(keyOf(rows));
    if (character !== undefined) return character;
  }
  for (const rows of [cell, cell.map((row) => ~row)]) {
    const from = rows.length - CURSOR_ROWS;
    if (!rows.subarray(from).includes(FULL_ROW)) continue;
    const character = table.get(keyOf(rows.map((row, y) => (y >= from && row === FULL_ROW ? 0 : row))));
    if (character !== undefined) return character;
  }
  return undefined;
}
