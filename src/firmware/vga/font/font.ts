/**
 * The fonts of a VGA BIOS, code page 437 in cells of 8x8, 8x14 and 8x16 dots, drawn for this project. A byte is a row,
 * its highest bit the leftmost dot; characters follow each other without gaps.
 */
import { CODE_PAGE_437 } from "../../../machine/code-page-437.ts";
import { CELL_8, CELL_16, type Cell, compose } from "./composed.ts";
import { type Glyph, readSheet } from "./glyph-sheet.ts";
import { LATIN_8 } from "./latin-8.ts";
import { LATIN_16 } from "./latin-16.ts";
import { rule } from "./ruled.ts";
import { SYMBOLS_8 } from "./symbols-8.ts";
import { SYMBOLS_16 } from "./symbols-16.ts";

export type FontHeight = 8 | 14 | 16;

const CHARACTERS = 256;
/** Characters that are another one in reverse. */
const REVERSED = [
  ["◘", "•"],
  ["◙", "○"],
] as const;

const cells = (sheet: Map<string, Glyph>, { height, capTop }: Cell): [string, Glyph][] =>
  [...sheet].map(([character, rows]) => {
    const glyph = new Array<number>(height).fill(0);
    rows.forEach((row, at) => {
      glyph[capTop + at] = row;
    });
    return [character, glyph];
  });

function draw(cell: Cell): ReadonlyMap<string, Glyph> {
  const [latin, symbols] = cell.height === 16 ? [LATIN_16, SYMBOLS_16] : [LATIN_8, SYMBOLS_8];
  const glyphs = new Map([...cells(readSheet(latin), cell), ...cells(readSheet(symbols), cell)]);
  for (const [character, glyph] of compose(glyphs, cell)) glyphs.set(character, glyph);
  for (const [reversed, plain] of REVERSED) {
    glyphs.set(
      reversed,
      glyphs.get(plain)!.map((row) => ~row & 0xff),
    );
  }
  return glyphs;
}

function makeFont(height: FontHeight): Uint8Array {
  const drawn = draw(height === 8 ? CELL_8 : CELL_16);
  const ruled = rule(height);
  const font = new Uint8Array(CHARACTERS * height);
  [...CODE_PAGE_437].forEach((character, code) => {
    const glyph = drawn.get(character);
    // Nothing but shade lies in the first and last row of a cell of 16, so that 14 of them are a cell too.
    const rows = ruled.get(character) ?? (height === 14 ? glyph?.slice(1, 15) : glyph);
    if (rows) font.set(rows, code * height);
    else if (character.trim() !== "") throw new RangeError(`${character} is not drawn`);
  });
  return font;
}

const made = new Map<FontHeight, Uint8Array>();

/** The font with cells of `height` rows: 256 times `height` bytes, not to be changed. */
export function vgaFont(height: FontHeight): Uint8Array {
  let font = made.get(height);
  if (!font) {
    font = makeFont(height);
    made.set(height, font);
  }
  return font;
}
