/**
 * Starts a Linux bzImage (or, through its 16-bit entry, a zImage) without a boot loader in the guest.
 *
 * Three entries: 64-bit (kernels since 3.8 built for x86-64), 32-bit (every bzImage), and 16-bit, the
 * kernel's own real-mode code, which calls the BIOS. A 64-bit kernel that the host can unpack is entered behind its
 * decompressor, with the same registers.
 *
 * Not modelled: EFI handover, boot loader hooks, setup_data other than the random seed.
 *
 * @spec Linux Documentation/arch/x86/boot.rst
 */
import { bytes, struct, u32, u64 } from "../bits/struct.ts";
import { GIB, type GuestPhysical, guestPhysical, MIB, PAGE_SIZE } from "../bits/units.ts";
import type { RandomSource } from "../machine/device.ts";
import { BootError } from "./boot-error.ts";
import {
  type BootState,
  flatCode32,
  flatCode64,
  flatData,
  gdtOf,
  longModeState,
  protectedModeState,
  realModeState,
} from "./boot-state.ts";
import { cString } from "./c-string.ts";
import {
  type LinuxImage,
  LoadFlags,
  parseLinuxImage,
  protocolText,
  SETUP_HEADER_AT,
  SetupHeader,
} from "./linux-header.ts";
import type { PackedLinux } from "./linux-unpack.ts";
import { COMMAND_LINE_MAGIC, type LinuxScreen, zeroPage } from "./linux-zero-page.ts";
import type { BootTarget, KernelFiles, LoadedKernel } from "./loaded-kernel.ts";
import { CONVENTIONAL_END, type MemoryRange } from "./memory-map.ts";
import { RamLayout } from "./ram-layout.ts";

export interface LinuxBootOptions extends KernelFiles {
  /** `auto`, the default, takes the widest entry that the kernel has. */
  readonly entry?: "auto" | "64" | "32" | "16";
  /** Whether the processor has 64-bit mode; true unless given. */
  readonly longMode?: boolean;
  /** Seeds the kernel's random number generator; left out, the kernel gathers its own entropy. */
  readonly random?: RandomSource;
  /**
   * Unpacks the kernel proper, which is then entered in place of the decompressor that the bzImage has for it; undefined
   * for a kernel that must do that itself. Asked where `entry` is `auto`.
   */
  readonly unpack?: ((image: LinuxImage, commandLine: string) => PackedLinux | undefined) | undefined;
  /** What the display shows when the kernel starts (32-bit and 64-bit entry; the 16-bit code asks the BIOS). */
  readonly screen?: LinuxScreen;
}

const BOOT_CS = 0x10;
const BOOT_DS = 0x18;
/** A boot loader without an assigned number. */
const LOADER_UNDEFINED = 0xff;
/** The 64-bit entry point, from the start of the protected-mode code. */
const ENTRY_64 = 0x200;

/** Conventional memory as this loader divides it. */
const GDT_AT = guestPhysical(0x8000);
const PAGE_TABLES_AT = guestPhysical(0x1_0000);
const ZIMAGE_AT = 0x1_0000;
const SETUP_DATA_AT = guestPhysical(0x8_f000);
/** The real-mode code, or the zero page in its stead. */
const REAL_MODE_AT = guestPhysical(0x9_0000);
/** The setup code's heap ends here and the command line begins: offsets from `REAL_MODE_AT`. */
const HEAP_END = 0xe000;
/** The same for protocols 2.00 and 2.01, which must stay below 0x9A000. */
const OLD_HEAP_END = 0x9800;
const OLD_CEILING = 0xa000;

/** Puts the kernel, its initial RAM disk and its parameters in RAM; throws BootError where that cannot work. */
export function loadLinux(target: BootTarget, options: LinuxBootOptions): LoadedKernel {
  const image = parseLinuxImage(options.kernel);
  const entry = chooseEntry(image, options.entry ?? "auto", options.longMode ?? true);
  const layout = new RamLayout(target.memory, target.map);

  const mayUnpack = entry === "64" && (options.entry ?? "auto") === "auto" && hasRoom(target, image);
  const packed = mayUnpack ? options.unpack?.(image, options.commandLine ?? "") : undefined;

  let kernel = packed ? claimPreferred(layout, image) : loadCode(layout, image);
  const initrd = options.initrd?.length ? loadInitrd(layout, image, options.initrd) : undefined;
  const running = packed?.load(layout, kernel, options.random);
  if (running) kernel = running.kernel;
  else if (packed) kernel = loadCode(layout, image);
  const commandLine = loadCommandLine(layout, image, options.commandLine ?? "");
  const seed = image.protocol >= 0x209 && options.random ? loadSeed(layout, options.random) : undefined;

  const header = headerFields(image, kernel.address, { initrd, commandLine, seed, kaslr: running?.kaslr });
  let state: BootState;
  if (entry === "16") {
    state = enterSetup(layout, image, header, commandLine);
  } else {
    const old = image.protocol < 0x202 ? { oldCommandLineOffset: commandLine - REAL_MODE_AT } : {};
    const rsdp = target.rsdp === undefined ? {} : { rsdp: target.rsdp };
    const screen = options.screen && { screen: options.screen };
    const page = zeroPage({ image, map: target.map, header, ...screen, ...rsdp, ...old });
    layout.claim(REAL_MODE_AT, page.length, "the zero page");
    layout.write(REAL_MODE_AT, page);
    if (entry === "32") state = enter32(layout, kernel.address);
    else state = enter64(layout, running?.entry ?? kernel.address + ENTRY_64);
  }
  const name = image.release.split(" ")[0] || "kernel";
  const way = running ? `${entry}-bit entry, unpacked by the host` : `${entry}-bit entry`;
  return {
    protocol: "linux",
    description: `Linux ${name}, boot protocol ${protocolText(image.protocol)}, ${way}`,
    kernel,
    state,
    ...(initrd === undefined ? {} : { initrd }),
  };
}

function chooseEntry(image: LinuxImage, wanted: "auto" | "64" | "32" | "16", longMode: boolean): "64" | "32" | "16" {
  // It would say so on a display, and stop.
  if (!longMode && image.kernel64) {
    throw new BootError(
      "unsupported",
      "this Linux kernel is a 64-bit one, which the processor model is not; take another model or a 32-bit kernel",
    );
  }
  if (wanted === "auto") return image.kernel64 ? "64" : image.loadedHigh ? "32" : "16";
  if (wanted === "64" && !image.kernel64) {
    throw new BootError(
      "unsupported",
      `this Linux kernel has no 64-bit entry (${image.release || "no version given"})`,
    );
  }
  if (wanted === "32" && !image.loadedHigh) {
    throw new BootError("unsupported", "this Linux kernel is a zImage: it starts through its 16-bit entry only");
  }
  return wanted;
}

/**
 * A relocatable kernel goes where it prefers to run, so that it need not move; any other is linked for, or
 * moves itself from, 1 MiB. Room is kept for what it unpacks to.
 */
function loadCode(layout: RamLayout, image: LinuxImage): MemoryRange {
  const { code, relocatable, alignment, prefAddress, initSize, loadedHigh } = image;
  const usual = loadedHigh ? MIB : ZIMAGE_AT;
  const aligned = Math.ceil(usual / alignment) * alignment;
  const address = guestPhysical(!relocatable || !loadedHigh ? usual : prefAddress || aligned);
  const runsAt = relocatable ? address : prefAddress || address;
  const size = Math.max(code.length, runsAt - address + initSize);
  layout.claim(address, size, "the Linux kernel");
  layout.write(address, code);
  return { address, size };
}

const hasRoom = ({ map }: BootTarget, { prefAddress, initSize }: LinuxImage): boolean =>
  prefAddress >= MIB && prefAddress + initSize <= map.ramSize;

/** Takes the room that the kernel proper needs where it prefers to run. */
function claimPreferred(layout: RamLayout, { prefAddress, initSize }: LinuxImage): MemoryRange {
  return { address: layout.claim(prefAddress, initSize, "the Linux kernel"), size: initSize };
}

function loadInitrd(layout: RamLayout, image: LinuxImage, initrd: Uint8Array): MemoryRange {
  const address = layout.claimBelow(image.initrdMax + 1, initrd.length, PAGE_SIZE, "the initial RAM disk");
  if (address < MIB)
    throw new BootError("no-room", "no room for the initial RAM disk above 1 MiB; give the VM more RAM");
  layout.write(address, initrd);
  return { address, size: initrd.length };
}

function loadCommandLine(layout: RamLayout, image: LinuxImage, commandLine: string): GuestPhysical {
  const bytes = cString(commandLine);
  const [start, end] =
    image.protocol >= 0x202
      ? [REAL_MODE_AT + HEAP_END, CONVENTIONAL_END as number]
      : [REAL_MODE_AT + OLD_HEAP_END, REAL_MODE_AT + OLD_CEILING];
  const limit = Math.min(image.maxCommandLine, end - start - 1);
  if (bytes.length - 1 > limit) {
    throw new BootError(
      "bad-argument",
      `the command line has ${bytes.length - 1} bytes; this Linux kernel takes at most ${limit}`,
    );
  }
  const address = layout.claim(start, bytes.length, "the command line");
  layout.write(address, bytes);
  return address;
}

const SEED_SIZE = 32;
/** @spec boot.rst, setup_data; type SETUP_RNG_SEED of asm/setup_data.h */
const SeedData = struct("LE", { next: u64, type: u32, length: u32, data: bytes(SEED_SIZE) });
const SETUP_RNG_SEED = 9;

function loadSeed(layout: RamLayout, random: RandomSource): GuestPhysical {
  const data = new Uint8Array(SEED_SIZE);
  random.fill(data);
  const address = layout.claim(SETUP_DATA_AT, SeedData.size, "the random seed");
  layout.write(address, SeedData.make({ type: SETUP_RNG_SEED, length: SEED_SIZE, data }));
  return address;
}

type HeaderFields = Parameters<typeof SetupHeader.make>[0];

/** What the loader sets in the setup header; only fields that the protocol version has. */
function headerFields(
  image: LinuxImage,
  kernelAt: GuestPhysical,
  parts: {
    initrd: MemoryRange | undefined;
    commandLine: GuestPhysical;
    seed: GuestPhysical | undefined;
    kaslr: boolean | undefined;
  },
): HeaderFields {
  const { loadflags } = SetupHeader.at(image.setup, SETUP_HEADER_AT);
  return {
    typeOfLoader: LOADER_UNDEFINED,
    ...(image.loadedHigh && { code32Start: kernelAt }),
    ...(parts.initrd && { ramdiskImage: parts.initrd.address, ramdiskSize: parts.initrd.size }),
    ...(image.protocol >= 0x202 && { cmdLinePtr: parts.commandLine }),
    ...(parts.seed !== undefined && { setupData: BigInt(parts.seed) }),
    // For the kernel proper: its decompressor sets it otherwise.
    ...(parts.kaslr !== undefined && { loadflags: LoadFlags.with(loadflags, { kaslr: parts.kaslr }) }),
  };
}

/** The 16-bit entry: the kernel's real-mode code, at 0x90000, with its stack and heap above it. */
function enterSetup(layout: RamLayout, image: LinuxImage, fields: HeaderFields, commandLine: GuestPhysical): BootState {
  const current = image.protocol >= 0x202 && image.loadedHigh;
  const heapEnd = current ? HEAP_END : OLD_HEAP_END;
  const setup = image.setup.slice();
  const header = SetupHeader.at(setup, SETUP_HEADER_AT);
  Object.assign(header, fields);
  if (image.protocol >= 0x201) {
    header.heapEndPtr = heapEnd - 0x200;
    header.loadflags = LoadFlags.with(header.loadflags, { canUseHeap: true });
  }
  if (image.protocol < 0x202) {
    const words = new DataView(setup.buffer);
    words.setUint16(0x20, COMMAND_LINE_MAGIC, true);
    words.setUint16(0x22, commandLine - REAL_MODE_AT, true);
    header.setupMoveSize = OLD_CEILING;
  }
  layout.claim(REAL_MODE_AT, heapEnd, "the kernel's real-mode code");
  layout.write(REAL_MODE_AT, setup, heapEnd);
  const segment = REAL_MODE_AT >> 4;
  return realModeState({ cs: segment + 0x20, ip: 0, ds: segment, sp: heapEnd });
}

function loadGdt(layout: RamLayout, code: typeof flatCode32): { base: number; limit: number } {
  const gdt = gdtOf([code(BOOT_CS), flatData(BOOT_DS)]);
  const base = layout.claim(GDT_AT, gdt.length, "the descriptor table");
  layout.write(base, gdt);
  return { base, limit: gdt.length - 1 };
}

function enter32(layout: RamLayout, kernelAt: GuestPhysical): BootState {
  const gdt = loadGdt(layout, flatCode32);
  const registers = { rsi: BigInt(REAL_MODE_AT), rsp: BigInt(SETUP_DATA_AT) };
  return protectedModeState({ entry: kernelAt, code: BOOT_CS, data: BOOT_DS, gdt, registers });
}

function enter64(layout: RamLayout, entry: number): BootState {
  const gdt = loadGdt(layout, flatCode64);
  const tables = identityPageTables(PAGE_TABLES_AT);
  layout.claim(PAGE_TABLES_AT, tables.length, "the page tables");
  layout.write(PAGE_TABLES_AT, tables);
  const registers = { rsi: BigInt(REAL_MODE_AT), rsp: BigInt(SETUP_DATA_AT) };
  return longModeState({ entry, code: BOOT_CS, data: BOOT_DS, gdt, registers, cr3: PAGE_TABLES_AT });
}

const PRESENT_WRITABLE = 0b11n;
const LARGE_PAGE = 1n << 7n;
const LARGE_PAGE_SIZE = 2 * MIB;
const ENTRIES = 512;

/**
 * Four-level page tables for `base` that map the first 4 GiB one to one with 2 MiB pages.
 *
 * @spec Intel SDM 3A 4.5
 */
export function identityPageTables(base: GuestPhysical): Uint8Array {
  const directories = (4 * GIB) / (LARGE_PAGE_SIZE * ENTRIES);
  const entries = new BigUint64Array((2 + directories) * ENTRIES);
  const table = (index: number) => BigInt(base + index * PAGE_SIZE) | PRESENT_WRITABLE;
  entries[0] = table(1);
  for (let i = 0; i < directories; i++) entries[ENTRIES + i] = table(2 + i);
  for (let i = 0; i < directories * ENTRIES; i++) {
    entries[2 * ENTRIES + i] = BigInt(i * LARGE_PAGE_SIZE) | LARGE_PAGE | PRESENT_WRITABLE;
  }
  return new Uint8Array(entries.buffer);
}
