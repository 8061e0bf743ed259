/** What the adapter shows at a moment, as words of video memory that can be compared with those drawn before. */
import { displayOn } from "./attribute-controller.ts";
import {
  type Addressing,
  addressing,
  displayedLines,
  dotsAcross,
  newRaster,
  planeAddress,
  type Raster,
  scanFrame,
} from "./crtc.ts";
import { Dispi, dispiEnabled } from "./dispi.ts";
import { CGA_WORDS, PACKED_WORDS, PLANAR_WORDS, type WordPainter } from "./graphics-mode.ts";
import { LinearPicture, PlanarLinearPicture } from "./linear-mode.ts";
import {
  Attribute,
  AttributeMode,
  ClockingMode,
  Crtc,
  Graphics,
  GraphicsMiscellaneous,
  GraphicsMode,
  Sequencer,
} from "./registers.ts";
import type { VgaState } from "./state.ts";
import { CellSource } from "./text-mode.ts";

/** A picture's lines, each drawn from `wordsPerLine` words. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly wordsPerLine: number;
  /** What the pixels depend on besides the words and the colours. */
  readonly look: string;
  /** How many of the colours matter: 0, 16 (of four planes) or 256 (of a byte). */
  readonly colours: 0 | 16 | 256;
  /** Pixels that one word is. */
  readonly pixelsPerWord: number;
  /** Pixels of a line's first word that are left of the picture. */
  readonly lead: number;
  /**
   * Brings the words of `line` in `cache`, from `at` on, up to date, and says which have changed: the first and the last
   * (times 65,536); -1 where none did. A change of the whole line is all of its words.
   */
  scan(line: number, cache: Int32Array, at: number): number;
  /** Draws a line's words as pixels from `to` on. */
  paint(cache: Int32Array, at: number, colours: Uint32Array, pixels: Uint32Array, to: number): void;
}

/** A screen that shows nothing. */
function blank(width: number, height: number): Picture {
  return {
    width,
    height,
    wordsPerLine: 1,
    look: `blank ${width}x${height}`,
    colours: 0,
    pixelsPerWord: width,
    lead: 0,
    scan: () => -1,
    paint: (_cache, _at, _colours, pixels, to) => void pixels.fill(0, to, to + width),
  };
}

/** Filled anew for each picture. */
const raster = newRaster();
/** Where no mode has been set yet. */
const UNSET = { width: 640, height: 480 };

/** Words that say which row of characters a line is, and how far it is panned: the first of each line. */
const LINE_HEAD = 1;
/** A line has one more word than it has characters across, for what panning brings in. */
const PANNED_IN = 1;

/** Whether a text mode is set, seen or not. */
export function isText({ graphics, crtc, dispi }: VgaState): boolean {
  const drawn = (graphics[Graphics.miscellaneous]! & GraphicsMiscellaneous.mask.graphics) !== 0;
  return !drawn && !dispiEnabled(dispi) && crtc[Crtc.horizontalDisplayEnd] !== 0;
}

/** What is shown at guest time `frames`, counted in frames. */
export function pictureOf(state: VgaState, videoMemory: Int32Array, frames: number): Picture {
  const on = displayOn(state);
  if (dispiEnabled(state.dispi)) {
    const picture =
      state.dispi.registers[Dispi.bpp] === 4
        ? new PlanarLinearPicture(state.dispi, videoMemory)
        : new LinearPicture(state.dispi, videoMemory);
    return on ? picture : blank(picture.width, picture.height);
  }
  if (state.crtc[Crtc.horizontalDisplayEnd] === 0) return blank(UNSET.width, UNSET.height);
  const screenOff = (state.sequencer[Sequencer.clockingMode]! & ClockingMode.mask.screenOff) !== 0;
  const picture = new ScannedPicture(state, videoMemory, frames);
  return on && !screenOff ? picture : blank(picture.width, picture.height);
}

/** What the CRTC scans out of the four planes: text or graphics. */
class ScannedPicture implements Picture {
  readonly width: number;
  readonly height: number;
  readonly wordsPerLine: number;
  readonly look: string;
  readonly colours: 16 | 256;
  readonly pixelsPerWord: number;
  /** A panned line counts as changed from end to end. */
  readonly lead = 0;
  readonly #columns: number;
  readonly #dots: number;
  readonly #doubled: boolean;
  readonly #panning: number;
  readonly #panSplit: boolean;
  readonly #memory: Int32Array;
  readonly #addressing: Addressing;
  readonly #raster: Raster = raster;
  readonly #cells: CellSource | undefined;
  readonly #painter: WordPainter;
  /** A line of undoubled dots with what lies beyond its ends. */
  readonly #dotLine: Uint32Array;

  constructor(state: VgaState, memory: Int32Array, frames: number) {
    const { crtc, attribute, graphics, sequencer } = state;
    this.#memory = memory;
    this.#addressing = addressing(crtc);
    this.#columns = crtc[Crtc.horizontalDisplayEnd]! + 1;
    this.#doubled = (sequencer[Sequencer.clockingMode]! & ClockingMode.mask.dotClockHalved) !== 0;
    const text = isText(state);
    this.#cells = text ? new CellSource(state, memory, frames) : undefined;
    this.#dots = text ? dotsAcross(state) : 8;
    const { shift } = GraphicsMode(graphics[Graphics.mode]!);
    this.#painter = this.#cells ?? (shift >= 2 ? PACKED_WORDS : shift === 1 ? CGA_WORDS : PLANAR_WORDS);
    this.colours = !text && shift >= 2 ? 256 : 16;
    this.pixelsPerWord = this.#dots * (this.#doubled ? 2 : 1);
    this.width = this.#columns * this.pixelsPerWord;
    this.height = displayedLines(crtc);
    this.wordsPerLine = LINE_HEAD + this.#columns + PANNED_IN;
    const pan = attribute[Attribute.pelPanning]!;
    // With 9 dots, 8 is no panning and 0 is one dot.
    this.#panning = this.#dots === 9 ? (pan >= 8 ? 0 : pan + 1) : pan & 7;
    this.#panSplit = (attribute[Attribute.mode]! & AttributeMode.mask.pelPanningCompatible) === 0;
    const look = this.#cells ? this.#cells.look : `${shift}`;
    this.look = `scanned ${this.width}x${this.height} ${this.#dots} ${this.#doubled} ${text} ${look}`;
    this.#dotLine = new Uint32Array((this.#columns + PANNED_IN) * this.#dots);
    scanFrame(crtc, this.#raster);
  }

  scan(line: number, cache: Int32Array, at: number): number {
    const start = this.#raster.address[line]!;
    const row = this.#raster.row[line]!;
    const panning = this.#raster.split[line] && !this.#panSplit ? 0 : this.#panning;
    const head = row | (panning << 8);
    const whole = cache[at] !== head;
    cache[at] = head;
    const words = this.#columns + (panning > 0 ? PANNED_IN : 0);
    let first = -1;
    let last = -1;
    for (let i = 0; i < words; i++) {
      const address = planeAddress(this.#addressing, start + i, row);
      const word = this.#cells ? this.#cells.cell(this.#memory[address]!, start + i, row) : this.#memory[address]!;
      if (cache[at + LINE_HEAD + i] === word) continue;
      cache[at + LINE_HEAD + i] = word;
      if (first < 0) first = i;
      last = i;
    }
    if (whole || (panning > 0 && first >= 0)) return (this.#columns - 1) * 0x10000;
    return first < 0 ? -1 : last * 0x10000 + first;
  }

  paint(cache: Int32Array, at: number, colours: Uint32Array, pixels: Uint32Array, to: number): void {
    const head = cache[at]!;
    const panning = head >> 8;
    const words = this.#columns + (panning > 0 ? PANNED_IN : 0);
    const dots = this.#dotLine;
    this.#painter.paint(cache, at + LINE_HEAD, words, head & 0x1f, colours, dots);
    if (!this.#doubled) {
      pixels.set(dots.subarray(panning, panning + this.width), to);
      return;
    }
    for (let x = 0; x < this.width; x++) pixels[to + x] = dots[panning + (x >> 1)]!;
  }
}
