import assert from "node:assert/strict";
import { test } from "node:test";
import { rig } from "./testing/vga-rig.ts";

const FRAME = 449 * 31_778;
const GREY = 0xaaaaaa;

/** 80x25 characters of 9x16 dots; attributes are colours of the DAC one to one, and colour n is n times 0x111111 or so. */
function textMode({ columns = 80 } = {}) {
  const vga = rig({ videoMemory: 1 << 20 });
  const { out, sequencer, graphics, crtc, attribute } = vga;
  out(0x3c2, 0x67);
  const timing = [0x5f, columns - 1, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0, 0x4f, 0x20, 0x0e, 0, 0, 0xff, 0xff, 0x9c];
  [...timing, 0x0e, 0x8f, columns / 2, 0x1f, 0x96, 0xb9, 0xa3, 0xff].forEach((value, index) => void crtc(index, value));
  [3, 0, 3, 0, 2].forEach((value, index) => void sequencer(index, value));
  [0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff].forEach((value, index) => void graphics(index, value));
  for (let i = 0; i < 16; i++) attribute(i, i);
  attribute(0x10, 0x04);
  attribute(0x12, 0x0f);
  attribute(0x13, 0x08);
  out(0x3c8, 0);
  for (let i = 0; i < 256; i++) for (let part = 0; part < 3; part++) out(0x3c9, (i * 4 + (i >> 2)) & 0x3f);
  return {
    ...vga,
    cell: (column: number, row: number, code: number, look: number) =>
      vga.memory.write(0xb8000 + (row * columns + column) * 2, 2, (look << 8) | code),
    /** A glyph, as rows from the top, straight into plane 2. */
    glyph: (code: number, rows: readonly number[], font = 0) => {
      rows.forEach((bits, row) => {
        vga.bytes[(font + code * 32 + row) * 4 + 2] = bits;
      });
    },
  };
}

/** What colour n of the DAC looks like. */
function shade(n: number): number {
  const six = (n * 4 + (n >> 2)) & 0x3f;
  return ((six << 2) | (six >> 4)) * 0x010101;
}

test("nothing is shown until a mode is set and the palette is the display's", () => {
  const { vga, viewer, cell, glyph, ports, out } = textMode();
  glyph(1, [0xff]);
  cell(0, 0, 1, 0x0f);
  const seen = viewer();
  seen.draw();
  assert.equal(seen.pixel(0, 0), shade(15));
  ports.read(0x3da, 1);
  out(0x3c0, 0x00);
  assert.deepEqual(seen.draw(), [{ x: 0, y: 0, width: 720, height: 400 }]);
  assert.equal(seen.pixel(0, 0), 0);
  assert.equal(vga.display.text()?.[0]?.[0], "☺", "the characters are there all the same");
  vga.reset();
  assert.deepEqual(vga.display.size, { width: 640, height: 480 });
  assert.equal(vga.display.text(), undefined);
});

test("a character is its glyph in the foreground colour on the background", () => {
  const { viewer, cell, glyph } = textMode();
  glyph(0x41, [0b1010_0001, 0b0000_0000, 0b0111_1110]);
  cell(2, 1, 0x41, 0x5a);
  const seen = viewer();
  seen.draw();
  assert.equal(seen.dots(18, 16, 9, shade(10)), "#.#....#.");
  assert.equal(seen.dots(18, 17, 9, shade(10)), ".........");
  assert.equal(seen.dots(18, 18, 9, shade(10)), ".######..");
  assert.equal(seen.pixel(26, 18), shade(5));
});

test("box drawing characters go on into the ninth dot where line graphics are on", () => {
  const { viewer, cell, glyph, attribute } = textMode();
  [0xbf, 0xc0, 0xdf, 0xe0].forEach((code, column) => {
    glyph(code, [0x01]);
    cell(column, 0, code, 0x0f);
  });
  const seen = viewer();
  seen.draw();
  assert.equal(seen.dots(0, 0, 36, shade(15)), ".......#........##.......##.......#.");
  attribute(0x10, 0x00);
  seen.draw();
  assert.equal(seen.dots(0, 0, 36, shade(15)), ".......#........#........#........#.");
});

test("characters are eight dots wide where the sequencer says so, and twice as wide at half the clock", () => {
  const { vga, viewer, cell, glyph, sequencer } = textMode();
  glyph(1, [0x81]);
  cell(0, 0, 1, 0x0f);
  sequencer(1, 0x01);
  const seen = viewer();
  seen.draw();
  assert.deepEqual(vga.display.size, { width: 640, height: 400 });
  assert.equal(seen.dots(0, 0, 9, shade(15)), "#......#.");
  sequencer(1, 0x09);
  seen.draw();
  assert.deepEqual(vga.display.size, { width: 1280, height: 400 });
  assert.equal(seen.dots(0, 0, 18, shade(15)), "##............##..");
});

test("attribute bit 3 chooses between two fonts", () => {
  const { viewer, cell, glyph, sequencer } = textMode();
  glyph(1, [0xf0], 0x0000);
  glyph(1, [0x0f], 0xa000);
  // Map A, for bit 3 set, is the fifth font's place; B is the first.
  sequencer(3, 0b10_1000);
  cell(0, 0, 1, 0x07);
  cell(1, 0, 1, 0x0f);
  const seen = viewer();
  seen.draw();
  assert.equal(seen.dots(0, 0, 9, shade(7)), "####.....");
  assert.equal(seen.dots(9, 0, 9, shade(15)), "....####.");
  glyph(1, [0xff], 0xa000);
  assert.equal(seen.draw().length, 1, "a changed glyph is a changed picture");
  assert.equal(seen.dots(9, 0, 9, shade(15)), "########.");
});

test("the cursor fills its rows, and blinks with guest time", () => {
  const { viewer, crtc, cell, time } = textMode();
  for (let column = 0; column < 80; column++) cell(column, 3, 0x20, 0x07);
  crtc(0x0e, 0);
  crtc(0x0f, 3 * 80 + 5);
  crtc(0x0b, 0x0e);
  crtc(0x0a, 0x0d);
  const seen = viewer();
  seen.draw();
  const cursor = () => [12, 13, 14, 15].map((row) => seen.dots(44, 48 + row, 11, shade(7)));
  const shown = ["...........", ".#########.", ".#########.", "..........."];
  assert.deepEqual(cursor(), shown);
  time.advance(8 * FRAME + 1000);
  assert.deepEqual(seen.draw(), [{ x: 45, y: 61, width: 9, height: 2 }]);
  assert.deepEqual(cursor(), new Array(4).fill("..........."));
  time.advance(8 * FRAME);
  seen.draw();
  assert.deepEqual(cursor(), shown);
  crtc(0x0a, 0x2d);
  seen.draw();
  assert.deepEqual(cursor(), new Array(4).fill("..........."), "switched off");
});

test("attribute bit 7 is blinking or a bright background", () => {
  const { viewer, cell, glyph, attribute, time } = textMode();
  glyph(1, [0xff]);
  cell(0, 0, 1, 0x9f);
  const seen = viewer();
  seen.draw();
  assert.deepEqual([seen.pixel(0, 0), seen.pixel(0, 1)], [shade(15), shade(9)]);
  attribute(0x10, 0x0c);
  seen.draw();
  assert.deepEqual([seen.pixel(0, 0), seen.pixel(0, 1)], [shade(15), shade(1)]);
  time.advance(16 * FRAME + 1000);
  seen.draw();
  assert.deepEqual([seen.pixel(0, 0), seen.pixel(0, 1)], [shade(1), shade(1)]);
});

test("monochrome attributes underline", () => {
  const { viewer, cell, crtc, attribute } = textMode();
  attribute(0x10, 0x06);
  crtc(0x14, 0x0d);
  cell(1, 0, 0x20, 0x01);
  cell(2, 0, 0x20, 0x07);
  const seen = viewer();
  seen.draw();
  assert.equal(seen.dots(8, 13, 11, shade(1)), ".#########.");
  assert.equal(seen.dots(8, 12, 11, shade(1)), "...........");
});

test("text follows the start address, and begins at 0 below the split", () => {
  const { vga, cell, crtc } = textMode();
  "first".split("").forEach((letter, i) => void cell(i, 0, letter.charCodeAt(0), 7));
  "later".split("").forEach((letter, i) => void cell(i, 10, letter.charCodeAt(0), 7));
  const rows = () => vga.display.text()!.map((row) => row.trimEnd());
  assert.equal(rows().length, 25);
  assert.deepEqual([rows()[0], rows()[10]], ["first", "later"]);
  crtc(0x0c, (9 * 80) >> 8);
  crtc(0x0d, (9 * 80) & 0xff);
  assert.deepEqual([rows()[0], rows()[1]], ["", "later"]);
  crtc(0x11, 0x0e);
  crtc(0x07, 0x1f);
  crtc(0x09, 0x0f);
  crtc(0x18, (20 * 16 - 1) & 0xff);
  assert.deepEqual([rows()[1], rows()[20]], ["later", "first"]);
});

test("panning moves text by dots, and not below the split where it is told so", () => {
  const { viewer, cell, glyph, attribute, crtc } = textMode();
  glyph(1, [0x80, 0x80, 0x80, 0x80, 0x80, 0x80]);
  cell(1, 0, 1, 0x0f);
  cell(80, 0, 1, 0x0f);
  attribute(0x13, 0x02);
  const seen = viewer();
  seen.draw();
  assert.equal(seen.dots(0, 0, 10, shade(15)), "......#...");
  assert.equal(seen.pixel(717, 0), shade(15), "the character that comes in at the right");
  cell(5, 0, 1, 0x0f);
  const [part] = seen.draw();
  assert.equal(seen.pixel(42, 0), shade(15));
  assert.ok(part!.x <= 42 && part!.x + part!.width > 42, "and what changes is where it is seen");
  attribute(0x10, 0x24);
  crtc(0x11, 0x0e);
  crtc(0x07, 0x0f);
  crtc(0x09, 0x0f);
  crtc(0x18, 1);
  seen.draw();
  assert.equal(seen.dots(0, 1, 10, shade(15)), "......#...");
  assert.equal(seen.dots(0, 2, 10, shade(15)), ".........#");
});

test("each viewer gets what changed since it drew last, and only that", () => {
  const { vga, viewer, cell, glyph } = textMode();
  for (let row = 0; row < 25; row++) for (let column = 0; column < 80; column++) cell(column, row, 0, 0x07);
  glyph(1, new Array(16).fill(0xff));
  const often = viewer();
  const seldom = viewer();
  assert.deepEqual(often.draw(), [{ x: 0, y: 0, width: 720, height: 400 }]);
  assert.deepEqual(often.draw(), []);
  cell(10, 2, 1, 0x07);
  assert.deepEqual(often.draw(), [{ x: 90, y: 32, width: 9, height: 16 }]);
  assert.deepEqual(seldom.draw(), [{ x: 0, y: 0, width: 720, height: 400 }]);
  cell(20, 2, 1, 0x07);
  cell(0, 24, 1, 0x07);
  assert.deepEqual(often.draw(), [
    { x: 180, y: 32, width: 9, height: 16 },
    { x: 0, y: 384, width: 9, height: 16 },
  ]);
  cell(30, 2, 1, 0x07);
  assert.deepEqual(often.draw(), [{ x: 270, y: 32, width: 9, height: 16 }]);
  const [first, second] = seldom.draw();
  assert.deepEqual([first!.y, second!.y], [32, 384], "both changes of row 2 in one");
  assert.ok(first!.x <= 180 && first!.x + first!.width >= 279);
  assert.deepEqual(often.surface.pixels, seldom.surface.pixels);
  assert.deepEqual(often.draw(), []);
  assert.throws(() => vga.display.draw({ width: 8, height: 8, pixels: new Uint32Array(64) }), /8x8.*720x400/);
});

/** Registers of a linear mode whose lines are `virtual` pixels apart. */
function linear(bpp: number, { virtual = 64, x = 0, y = 0 } = {}) {
  const vga = rig({ videoMemory: 1 << 20 });
  const { dispi, ports, out } = vga;
  for (const [register, value] of Object.entries({ 1: 64, 2: 8, 3: bpp, 4: 0x41, 6: virtual, 8: x, 9: y })) {
    dispi(Number(register), value);
  }
  ports.read(0x3ba, 1);
  out(0x3c0, 0x20);
  return vga;
}

test("linear modes show 8 to 32 bits a pixel", () => {
  const pixels = { 15: [0x7c00, 0xff0000], 16: [0xf81f, 0xff00ff], 24: [0x123456, 0x123456] } as const;
  for (const [bpp, [value, colour]] of Object.entries({ ...pixels, 32: [0xff654321, 0x654321] as const })) {
    const { bytes, viewer } = linear(Number(bpp));
    const at = 3 * Math.ceil(Number(bpp) / 8);
    for (let i = 0; i < Math.ceil(Number(bpp) / 8); i++) bytes[at + i] = value >>> (8 * i);
    const seen = viewer();
    seen.draw();
    assert.deepEqual(
      [2, 3, 4].map((x) => seen.pixel(x, 0)),
      [0, colour, 0],
      `${bpp} bits`,
    );
  }
  const { bytes, viewer, out } = linear(8);
  out(0x3c8, 7);
  for (const part of [0x3f, 0, 0x2a]) out(0x3c9, part);
  bytes[64] = 7;
  const seen = viewer();
  seen.draw();
  assert.equal(seen.pixel(0, 1), 0xff00aa);
});

test("a linear picture is a part of a larger one, also where it begins within a word", () => {
  for (const bpp of [8, 16, 24, 32]) {
    const { bytes, viewer, dispi, out } = linear(bpp, { virtual: 128, x: 3, y: 5 });
    out(0x3c8, 0xff);
    for (let part = 0; part < 3; part++) out(0x3c9, 0x3f);
    const size = bpp / 8;
    const seen = viewer();
    seen.draw();
    bytes.fill(0xff, (6 * 128 + 10) * size, (6 * 128 + 11) * size);
    const changed = seen.draw();
    assert.equal(seen.dots(0, 1, 12, 0xffffff), ".......#....", `${bpp} bits`);
    assert.equal(changed.length, 1);
    assert.ok(changed[0]!.x <= 7 && changed[0]!.x + changed[0]!.width >= 8 && changed[0]!.y === 1);
    dispi(8, 10);
    seen.draw();
    assert.equal(seen.dots(0, 1, 12, 0xffffff), "#...........", "panned");
  }
});

test("a linear mode of 4 bits has four planes", () => {
  const { memory, viewer, sequencer, graphics, attribute, out, dispi } = linear(4);
  out(0x3c2, 0x63);
  graphics(8, 0xff);
  attribute(0x12, 0x0f);
  attribute(10, 1);
  out(0x3c8, 1);
  for (let part = 0; part < 3; part++) out(0x3c9, 0x2a);
  sequencer(2, 0b1010);
  memory.write(0xa0000 + 8 + 1, 1, 0x81);
  const seen = viewer();
  seen.draw();
  assert.equal(seen.dots(6, 1, 12, GREY), "..#......#..");
  dispi(8, 5);
  dispi(6, 128);
  dispi(8, 5);
  const panned = viewer();
  panned.draw();
  memory.write(0xa0000 + 16 + 1, 1, 0x01);
  const [part] = panned.draw();
  assert.equal(panned.dots(6, 1, 12, GREY), "....#.......");
  assert.ok(part!.x <= 10 && part!.x + part!.width > 10 && part!.y === 1);
});

test("doubled lines and CGA's interleaved ones come from the row within a character", () => {
  const { vga, memory, viewer, crtc, graphics, sequencer, attribute, out } = textMode();
  sequencer(1, 0x01);
  sequencer(2, 0x01);
  sequencer(4, 0x06);
  graphics(5, 0x00);
  graphics(6, 0x0d);
  attribute(0x10, 0x01);
  attribute(0x13, 0);
  crtc(0x09, 0xc1);
  crtc(0x17, 0xc2);
  crtc(0x14, 0);
  out(0x3c2, 0x63);
  memory.write(0xb8000, 1, 0xf0);
  memory.write(0xba000, 1, 0x0f);
  memory.write(0xb8050, 1, 0xaa);
  const seen = viewer();
  seen.draw();
  assert.deepEqual(vga.display.size, { width: 640, height: 400 });
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((y) => seen.dots(0, y, 8, shade(1))),
    ["####....", "####....", "....####", "....####", "#.#.#.#.", "#.#.#.#."],
  );
});
