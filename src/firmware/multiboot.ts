/**
 * Starts a Multiboot 1 kernel: an ELF file, or any file whose header gives the addresses (the a.out kludge).
 *
 * The information structure has memory sizes, memory map, command line, modules and the loader's name.
 * Not modelled: video modes (a kernel that asks for one starts in text mode), boot device, drives, symbols,
 * APM, VBE.
 *
 * @spec Multiboot Specification 0.6.96
 */
import { bits } from "../bits/fields.ts";
import { struct, u32, u64 } from "../bits/struct.ts";
import { type GuestPhysical, guestPhysical, PAGE_SIZE } from "../bits/units.ts";
import { BootError } from "./boot-error.ts";
import { flatCode32, flatData, gdtOf, protectedModeState } from "./boot-state.ts";
import { cString } from "./c-string.ts";
import { concat } from "./concat.ts";
import { describeFile } from "./describe-file.ts";
import { isElf, loadSegments, parseElf, physicalEntry } from "./elf.ts";
import type { BootTarget, KernelFiles, LoadedKernel } from "./loaded-kernel.ts";
import { CONVENTIONAL_KIB, extendedKib, type MemoryMap, type MemoryRange } from "./memory-map.ts";
import { RamLayout } from "./ram-layout.ts";

/** @spec 3.1.1 */
const Header = struct("LE", { magic: u32, flags: u32, checksum: u32 });
const HEADER_MAGIC = 0x1bad_b002;
const HEADER_SEARCH = 8192;
/** @spec 3.1.2; a set bit 0 to 15 that a loader does not know means that it must refuse */
const HeaderFlags = bits({ alignModules: 0, memoryInfo: 1, videoMode: 2, unknown: [3, 15], addresses: 16 });
/** @spec 3.1.3 */
const Addresses = struct("LE", { header: u32, load: u32, loadEnd: u32, bssEnd: u32, entry: u32 });

/** @spec 3.3 */
const Info = struct("LE", {
  flags: u32,
  memLower: u32,
  memUpper: u32,
  bootDevice: u32,
  commandLine: u32,
  moduleCount: u32,
  moduleList: u32,
  symbols0: u32,
  symbols1: u32,
  symbols2: u32,
  symbols3: u32,
  memoryMapLength: u32,
  memoryMap: u32,
  drivesLength: u32,
  drives: u32,
  configTable: u32,
  bootLoaderName: u32,
  apmTable: u32,
  vbeControlInfo: u32,
  vbeModeInfo: u32,
  vbeMode: u32,
  vbeInterface: u32,
});
const InfoFlags = bits({ memory: 0, commandLine: 2, modules: 3, memoryMap: 6, bootLoaderName: 9 });
const ModuleEntry = struct("LE", { start: u32, end: u32, commandLine: u32, reserved: u32 });
/** `size` counts the bytes after itself. */
const MemoryMapEntry = struct("LE", { size: u32, address: u64, length: u64, type: u32 });

/** What EAX holds at the entry. */
const LOADER_MAGIC = 0x2bad_b002n;
/** By convention the command line begins with the name of the kernel file, which kernels skip. */
const KERNEL_NAME = "kernel";
const CODE = 0x8;
const DATA = 0x10;
const LOW = PAGE_SIZE;
const ALIGNMENT = 16;

export interface MultibootModule {
  readonly content: Uint8Array;
  /** The module's name, a space and its arguments, as most kernels expect. */
  readonly commandLine: string;
}
export interface MultibootFiles extends KernelFiles {
  /** After the initial RAM disk, which is module 0 where there is one. */
  readonly modules?: readonly MultibootModule[];
}

interface MultibootHeader {
  /** Byte offset in the file. */
  readonly at: number;
  readonly flags: ReturnType<typeof HeaderFlags>;
}

/** Finds the header in a file's first 8 KiB. */
export function findMultibootHeader(file: Uint8Array): MultibootHeader | undefined {
  const end = Math.min(file.length, HEADER_SEARCH) - Header.size;
  for (let at = 0; at <= end; at += 4) {
    const { magic, flags, checksum } = Header.at(file, at);
    if (magic === HEADER_MAGIC && (magic + flags + checksum) % 2 ** 32 === 0) return { at, flags: HeaderFlags(flags) };
  }
  return undefined;
}

/** Puts a Multiboot kernel, its modules and its information in RAM; throws BootError where that cannot work. */
export function loadMultiboot(target: BootTarget, files: MultibootFiles): LoadedKernel {
  const file = files.kernel;
  const header = findMultibootHeader(file);
  if (header === undefined) {
    throw new BootError("not-a-kernel", `no Multiboot 1 header: the file ${describeFile(file)}`);
  }
  if (header.flags.unknown !== 0) {
    const wanted = `0x${(header.flags.unknown << 3).toString(16)}`;
    throw new BootError("unsupported", `the Multiboot kernel requires features that no loader knows (flags ${wanted})`);
  }
  const layout = new RamLayout(target.memory, target.map);
  const { kernel, entry } = header.flags.addresses ? loadByAddresses(layout, file, header.at) : loadElf(layout, file);

  const modules: MultibootModule[] = [];
  if (files.initrd?.length) modules.push({ content: files.initrd, commandLine: "initrd" });
  modules.push(...(files.modules ?? []));
  const placed = modules.map((module) => placeModule(layout, module, kernel.address + kernel.size));
  const info = placeInfo(layout, target.map, files.commandLine ?? "", placed);

  const table = gdtOf([flatCode32(CODE), flatData(DATA)]);
  const gdt = { base: layout.place(LOW, table, ALIGNMENT, "the descriptor table"), limit: table.length - 1 };
  const registers = { rax: LOADER_MAGIC, rbx: BigInt(info) };
  return {
    protocol: "multiboot",
    description: `Multiboot 1 kernel (${header.flags.addresses ? "addresses in its header" : "ELF"})`,
    kernel,
    state: protectedModeState({ entry, code: CODE, data: DATA, gdt, registers }),
    ...(files.initrd?.length && placed[0] ? { initrd: placed[0].range } : {}),
  };
}

interface PlacedKernel {
  readonly kernel: MemoryRange;
  readonly entry: number;
}

function loadElf(layout: RamLayout, file: Uint8Array): PlacedKernel {
  if (!isElf(file)) {
    throw new BootError("unsupported", "the Multiboot kernel is no ELF file, and its header gives no load addresses");
  }
  const image = parseElf(file);
  return { kernel: loadSegments(layout, image, "the Multiboot kernel"), entry: physicalEntry(image) };
}

/** @spec 3.1.3 */
function loadByAddresses(layout: RamLayout, file: Uint8Array, headerAt: number): PlacedKernel {
  if (file.length < headerAt + Header.size + Addresses.size) {
    throw new BootError("truncated", "the Multiboot kernel is cut short within its header");
  }
  const { header, load, loadEnd, bssEnd, entry } = Addresses.at(file, headerAt + Header.size);
  const start = headerAt - (header - load);
  const length = loadEnd === 0 ? file.length - start : loadEnd - load;
  if (start < 0 || start > headerAt || length <= 0) {
    throw new BootError("corrupt", "the addresses in the Multiboot header contradict each other");
  }
  if (start + length > file.length) {
    const needed = start + length;
    throw new BootError("truncated", `the Multiboot kernel is cut short: ${file.length} bytes of ${needed}`);
  }
  const size = Math.max(length, bssEnd === 0 ? 0 : bssEnd - load);
  const address = layout.claim(load, size, "the Multiboot kernel");
  layout.write(address, file.subarray(start, start + length), size);
  return { kernel: { address, size }, entry };
}

interface PlacedModule {
  readonly range: MemoryRange;
  readonly commandLine: GuestPhysical;
}

/** Modules lie after the kernel, on page boundaries whether or not the kernel asks for that. */
function placeModule(layout: RamLayout, module: MultibootModule, after: number): PlacedModule {
  const address = layout.place(after, module.content, PAGE_SIZE, "a Multiboot module");
  return {
    range: { address, size: module.content.length },
    commandLine: layout.place(LOW, cString(module.commandLine), ALIGNMENT, "a module's command line"),
  };
}

function placeInfo(
  layout: RamLayout,
  map: MemoryMap,
  commandLine: string,
  modules: readonly PlacedModule[],
): GuestPhysical {
  const list = concat(
    ...modules.map(({ range, commandLine }) =>
      ModuleEntry.make({ start: range.address, end: range.address + range.size, commandLine }),
    ),
  );
  const memoryMap = concat(
    ...map.entries.map(({ address, size, type }) =>
      MemoryMapEntry.make({
        size: MemoryMapEntry.size - 4,
        address: BigInt(address),
        length: BigInt(size),
        type,
      }),
    ),
  );
  const info = Info.make({
    flags: InfoFlags.pack({
      memory: true,
      commandLine: true,
      modules: modules.length > 0,
      memoryMap: true,
      bootLoaderName: true,
    }),
    memLower: CONVENTIONAL_KIB,
    memUpper: extendedKib(map),
    commandLine: layout.place(LOW, cString(`${KERNEL_NAME} ${commandLine}`), ALIGNMENT, "the command line"),
    moduleCount: modules.length,
    moduleList: list.length === 0 ? guestPhysical(0) : layout.place(LOW, list, ALIGNMENT, "the module list"),
    memoryMapLength: memoryMap.length,
    memoryMap: layout.place(LOW, memoryMap, ALIGNMENT, "the memory map"),
    bootLoaderName: layout.place(LOW, cString("Bunkhouse"), ALIGNMENT, "the loader's name"),
  });
  return layout.place(LOW, info, ALIGNMENT, "the Multiboot information");
}
