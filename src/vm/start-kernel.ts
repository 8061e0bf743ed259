/** Does what a BIOS and a boot loader would have done, and starts a kernel. */
import { loadKernel } from "../firmware/direct-boot.ts";
import { applyBootState } from "./boot-processor.ts";
import type { KernelDefinition } from "./definition.ts";
import { type StartParts, setUpBoard } from "./start.ts";

export function startKernel(parts: StartParts, kernel: KernelDefinition): void {
  const { processor, ram, random } = parts;
  const { map, rsdp } = setUpBoard(parts);
  const loaded = loadKernel(
    { memory: ram, map, rsdp },
    {
      kernel: kernel.image,
      commandLine: kernel.commandLine,
      longMode: processor.system.has("lm"),
      random,
      ...(kernel.initrd ? { initrd: kernel.initrd } : {}),
      ...(kernel.entry ? { entry: kernel.entry } : {}),
    },
  );
  applyBootState(processor, loaded.state);
}
