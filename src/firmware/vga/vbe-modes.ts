/**
 * Linear video modes, set through the DISPI registers of a Bochs or QEMU display, with the numbers that VESA gave them.
 *
 * @spec VESA BIOS Extension 3.0, table 1; Bochs bios/VBE-display-api.txt
 */

import { palette } from "./palettes.ts";
import { loadPalette, type VgaPorts } from "./set-mode.ts";

export interface VbeMode {
  /** As function 4F02h takes it; beyond VESA's numbers, those that QEMU's VGA BIOS uses. */
  readonly number: number;
  readonly width: number;
  readonly height: number;
  readonly bitsPerPixel: 4 | 8 | 15 | 16 | 24 | 32;
}

/** Sizes, each with numbers (hexadecimal) and bits a pixel. */
const SIZES: readonly (readonly [width: number, height: number, modes: string])[] = [
  [320, 200, "10d:15 10e:16 10f:24 140:32"],
  [640, 400, "100:8 141:32"],
  [640, 480, "101:8 110:15 111:16 112:24 142:32"],
  [800, 600, "102:4 103:8 113:15 114:16 115:24 143:32"],
  [1024, 768, "104:4 105:8 116:15 117:16 118:24 144:32"],
  [1152, 864, "148:8 149:15 14a:16 14b:24 14c:32"],
  [1280, 720, "18d:16 18e:24 18f:32"],
  [1280, 800, "178:16 179:24 17a:32"],
  [1280, 1024, "106:4 107:8 119:15 11a:16 11b:24 145:32"],
  [1440, 900, "17e:16 17f:24 180:32"],
  [1600, 1200, "11c:8 11d:15 11e:16 11f:24 147:32"],
  [1680, 1050, "184:16 185:24 186:32"],
  [1920, 1080, "190:16 191:24 192:32"],
  [1920, 1200, "187:16 188:24 189:32"],
  [2560, 1600, "18a:16 18b:24 18c:32"],
];

export const VBE_MODES: readonly VbeMode[] = SIZES.flatMap(([width, height, modes]) =>
  modes.split(" ").map((each) => {
    const [number, bitsPerPixel] = each.split(":") as [string, string];
    return {
      number: Number.parseInt(number, 16),
      width,
      height,
      bitsPerPixel: Number(bitsPerPixel) as VbeMode["bitsPerPixel"],
    };
  }),
);

/** The mode with VBE's number, or undefined. */
export function vbeMode(number: number): VbeMode | undefined {
  return VBE_MODES.find((each) => each.number === number);
}

const INDEX = 0x1ce;
const DATA = 0x1cf;
const Register = { xres: 1, yres: 2, bpp: 3, enable: 4, bank: 5 } as const;
const ENABLED = 0x01;
const LINEAR = 0x40;
const NO_CLEAR = 0x80;

export interface VbeOptions {
  /** The processor sees the picture in BAR 0 (always there) rather than in banks at A0000h. */
  readonly linear?: boolean;
  /** Leaves what is in video memory. */
  readonly keep?: boolean;
}

/** Sets a linear mode; with 8 bits a pixel, mode 13h's palette too. */
export function setVbeMode(
  ports: VgaPorts,
  mode: Pick<VbeMode, "width" | "height" | "bitsPerPixel">,
  { linear = true, keep = false }: VbeOptions = {},
): void {
  const set = (register: number, value: number) => {
    ports.write(INDEX, 2, register);
    ports.write(DATA, 2, value);
  };
  set(Register.enable, 0);
  set(Register.xres, mode.width);
  set(Register.yres, mode.height);
  set(Register.bpp, mode.bitsPerPixel);
  set(Register.bank, 0);
  set(Register.enable, ENABLED | (linear ? LINEAR : 0) | (keep ? NO_CLEAR : 0));
  if (mode.bitsPerPixel === 8) loadPalette(ports, palette("vga"));
  // The display's, not the processor's: nothing is shown otherwise.
  ports.read(0x3da, 1);
  ports.write(0x3c0, 1, 0x20);
}
