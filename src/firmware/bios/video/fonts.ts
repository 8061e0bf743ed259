/** INT 10h AH=11h: fonts. @spec PS/2 BIOS Interface Technical Reference, INT 10h (AH)=11H */
import type { MemoryBus } from "../../../machine/memory-bus.ts";
import { type FontHeight, vgaFont } from "../../vga/font/font.ts";
import { vgaMode } from "../../vga/modes.ts";
import { loadFont, type VgaMemory } from "../../vga/set-mode.ts";
import type { BiosCall } from "../call.ts";
import type { Ports } from "../chips.ts";
import { Bda } from "../data-area.ts";
import { getCrtc, setCrtc, writeSequencer } from "./screen.ts";

/** Offsets in F000h. The font of 8 rows is where the PC has it, its upper half elsewhere. */
export const FONT_AT = { 8: 0xba00, 14: 0xc200, 16: 0xd000 } as const;
/** Where the first PC's BIOS has the lower half of the 8-row font. */
export const PC_FONT_AT = 0xfa6e;
const SEGMENT = 0xf000;
const UPPER = 0x1f * 4;
const GRAPHICS = 0x43 * 4;
const SCAN_LINES = 400;
const STRIDE = 32;

const setVector = (call: BiosCall, vector: number, segment: number, offset: number) => {
  call.setU16(vector, offset);
  call.setU16(vector + 2, segment);
};

/** Points the interrupts at the fonts, as a mode with this height has them. */
export function pointAtFonts(call: BiosCall, height: FontHeight): void {
  setVector(call, UPPER, SEGMENT, FONT_AT[8] + 128 * 8);
  setVector(call, GRAPHICS, SEGMENT, FONT_AT[height]);
}

export class Fonts {
  readonly #ports: Ports;
  readonly #memory: VgaMemory;

  constructor(ports: Ports, memory: Pick<MemoryBus, "write">) {
    this.#ports = ports;
    this.#memory = memory;
  }

  service(call: BiosCall): void {
    const { al } = call;
    const height = ([14, 8, 16] as const)[((al & 0x0f) - 1) % 4 === 3 ? 2 : (al & 0x0f) - 1];
    switch (al) {
      case 0x00:
      case 0x10: {
        const [first, count, rows] = [call.dx & 0xff, Math.min(call.cx, 256), Math.min(call.bh, 32)];
        this.#load(call.bytes(call.inEs(call.bp), count * rows), { first, count, rows, block: call.bl });
        if (al === 0x10) this.#rows(call, rows);
        return;
      }
      case 0x01:
      case 0x02:
      case 0x04:
      case 0x11:
      case 0x12:
      case 0x14: {
        const rows = height ?? 16;
        loadFont(this.#ports, this.#memory, vgaFont(rows), call.bl, this.#mode(call));
        if (al >= 0x10) this.#rows(call, rows);
        return;
      }
      case 0x03:
        writeSequencer(this.#ports, 3, call.bl & 0x3f);
        return;
      case 0x20:
        setVector(call, UPPER, call.es, call.bp);
        return;
      case 0x21:
        setVector(call, GRAPHICS, call.es, call.bp);
        this.#graphicsRows(call, call.cx & 0xff);
        return;
      case 0x22:
      case 0x23:
      case 0x24: {
        const rows = ([14, 8, 16] as const)[al - 0x22] as FontHeight;
        setVector(call, GRAPHICS, SEGMENT, FONT_AT[rows]);
        this.#graphicsRows(call, rows);
        return;
      }
      case 0x30:
        this.#information(call);
    }
  }

  #mode(call: BiosCall) {
    const mode = vgaMode(call.u8(Bda.videoMode));
    const text = mode?.kind === "text" ? mode : vgaMode(3);
    if (text === undefined) throw new RangeError("mode 3 is a mode");
    return text;
  }

  /** Characters of the caller's own. */
  #load(bytes: Uint8Array, part: { first: number; count: number; rows: number; block: number }): void {
    const { first, count, rows, block } = part;
    if (rows === 0) return;
    const ports = this.#ports;
    const base = 0xa0000 + ((block & 3) * 2 + ((block >> 2) & 1)) * 0x2000;
    const write = (port: number, index: number, value: number) => ports.write(port, 2, (value << 8) | index);
    const read = (port: number, index: number) => {
      ports.write(port, 1, index);
      return ports.read(port + 1, 1);
    };
    const saved = [read(0x3c4, 2), read(0x3c4, 4), read(0x3ce, 5), read(0x3ce, 6)] as const;
    write(0x3c4, 2, 0x04);
    write(0x3c4, 4, 0x06);
    write(0x3ce, 5, 0x00);
    write(0x3ce, 6, 0x04);
    for (let i = 0; i < count; i++) {
      for (let row = 0; row < rows; row++) {
        this.#memory.write(base + ((first + i) & 0xff) * STRIDE + row, 1, bytes[i * rows + row] as number);
      }
    }
    write(0x3c4, 2, saved[0]);
    write(0x3c4, 4, saved[1]);
    write(0x3ce, 5, saved[2]);
    write(0x3ce, 6, saved[3]);
  }

  /** Characters of this height from now on, in a text mode: other rows, other cursor. */
  #rows(call: BiosCall, height: number): void {
    if (height === 0) return;
    const ports = this.#ports;
    const max = getCrtc(call, ports, 0x09);
    setCrtc(call, ports, 0x09, (max & 0xe0) | (height - 1));
    const rows = Math.floor(SCAN_LINES / height);
    const columns = call.u16(Bda.columns);
    call.setU8(Bda.charHeight, height);
    call.setU8(Bda.lastRow, rows - 1);
    call.setU16(Bda.pageSize, rows * columns * 2);
    const shown = rows * height - 1;
    setCrtc(call, ports, 0x12, shown & 0xff);
    const [start, end] = height >= 14 ? [height - 3, height - 2] : [height - 2, height - 1];
    setCrtc(call, ports, 0x0a, Math.max(start, 0));
    setCrtc(call, ports, 0x0b, end);
  }

  #graphicsRows(call: BiosCall, height: number): void {
    call.setU8(Bda.charHeight, height);
    const rows = { 1: 14, 2: 25, 3: 43 }[call.bl] ?? (call.bl === 0 ? call.dl : 25);
    call.setU8(Bda.lastRow, Math.max(rows, 1) - 1);
  }

  #information(call: BiosCall): void {
    const at = (height: FontHeight, offset = 0): [number, number] => [SEGMENT, FONT_AT[height] + offset];
    const vector = (address: number): [number, number] => [call.u16(address + 2), call.u16(address)];
    const places: readonly [number, number][] = [
      vector(UPPER),
      vector(GRAPHICS),
      at(14),
      at(8),
      at(8, 128 * 8),
      at(14),
      at(16),
      at(16),
    ];
    const place = places[call.bh];
    if (place === undefined) return;
    call.es = place[0];
    call.bp = place[1];
    call.cx = call.u8(Bda.charHeight);
    call.dl = call.u8(Bda.lastRow);
  }
}
