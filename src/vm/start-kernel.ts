/** Does what a BIOS and a boot loader would have done, and starts a kernel. */
import { loadKernel } from "../firmware/direct-boot.ts";
import { vgaMode } from "../firmware/vga/modes.ts";
import { setMode } from "../firmware/vga/set-mode.ts";
import { applyBootState } from "./boot-processor.ts";
import type { KernelDefinition } from "./definition.ts";
import { type StartParts, setUpBoard } from "./start.ts";

/** 80x25 characters in 16 colours: what a BIOS leaves. */
const TEXT_MODE = vgaMode(3)!;

export function startKernel(parts: StartParts, kernel: KernelDefinition): void {
  const { processor, board, ram, random } = parts;
  const { map, rsdp } = setUpBoard(parts);
  if (board.display) setMode(board.ports, board.memory, TEXT_MODE);
  const loaded = loadKernel(
    { memory: ram, map, rsdp },
    {
      kernel: kernel.image,
      commandLine: kernel.commandLine,
      longMode: processor.system.has("lm"),
      random,
      vgaText: board.display !== undefined,
      ...(kernel.initrd ? { initrd: kernel.initrd } : {}),
      ...(kernel.entry ? { entry: kernel.entry } : {}),
    },
  );
  applyBootState(processor, loaded.state);
}
