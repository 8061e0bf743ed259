/** Glyphs drawn in text: a band of characters side by side, `#` a dot that is lit and `.` one that is not. */

/** Bands: the characters, and rows of one glyph each, 7 columns wide with a space between. */
export type GlyphSheet = readonly (readonly [characters: string, rows: string])[];

/** The 7 columns of each row, the leftmost in bit 7: column 8 is the gap to the next character. */
export type Glyph = readonly number[];

const COLUMNS = 7;

/** The glyphs of a sheet by character. Throws RangeError for one that is not drawn as it should be. */
export function readSheet(sheet: GlyphSheet): Map<string, Glyph> {
  const glyphs = new Map<string, Glyph>();
  for (const [characters, text] of sheet) {
    const rows = text
      .trim()
      .split("\n")
      .map((line) => line.trim().split(" "));
    [...characters].forEach((character, at) => {
      glyphs.set(
        character,
        rows.map((row) => readRow(row[at], character)),
      );
    });
  }
  return glyphs;
}

function readRow(row: string | undefined, character: string): number {
  if (row?.length !== COLUMNS || /[^#.]/.test(row)) throw new RangeError(`not a row of ${character}: ${row}`);
  return dots(row);
}

/** A row of up to 8 columns as a byte. */
export function dots(row: string): number {
  return [...row].reduce((byte, dot, column) => byte | (dot === "#" ? 0x80 >> column : 0), 0);
}
