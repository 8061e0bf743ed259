/** A display that shows what a test paints, and an input that remembers what came. */
import type { DisplaySource, Rectangle, Surface } from "../../../machine/display.ts";
import type { InputTarget } from "../../input/guest-input.ts";

export class TestDisplay implements DisplaySource {
  size: { width: number; height: number };
  #pixels: Uint32Array;
  rows: string[] | undefined;
  /** How often it was drawn. */
  draws = 0;
  /** Says that all has changed at each drawing. */
  exaggerates = false;
  readonly #changes = new WeakMap<Surface, number>();
  readonly #log: Rectangle[] = [];

  constructor(width: number, height: number) {
    this.size = { width, height };
    this.#pixels = new Uint32Array(width * height);
  }

  resize(width: number, height: number): void {
    this.size = { width, height };
    this.#pixels = new Uint32Array(width * height);
    this.paint({ x: 0, y: 0, width, height }, () => 0);
  }

  /** Gives each pixel of a part a colour. */
  paint(part: Rectangle, colour: (x: number, y: number) => number): void {
    for (let y = part.y; y < part.y + part.height; y++) {
      for (let x = part.x; x < part.x + part.width; x++) this.#pixels[y * this.size.width + x] = colour(x, y);
    }
    this.#log.push(part);
  }

  pixel(x: number, y: number): number {
    return this.#pixels[y * this.size.width + x] as number;
  }

  get pixels(): Uint32Array {
    return this.#pixels;
  }

  draw(surface: Surface): readonly Rectangle[] {
    this.draws++;
    const whole = { x: 0, y: 0, ...this.size };
    const seen = this.#changes.get(surface);
    const parts = seen === undefined || this.exaggerates ? [whole] : this.#log.slice(seen);
    this.#changes.set(surface, this.#log.length);
    if (parts.length > 0) surface.pixels.set(this.#pixels);
    return parts;
  }

  text(): readonly string[] | undefined {
    return this.rows;
  }
}

export class TestInput implements InputTarget {
  leds = 0;
  /** Such as "+KeyA -KeyA". */
  readonly keys: string[] = [];
  readonly motions: { dx?: number; dy?: number; wheel?: number }[] = [];
  readonly buttonStates: number[] = [];
  takesPlaces = false;
  readonly places: { x: number; y: number; wheel?: number }[] = [];

  key(code: string, down: boolean): void {
    this.keys.push(`${down ? "+" : "-"}${code}`);
  }

  move(motion: { dx?: number; dy?: number; wheel?: number }): void {
    this.motions.push(motion);
  }

  place(place: { x: number; y: number; wheel?: number }): void {
    this.places.push(place);
  }

  buttons(pressed: number): void {
    this.buttonStates.push(pressed);
  }
}
