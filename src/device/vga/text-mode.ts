/**
 * Text modes: characters in plane 0, attributes in plane 1, fonts in plane 2.
 *
 * @spec IBM PS/2 Hardware Interface Technical Reference, Video Subsystem, "Alphanumeric Modes", "Character Map Select
 * Register", "Attribute Mode Control Register"
 */
import { cursorAddress, dotsAcross } from "./crtc.ts";
import type { WordPainter } from "./graphics-mode.ts";
import { Attribute, AttributeMode, Crtc, CursorStart, Sequencer, Underline } from "./registers.ts";
import type { VgaState } from "./state.ts";

/** A cell as it is compared and drawn: code, attribute, and what the time of the frame adds. */
const CURSOR = 1 << 16;
const HIDDEN = 1 << 17;
const BLINK_ATTRIBUTE = 0x8000;

/** Frames that the cursor and blinking characters are seen, and then not. */
const CURSOR_FRAMES = 8;
const BLINK_FRAMES = 16;

/** A glyph's rows begin every 32 bytes of plane 2, a font every 8 KiB. */
const GLYPH_STRIDE = 32;
const FONT = 0x2000;
const GLYPH_PLANE = 16;

/** Characters whose last dot is repeated in the ninth: box drawing. */
const LINE_FIRST = 0xc0;
const LINE_LAST = 0xdf;

/** Offsets in plane 2 of the fonts for attribute bit 3 clear and set. */
export function fontOffsets(select: number): readonly [number, number] {
  const offset = (low: number, high: number) => (low * 2 + high) * FONT;
  return [offset(select & 3, (select >> 4) & 1), offset((select >> 2) & 3, (select >> 5) & 1)];
}

export class CellSource implements WordPainter {
  readonly look: string;
  readonly #memory: Int32Array;
  readonly #fonts: readonly [number, number];
  readonly #dots: 8 | 9;
  readonly #lineGraphics: boolean;
  readonly #blink: boolean;
  /** Row of underlines, or one that no character has. */
  readonly #underline: number;
  readonly #cursorAt: number;
  readonly #cursorFirst: number;
  readonly #cursorLast: number;
  readonly #blinkedOff: boolean;

  constructor(state: VgaState, memory: Int32Array, frames: number) {
    const { crtc, attribute, sequencer } = state;
    this.#memory = memory;
    this.#fonts = fontOffsets(sequencer[Sequencer.characterMapSelect]!);
    this.#dots = dotsAcross(state);
    const mode = AttributeMode(attribute[Attribute.mode]!);
    this.#lineGraphics = mode.lineGraphics;
    this.#blink = mode.blink;
    this.#underline = mode.monochrome ? Underline(crtc[Crtc.underline]!).row : -1;
    const { start, off } = CursorStart(crtc[Crtc.cursorStart]!);
    const shown = !off && Math.floor(frames / CURSOR_FRAMES) % 2 === 0;
    this.#cursorAt = shown ? cursorAddress(crtc) : -1;
    this.#cursorFirst = start;
    this.#cursorLast = crtc[Crtc.cursorEnd]! & 0x1f;
    this.#blinkedOff = Math.floor(frames / BLINK_FRAMES) % 2 === 1;
    this.look = `${this.#fonts} ${mode.lineGraphics} ${mode.blink} ${this.#underline}`;
  }

  /** The cell at memory address counter `counter`, on a row of its character. */
  cell(word: number, counter: number, row: number): number {
    let cell = word & 0xffff;
    if (counter === this.#cursorAt && row >= this.#cursorFirst && row <= this.#cursorLast) cell |= CURSOR;
    if (this.#blink && this.#blinkedOff && cell & BLINK_ATTRIBUTE) cell |= HIDDEN;
    return cell;
  }

  paint(cache: Int32Array, at: number, count: number, row: number, colours: Uint32Array, dots: Uint32Array): void {
    let to = 0;
    for (let i = 0; i < count; i++) {
      const cell = cache[at + i]!;
      const code = cell & 0xff;
      const attribute = (cell >> 8) & 0xff;
      const background = colours[(attribute >> 4) & (this.#blink ? 7 : 15)]!;
      const foreground = colours[attribute & 15]!;
      const font = this.#fonts[(attribute >> 3) & 1]!;
      let bits = (this.#memory[font + code * GLYPH_STRIDE + row]! >>> GLYPH_PLANE) & 0xff;
      if (row === this.#underline && (attribute & 7) === 1) bits = 0xff;
      if (cell & HIDDEN) bits = 0;
      if (cell & CURSOR) bits = 0xff;
      for (let mask = 0x80; mask > 0; mask >>= 1) dots[to++] = bits & mask ? foreground : background;
      if (this.#dots === 8) continue;
      const repeated = this.#lineGraphics && code >= LINE_FIRST && code <= LINE_LAST;
      const lit = (repeated && bits & 1) || cell & CURSOR || (row === this.#underline && bits === 0xff);
      dots[to++] = lit ? foreground : background;
    }
  }
}

/** The fonts in use, to find out whether one has changed. */
export class FontWatch {
  readonly #seen = new Uint8Array(2 * FONT);

  /** Whether a glyph is not what it was the last time. */
  changed(select: number, memory: Int32Array): boolean {
    let changed = false;
    fontOffsets(select).forEach((font, which) => {
      const base = which * FONT;
      for (let at = 0; at < FONT; at++) {
        const bits = (memory[font + at]! >>> GLYPH_PLANE) & 0xff;
        if (this.#seen[base + at] === bits) continue;
        this.#seen[base + at] = bits;
        changed = true;
      }
    });
    return changed;
  }
}
