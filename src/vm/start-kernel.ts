/** Does what a BIOS and a boot loader would have done, and starts a kernel. */
import { loadKernel } from "../firmware/direct-boot.ts";
import type { LinuxScreen } from "../firmware/linux-zero-page.ts";
import { linearModeOf, setLinearScreen } from "../firmware/vga/linear-screen.ts";
import { vgaMode } from "../firmware/vga/modes.ts";
import { setMode } from "../firmware/vga/set-mode.ts";
import { DISPLAY_SLOT } from "./board.ts";
import { applyBootState } from "./boot-processor.ts";
import type { KernelDefinition } from "./definition.ts";
import { type StartParts, setUpBoard } from "./start.ts";

/** 80x25 characters in 16 colours: what a BIOS leaves. */
const TEXT_MODE = vgaMode(3)!;

/** Sets what the display shows when the kernel starts. */
function setUpScreen({ board, ram }: StartParts, commandLine: string): LinuxScreen | undefined {
  if (!board.display || !ram.video) return undefined;
  setMode(board.ports, board.memory, TEXT_MODE);
  const mode = linearModeOf(commandLine);
  return mode ? setLinearScreen(board.ports, DISPLAY_SLOT, ram.video.bytes.length, mode) : "text";
}

export function startKernel(parts: StartParts, kernel: KernelDefinition): void {
  const { processor, ram, random } = parts;
  const { map, rsdp } = setUpBoard(parts);
  const screen = setUpScreen(parts, kernel.commandLine);
  const loaded = loadKernel(
    { memory: ram, map, rsdp },
    {
      kernel: kernel.image,
      commandLine: kernel.commandLine,
      longMode: processor.system.has("lm"),
      random,
      ...(screen ? { screen } : {}),
      ...(kernel.initrd ? { initrd: kernel.initrd } : {}),
      ...(kernel.entry ? { entry: kernel.entry } : {}),
    },
  );
  applyBootState(processor, loaded.state);
}
