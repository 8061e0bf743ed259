/**
 * Finds fonts in a guest's memory: a console of a graphics mode draws with one that lies there, as Linux's does. They
 * are told by the block characters of code page 437, which look the same in every font of it.
 */
import { CODE_PAGE_437 } from "../../machine/code-page-437.ts";
import type { GlyphFont } from "./glyph-reader.ts";

const HEIGHT = 16;
const CHARACTERS = 256;
const FULL = 0xff;
const LEFT_HALF = 0xf0;
const RIGHT_HALF = 0x0f;
const FULL_BLOCK = 0xdb;
const LOWER_HALF_BLOCK = 0xdc;
const LEFT_HALF_BLOCK = 0xdd;
const UPPER_HALF_BLOCK = 0xdf;
const VERTICAL_LINE = 0xb3;
const SPACE = 0x20;

/** Fonts with cells of 8 by 16, `most` at the most. */
export function findFonts(memory: Uint8Array, most: number): GlyphFont[] {
  const fonts: GlyphFont[] = [];
  // Of any 16 bytes in a row, one is looked at.
  for (let i = HEIGHT - 1; i < memory.length && fonts.length < most; i += HEIGHT) {
    if (memory[i] !== LEFT_HALF) continue;
    let first = i;
    while (i - first < HEIGHT - 1 && memory[first - 1] === LEFT_HALF) first--;
    const start = first - LEFT_HALF_BLOCK * HEIGHT;
    const font = memory.subarray(Math.max(start, 0), start + CHARACTERS * HEIGHT);
    if (start < 0 || font.length < CHARACTERS * HEIGHT || !isFont(font)) continue;
    const bitmaps = font.slice();
    if (fonts.some((known) => known.bitmaps.every((row, at) => row === bitmaps[at]))) continue;
    fonts.push({ height: HEIGHT, bitmaps, characters: [...CODE_PAGE_437] });
  }
  return fonts;
}

function isFont(font: Uint8Array): boolean {
  const glyph = (code: number) => font.subarray(code * HEIGHT, (code + 1) * HEIGHT);
  const isAll = (code: number, row: number) => glyph(code).every((byte) => byte === row);
  const line = glyph(VERTICAL_LINE)[0] as number;
  return (
    isAll(LEFT_HALF_BLOCK, LEFT_HALF) &&
    isAll(LEFT_HALF_BLOCK + 1, RIGHT_HALF) &&
    isAll(FULL_BLOCK, FULL) &&
    isAll(SPACE, 0) &&
    line !== 0 &&
    isAll(VERTICAL_LINE, line) &&
    glyph(LOWER_HALF_BLOCK)[0] === 0 &&
    glyph(LOWER_HALF_BLOCK)[HEIGHT - 1] === FULL &&
    glyph(UPPER_HALF_BLOCK)[0] === FULL &&
    glyph(UPPER_HALF_BLOCK)[HEIGHT - 1] === 0
  );
}
