/** The accented letters of code page 437, put together from a letter and a mark, and those that are another one turned. */
import { dots, type Glyph } from "./glyph-sheet.ts";

/** Where letters stand in a cell. */
export interface Cell {
  readonly height: number;
  /** Rows of capitals, and the first row of small letters. */
  readonly capTop: number;
  readonly smallTop: number;
  readonly baseline: number;
  readonly marks: { readonly [name in Mark]: readonly string[] };
}

type Mark = "acute" | "grave" | "circumflex" | "diaeresis" | "tilde" | "ring" | "cedilla";

export const CELL_16: Cell = {
  height: 16,
  capTop: 2,
  smallTop: 5,
  baseline: 11,
  marks: {
    acute: ["....##.", "...##.."],
    grave: ["..##...", "...##.."],
    circumflex: ["...##..", "..####.", ".##..##"],
    diaeresis: [".##..##", ".##..##"],
    tilde: ["..###.#", ".#.###."],
    ring: ["...##..", "..#..#.", "...##.."],
    cedilla: ["...##..", "....##.", "..###.."],
  },
};

export const CELL_8: Cell = {
  height: 8,
  capTop: 0,
  smallTop: 2,
  baseline: 6,
  marks: {
    acute: ["....##."],
    grave: ["..##..."],
    circumflex: ["...##..", "..#..#."],
    diaeresis: [".##..##"],
    tilde: ["..##.#."],
    ring: ["...##.."],
    cedilla: ["..###.."],
  },
};

const COMPOSED: readonly (readonly [Mark, string])[] = [
  ["acute", "áaéeíióoúuÉE"],
  ["grave", "àaèeìiòoùu"],
  ["circumflex", "âaêeîiôoûu"],
  ["diaeresis", "äaëeïiöoüuÿyÄAÖOÜU"],
  ["tilde", "ñnÑN"],
  ["ring", "åaÅA"],
  ["cedilla", "çcÇC"],
];

/** Turned by half: the mark that opens a question is the one that ends it. */
const TURNED = "¿?¡!";

/** The composed characters, from whole cells of the plain ones. */
export function compose(plain: ReadonlyMap<string, Glyph>, cell: Cell): Map<string, Glyph> {
  const glyphs = new Map<string, Glyph>();
  for (const [mark, pairs] of COMPOSED) {
    for (let i = 0; i < pairs.length; i += 2) {
      const letter = plain.get(pairs[i + 1]!)!;
      glyphs.set(pairs[i]!, withMark(letter, pairs[i + 1]!, mark, cell));
    }
  }
  for (let i = 0; i < TURNED.length; i += 2) glyphs.set(TURNED[i]!, turn(plain.get(TURNED[i + 1]!)!, cell));
  return glyphs;
}

function withMark(letter: Glyph, character: string, mark: Mark, cell: Cell): Glyph {
  const rows = cell.marks[mark].map(dots);
  const glyph = [...letter];
  if (mark === "cedilla") {
    rows.forEach((row, at) => {
      glyph[cell.baseline + 1 + at] = row;
    });
    return glyph;
  }
  const capital = character < "a";
  // Two rows less leave a capital O of the 8x8 font as high as a small one.
  const less = cell.height === 8 && character === "O" ? 1 : 2;
  const top = capital ? cell.capTop + less : cell.smallTop;
  if (capital) lower(glyph, cell, less);
  else glyph.fill(0, 0, top);
  // A row of space between mark and letter, where there is room for it.
  const first = Math.max(top - 1 - rows.length, top === 4 ? 1 : 0);
  rows.forEach((row, at) => {
    glyph[first + at] = row;
  });
  return glyph;
}

/** Makes a capital `less` rows less high: a stem's rows are all alike, so that one of them can go. */
function lower(glyph: number[], cell: Cell, less: number): void {
  for (let removed = 0; removed < less; removed++) {
    let at = cell.capTop + 1;
    while (glyph[at] !== glyph[at + 1]) at++;
    glyph.splice(at, 1);
    glyph.splice(cell.capTop, 0, 0);
  }
}

/** Turned within the rows of a capital; as columns 1 to 6 hold it, that is also a turn of the whole cell's columns. */
function turn(glyph: Glyph, cell: Cell): Glyph {
  const turned = [...glyph];
  for (let row = cell.capTop; row <= cell.baseline; row++) {
    const source = glyph[cell.capTop + cell.baseline - row]!;
    let mirrored = 0;
    for (let column = 0; column < 8; column++) if (source & (1 << column)) mirrored |= 0x80 >> column;
    turned[row] = mirrored;
  }
  return turned;
}
