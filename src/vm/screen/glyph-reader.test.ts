import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { type GlyphFont, readGlyphs, UNREADABLE } from "./glyph-reader.ts";

const CHARACTERS = [..." abcdefghijklmnopqrstuvwxyz"];

/** A font of random dots: no two glyphs are alike. */
function font(height: number, seed: number): GlyphFont {
  const random = new SeededRandom(seed);
  const bitmaps = Uint8Array.from({ length: height * CHARACTERS.length }, (_, i) =>
    i < height || i % height < 2 || i % height >= height - 2 ? 0 : random.next() & 0x7e,
  );
  return { height, bitmaps, characters: CHARACTERS };
}

/** A picture of text as a console draws it. */
function picture(rows: string[], { height, bitmaps }: GlyphFont, columns = 20) {
  const width = columns * 8 + 3;
  const pixels = new Uint32Array(width * (rows.length * height + 5)).fill(0x000044);
  const dot = (column: number, row: number, x: number, y: number, colour: number) => {
    pixels[(row * height + y) * width + column * 8 + x] = colour;
  };
  rows.forEach((text, row) =>
    [...text].forEach((character, column) => {
      const glyph = CHARACTERS.indexOf(character) * height;
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < 8; x++) if ((bitmaps[glyph + y] as number) & (0x80 >> x)) dot(column, row, x, y, 0xaaaaaa);
      }
    }),
  );
  return { surface: { width, height: rows.length * height + 5, pixels }, dot };
}

for (const height of [8, 14, 16]) {
  test(`text in a font of ${height} rows is read by that font and no other`, () => {
    const mine = font(height, height);
    const { surface } = picture(["hello world", "", "  again"], mine);
    const rows = readGlyphs(surface, [font(16, 99), mine, font(8, 98)]);
    assert.deepEqual(
      rows?.map((row) => row.trimEnd()),
      ["hello world", "", "  again"],
    );
    assert.equal(readGlyphs(surface, [font(height, 97)]), undefined);
  });
}

test("a cursor under a character, a block cursor and reversed text are seen through", () => {
  const mine = font(16, 1);
  const { surface, dot } = picture(["abc", "def"], mine);
  for (let x = 0; x < 8; x++) for (const y of [14, 15]) dot(1, 0, x, y, 0xaaaaaa);
  for (let y = 0; y < 16; y++) {
    for (let x = 0; x < 8; x++) {
      const at = (16 + y) * surface.width + 8 + x;
      surface.pixels[at] = surface.pixels[at] === 0x44 ? 0xaaaaaa : 0x44;
    }
  }
  for (let y = 0; y < 16; y++) for (let x = 0; x < 8; x++) dot(5, 1, x, y, 0xffffff);
  assert.deepEqual(
    readGlyphs(surface, [mine])?.map((row) => row.trimEnd()),
    ["abc", "def"],
  );
});

test("what is no glyph is told as unreadable, and a picture without text as none", () => {
  const mine = font(16, 2);
  const { surface, dot } = picture(["abc"], mine);
  dot(4, 0, 3, 3, 0xff0000);
  assert.equal(readGlyphs(surface, [mine])?.[0]?.trimEnd(), `abc ${UNREADABLE}`);
  const random = new SeededRandom(3);
  const noise = { width: 64, height: 64, pixels: Uint32Array.from({ length: 4096 }, () => random.next() & 0xffffff) };
  assert.equal(readGlyphs(noise, [mine]), undefined);
});
