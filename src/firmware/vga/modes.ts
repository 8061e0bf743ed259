/**
 * The standard video modes: what the registers of a VGA hold in each.
 *
 * @spec IBM PS/2 and PC BIOS Interface Technical Reference, INT 10h function 00h; IBM VGA register values as in
 * Ferraro, Programmer's Guide to the EGA, VGA and Super VGA Cards
 */
import type { PaletteName } from "./palettes.ts";

export interface VgaMode {
  /** As INT 10h counts them. */
  readonly number: number;
  readonly kind: "text" | "cga" | "planar" | "packed";
  /** Characters of a row, and rows: of text, or of the text that the BIOS draws in a graphics mode. */
  readonly columns: number;
  readonly rows: number;
  /** Rows of dots in a character. */
  readonly characterHeight: 8 | 14 | 16;
  /** Where the processor sees video memory, and how much of it. */
  readonly address: number;
  readonly length: number;
  readonly palette: PaletteName;
  /** Miscellaneous output register (3C2h). Bit 0 says where the CRTC is: 3D4h, or 3B4h in monochrome modes. */
  readonly miscellaneous: number;
  /** Sequencer registers 1 to 4. */
  readonly sequencer: readonly number[];
  /** CRTC registers 0 to 18h. */
  readonly crtc: readonly number[];
  /** Attribute controller registers 0 to 14h. */
  readonly attribute: readonly number[];
  /** Graphics controller registers 0 to 8. */
  readonly graphics: readonly number[];
}

const hex = (text: string): readonly number[] => text.split(" ").map((byte) => Number.parseInt(byte, 16));
const times = (count: number, byte: string): string => new Array<string>(count).fill(byte).join(" ");

/** Attribute registers 0 to Fh: which of the palette's colours the 16 colours of a mode are. */
const EGA_COLOURS = "00 01 02 03 04 05 14 07 38 39 3a 3b 3c 3d 3e 3f";
const CGA_COLOURS = "00 01 02 03 04 05 06 07 10 11 12 13 14 15 16 17";

/** CRTC timing: 40 and 80 columns in 400 lines, in 350 and 480 lines; the mode's own registers are in between. */
const TEXT_40 = "2d 27 28 90 2b a0 bf 1f 00 4f 0d 0e 00 00 00 00 9c 8e 8f 14 1f 96 b9 a3 ff";
const TEXT_80 = "5f 4f 50 82 55 81 bf 1f 00 4f 0d 0e 00 00 00 00 9c 8e 8f 28 1f 96 b9 a3 ff";
const CGA_320 = "2d 27 28 90 2b 80 bf 1f 00 c1 00 00 00 00 00 00 9c 8e 8f 14 00 96 b9 a2 ff";
const CGA_640 = "5f 4f 50 82 54 80 bf 1f 00 c1 00 00 00 00 00 00 9c 8e 8f 28 00 96 b9 c2 ff";
const EGA_320 = "2d 27 28 90 2b 80 bf 1f 00 c0 00 00 00 00 00 00 9c 8e 8f 14 00 96 b9 e3 ff";
const EGA_640 = "5f 4f 50 82 54 80 bf 1f 00 c0 00 00 00 00 00 00 9c 8e 8f 28 00 96 b9 e3 ff";
const EGA_350 = "5f 4f 50 82 54 80 bf 1f 00 40 00 00 00 00 00 00 83 85 5d 28 0f 63 ba e3 ff";
const VGA_480 = "5f 4f 50 82 54 80 0b 3e 00 40 00 00 00 00 00 00 ea 8c df 28 00 e7 04 e3 ff";
const VGA_480_MONO = VGA_480.replace("e3 ff", "c3 ff");
const VGA_256 = "5f 4f 50 82 54 80 bf 1f 00 41 00 00 00 00 00 00 9c 8e 8f 28 40 96 b9 a3 ff";

type Shape = Pick<VgaMode, "kind" | "columns" | "rows" | "characterHeight" | "address" | "length" | "palette">;

function mode(
  number: number,
  shape: Shape,
  registers: { misc: number; seq: string; crtc: string; attr: string; gfx: string },
): VgaMode {
  return {
    number,
    ...shape,
    miscellaneous: registers.misc,
    sequencer: hex(registers.seq),
    crtc: hex(registers.crtc),
    attribute: hex(registers.attr),
    graphics: hex(registers.gfx),
  };
}

const textShape = (columns: number): Shape => ({
  kind: "text",
  columns,
  rows: 25,
  characterHeight: 16,
  address: 0xb8000,
  length: 0x8000,
  palette: "ega",
});
const cgaShape = (columns: number): Shape => ({
  kind: "cga",
  columns,
  rows: 25,
  characterHeight: 8,
  address: 0xb8000,
  length: 0x8000,
  palette: "cga",
});
const planarShape = (columns: number, height: number, characterHeight: 8 | 14 | 16, palette: PaletteName): Shape => ({
  kind: "planar",
  columns,
  rows: Math.floor(height / characterHeight),
  characterHeight,
  address: 0xa0000,
  length: 0x10000,
  palette,
});

const TEXT_ATTRIBUTE = `${EGA_COLOURS} 0c 00 0f 08 00`;
const TEXT_GRAPHICS = "00 00 00 00 00 10 0e 0f ff";
const PLANAR_GRAPHICS = "00 00 00 00 00 00 05 0f ff";

const text40 = { misc: 0x67, seq: "08 03 00 02", crtc: TEXT_40, attr: TEXT_ATTRIBUTE, gfx: TEXT_GRAPHICS };
const text80 = { misc: 0x67, seq: "00 03 00 02", crtc: TEXT_80, attr: TEXT_ATTRIBUTE, gfx: TEXT_GRAPHICS };
const cga320 = {
  misc: 0x63,
  seq: "09 03 00 02",
  crtc: CGA_320,
  attr: "00 13 15 17 02 04 06 07 10 11 12 13 14 15 16 17 01 00 03 00 00",
  gfx: "00 00 00 00 00 30 0f 0f ff",
};
const planar = (misc: number, clocking: string, crtc: string, colours: string) => ({
  misc,
  seq: `${clocking} 0f 00 06`,
  crtc,
  attr: `${colours} 01 00 0f 00 00`,
  gfx: PLANAR_GRAPHICS,
});

export const VGA_MODES: readonly VgaMode[] = [
  mode(0x00, textShape(40), text40),
  mode(0x01, textShape(40), text40),
  mode(0x02, textShape(80), text80),
  mode(0x03, textShape(80), text80),
  mode(0x04, cgaShape(40), cga320),
  mode(0x05, cgaShape(40), cga320),
  mode(0x06, cgaShape(80), {
    misc: 0x63,
    seq: "01 01 00 06",
    crtc: CGA_640,
    attr: `00 ${times(15, "17")} 01 00 01 00 00`,
    gfx: "00 00 00 00 00 00 0d 0f ff",
  }),
  mode(
    0x07,
    { ...textShape(80), address: 0xb0000, palette: "monochrome" },
    {
      misc: 0x66,
      seq: "00 03 00 02",
      crtc: TEXT_80,
      attr: `00 ${times(7, "08")} 10 ${times(7, "18")} 0e 00 0f 08 00`,
      gfx: "00 00 00 00 00 10 0a 0f ff",
    },
  ),
  mode(0x0d, planarShape(40, 200, 8, "cga"), planar(0x63, "09", EGA_320, CGA_COLOURS)),
  mode(0x0e, planarShape(80, 200, 8, "cga"), planar(0x63, "01", EGA_640, CGA_COLOURS)),
  mode(0x0f, planarShape(80, 350, 14, "monochrome"), {
    ...planar(0xa2, "01", EGA_350, ""),
    attr: "00 08 00 00 18 18 00 00 00 08 00 00 00 18 00 00 0b 00 05 00 00",
  }),
  mode(0x10, planarShape(80, 350, 14, "ega"), planar(0xa3, "01", EGA_350, EGA_COLOURS)),
  mode(0x11, planarShape(80, 480, 16, "ega"), planar(0xe3, "01", VGA_480_MONO, `00 ${times(15, "3f")}`)),
  mode(0x12, planarShape(80, 480, 16, "ega"), planar(0xe3, "01", VGA_480, EGA_COLOURS)),
  mode(
    0x13,
    { ...planarShape(40, 200, 8, "vga"), kind: "packed" },
    {
      misc: 0x63,
      seq: "01 0f 00 0e",
      crtc: VGA_256,
      attr: "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 41 00 0f 00 00",
      gfx: "00 00 00 00 00 40 05 0f ff",
    },
  ),
];

/** The mode with INT 10h's number, or undefined. */
export function vgaMode(number: number): VgaMode | undefined {
  return VGA_MODES.find((each) => each.number === number);
}
