/**
 * Starts an ELF kernel (a Linux vmlinux, FreeBSD, a unikernel) through its PVH entry: 32-bit protected mode
 * with a start-info structure in EBX.
 *
 * @spec Xen docs/misc/pvh.pandoc; xen/include/public/arch-x86/hvm/start_info.h, version 1
 */
import { struct, u32, u64 } from "../bits/struct.ts";
import { type GuestPhysical, guestPhysical, MIB, PAGE_SIZE } from "../bits/units.ts";
import { BootError } from "./boot-error.ts";
import { flatCode32, flatData, gdtOf, protectedModeState } from "./boot-state.ts";
import { cString } from "./c-string.ts";
import { concat } from "./concat.ts";
import { type ElfImage, loadSegments, parseElf } from "./elf.ts";
import type { BootTarget, KernelFiles, LoadedKernel } from "./loaded-kernel.ts";
import type { MemoryMap, MemoryRange } from "./memory-map.ts";
import { RamLayout } from "./ram-layout.ts";

const START_MAGIC = 0x336e_c578;
const START_VERSION = 1;
const StartInfo = struct("LE", {
  magic: u32,
  version: u32,
  flags: u32,
  moduleCount: u32,
  moduleList: u64,
  commandLine: u64,
  rsdp: u64,
  memoryMap: u64,
  memoryMapEntries: u32,
  reserved: u32,
});
const ModuleEntry = struct("LE", { address: u64, size: u64, commandLine: u64, reserved: u64 });
/** Its types are those of E820. */
const MemoryMapEntry = struct("LE", { address: u64, size: u64, type: u32, reserved: u32 });

/** @spec xen/include/public/elfnote.h */
const XEN_ELFNOTE_PHYS32_ENTRY = 18;
const CODE = 0x8;
const DATA = 0x10;
/** Small structures go from here up, below the kernel. */
const LOW = PAGE_SIZE;
const ALIGNMENT = 16;

/** The physical address of a kernel's PVH entry, or undefined where it has none. */
export function pvhEntry(image: ElfImage): number | undefined {
  const note = image.notes.find(({ name, type }) => name === "Xen" && type === XEN_ELFNOTE_PHYS32_ENTRY);
  if (note === undefined || note.descriptor.length < 4) return undefined;
  // A 64-bit kernel stores 8 bytes; the entry is below 4 GiB either way.
  const { buffer, byteOffset, length } = note.descriptor;
  return new DataView(buffer, byteOffset, length).getUint32(0, true);
}

/** Puts a PVH kernel, its RAM disk and its start info in RAM; throws BootError where that cannot work. */
export function loadPvh(target: BootTarget, files: KernelFiles): LoadedKernel {
  const image = parseElf(files.kernel);
  const entry = pvhEntry(image);
  if (entry === undefined) {
    throw new BootError(
      "unsupported",
      "the ELF kernel has no PVH entry; give a bzImage, or build it with CONFIG_PVH=y",
    );
  }
  const layout = new RamLayout(target.memory, target.map);
  const kernel = loadSegments(layout, image, "the kernel");
  const initrd = files.initrd?.length ? loadInitrd(layout, files.initrd) : undefined;

  const commandLine = layout.place(LOW, cString(files.commandLine ?? ""), ALIGNMENT, "the command line");
  const modules = initrd && layout.place(LOW, moduleEntry(initrd), ALIGNMENT, "the module list");
  const memoryMap = layout.place(LOW, memoryMapBytes(target.map), ALIGNMENT, "the memory map");
  const info = StartInfo.make({
    magic: START_MAGIC,
    version: START_VERSION,
    moduleCount: initrd ? 1 : 0,
    moduleList: BigInt(modules ?? 0),
    commandLine: BigInt(commandLine),
    rsdp: BigInt(target.rsdp ?? 0),
    memoryMap: BigInt(memoryMap),
    memoryMapEntries: target.map.entries.length,
  });
  const infoAt = layout.place(LOW, info, ALIGNMENT, "the start info");
  // The interface leaves the GDT open; one that matches the segments lets a guest reload them.
  const table = gdtOf([flatCode32(CODE), flatData(DATA)]);
  const gdt = { base: layout.place(LOW, table, ALIGNMENT, "the descriptor table"), limit: table.length - 1 };
  return {
    protocol: "pvh",
    description: `${image.class}-bit ELF kernel, PVH entry`,
    kernel,
    state: protectedModeState({ entry, code: CODE, data: DATA, gdt, registers: { rbx: BigInt(infoAt) } }),
    ...(initrd === undefined ? {} : { initrd }),
  };
}

/** High, but where a 32-bit Linux kernel can still map it. */
const INITRD_LIMIT = guestPhysical(0x3800_0000);

function loadInitrd(layout: RamLayout, initrd: Uint8Array): MemoryRange {
  const address = layout.claimBelow(INITRD_LIMIT, initrd.length, PAGE_SIZE, "the initial RAM disk");
  if (address < MIB)
    throw new BootError("no-room", "no room for the initial RAM disk above 1 MiB; give the VM more RAM");
  layout.write(address, initrd);
  return { address, size: initrd.length };
}

function moduleEntry({ address, size }: { address: GuestPhysical; size: number }): Uint8Array {
  return ModuleEntry.make({ address: BigInt(address), size: BigInt(size) });
}

function memoryMapBytes(map: MemoryMap): Uint8Array {
  return concat(
    ...map.entries.map(({ address, size, type }) =>
      MemoryMapEntry.make({ address: BigInt(address), size: BigInt(size), type }),
    ),
  );
}
