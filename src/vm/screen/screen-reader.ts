/** What is on a machine's screen now, for a program that asks: its size, its picture, its text. */
import type { DisplaySource, Surface } from "../../machine/display.ts";
import { type GlyphFont, readGlyphs } from "./glyph-reader.ts";

export class ScreenReader {
  readonly #display: DisplaySource;
  readonly #fonts: readonly GlyphFont[];
  #surface: Surface | undefined;

  /** `fonts`: those that text in graphics modes is read with. */
  constructor(display: DisplaySource, fonts: readonly GlyphFont[]) {
    this.#display = display;
    this.#fonts = fonts;
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
    return this.#display.text() ?? readGlyphs(this.picture(), this.#fonts);
  }
}
