/**
 * Sets a video mode as a VGA BIOS does: registers, palette, font, an empty screen.
 *
 * @spec IBM PS/2 and PC BIOS Interface Technical Reference, INT 10h function 00h
 */
import type { MemoryBus } from "../../machine/memory-bus.ts";
import type { PortBus } from "../../machine/port-bus.ts";
import { vgaFont } from "./font/font.ts";
import type { VgaMode } from "./modes.ts";
import { palette } from "./palettes.ts";

export type VgaPorts = Pick<PortBus, "read" | "write">;
export type VgaMemory = Pick<MemoryBus, "write">;

const ATTRIBUTE = 0x3c0;
const MISCELLANEOUS_WRITE = 0x3c2;
const SEQUENCER = 0x3c4;
const DAC_MASK = 0x3c6;
const DAC_WRITE_INDEX = 0x3c8;
const DAC_DATA = 0x3c9;
const GRAPHICS = 0x3ce;
/** Above the CRTC's index port: input status 1, which also has the attribute controller expect an index. */
const STATUS_ABOVE_CRTC = 6;
const DISPI_INDEX = 0x1ce;
const DISPI_DATA = 0x1cf;
const DISPI_ENABLE = 4;

/** Attribute controller index bit 5: the palette is the display's, not the processor's. */
const PALETTE_ADDRESS_SOURCE = 0x20;
/** A glyph's rows lie in 32 bytes of plane 2; a font of 256 in 8 KiB. */
const GLYPH_STRIDE = 32;
const WINDOW = 0xa0000;
/** A space, light grey on black. */
const BLANK_CELL = 0x0720;

const crtcPort = (mode: VgaMode): number => (mode.miscellaneous & 1 ? 0x3d4 : 0x3b4);

function writeIndexed(ports: VgaPorts, port: number, index: number, value: number): void {
  ports.write(port, 2, (value << 8) | index);
}

/** Sets `mode`; `keep` leaves what is in video memory. */
export function setMode(ports: VgaPorts, memory: VgaMemory, mode: VgaMode, { keep = false } = {}): void {
  ports.write(DISPI_INDEX, 2, DISPI_ENABLE);
  ports.write(DISPI_DATA, 2, 0);
  loadRegisters(ports, mode);
  loadPalette(ports, palette(mode.palette));
  if (mode.kind === "text") loadFont(ports, memory, vgaFont(mode.characterHeight), 0, mode);
  if (!keep) clear(memory, mode);
  ports.read(crtcPort(mode) + STATUS_ABOVE_CRTC, 1);
  ports.write(ATTRIBUTE, 1, PALETTE_ADDRESS_SOURCE);
}

function loadRegisters(ports: VgaPorts, mode: VgaMode): void {
  const crtc = crtcPort(mode);
  // Both places: where the CRTC was is not known.
  ports.read(0x3ba, 1);
  ports.read(0x3da, 1);
  mode.attribute.forEach((value, index) => {
    ports.write(ATTRIBUTE, 1, index);
    ports.write(ATTRIBUTE, 1, value);
  });
  ports.write(ATTRIBUTE, 1, 0);
  ports.write(MISCELLANEOUS_WRITE, 1, mode.miscellaneous);
  writeIndexed(ports, SEQUENCER, 0, 1);
  mode.sequencer.forEach((value, at) => void writeIndexed(ports, SEQUENCER, at + 1, value));
  writeIndexed(ports, SEQUENCER, 0, 3);
  mode.graphics.forEach((value, index) => void writeIndexed(ports, GRAPHICS, index, value));
  // Registers 0 to 7 are locked by bit 7 of 11h.
  writeIndexed(ports, crtc, 0x11, 0);
  mode.crtc.forEach((value, index) => void writeIndexed(ports, crtc, index, value));
}

/** Loads the DAC; `colours` are 256 times red, green and blue of 6 bits. */
export function loadPalette(ports: VgaPorts, colours: Uint8Array): void {
  ports.write(DAC_MASK, 1, 0xff);
  ports.write(DAC_WRITE_INDEX, 1, 0);
  for (const component of colours) ports.write(DAC_DATA, 1, component);
}

/** Loads a font into one of the 8 blocks of plane 2; the text mode `mode` goes on. `font` has 256 glyphs of equal height. */
export function loadFont(ports: VgaPorts, memory: VgaMemory, font: Uint8Array, block: number, mode: VgaMode): void {
  const height = font.length / 256;
  // Plane 2 alone, byte by byte at A0000h.
  writeIndexed(ports, SEQUENCER, 2, 0x04);
  writeIndexed(ports, SEQUENCER, 4, 0x06);
  writeIndexed(ports, GRAPHICS, 5, 0x00);
  writeIndexed(ports, GRAPHICS, 6, 0x04);
  const base = WINDOW + ((block & 3) * 2 + ((block >> 2) & 1)) * 0x2000;
  for (let code = 0; code < 256; code++) {
    for (let row = 0; row < height; row++) {
      memory.write(base + code * GLYPH_STRIDE + row, 1, font[code * height + row]!);
    }
  }
  writeIndexed(ports, SEQUENCER, 2, mode.sequencer[1]!);
  writeIndexed(ports, SEQUENCER, 4, mode.sequencer[3]!);
  writeIndexed(ports, GRAPHICS, 5, mode.graphics[5]!);
  writeIndexed(ports, GRAPHICS, 6, mode.graphics[6]!);
}

function clear(memory: VgaMemory, mode: VgaMode): void {
  const cell = mode.kind === "text" ? BLANK_CELL * 0x10001 : 0;
  for (let at = 0; at < mode.length; at += 4) memory.write(mode.address + at, 4, cell);
}
