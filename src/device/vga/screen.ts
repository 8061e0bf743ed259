/**
 * The picture for its viewers. What is shown is compared with what was, a line at a time, when a viewer asks; what has
 * changed since has a number that grows, so that each viewer gets what it has not drawn yet.
 */
import { CODE_PAGE_437 } from "../../machine/code-page-437.ts";
import type { Clock } from "../../machine/device.ts";
import type { DisplaySource, Rectangle, Surface } from "../../machine/display.ts";
import { packedColours, planarColours } from "./attribute-controller.ts";
import { addressing, newRaster, planeAddress, scanFrame, timing } from "./crtc.ts";
import { isText, type Picture, pictureOf } from "./picture.ts";
import { Crtc, MaximumScanLine, Sequencer } from "./registers.ts";
import type { VgaState } from "./state.ts";
import { FontWatch } from "./text-mode.ts";

/** When a line changed last, where, and when it changed before. */
interface Changes {
  readonly latest: Float64Array;
  readonly before: Float64Array;
  /** The columns of pixels that the latest change covers. */
  readonly left: Uint16Array;
  readonly right: Uint16Array;
}

export class Screen implements DisplaySource {
  readonly #state: VgaState;
  readonly #memory: Int32Array;
  readonly #clock: Clock;
  #look = "";
  readonly #colours = new Uint32Array(256);
  readonly #colourScratch = new Uint32Array(256);
  readonly #fonts = new FontWatch();
  #cache = new Int32Array(0);
  #changes: Changes = newChanges(0);
  /** Number of the latest comparison that found a change. */
  #moment = 0;
  readonly #drawn = new WeakMap<Surface, number>();

  /** `videoMemory` begins on a word of its buffer. */
  constructor(state: VgaState, videoMemory: Uint8Array, clock: Clock) {
    this.#state = state;
    this.#memory = new Int32Array(videoMemory.buffer, videoMemory.byteOffset, videoMemory.length / 4);
    this.#clock = clock;
  }

  get size(): { readonly width: number; readonly height: number } {
    const { width, height } = this.#picture();
    return { width, height };
  }

  /** Throws RangeError where the surface has not the present size. */
  draw(surface: Surface): readonly Rectangle[] {
    const picture = this.#picture();
    if (surface.width !== picture.width || surface.height !== picture.height) {
      throw new RangeError(
        `a surface of ${surface.width}x${surface.height} for a picture of ${picture.width}x${picture.height}`,
      );
    }
    this.#compare(picture);
    const seen = this.#drawn.get(surface) ?? -1;
    this.#drawn.set(surface, this.#moment);
    return seen < this.#moment ? this.#paint(picture, surface, seen) : [];
  }

  text(): readonly string[] | undefined {
    const state = this.#state;
    if (!isText(state)) return undefined;
    const raster = newRaster();
    scanFrame(state.crtc, raster);
    const how = addressing(state.crtc);
    const columns = state.crtc[Crtc.horizontalDisplayEnd]! + 1;
    const { maximum } = MaximumScanLine(state.crtc[Crtc.maximumScanLine]!);
    const rows: string[] = [];
    for (let line = 0; line < raster.lines; line++) {
      // A row that only begins on the screen is left out, as are repeated lines.
      const repeats = line > 0 && raster.row[line - 1] === maximum && raster.address[line - 1] === raster.address[line];
      if (raster.row[line] !== maximum || repeats) continue;
      let row = "";
      for (let column = 0; column < columns; column++) {
        const address = planeAddress(how, raster.address[line]! + column, 0);
        row += CODE_PAGE_437[this.#memory[address]! & 0xff];
      }
      rows.push(row);
    }
    return rows;
  }

  #picture(): Picture {
    return pictureOf(this.#state, this.#memory, Math.floor(this.#clock.now() / timing(this.#state).frame));
  }

  /** Finds what has changed since the last comparison. */
  #compare(picture: Picture): void {
    const next = this.#moment + 1;
    const { height, wordsPerLine, width } = picture;
    let all = this.#coloursChanged(picture);
    if (
      isText(this.#state) &&
      this.#fonts.changed(this.#state.sequencer[Sequencer.characterMapSelect]!, this.#memory)
    ) {
      all = true;
    }
    if (picture.look !== this.#look) {
      all = true;
      this.#look = picture.look;
      if (this.#cache.length < height * wordsPerLine) this.#cache = new Int32Array(height * wordsPerLine);
      this.#changes = newChanges(height);
    }
    const { latest, before, left, right } = this.#changes;
    for (let line = 0; line < height; line++) {
      const change = picture.scan(line, this.#cache, line * wordsPerLine);
      if (change < 0 && !all) continue;
      before[line] = latest[line]!;
      latest[line] = next;
      const whole = all || change < 0;
      left[line] = whole ? 0 : Math.floor(pixelAt(picture, change % 0x10000, width - 1));
      right[line] = whole ? width : Math.ceil(pixelAt(picture, Math.floor(change / 0x10000) + 1, width));
      this.#moment = next;
    }
  }

  #coloursChanged({ colours: count }: Picture): boolean {
    if (count === 0) return false;
    const fresh = this.#colourScratch;
    if (count === 16) planarColours(this.#state, fresh);
    else packedColours(this.#state, fresh);
    let changed = false;
    for (let i = 0; i < count; i++) {
      if (this.#colours[i] === fresh[i]) continue;
      this.#colours[i] = fresh[i]!;
      changed = true;
    }
    return changed;
  }

  #paint(picture: Picture, surface: Surface, seen: number): Rectangle[] {
    const { latest, before, left, right } = this.#changes;
    const { width, height, wordsPerLine } = picture;
    const rectangles: Rectangle[] = [];
    let from = -1;
    let least = 0;
    let most = 0;
    for (let line = 0; line <= height; line++) {
      const changed = line < height && latest[line]! > seen;
      if (changed) {
        picture.paint(this.#cache, line * wordsPerLine, this.#colours, surface.pixels, line * width);
        // One who missed an earlier change does not know how far that one went.
        const missed = before[line]! > seen;
        if (from < 0) [from, least, most] = [line, width, 0];
        least = Math.min(least, missed ? 0 : left[line]!);
        most = Math.max(most, missed ? width : right[line]!);
      } else if (from >= 0) {
        rectangles.push({ x: least, y: from, width: most - least, height: line - from });
        from = -1;
      }
    }
    return rectangles;
  }
}

/** Where a word begins, in pixels (it may be within one), from 0 to `most`. */
function pixelAt({ pixelsPerWord, lead }: Picture, word: number, most: number): number {
  return Math.min(Math.max(word * pixelsPerWord - lead, 0), most);
}

function newChanges(lines: number): Changes {
  return {
    latest: new Float64Array(lines),
    before: new Float64Array(lines),
    left: new Uint16Array(lines),
    right: new Uint16Array(lines),
  };
}
