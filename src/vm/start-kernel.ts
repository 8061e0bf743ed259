/** Does what a BIOS and a boot loader would have done, and starts a kernel. */
import { loadKernel } from "../firmware/direct-boot.ts";
import type { LinuxScreen } from "../firmware/linux-zero-page.ts";
import { applyBootState } from "./boot-processor.ts";
import type { KernelDefinition } from "./definition.ts";
import { type StartParts, setUpBoard } from "./start.ts";

/** Where there is a display, `setUpScreen` sets what it shows. */
export function startKernel(
  parts: StartParts,
  kernel: KernelDefinition,
  setUpScreen?: (parts: StartParts, commandLine: string) => LinuxScreen | undefined,
): void {
  const { processor, ram, random } = parts;
  const { map, rsdp } = setUpBoard(parts);
  const screen = setUpScreen?.(parts, kernel.commandLine);
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
