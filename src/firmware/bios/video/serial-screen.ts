/**
 * The screen on a serial line: what INT 10h writes goes to COM1 as a terminal shows it, and what is typed there comes as
 * keys. For a machine that nobody looks at.
 * @spec ECMA-48 (control functions); characters are sent as UTF-8
 */
import { CODE_PAGE_437 } from "../../../machine/code-page-437.ts";
import type { Ports } from "../chips.ts";
import { wordOfCharacter } from "../keys.ts";

const COM1 = 0x3f8;
const LCR = COM1 + 3;
const LSR = COM1 + 5;
const DLAB = 0x80;
const DATA_READY = 0x01;
const DEFAULT_ATTRIBUTE = 0x07;
const ESCAPE = 0x1b;
/** Red, green and blue of a terminal's colours, which has them the other way round. */
const ANSI = [0, 4, 2, 6, 1, 5, 3, 7];
/** What `screenOf` lets a screen have at the most. */
const MOST_COLUMNS = 132;
const MOST_ROWS = 100;
const BLANK = 0x0720;
/** Blank places that are sent, as text has them between its words, rather than passed over. */
const SHORT_GAP = 8;
/** Bytes of input that are held. */
const MOST_PENDING = 64;

/** Words of scan code and character for what follows ESC [ or ESC O. */
const SEQUENCES: Readonly<Record<string, number>> = {
  A: 0x48e0,
  B: 0x50e0,
  C: 0x4de0,
  D: 0x4be0,
  H: 0x47e0,
  F: 0x4fe0,
  P: 0x3b00,
  Q: 0x3c00,
  R: 0x3d00,
  S: 0x3e00,
  "1~": 0x47e0,
  "2~": 0x52e0,
  "3~": 0x53e0,
  "4~": 0x4fe0,
  "5~": 0x49e0,
  "6~": 0x51e0,
  "11~": 0x3b00,
  "12~": 0x3c00,
  "13~": 0x3d00,
  "14~": 0x3e00,
  "15~": 0x3f00,
  "17~": 0x4000,
  "18~": 0x4100,
  "19~": 0x4200,
  "20~": 0x4300,
  "21~": 0x4400,
  "23~": 0x8500,
  "24~": 0x8600,
};

export class SerialScreen {
  readonly #ports: Ports;
  /** Where the terminal's cursor is. */
  #row = 0;
  #column = 0;
  #attribute = DEFAULT_ATTRIBUTE;
  /** Whether there is something to clear away. */
  #used = false;
  #pending: number[] = [];
  /** Attribute and character of each place, as the terminal has them. */
  readonly #shown = new Uint16Array(MOST_COLUMNS * MOST_ROWS).fill(BLANK);

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  reset(): void {
    this.#row = 0;
    this.#column = 0;
    this.#attribute = DEFAULT_ATTRIBUTE;
    this.#pending = [];
    this.#shown.fill(BLANK);
  }

  /** A character at a place on the screen. */
  put(row: number, column: number, character: number, attribute: number): void {
    const at = row * MOST_COLUMNS + column;
    const cell = (attribute << 8) | character;
    // What is there already costs nothing, unless it is the next of a line of text.
    if (this.#shown[at] === cell && (row !== this.#row || column !== this.#column)) return;
    this.#shown[at] = cell;
    this.moveTo(row, column);
    this.#colour(attribute);
    this.#send(CODE_PAGE_437[character] ?? " ");
    this.#column++;
    this.#used = true;
  }

  /** The cursor is here; told when it matters where a person sees it. */
  moveTo(row: number, column: number): void {
    if (row === this.#row && column === this.#column) return;
    const down = row - this.#row;
    if (column === 0 || (down !== 0 && column !== this.#column)) {
      this.#send("\r");
      this.#column = 0;
    }
    // At a terminal's last row only line feeds go down.
    if (down > 0) this.#send("\n".repeat(down));
    else if (down < 0) this.#send(`\x1b[${-down}A`);
    this.#row = row;
    const gap = column - this.#column;
    if (gap > 0 && gap <= SHORT_GAP && this.#isBlank(row, this.#column, column)) {
      this.#colour(DEFAULT_ATTRIBUTE);
      this.#send(" ".repeat(gap));
    } else if (gap !== 0) this.#send(`\x1b[${column + 1}G`);
    this.#column = column;
  }

  #isBlank(row: number, first: number, end: number): boolean {
    const at = row * MOST_COLUMNS;
    return this.#shown.subarray(at + first, at + end).every((cell) => cell === BLANK);
  }

  /** The screen has moved up by a row under the cursor. */
  scrolled(lastRow: number): void {
    this.moveTo(lastRow, 0);
    this.#colour(DEFAULT_ATTRIBUTE);
    this.#send("\n");
    this.#shown.copyWithin(0, MOST_COLUMNS, (lastRow + 1) * MOST_COLUMNS);
    this.#shown.fill(BLANK, lastRow * MOST_COLUMNS, (lastRow + 1) * MOST_COLUMNS);
  }

  bell(): void {
    this.#send("\x07");
  }

  /** The screen was cleared; the cursor is at its upper left. */
  clear(): void {
    this.#shown.fill(BLANK);
    if (!this.#used) return;
    this.#colour(DEFAULT_ATTRIBUTE);
    this.#send("\x1b[2J\x1b[H");
    this.#row = 0;
    this.#column = 0;
    this.#used = false;
  }

  #colour(attribute: number): void {
    if (attribute === this.#attribute) return;
    this.#attribute = attribute;
    if (attribute === DEFAULT_ATTRIBUTE) {
      this.#send("\x1b[0m");
      return;
    }
    const [foreground, background] = [ANSI[attribute & 7] as number, ANSI[(attribute >> 4) & 7] as number];
    this.#send(`\x1b[0;${attribute & 8 ? "1;" : ""}${30 + foreground};${40 + background}m`);
  }

  #send(text: string): void {
    // A guest that sets the line's speed would take the bytes for it.
    if (this.#ports.read(LCR, 1) & DLAB) return;
    for (const character of text) {
      const code = character.codePointAt(0) as number;
      if (code < 0x80) this.#ports.write(COM1, 1, code);
      else {
        if (code >= 0x800) this.#ports.write(COM1, 1, 0xe0 | (code >> 12));
        this.#ports.write(COM1, 1, code >= 0x800 ? 0x80 | ((code >> 6) & 0x3f) : 0xc0 | (code >> 6));
        this.#ports.write(COM1, 1, 0x80 | (code & 0x3f));
      }
    }
  }

  /** The next key that was typed, as a word of scan code and character. */
  typed(): number | undefined {
    const ports = this.#ports;
    if (ports.read(LCR, 1) & DLAB) return undefined;
    for (let i = 0; i < MOST_PENDING && this.#pending.length < MOST_PENDING; i++) {
      if ((ports.read(LSR, 1) & DATA_READY) === 0) break;
      this.#pending.push(ports.read(COM1, 1));
    }
    const first = this.#pending.shift();
    if (first === undefined) return undefined;
    if (first !== ESCAPE || (this.#pending[0] !== 0x5b && this.#pending[0] !== 0x4f)) return wordOfCharacter(first);
    // The bytes of a sequence come at once.
    this.#pending.shift();
    let sequence = "";
    while (this.#pending.length > 0 && sequence.length < 4) {
      sequence += String.fromCharCode(this.#pending.shift() as number);
      if (/[A-Za-z~]$/.test(sequence)) break;
    }
    return SEQUENCES[sequence] ?? wordOfCharacter(ESCAPE);
  }
}
