/** Does what a BIOS and a boot loader would have done, and starts a kernel. */
import { loadKernel } from "../firmware/direct-boot.ts";
import type { LinuxBootOptions } from "../firmware/linux-boot.ts";
import { isLinuxImage, parseLinuxImage, payloadPacking } from "../firmware/linux-header.ts";
import type { LinuxScreen } from "../firmware/linux-zero-page.ts";
import { applyBootState } from "./boot-processor.ts";
import type { Host, KernelDefinition } from "./definition.ts";
import { type StartParts, setUpBoard } from "./start.ts";

/** What some kernels' starts have besides. */
export interface KernelStart {
  readonly unpack: LinuxBootOptions["unpack"];
  /** Where there is a display: sets what it shows. */
  readonly setUpScreen: ((parts: StartParts, commandLine: string) => LinuxScreen | undefined) | undefined;
}

/** Loads what unpacks this kernel; undefined where it unpacks itself. */
export async function loadUnpacking(
  { image, entry = "auto" }: KernelDefinition,
  host: Host,
): Promise<LinuxBootOptions["unpack"]> {
  if (entry !== "auto" || !isLinuxImage(image)) return undefined;
  const packing = payloadPacking(parseLinuxImage(image));
  if (packing === undefined) return undefined;
  const unpack = packing === "lz4" ? undefined : await host.unpacker?.(packing);
  const { unpackLinux } = await import("../firmware/linux-unpack.ts");
  return (linux, commandLine) => unpackLinux(linux, commandLine, unpack);
}

export function startKernel(parts: StartParts, kernel: KernelDefinition, { unpack, setUpScreen }: KernelStart): void {
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
      unpack,
      ...(screen ? { screen } : {}),
      ...(kernel.initrd ? { initrd: kernel.initrd } : {}),
      ...(kernel.entry ? { entry: kernel.entry } : {}),
    },
  );
  applyBootState(processor, loaded.state);
}
