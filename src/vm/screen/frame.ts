/**
 * The picture of a display as its viewers share it: drawn once for all of them, and what is told as changed has
 * changed, also where the display draws more than that.
 */
import type { DisplaySource, Rectangle, Surface } from "../../machine/display.ts";
import { TILE } from "./damage.ts";

/** Who is told of changes. */
export interface FrameWatcher {
  /** The picture has another size now; all of it is new. */
  resized(): void;
  changed(part: Rectangle): void;
}

/** A display that shows nothing is as small as this, since a picture has to have pixels. */
const SMALLEST = 1;

const blank = (width: number, height: number): Surface => ({ width, height, pixels: new Uint32Array(width * height) });

export class Frame {
  readonly #display: DisplaySource;
  readonly #watchers = new Set<FrameWatcher>();
  #drawn: Surface;
  #shown: Surface;

  constructor(display: DisplaySource) {
    this.#display = display;
    this.#drawn = this.#shown = blank(SMALLEST, SMALLEST);
    this.refresh();
  }

  /** The picture as of the last `refresh`. */
  get picture(): Surface {
    return this.#shown;
  }

  watch(watcher: FrameWatcher): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** Draws what the guest has changed, and tells the watchers. */
  refresh(): void {
    const { width, height } = this.#display.size;
    const isEmpty = width < SMALLEST || height < SMALLEST;
    const columns = isEmpty ? SMALLEST : width;
    const rows = isEmpty ? SMALLEST : height;
    if (columns !== this.#drawn.width || rows !== this.#drawn.height) {
      this.#drawn = blank(columns, rows);
      if (!isEmpty) this.#display.draw(this.#drawn);
      this.#shown = { width: columns, height: rows, pixels: this.#drawn.pixels.slice() };
      for (const watcher of this.#watchers) watcher.resized();
      return;
    }
    if (isEmpty) return;
    for (const part of this.#display.draw(this.#drawn)) this.#compare(part);
  }

  #compare({ x, y, width, height }: Rectangle): void {
    const right = Math.min(x + width, this.#drawn.width);
    const bottom = Math.min(y + height, this.#drawn.height);
    // Square by square, along the same lines as the viewers'.
    for (let top = y; top < bottom; top = Math.min((Math.floor(top / TILE) + 1) * TILE, bottom)) {
      const end = Math.min((Math.floor(top / TILE) + 1) * TILE, bottom);
      for (let left = x; left < right; left = Math.min((Math.floor(left / TILE) + 1) * TILE, right)) {
        const edge = Math.min((Math.floor(left / TILE) + 1) * TILE, right);
        if (!this.#copy(left, top, edge, end)) continue;
        const part = { x: left, y: top, width: edge - left, height: end - top };
        for (const watcher of this.#watchers) watcher.changed(part);
      }
    }
  }

  /** Brings a part of what is shown up to date; whether that changed anything. */
  #copy(left: number, top: number, right: number, bottom: number): boolean {
    const { width, pixels: drawn } = this.#drawn;
    const shown = this.#shown.pixels;
    let hasChanged = false;
    for (let y = top; y < bottom; y++) {
      const end = y * width + right;
      for (let i = y * width + left; i < end; i++) {
        if (drawn[i] === shown[i]) continue;
        shown[i] = drawn[i] as number;
        hasChanged = true;
      }
    }
    return hasChanged;
  }
}
