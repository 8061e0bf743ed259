/** Which parts of a picture a viewer has not been sent yet, in squares. */
import type { Rectangle } from "../../machine/display.ts";

/** Pixels of a square's side: a tile of ZRLE. */
export const TILE = 64;

export class Damage {
  readonly #columns: number;
  readonly #rows: number;
  readonly #width: number;
  readonly #height: number;
  readonly #dirty: Uint8Array;

  constructor(width: number, height: number) {
    this.#width = width;
    this.#height = height;
    this.#columns = Math.ceil(width / TILE);
    this.#rows = Math.ceil(height / TILE);
    this.#dirty = new Uint8Array(this.#columns * this.#rows);
  }

  /** A part has changed; what is outside of the picture does not count. */
  mark({ x, y, width, height }: Rectangle): void {
    const right = Math.min(x + width, this.#width);
    const bottom = Math.min(y + height, this.#height);
    if (!(right > x && bottom > y)) return;
    for (let row = Math.floor(Math.max(y, 0) / TILE); row * TILE < bottom; row++) {
      const from = row * this.#columns;
      const first = Math.floor(Math.max(x, 0) / TILE);
      this.#dirty.fill(1, from + first, from + Math.ceil(right / TILE));
    }
  }

  /** Whether `within` has changed anywhere. */
  has(within: Rectangle): boolean {
    return this.#runs(within).next().done !== true;
  }

  /**
   * Takes out what has changed within a part of the picture, in rectangles of squares next to each other, about `most`
   * pixels of it. A square that is only partly within stays to be sent.
   */
  take(within: Rectangle, most: number): Rectangle[] {
    const taken: Rectangle[] = [];
    let pixels = 0;
    for (const { row, first, last } of this.#runs(within)) {
      if (pixels >= most) break;
      const part = clip({ x: first * TILE, y: row * TILE, width: (last - first) * TILE, height: TILE }, within);
      pixels += part.width * part.height;
      this.#forget(row, first, last, within);
      const above = taken.at(-1);
      if (above && above.x === part.x && above.width === part.width && above.y + above.height === part.y) {
        taken[taken.length - 1] = { ...above, height: above.height + part.height };
      } else taken.push(part);
    }
    return taken.map((part) => clip(part, { x: 0, y: 0, width: this.#width, height: this.#height }));
  }

  *#runs(within: Rectangle): Generator<{ row: number; first: number; last: number }> {
    const right = Math.min(within.x + within.width, this.#width);
    const bottom = Math.min(within.y + within.height, this.#height);
    if (right <= within.x || bottom <= within.y) return;
    const end = Math.ceil(right / TILE);
    for (let row = Math.floor(within.y / TILE); row * TILE < bottom; row++) {
      for (let column = Math.floor(within.x / TILE); column < end; column++) {
        if (!this.#dirty[row * this.#columns + column]) continue;
        const first = column;
        while (column < end && this.#dirty[row * this.#columns + column]) column++;
        yield { row, first, last: column };
      }
    }
  }

  #forget(row: number, first: number, last: number, { x, y, width, height }: Rectangle): void {
    if (row * TILE < y || Math.min((row + 1) * TILE, this.#height) > y + height) return;
    for (let column = first; column < last; column++) {
      if (column * TILE < x || Math.min((column + 1) * TILE, this.#width) > x + width) continue;
      this.#dirty[row * this.#columns + column] = 0;
    }
  }
}

function clip(part: Rectangle, within: Rectangle): Rectangle {
  const x = Math.max(part.x, within.x);
  const y = Math.max(part.y, within.y);
  return {
    x,
    y,
    width: Math.min(part.x + part.width, within.x + within.width) - x,
    height: Math.min(part.y + part.height, within.y + within.height) - y,
  };
}
