/**
 * VESA BIOS Extension on a display with DISPI registers.
 * @spec VESA BIOS Extension Core Functions 3.0; VESA DDC 1.1 (4F15h); EDID 1.3; Bochs bios/VBE-display-api.txt
 *
 * Not modelled: the protected-mode interface (4F0Ah says there is none), refresh rates, stereo.
 */

import { edid } from "../../../device/vga/edid.ts";
import { setVbeMode, VBE_MODES, type VbeMode, vbeMode } from "../../vga/vbe-modes.ts";
import type { BiosCall } from "../call.ts";
import { type Ports, pciFunctions, readPci } from "../chips.ts";
import { Bda } from "../data-area.ts";

const INDEX = 0x1ce;
const DATA = 0x1cf;
const Dispi = {
  id: 0,
  xres: 1,
  yres: 2,
  bpp: 3,
  enable: 4,
  bank: 5,
  virtualWidth: 6,
  virtualHeight: 7,
  xOffset: 8,
  yOffset: 9,
  memory: 10,
};
const FIRST_ID = 0xb0c0;
const LAST_ID = 0xb0cf;
const WIDE_DAC = 0x20;
const ENABLED = 0x01;
const LINEAR = 0x4000;
const KEEP = 0x8000;
const BANK = 0x1_0000;
const DISPLAY_CLASS = 0x0300;
const OK = 0x004f;
const FAILED = 0x014f;
const LAST_STANDARD = 0x13;

/** Sets a mode that is not VBE's; false where there is none of that number. */
type SetStandard = (call: BiosCall, number: number, keep: boolean) => boolean;

export class Vbe {
  readonly #ports: Ports;
  readonly #strings: number;
  readonly #setStandard: SetStandard;
  /** The mode as it was set; 0 for none of VBE. */
  readonly state = { mode: 0 };

  constructor(ports: Ports, strings: number, setStandard: SetStandard) {
    this.#ports = ports;
    this.#strings = strings;
    this.#setStandard = setStandard;
  }

  #get(register: number): number {
    this.#ports.write(INDEX, 2, register);
    return this.#ports.read(DATA, 2);
  }
  #set(register: number, value: number): void {
    this.#ports.write(INDEX, 2, register);
    this.#ports.write(DATA, 2, value);
  }

  get #isThere(): boolean {
    const id = this.#get(Dispi.id);
    return id >= FIRST_ID && id <= LAST_ID;
  }
  /** Bytes of video memory. */
  get #memory(): number {
    return this.#get(Dispi.memory) * BANK;
  }
  /** Where the picture lies: the display's first base address. */
  get #linear(): number {
    const ports = this.#ports;
    const at = pciFunctions(ports).find((each) => readPci(ports, each, 0x0a, 2) === DISPLAY_CLASS);
    return at === undefined ? 0 : (readPci(ports, at, 0x10, 4) & 0xffff_fff0) >>> 0;
  }

  #fits({ bitsPerPixel, width, height }: VbeMode): boolean {
    return bitsPerPixel >= 8 && pitchOf(width, bitsPerPixel) * height <= this.#memory;
  }

  service(call: BiosCall): void {
    if (!this.#isThere) return;
    call.ax = this.#do(call) ? OK : FAILED;
  }

  #do(call: BiosCall): boolean {
    switch (call.al) {
      case 0x00:
        this.#controller(call);
        return true;
      case 0x01:
        return this.#information(call);
      case 0x02:
        return this.#set02(call);
      case 0x03:
        call.bx = this.#current(call);
        return true;
      case 0x04:
        if (call.dl !== 0) return call.dl <= 2;
        call.bx = 1;
        return true;
      case 0x05:
        if (call.bh > 1 || call.bl > 1) return false;
        if (call.bh === 1) call.dx = this.#get(Dispi.bank);
        else if (call.dx * BANK >= this.#memory) return false;
        else this.#set(Dispi.bank, call.dx);
        return true;
      case 0x06:
        return this.#scanLine(call);
      case 0x07:
        return this.#start(call);
      case 0x08:
        return this.#dacWidth(call);
      case 0x09:
        return this.#palette(call);
      case 0x15:
        return this.#displayData(call);
      default:
        return false;
    }
  }

  #current(call: BiosCall): number {
    return this.#get(Dispi.enable) & ENABLED && this.state.mode !== 0 ? this.state.mode : call.u8(Bda.videoMode);
  }

  #controller(call: BiosCall): void {
    const at = call.inEs(call.di);
    const second = call.u32(at) === 0x3245_4256;
    call.setBytes(at, new Uint8Array(second ? 512 : 256));
    call.setBytes(at, Uint8Array.of(0x56, 0x45, 0x53, 0x41));
    call.setU16(at + 4, 0x0300);
    call.setU32(at + 6, (0xf000 << 16) | this.#strings);
    // The DAC has 8 bits a colour.
    call.setU32(at + 10, 0x0000_0001);
    // The list of modes lies in what is reserved at the end of the first 256 bytes, as VBE 1 had no more.
    const list = 0x22;
    call.setU16(at + 14, call.di + list);
    call.setU16(at + 16, call.es);
    call.setU16(at + 18, Math.min(this.#memory / BANK, 0xffff));
    if (second) {
      call.setU16(at + 20, 0x0001);
      for (const field of [22, 26, 30]) call.setU32(at + field, (0xf000 << 16) | this.#strings);
    }
    const modes = VBE_MODES.filter((mode) => this.#fits(mode)).map(({ number }) => number);
    for (const [i, number] of [...modes.slice(0, 108), 0xffff].entries()) call.setU16(at + list + 2 * i, number);
  }

  #information(call: BiosCall): boolean {
    const mode = vbeMode(call.cx & 0x1ff);
    if (mode === undefined || !this.#fits(mode)) return false;
    const { width, height, bitsPerPixel } = mode;
    const at = call.inEs(call.di);
    const pitch = pitchOf(width, bitsPerPixel);
    const images = Math.max(1, Math.min(Math.floor(this.#memory / (pitch * height)), 256)) - 1;
    call.setBytes(at, new Uint8Array(256));
    // Supported, with all information, in colour, graphics, with a linear frame buffer.
    call.setU16(at, 0x009b);
    call.setU8(at + 2, 0x07);
    call.setU16(at + 4, 64);
    call.setU16(at + 6, 64);
    call.setU16(at + 8, 0xa000);
    call.setU16(at + 16, pitch);
    call.setU16(at + 18, width);
    call.setU16(at + 20, height);
    call.setU8(at + 22, 8);
    call.setU8(at + 23, 16);
    call.setU8(at + 24, 1);
    call.setU8(at + 25, bitsPerPixel);
    call.setU8(at + 26, 1);
    call.setU8(at + 27, bitsPerPixel === 8 ? 4 : 6);
    call.setU8(at + 29, images);
    call.setU8(at + 30, 1);
    const fields = FIELDS[bitsPerPixel] ?? [];
    call.setBytes(at + 31, Uint8Array.from(fields));
    call.setU8(at + 39, 0x02);
    call.setU32(at + 40, this.#linear);
    call.setU16(at + 50, pitch);
    call.setU8(at + 52, images);
    call.setU8(at + 53, images);
    call.setBytes(at + 54, Uint8Array.from(fields));
    return true;
  }

  #set02(call: BiosCall): boolean {
    const keep = (call.bx & KEEP) !== 0;
    const number = call.bx & 0x1ff;
    if (number <= LAST_STANDARD) {
      this.state.mode = 0;
      return this.#setStandard(call, number, keep);
    }
    const mode = vbeMode(number);
    if (mode === undefined || !this.#fits(mode)) return false;
    setVbeMode(this.#ports, mode, { linear: (call.bx & LINEAR) !== 0, keep });
    this.state.mode = call.bx & (0x1ff | LINEAR);
    call.setU8(Bda.videoMode, 0x6f);
    call.setU16(Bda.columns, Math.floor(mode.width / 8));
    call.setU8(Bda.lastRow, Math.min(Math.floor(mode.height / 16), 100) - 1);
    call.setU8(Bda.charHeight, 16);
    return true;
  }

  #scanLine(call: BiosCall): boolean {
    const bytes = Math.max(1, Math.ceil(this.#get(Dispi.bpp) / 8));
    const shown = this.#get(Dispi.yres);
    const most = Math.floor(this.#memory / Math.max(shown, 1) / bytes);
    switch (call.bl) {
      case 0x00:
      case 0x02: {
        const width = call.bl === 0 ? call.cx : Math.ceil(call.cx / bytes);
        if (width > most) return false;
        this.#set(Dispi.virtualWidth, width);
        break;
      }
      case 0x01:
        break;
      case 0x03:
        call.bx = Math.min(most * bytes, 0xffff);
        call.cx = Math.min(most, 0xffff);
        return true;
      default:
        return false;
    }
    const width = this.#get(Dispi.virtualWidth);
    call.bx = width * bytes;
    call.cx = width;
    call.dx = Math.min(Math.floor(this.#memory / Math.max(width * bytes, 1)), 0xffff);
    return true;
  }

  #start(call: BiosCall): boolean {
    switch (call.bl) {
      case 0x00:
      case 0x80:
        this.#set(Dispi.xOffset, call.cx);
        this.#set(Dispi.yOffset, call.dx);
        return this.#get(Dispi.xOffset) === call.cx && this.#get(Dispi.yOffset) === call.dx;
      case 0x01:
        call.bx = 0;
        call.cx = this.#get(Dispi.xOffset);
        call.dx = this.#get(Dispi.yOffset);
        return true;
      default:
        return false;
    }
  }

  #dacWidth(call: BiosCall): boolean {
    const enable = this.#get(Dispi.enable);
    if (call.bl === 0) this.#set(Dispi.enable, call.bh >= 8 ? enable | WIDE_DAC | 0x80 : (enable & ~WIDE_DAC) | 0x80);
    else if (call.bl !== 1) return false;
    call.bh = this.#get(Dispi.enable) & WIDE_DAC ? 8 : 6;
    return true;
  }

  /** Colours lie in memory as blue, green, red and a byte of nothing. */
  #palette(call: BiosCall): boolean {
    const ports = this.#ports;
    const count = Math.min(call.cx, 256);
    const first = call.dx & 0xff;
    const at = call.inEs(call.di);
    switch (call.bl) {
      case 0x00:
      case 0x80: {
        const bytes = call.bytes(at, 4 * count);
        for (let i = 0; i < count; i++) {
          ports.write(0x3c8, 1, (first + i) & 0xff);
          for (const component of [2, 1, 0]) ports.write(0x3c9, 1, bytes[4 * i + component] as number);
        }
        return true;
      }
      case 0x01: {
        const bytes = new Uint8Array(4 * count);
        for (let i = 0; i < count; i++) {
          ports.write(0x3c7, 1, (first + i) & 0xff);
          for (const component of [2, 1, 0]) bytes[4 * i + component] = ports.read(0x3c9, 1);
        }
        call.setBytes(at, bytes);
        return true;
      }
      default:
        return false;
    }
  }

  #displayData(call: BiosCall): boolean {
    switch (call.bl) {
      case 0x00:
        // DDC2; a block takes a second or less.
        call.bx = 0x0102;
        return true;
      case 0x01:
        if (call.dx !== 0) return false;
        call.setBytes(call.inEs(call.di), edid());
        return true;
      default:
        return false;
    }
  }
}

/** Bytes of a row. */
const pitchOf = (width: number, bitsPerPixel: number): number => width * Math.ceil(bitsPerPixel / 8);

/** Sizes and places of red, green, blue and what is reserved. */
const FIELDS: Readonly<Record<number, readonly number[]>> = {
  15: [5, 10, 5, 5, 5, 0, 1, 15],
  16: [5, 11, 6, 5, 5, 0, 0, 0],
  24: [8, 16, 8, 8, 8, 0, 0, 0],
  32: [8, 16, 8, 8, 8, 0, 8, 24],
};
