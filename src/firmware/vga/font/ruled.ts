/** Box drawing and block characters of code page 437: ruled for a cell of any height, so that they join. */
import type { Glyph } from "./glyph-sheet.ts";

/** Each character with its lines to the left, right, top and bottom: none, single or double. */
const BOXES =
  "─1100│0011┌0101┐1001└0110┘1010├0111┤1011┬1101┴1110┼1111" +
  "═2200║0022╔0202╗2002╚0220╝2020╠0222╣2022╦2202╩2220╬2222" +
  "╒0201╓0102╕2001╖1002╘0210╙0120╛2010╜1020" +
  "╞0211╟0122╡2011╢1022╤2201╥1102╧2210╨1120╪2211╫1122";

/** First and last place across a line's direction: of a single line (and a double one's gap), and of a double one. */
interface Lanes {
  readonly length: number;
  readonly single: readonly [number, number];
  readonly outer: readonly [number, number];
}

const COLUMNS: Lanes = { length: 8, single: [3, 4], outer: [1, 6] };

function rowLanes(height: number): Lanes {
  const middle = height / 2 - 1;
  return { length: height, single: [middle, middle], outer: [middle - 1, middle + 1] };
}

/** A cell as rows of dots. */
class Canvas {
  readonly rows: number[];
  constructor(height: number) {
    this.rows = new Array<number>(height).fill(0);
  }
  fill(left: number, right: number, top: number, bottom: number, lit = true): void {
    const mask = (0xff >> left) & (0xff << (7 - right));
    for (let row = top; row <= bottom; row++) this.rows[row] = lit ? this.rows[row]! | mask : this.rows[row]! & ~mask;
  }
}

type Step = "band" | "gap" | "line";

function box(arms: readonly number[], height: number): Glyph {
  const canvas = new Canvas(height);
  const rows = rowLanes(height);
  // A double line is a band with a gap cut out; single lines come last, as they cross gaps.
  for (const step of ["band", "gap", "line"] as const) {
    for (const [arm, weight] of arms.entries()) {
      if (weight !== (step === "line" ? 1 : 2)) continue;
      const across = arm < 2;
      const [from, to] = extent(arms, arm, step, across ? COLUMNS : rows);
      const lanes = across ? rows : COLUMNS;
      const [low, high] = step === "band" ? lanes.outer : lanes.single;
      if (across) canvas.fill(from, to, low, high, step !== "gap");
      else canvas.fill(low, high, from, to, step !== "gap");
    }
  }
  return canvas.rows;
}

/** From where to where along its direction an arm is drawn, `along` being the lanes of the lines that cross it. */
function extent(arms: readonly number[], arm: number, step: Step, along: Lanes): readonly [number, number] {
  const crossing = arm < 2 ? arms.slice(2) : arms.slice(0, 2);
  // A single line ends at the nearer half of a double one that goes on past it, unless it goes on itself.
  const stops = step === "line" && crossing.every((each) => each === 2) && arms[arm ^ 1] === 0;
  const [low, high] = crossing.includes(2) && step !== "gap" ? along.outer : along.single;
  return arm % 2 === 0 ? [0, stops ? low : high] : [stops ? high : low, along.length - 1];
}

/** Dots of two rows in turn: a quarter, a half and three quarters of them lit. */
const SHADES: readonly (readonly [string, number, number])[] = [
  ["░", 0x88, 0x22],
  ["▒", 0xaa, 0x55],
  ["▓", 0xdd, 0x77],
];

/** All ruled characters in a cell of `height` rows. */
export function rule(height: number): Map<string, Glyph> {
  const glyphs = new Map<string, Glyph>();
  for (const [, character, arms] of BOXES.matchAll(/(.)(\d{4})/gu)) {
    glyphs.set(character!, box([...arms!].map(Number), height));
  }
  for (const [character, even, odd] of SHADES) {
    glyphs.set(
      character,
      Array.from({ length: height }, (_, row) => (row % 2 ? odd : even)),
    );
  }
  const area = (character: string, left: number, right: number, top: number, bottom: number) => {
    const canvas = new Canvas(height);
    canvas.fill(left, right, top, bottom);
    glyphs.set(character, canvas.rows);
    return canvas;
  };
  const half = height / 2;
  area("█", 0, 7, 0, height - 1);
  area("▀", 0, 7, 0, half - 1);
  area("▄", 0, 7, half, height - 1);
  area("▌", 0, 3, 0, height - 1);
  area("▐", 4, 7, 0, height - 1);
  // The halves of an integral sign continue each other, and a vertical line.
  const top = area("⌠", 3, 4, 2, height - 1);
  top.fill(4, 5, 1, 1);
  top.fill(6, 6, 2, 2);
  const bottom = area("⌡", 3, 4, 0, height - 3);
  bottom.fill(2, 3, height - 2, height - 2);
  bottom.fill(1, 1, height - 3, height - 3);
  return glyphs;
}
