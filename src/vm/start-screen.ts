/** What the display shows when a kernel starts that is started directly. */
import type { LinuxScreen } from "../firmware/linux-zero-page.ts";
import { linearModeOf, setLinearScreen } from "../firmware/vga/linear-screen.ts";
import { vgaMode } from "../firmware/vga/modes.ts";
import { setMode } from "../firmware/vga/set-mode.ts";
import { DISPLAY_SLOT } from "./board.ts";
import type { StartParts } from "./start.ts";

/** 80x25 characters in 16 colours: what a BIOS leaves. */
const TEXT_MODE = vgaMode(3)!;

/** Sets it, as the command line asks for it. */
export function setUpScreen({ board, ram }: StartParts, commandLine: string): LinuxScreen | undefined {
  if (!board.display || !ram.video) return undefined;
  setMode(board.ports, board.memory, TEXT_MODE);
  const mode = linearModeOf(commandLine);
  return mode ? setLinearScreen(board.ports, DISPLAY_SLOT, ram.video.bytes.length, mode) : "text";
}
