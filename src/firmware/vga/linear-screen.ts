/**
 * A linear mode for a kernel that starts directly and takes the screen as it finds it: Linux's vesafb and simplefb,
 * asked for by `vga=` on its command line, as boot loaders understand it.
 *
 * @spec Linux Documentation/admin-guide/svga.rst, kernel-parameters.txt "vga="
 */
import { type GuestPhysical, guestPhysical } from "../../bits/units.ts";
import { BootError } from "../boot-error.ts";
import type { VgaPorts } from "./set-mode.ts";
import { setVbeMode, VBE_MODES, type VbeMode } from "./vbe-modes.ts";

/** A linear mode that is set, and where it is. */
export interface LinearScreen {
  readonly mode: VbeMode;
  readonly address: GuestPhysical;
  /** Bytes of video memory. */
  readonly size: number;
}

/** Mode numbers on a command line are VBE's and this. */
const VBE = 0x200;
/** Words and numbers that say: the text mode that is there. */
const TEXT = ["normal", "ask", "65535", "0xffff", "65533", "0xfffd"];
/** vesafb drives nothing with fewer bits a pixel. */
const LEAST_BITS = 8;

/** The mode that a kernel's command line asks for; throws BootError where the display has no such mode. */
export function linearModeOf(commandLine: string): VbeMode | undefined {
  const asked = /(?:^|\s)vga=(\S+)/.exec(commandLine)?.[1];
  if (asked === undefined || TEXT.includes(asked.toLowerCase())) return undefined;
  const number = /^(0x[0-9a-f]+|\d+)$/i.test(asked) ? Number(asked) : Number.NaN;
  const modes = VBE_MODES.filter(({ bitsPerPixel }) => bitsPerPixel >= LEAST_BITS);
  const mode = modes.find((each) => each.number + VBE === number);
  if (mode) return mode;
  const usual = modes.filter(({ width, bitsPerPixel }) => width === 1024 && bitsPerPixel >= 16);
  const examples = usual.map((each) => `vga=${each.number + VBE} (${each.width}x${each.height}x${each.bitsPerPixel})`);
  throw new BootError(
    "bad-argument",
    `the display has no mode vga=${asked}; it has, for example, ${examples.join(", ")}`,
  );
}

const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
const COMMAND = 0x04;
const MEMORY_SPACE = 2;
const BAR0 = 0x10;
/** Where firmware begins to place PCI memory. */
const FRAMEBUFFER = guestPhysical(0xe000_0000);

/** Sets `mode` on the display in PCI slot `slot`, which has `size` bytes of video memory, and gives them an address. */
export function setLinearScreen(ports: VgaPorts, slot: number, size: number, mode: VbeMode): LinearScreen {
  const configure = (register: number, bytes: 2 | 4, value: number) => {
    ports.write(CONFIG_ADDRESS, 4, 0x8000_0000 + slot * 0x800 + register);
    ports.write(CONFIG_DATA, bytes, value);
  };
  configure(BAR0, 4, FRAMEBUFFER);
  configure(COMMAND, 2, MEMORY_SPACE);
  setVbeMode(ports, mode);
  return { mode, address: FRAMEBUFFER, size };
}
