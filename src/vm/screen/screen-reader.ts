/** What is on a machine's screen now, for a program that asks: its size, its picture, its text. */
import type { DisplaySource, Surface } from "../../machine/display.ts";
import { findFonts } from "./find-fonts.ts";
import { type GlyphFont, readGlyphs } from "./glyph-reader.ts";

/** Fonts of the guest's own at the most. */
const MOST_FOUND = 4;
/** How often a picture is not read before the guest's memory is searched for fonts again. */
const SEARCH_EVERY = 20;

export class ScreenReader {
  readonly #display: DisplaySource;
  readonly #fonts: readonly GlyphFont[];
  readonly #memory: (() => Uint8Array) | undefined;
  #found: readonly GlyphFont[] = [];
  #unread = 0;
  #surface: Surface | undefined;

  /** `fonts`: those that text in graphics modes is read with; more are looked for in `memory`, the guest's. */
  constructor(display: DisplaySource, fonts: readonly GlyphFont[], memory?: () => Uint8Array) {
    this.#display = display;
    this.#fonts = fonts;
    this.#memory = memory;
  }

  get size(): { width: number; height: number } {
    const { width, height } = this.#display.size;
    return { width, height };
  }

  /** The picture; a screen that shows nothing is one black pixel. Valid until the next call. */
  picture(): Surface {
    const { width, height } = this.#display.size;
    if (width < 1 || height < 1) return { width: 1, height: 1, pixels: new Uint32Array(1) };
    if (this.#surface?.width !== width || this.#surface.height !== height) {
      this.#surface = { width, height, pixels: new Uint32Array(width * height) };
    }
    this.#display.draw(this.#surface);
    return this.#surface;
  }

  /** Rows of text; undefined where the screen shows a picture in which none can be read. */
  text(): readonly string[] | undefined {
    return this.#display.text() ?? this.#read(this.picture());
  }

  #read(picture: Surface): readonly string[] | undefined {
    const rows = readGlyphs(picture, [...this.#fonts, ...this.#found]);
    if (rows !== undefined || this.#memory === undefined || this.#unread++ % SEARCH_EVERY !== 0) return rows;
    this.#found = findFonts(this.#memory(), MOST_FOUND);
    return readGlyphs(picture, this.#found);
  }
}
