/**
 * INT 10h: the video services of a VGA BIOS.
 * @spec PS/2 BIOS Interface Technical Reference, INT 10h; VESA BIOS Extension 3.0
 *
 * Not modelled: light pens, monochrome and EGA displays beside the VGA, functions of the video parameter table at 40:A8.
 */

import { vgaMode } from "../../vga/modes.ts";
import type { VgaMemory } from "../../vga/set-mode.ts";
import { setMode } from "../../vga/set-mode.ts";
import type { BiosCall } from "../call.ts";
import type { Ports } from "../chips.ts";
import { Bda } from "../data-area.ts";
import { Characters } from "./characters.ts";
import { readDot, writeDot } from "./dots.ts";
import { Fonts, pointAtFonts } from "./fonts.ts";
import { cgaPalette, paletteService, sumToGrey } from "./palette.ts";
import { cursorOf, getCrtc, kindOf, screenOf, setCrtc, setCursor } from "./screen.ts";
import type { SerialScreen } from "./serial-screen.ts";
import { Vbe } from "./vbe.ts";

export interface VideoParts {
  readonly ports: Ports;
  /** Video memory by physical address. */
  readonly memory: VgaMemory;
  readonly serial: SerialScreen | undefined;
  /** Offset in F000h of the table of what the BIOS can, function 1Bh. */
  readonly functionalityTable: number;
  /** Offset in F000h of VBE's strings. */
  readonly vbeStrings: number;
}

const TEXT_MODE = 3;
const KEEP = 0x80;
const VGA_COLOUR = 0x08;
/** 40:87: 256 KiB, cursor emulation; 40:88: the switches of a colour display; 40:89: 400 lines, a VGA. */
const VIDEO_OPTIONS = 0x60;
const SWITCHES = 0xf9;
const VGA_FLAGS = 0x51;
const NO_EMULATION = 0x01;
const SUPPORTED = 0x12;
const ROWS_OF_LINES = [0x80, 0x00, 0x10];

export class VideoService {
  readonly characters: Characters;
  readonly #parts: VideoParts;
  readonly #fonts: Fonts;
  readonly vbe: Vbe;

  constructor(parts: VideoParts) {
    this.#parts = parts;
    this.characters = new Characters(parts.ports, parts.serial);
    this.#fonts = new Fonts(parts.ports, parts.memory);
    this.vbe = new Vbe(parts.ports, parts.vbeStrings, (call, number, keep) => this.setMode(call, number, keep));
  }

  install(call: BiosCall): void {
    call.setU8(Bda.videoOptions, VIDEO_OPTIONS);
    call.setU8(Bda.videoSwitches, SWITCHES);
    call.setU8(Bda.vgaFlags, VGA_FLAGS);
    call.setU8(Bda.displayCode, VGA_COLOUR);
    this.setMode(call, TEXT_MODE, false);
  }

  setMode(call: BiosCall, number: number, keep: boolean): boolean {
    const mode = vgaMode(number);
    if (mode === undefined) return false;
    const { ports, memory } = this.#parts;
    setMode(ports, memory, mode, { keep });
    const text = mode.kind === "text";
    call.setU8(Bda.videoMode, number);
    call.setU16(Bda.columns, mode.columns);
    call.setU16(Bda.pageSize, text ? (mode.columns === 40 ? 0x800 : 0x1000) : pageOf(number));
    call.setU16(Bda.pageStart, 0);
    for (let page = 0; page < 8; page++) call.setU16(Bda.cursors + 2 * page, 0);
    call.setU16(Bda.cursorShape, 0x0607);
    call.setU8(Bda.activePage, 0);
    call.setU16(Bda.crtcPort, mode.miscellaneous & 1 ? 0x3d4 : 0x3b4);
    call.setU8(Bda.lastRow, mode.rows - 1);
    call.setU8(Bda.charHeight, mode.characterHeight);
    const options = call.u8(Bda.videoOptions) & ~KEEP;
    call.setU8(Bda.videoOptions, keep ? options | KEEP : options);
    pointAtFonts(call, mode.characterHeight);
    if (text) this.#shapeCursor(call, 0x06, 0x07);
    if (!keep) this.characters.cleared();
    return true;
  }

  service(call: BiosCall): void {
    const { ports } = this.#parts;
    switch (call.ah) {
      case 0x00: {
        const number = call.al & ~KEEP;
        if (!this.setMode(call, number, (call.al & KEEP) !== 0)) return;
        call.al = number > 7 ? 0x20 : number === 6 ? 0x3f : 0x30;
        return;
      }
      case 0x01:
        call.setU16(Bda.cursorShape, call.cx);
        this.#shapeCursor(call, call.ch, call.cl);
        return;
      case 0x02:
        setCursor(call, ports, screenOf(call), call.bh & 7, call.dh, call.dl);
        return;
      case 0x03: {
        const { row, column } = cursorOf(call, call.bh);
        call.dh = row;
        call.dl = column;
        call.cx = call.u16(Bda.cursorShape);
        return;
      }
      case 0x05:
        this.#selectPage(call);
        return;
      case 0x06:
      case 0x07:
        this.characters.scrollArea(call, call.ah === 0x07);
        return;
      case 0x08:
        this.characters.read(call);
        return;
      case 0x09:
      case 0x0a:
        this.characters.write(call, call.ah === 0x09);
        return;
      case 0x0b:
        cgaPalette(call, ports);
        return;
      case 0x0c:
      case 0x0d:
        this.#dot(call);
        return;
      case 0x0e:
        this.characters.teletype(call, call.al, call.u8(Bda.activePage) & 7, call.bl);
        return;
      case 0x0f:
        call.al = call.u8(Bda.videoMode) | (call.u8(Bda.videoOptions) & KEEP);
        call.ah = call.u16(Bda.columns);
        call.bh = call.u8(Bda.activePage);
        return;
      case 0x10:
        paletteService(call, ports);
        return;
      case 0x11:
        this.#fonts.service(call);
        return;
      case 0x12:
        this.#select(call);
        return;
      case 0x13:
        this.characters.writeString(call);
        return;
      case 0x1a:
        if (call.al === 0) call.bx = call.u8(Bda.displayCode);
        else if (call.al === 1) call.setU8(Bda.displayCode, call.bl);
        else return;
        call.al = 0x1a;
        return;
      case 0x1b:
        this.#functionality(call);
        return;
      case 0x1c:
        if (call.al === 0) call.bx = 1;
        call.al = 0x1c;
        return;
      case 0x4f:
        this.vbe.service(call);
    }
  }

  /** Start and end in rows of 8, as the first display had them, are stretched to the character's height. */
  #shapeCursor(call: BiosCall, first: number, last: number): void {
    const { ports } = this.#parts;
    const height = call.u8(Bda.charHeight);
    let [start, end] = [first & 0x3f, last & 0x1f];
    const emulates = (call.u8(Bda.videoOptions) & NO_EMULATION) === 0;
    if (emulates && height > 8 && end < 8 && start < 0x20) {
      const stretched = Math.floor(((end + 1) * height) / 8);
      start = end === start + 1 ? stretched - 3 : Math.floor(((start + 1) * height) / 8) - 1;
      end = stretched - (end === 7 && height > 14 ? 2 : 1);
    }
    setCrtc(call, ports, 0x0a, start & 0x3f);
    setCrtc(call, ports, 0x0b, end & 0x1f);
  }

  #selectPage(call: BiosCall): void {
    const { ports } = this.#parts;
    const page = call.al & 7;
    const screen = screenOf(call);
    const start = (page * screen.pageSize) & 0xffff;
    call.setU8(Bda.activePage, page);
    call.setU16(Bda.pageStart, start);
    const at = kindOf(screen) === "text" ? start >> 1 : start;
    setCrtc(call, ports, 0x0c, at >> 8);
    setCrtc(call, ports, 0x0d, at & 0xff);
    const { row, column } = cursorOf(call, page);
    setCursor(call, ports, { ...screen, page }, page, row, column);
  }

  #dot(call: BiosCall): void {
    const { ports } = this.#parts;
    const screen = screenOf(call);
    const kind = kindOf(screen);
    if (kind === undefined || kind === "text") return;
    const page = call.bh & 7;
    const [x, y] = [Math.min(call.cx, screen.columns * 8 - 1), Math.min(call.dx, screen.rows * screen.height - 1)];
    if (call.ah === 0x0c) writeDot(call, ports, screen, page, x, y, call.al);
    else call.al = readDot(call, ports, screen, page, x, y);
  }

  #select(call: BiosCall): void {
    const { ports } = this.#parts;
    switch (call.bl) {
      case 0x10:
        // Colour, 256 KiB.
        call.bx = 0x0003;
        call.cx = call.u8(Bda.videoSwitches) & 0x0f;
        return;
      case 0x20:
        return;
      case 0x30: {
        const lines = ROWS_OF_LINES[call.al];
        if (lines === undefined) break;
        call.setU8(Bda.vgaFlags, (call.u8(Bda.vgaFlags) & ~0x90) | lines);
        call.al = SUPPORTED;
        return;
      }
      case 0x31:
      case 0x32:
      case 0x36:
        call.al = SUPPORTED;
        return;
      case 0x33:
        if (call.al === 0) sumToGrey(ports, 0, 256);
        call.al = SUPPORTED;
        return;
      case 0x34: {
        const options = call.u8(Bda.videoOptions);
        call.setU8(Bda.videoOptions, (options & ~NO_EMULATION) | (call.al & 1));
        call.al = SUPPORTED;
        return;
      }
    }
  }

  #functionality(call: BiosCall): void {
    if (call.bx !== 0) return;
    const at = call.inEs(call.di);
    call.setBytes(at, new Uint8Array(0x40));
    call.setU16(at, this.#parts.functionalityTable);
    call.setU16(at + 2, 0xf000);
    call.setBytes(at + 4, call.bytes(Bda.videoMode, 30));
    call.setU8(at + 0x22, call.u8(Bda.lastRow) + 1);
    call.setU16(at + 0x23, call.u8(Bda.charHeight));
    call.setU8(at + 0x25, call.u8(Bda.displayCode));
    call.setU16(at + 0x27, 16);
    call.setU8(at + 0x29, 8);
    // 400 lines.
    call.setU8(at + 0x2a, 2);
    call.setU8(at + 0x2d, 0x21);
    // 256 KiB.
    call.setU8(at + 0x31, 3);
    call.al = 0x1b;
  }

  /** What the cursor's row is, in an unusual mode. */
  cursorRows(call: BiosCall): number {
    return getCrtc(call, this.#parts.ports, 0x09) & 0x1f;
  }
}

/** Bytes of a page in the graphics modes. */
function pageOf(number: number): number {
  if (number <= 6) return 0x4000;
  return { 13: 0x2000, 14: 0x4000, 15: 0x8000, 16: 0x8000 }[number] ?? 0;
}
