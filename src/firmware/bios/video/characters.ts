/**
 * INT 10h's characters: written, read, scrolled, in text and graphics modes.
 * @spec IBM PC/AT Technical Reference, BIOS listing "VIDEO_IO", functions 06h to 0Eh and 13h
 */
import type { BiosCall } from "../call.ts";
import type { Ports } from "../chips.ts";
import { drawCharacter, moveDots, readDot } from "./dots.ts";
import { cellAt, cursorOf, kindOf, type Screen, screenOf, setCursor } from "./screen.ts";
import type { SerialScreen } from "./serial-screen.ts";

const BELL = 0x07;
const BACKSPACE = 0x08;
const LINE_FEED = 0x0a;
const RETURN = 0x0d;
/** Interrupt 43h points at the font of graphics modes, 1Fh at its upper half for CGA modes. */
const FONT_VECTOR = 0x43 * 4;
const UPPER_FONT_VECTOR = 0x1f * 4;
const CGA_HEIGHT = 8;

export class Characters {
  readonly #ports: Ports;
  readonly #serial: SerialScreen | undefined;

  constructor(ports: Ports, serial: SerialScreen | undefined) {
    this.#ports = ports;
    this.#serial = serial;
  }

  /** Rows of a character's dots in a graphics mode. */
  #glyph(call: BiosCall, screen: Screen, character: number): Uint8Array {
    const upper = kindOf(screen) === "cga" && character >= 0x80;
    const height = kindOf(screen) === "cga" ? CGA_HEIGHT : screen.height;
    const vector = upper ? UPPER_FONT_VECTOR : FONT_VECTOR;
    const font = call.u16(vector + 2) * 16 + call.u16(vector);
    return call.bytes(font + (upper ? character - 0x80 : character) * height, height);
  }

  #draw(call: BiosCall, screen: Screen, page: number, row: number, column: number, character: number, colour: number) {
    drawCharacter(call, this.#ports, screen, { page, row, column }, this.#glyph(call, screen, character), colour);
  }

  /** Functions 09h and 0Ah: the same character a number of times, the cursor stays. */
  write(call: BiosCall, withAttribute: boolean): void {
    const screen = screenOf(call);
    const page = call.bh & 7;
    const { row, column } = cursorOf(call, page);
    const kind = kindOf(screen);
    if (kind === undefined) return;
    const places = Math.min(call.cx, screen.columns * screen.rows);
    if (kind === "text" && withAttribute) this.#fill(call, screen, page, row, column, places);
    else
      for (let i = 0; i < places; i++) {
        const at = row * screen.columns + column + i;
        const [toRow, toColumn] = [Math.floor(at / screen.columns), at % screen.columns];
        if (kind !== "text" && toRow >= screen.rows) break;
        if (kind === "text")
          this.#cell(call, screen, page, toRow, toColumn, call.al, withAttribute ? call.bl : undefined);
        else this.#draw(call, screen, page, toRow, toColumn, call.al, call.bl);
      }
  }

  /** Characters with their attributes, in one piece. */
  #fill(call: BiosCall, screen: Screen, page: number, row: number, column: number, places: number): void {
    const cells = new Uint8Array(2 * places);
    for (let i = 0; i < places; i++) {
      cells[2 * i] = call.al;
      cells[2 * i + 1] = call.bl;
    }
    call.setBytes(cellAt(screen, page, row, column), cells);
    if (!this.#serial || page !== screen.page) return;
    for (let i = 0; i < places; i++) {
      const at = row * screen.columns + column + i;
      if (at >= screen.columns * screen.rows) return;
      this.#serial.put(Math.floor(at / screen.columns), at % screen.columns, call.al, call.bl);
    }
  }

  #cell(
    call: BiosCall,
    screen: Screen,
    page: number,
    row: number,
    column: number,
    character: number,
    attribute?: number,
  ): void {
    const at = cellAt(screen, page, row, column);
    call.setU8(at, character);
    if (attribute !== undefined) call.setU8(at + 1, attribute);
    if (this.#serial && page === screen.page && row < screen.rows) {
      this.#serial.put(row, column, character, attribute ?? call.u8(at + 1));
    }
  }

  /** Function 08h. */
  read(call: BiosCall): void {
    const screen = screenOf(call);
    const page = call.bh & 7;
    const { row, column } = cursorOf(call, page);
    if (kindOf(screen) === "text") {
      call.ax = call.u16(cellAt(screen, page, row, column));
      return;
    }
    call.ax = kindOf(screen) === undefined ? 0 : this.#recognise(call, screen, page, row, column);
  }

  /** Finds the character whose dots are on the screen; 0 for none. */
  #recognise(call: BiosCall, screen: Screen, page: number, row: number, column: number): number {
    const height = kindOf(screen) === "cga" ? CGA_HEIGHT : screen.height;
    const seen = new Uint8Array(height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < 8; x++) {
        const dot = readDot(call, this.#ports, screen, page, column * 8 + x, row * height + y);
        if (dot !== 0) seen[y] = (seen[y] as number) | (0x80 >> x);
      }
    }
    for (let character = 0; character < 256; character++) {
      const glyph = this.#glyph(call, screen, character);
      if (glyph.every((bits, y) => bits === seen[y])) return character;
    }
    return 0;
  }

  /** Functions 06h and 07h. */
  scrollArea(call: BiosCall, down: boolean): void {
    const screen = screenOf(call);
    const top = Math.min(call.ch, screen.rows - 1);
    const bottom = Math.min(call.dh, screen.rows - 1);
    const left = Math.min(call.cl, screen.columns - 1);
    const right = Math.min(call.dl, screen.columns - 1);
    if (bottom < top || right < left) return;
    const lines = call.al === 0 ? bottom - top + 1 : Math.min(call.al, bottom - top + 1);
    this.#scroll(call, screen, screen.page, { top, bottom, left, right, lines, down, attribute: call.bh });
    this.#tellScrolled(call, screen, { top, bottom, left, right, lines, down });
  }

  #scroll(call: BiosCall, screen: Screen, page: number, area: ScrollArea): void {
    const { top, bottom, left, right, lines, down, attribute } = area;
    const kind = kindOf(screen);
    if (kind === undefined) return;
    const width = right - left + 1;
    const height = bottom - top + 1;
    const blank = new Uint8Array(width * 2);
    for (let i = 0; i < width; i++) blank.set([0x20, attribute], 2 * i);
    for (let i = 0; i < height; i++) {
      const row = down ? bottom - i : top + i;
      const from = down ? row - lines : row + lines;
      const there = from >= top && from <= bottom;
      if (kind === "text") {
        const bytes = there ? call.bytes(cellAt(screen, page, from, left), width * 2) : blank;
        call.setBytes(cellAt(screen, page, row, left), bytes);
      } else moveDots(call, this.#ports, screen, { page, left, width, row }, there ? from : undefined, attribute);
    }
  }

  /** A terminal cannot scroll a part: it is drawn again. */
  #tellScrolled(call: BiosCall, screen: Screen, area: Omit<ScrollArea, "attribute">): void {
    const serial = this.#serial;
    if (!serial || kindOf(screen) !== "text") return;
    const { top, bottom, left, right, lines, down } = area;
    const whole = left === 0 && right === screen.columns - 1 && top === 0 && bottom >= screen.rows - 2;
    if (whole && lines > bottom - top) {
      serial.clear();
      return;
    }
    if (whole && !down && bottom === screen.rows - 1) {
      for (let i = 0; i < lines; i++) serial.scrolled(screen.rows - 1);
      return;
    }
    for (let row = top; row <= bottom; row++) {
      const cells = call.bytes(cellAt(screen, screen.page, row, left), (right - left + 1) * 2);
      for (let i = 0; i < cells.length; i += 2)
        serial.put(row, left + i / 2, cells[i] as number, cells[i + 1] as number);
    }
  }

  /** Function 0Eh. */
  teletype(call: BiosCall, character: number, page: number, colour: number): void {
    const screen = screenOf(call);
    const kind = kindOf(screen);
    let { row, column } = cursorOf(call, page);
    switch (character) {
      case BELL:
        this.#serial?.bell();
        return;
      case BACKSPACE:
        if (column > 0) column--;
        break;
      case LINE_FEED:
        row++;
        break;
      case RETURN:
        column = 0;
        break;
      default:
        if (kind === "text") this.#cell(call, screen, page, row, column, character);
        else if (kind !== undefined) this.#draw(call, screen, page, row, column, character, colour);
        column++;
    }
    if (column >= screen.columns) {
      column = 0;
      row++;
    }
    if (row >= screen.rows) {
      row = screen.rows - 1;
      const attribute = kind === "text" ? call.u8(cellAt(screen, page, row, 0) + 1) : 0;
      const all = { top: 0, bottom: row, left: 0, right: screen.columns - 1, lines: 1, down: false, attribute };
      this.#scroll(call, screen, page, all);
      if (page === screen.page && kind === "text") this.#serial?.scrolled(row);
    }
    setCursor(call, this.#ports, screen, page, row, column);
  }

  /** Function 13h. */
  writeString(call: BiosCall): void {
    const screen = screenOf(call);
    const page = call.bh & 7;
    const before = cursorOf(call, page);
    const mixed = (call.al & 2) !== 0;
    const length = Math.min(call.cx, screen.columns * screen.rows);
    const text = call.bytes(call.inEs(call.bp), mixed ? length * 2 : length);
    const row = call.dh === 0xff ? before.row : call.dh;
    const column = call.dh === 0xff ? before.column : call.dl;
    setCursor(call, this.#ports, screen, page, row, column);
    for (let i = 0; i < length; i++) {
      const character = text[mixed ? 2 * i : i] as number;
      const attribute = mixed ? (text[2 * i + 1] as number) : call.bl;
      const control = [BELL, BACKSPACE, LINE_FEED, RETURN].includes(character);
      if (!control && kindOf(screen) === "text") {
        const at = cursorOf(call, page);
        call.setU8(cellAt(screen, page, at.row, at.column) + 1, attribute);
      }
      this.teletype(call, character, page, attribute);
    }
    if ((call.al & 1) === 0) setCursor(call, this.#ports, screen, page, before.row, before.column);
  }

  /** Has a terminal's cursor where the screen's is. */
  showCursor(call: BiosCall): void {
    if (!this.#serial) return;
    const screen = screenOf(call);
    const { row, column } = cursorOf(call, screen.page);
    if (kindOf(screen) === "text" && row < screen.rows && column < screen.columns) this.#serial.moveTo(row, column);
  }

  cleared(): void {
    this.#serial?.clear();
  }
}

interface ScrollArea {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
  readonly lines: number;
  readonly down: boolean;
  readonly attribute: number;
}
