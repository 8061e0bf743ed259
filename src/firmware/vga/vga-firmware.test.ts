import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE_PAGE_437 } from "../../machine/code-page-437.ts";
import { vgaFont } from "./font/font.ts";
import { VGA_MODES, vgaMode } from "./modes.ts";
import { palette } from "./palettes.ts";
import { VBE_MODES } from "./vbe-modes.ts";

const HEIGHTS = [8, 14, 16] as const;

test("each font has 256 characters, all different but for the spaces", () => {
  for (const height of HEIGHTS) {
    const font = vgaFont(height);
    assert.equal(font.length, 256 * height);
    const seen = new Map<string, string>();
    for (let code = 0; code < 256; code++) {
      const character = CODE_PAGE_437[code]!;
      const glyph = font.subarray(code * height, (code + 1) * height).join();
      const blank = glyph === new Uint8Array(height).join();
      assert.equal(blank, character.trim() === "", `${character} in ${height} rows`);
      if (!blank) assert.equal(seen.get(glyph), undefined, `${character} looks like ${seen.get(glyph)}`);
      seen.set(glyph, character);
    }
  }
});

test("letters, digits and signs leave a gap to the next character", () => {
  for (const height of HEIGHTS) {
    const font = vgaFont(height);
    for (let code = 0x21; code < 0x80; code++) {
      for (let row = 0; row < height; row++) assert.equal(font[code * height + row]! & 1, 0, CODE_PAGE_437[code]!);
    }
  }
});

test("box drawing characters join: each line reaches the edge where its neighbour's begins", () => {
  const right = "─═├╞╟╠┌╒╓╔└╘╙╚┬╤╥╦┴╧╨╩┼╪╫╬";
  const down = "│║├╞╟╠┌╒╓╔┐╕╖╗┤╡╢╣┬╤╥╦┼╪╫╬";
  for (const height of HEIGHTS) {
    const font = vgaFont(height);
    const rows = (character: string) =>
      font.subarray(CODE_PAGE_437.indexOf(character) * height, (CODE_PAGE_437.indexOf(character) + 1) * height);
    for (let code = 0xb3; code < 0xdb; code++) {
      const character = CODE_PAGE_437[code]!;
      const glyph = rows(character);
      const edge = glyph.map((row) => row & 1).join();
      const double = rows("═")
        .map((row) => row & 1)
        .join();
      const single = rows("─")
        .map((row) => row & 1)
        .join();
      assert.equal(edge === double || edge === single, right.includes(character), character);
      const bottom = glyph[height - 1];
      const vertical = bottom === rows("│")[0] || bottom === rows("║")[0];
      assert.equal(vertical, down.includes(character), character);
    }
  }
});

test("every mode has all registers", () => {
  for (const mode of VGA_MODES) {
    const name = `mode ${mode.number.toString(16)}`;
    assert.equal(mode.sequencer.length, 4, name);
    assert.equal(mode.crtc.length, 25, name);
    assert.equal(mode.attribute.length, 21, name);
    assert.equal(mode.graphics.length, 9, name);
    for (const value of [...mode.sequencer, ...mode.crtc, ...mode.attribute, ...mode.graphics]) {
      assert.ok(value >= 0 && value <= 0xff, name);
    }
  }
  assert.equal(vgaMode(3)?.columns, 80);
  assert.equal(vgaMode(8), undefined);
  assert.equal(new Set(VBE_MODES.map(({ number }) => number)).size, VBE_MODES.length);
});

test("palettes hold the 16 colours, the 64 and the 256", () => {
  const colour = (name: Parameters<typeof palette>[0], index: number) => [
    ...palette(name).subarray(index * 3, index * 3 + 3),
  ];
  assert.deepEqual(colour("vga", 6), [42, 21, 0]);
  assert.deepEqual(colour("vga", 15), [63, 63, 63]);
  assert.deepEqual(colour("vga", 32), [0, 0, 63]);
  assert.deepEqual(colour("vga", 40), [63, 0, 0]);
  assert.deepEqual(colour("vga", 48), [0, 63, 0]);
  assert.deepEqual(colour("vga", 44), [63, 63, 0]);
  assert.deepEqual(colour("vga", 255), [0, 0, 0]);
  assert.deepEqual(colour("ega", 0x14), [42, 21, 0]);
  assert.deepEqual(colour("ega", 0x3f), [63, 63, 63]);
  assert.deepEqual(colour("cga", 0x17), [63, 63, 63]);
});
