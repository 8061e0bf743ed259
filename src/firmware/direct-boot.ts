/** Starts a kernel without a boot loader in the guest, through whichever protocol the file has. */
import type { RandomSource } from "../machine/device.ts";
import { identifyKernel } from "./identify-kernel.ts";
import { type LinuxBootOptions, loadLinux } from "./linux-boot.ts";
import type { BootTarget, LoadedKernel } from "./loaded-kernel.ts";
import { loadMultiboot, type MultibootFiles } from "./multiboot.ts";
import { loadPvh } from "./pvh.ts";

export interface DirectBootOptions extends LinuxBootOptions, MultibootFiles {
  readonly random?: RandomSource;
}

/** Puts the kernel and what belongs to it in RAM; throws BootError, with one line for the user, where that fails. */
export function loadKernel(target: BootTarget, options: DirectBootOptions): LoadedKernel {
  switch (identifyKernel(options.kernel)) {
    case "linux":
      return loadLinux(target, options);
    case "pvh":
      return loadPvh(target, options);
    case "multiboot":
      return loadMultiboot(target, options);
  }
}
