import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { vgaFont } from "../../firmware/vga/font/font.ts";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { findFonts } from "./find-fonts.ts";

test("a font is found wherever it lies, and once though it lies there twice", () => {
  const font = vgaFont(16);
  const random = new SeededRandom(437);
  for (const at of [0, 1, 15, 16, 4321, 65_536 - font.length]) {
    const memory = Uint8Array.from({ length: 65_536 }, () => (random.below(2) ? 0xf0 : 0x0f));
    memory.set(font, at);
    const fonts = findFonts(memory, 4);
    assert.equal(fonts.length, 1, `at ${at}`);
    assert.deepEqual(fonts[0]?.bitmaps, font);
  }
  const twice = new Uint8Array(32_768);
  twice.set(font, 100);
  twice.set(font, 20_000);
  assert.equal(findFonts(twice, 4).length, 1);
});

test("memory full of what begins a font has none", () => {
  for (const byte of [0, 0xf0, 0xff]) assert.deepEqual(findFonts(new Uint8Array(100_000).fill(byte), 4), []);
});

const VGABIOS = "/usr/share/seabios/vgabios-stdvga.bin";

test("another firmware's font is found in its image", {
  skip: existsSync(VGABIOS) ? false : "needs the package seabios",
}, () => {
  const [font, ...others] = findFonts(readFileSync(VGABIOS), 4);
  assert.deepEqual(others, []);
  // Dots of "I", a bar between serifs, differ from those of a space in both halves.
  const letter = font?.bitmaps.subarray(0x49 * 16, 0x4a * 16);
  assert.ok(letter?.subarray(0, 8).some((row) => row !== 0) && letter.subarray(8).some((row) => row !== 0));
});
