/** The fonts that text in graphics modes is read with: those of the machine's own VGA BIOS. */
import { type FontHeight, vgaFont } from "../../firmware/vga/font/font.ts";
import { CODE_PAGE_437 } from "../../machine/code-page-437.ts";
import type { GlyphFont } from "./glyph-reader.ts";

const HEIGHTS: readonly FontHeight[] = [16, 8, 14];

let fonts: GlyphFont[] | undefined;

export function knownFonts(): readonly GlyphFont[] {
  fonts ??= HEIGHTS.map((height) => ({ height, bitmaps: vgaFont(height), characters: [...CODE_PAGE_437] }));
  return fonts;
}
