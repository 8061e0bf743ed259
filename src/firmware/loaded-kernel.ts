/** What every direct boot loader takes and gives. */
import type { GuestPhysical } from "../bits/units.ts";
import type { GuestMemory } from "../machine/device.ts";
import type { BootState } from "./boot-state.ts";
import type { MemoryMap, MemoryRange } from "./memory-map.ts";

/** The VM that a kernel is put into. */
export interface BootTarget {
  readonly memory: GuestMemory;
  readonly map: MemoryMap;
  /** Where the ACPI RSDP was installed; left out for a VM without ACPI. */
  readonly rsdp?: GuestPhysical;
}

export interface KernelFiles {
  /** The whole kernel file. */
  readonly kernel: Uint8Array;
  /** The initial RAM disk: the first module of a PVH or Multiboot kernel. */
  readonly initrd?: Uint8Array;
  readonly commandLine?: string;
}

export interface LoadedKernel {
  readonly protocol: "linux" | "pvh" | "multiboot";
  /** What was loaded and how it is entered, for a message: "Linux 6.1.0, 64-bit entry". */
  readonly description: string;
  /** Where the kernel runs. */
  readonly kernel: MemoryRange;
  /** Where the initial RAM disk lies, if there is one. */
  readonly initrd?: MemoryRange;
  /** The state that starts it. */
  readonly state: BootState;
}
