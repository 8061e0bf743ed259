/**
 * The zero page (struct boot_params): what a Linux kernel that is entered in 32-bit or 64-bit mode learns
 * about the machine.
 *
 * Not filled in: APM, EDD, IST, EDID, EFI (none is there), disk geometries (the BIOS tells them to the
 * 16-bit entry only).
 *
 * @spec Linux Documentation/arch/x86/zero-page.rst
 */
import { bytes, struct, u8, u16, u32, u64 } from "../bits/struct.ts";
import { type GuestPhysical, PAGE_SIZE } from "../bits/units.ts";
import { type LinuxImage, SETUP_HEADER_AT, SetupHeader } from "./linux-header.ts";
import { extendedKib, type MemoryMap } from "./memory-map.ts";
import type { LinearScreen } from "./vga/linear-screen.ts";

/** @spec include/uapi/linux/screen_info.h, the fields of text modes and of linear ones */
const ScreenInfo = struct("LE", {
  origX: u8,
  origY: u8,
  extMemK: u16,
  origVideoPage: u16,
  origVideoMode: u8,
  origVideoCols: u8,
  flags: u8,
  unused: u8,
  origVideoEgaBx: u16,
  unused3: u16,
  origVideoLines: u8,
  origVideoIsVga: u8,
  origVideoPoints: u16,
  lfbWidth: u16,
  lfbHeight: u16,
  lfbDepth: u16,
  lfbBase: u32,
  lfbSize: u32,
  clMagic: u16,
  clOffset: u16,
  lfbLinelength: u16,
  redSize: u8,
  redPos: u8,
  greenSize: u8,
  greenPos: u8,
  blueSize: u8,
  bluePos: u8,
  rsvdSize: u8,
  rsvdPos: u8,
});

/** The fields before the setup header, from `screen_info` on. */
const ZeroPage = struct("LE", {
  screenInfo: bytes(0x40),
  apmBiosInfo: bytes(0x14),
  reserved1: bytes(0x1c),
  acpiRsdpAddr: u64,
  reserved2: bytes(0x168),
  altMemK: u32,
  scratch: u32,
  e820Entries: u8,
  eddbufEntries: u8,
  eddMbrSigBufEntries: u8,
});
const E820_TABLE_AT = 0x2d0;
const E820_TABLE_LENGTH = 128;
const E820Record = struct("LE", { address: u64, size: u64, type: u32 });

/** The word at 0x20 that says that the word at 0x22 is the command line's offset: protocols 2.00 and 2.01. */
export const COMMAND_LINE_MAGIC = 0xa33f;

/** A VGA adapter that is in text mode 3 when the kernel starts. */
const VGA_TEXT = { origVideoMode: 3, origVideoCols: 80, origVideoLines: 25, origVideoIsVga: 1, origVideoPoints: 16 };

/** `origVideoIsVga` of a linear framebuffer. */
const VIDEO_TYPE_VLFB = 0x23;
/** `lfbSize` counts these. */
const LFB_UNIT = 0x10000;
/** Sizes and places of red, green, blue and what is left, by bits a pixel; a palette has 6 bits of each. */
const CHANNELS: Readonly<Record<number, readonly number[]>> = {
  8: [6, 0, 6, 0, 6, 0, 0, 0],
  15: [5, 10, 5, 5, 5, 0, 1, 15],
  16: [5, 11, 6, 5, 5, 0, 0, 0],
  24: [8, 16, 8, 8, 8, 0, 0, 0],
  32: [8, 16, 8, 8, 8, 0, 8, 24],
};

/** What the display shows when the kernel starts: 80x25 characters, or a linear mode. */
export type LinuxScreen = "text" | LinearScreen;

function linearScreen({ mode, address, size }: LinearScreen): Parameters<typeof ScreenInfo.make>[0] {
  const { width, height, bitsPerPixel } = mode;
  const channels = CHANNELS[bitsPerPixel] ?? [];
  const [redSize = 0, redPos = 0, greenSize = 0, greenPos = 0, blueSize = 0, bluePos = 0] = channels;
  const [rsvdSize = 0, rsvdPos = 0] = channels.slice(6);
  return {
    ...{ origVideoIsVga: VIDEO_TYPE_VLFB, lfbWidth: width, lfbHeight: height, lfbDepth: bitsPerPixel },
    ...{ lfbBase: address, lfbSize: size / LFB_UNIT, lfbLinelength: width * Math.ceil(bitsPerPixel / 8) },
    ...{ redSize, redPos, greenSize, greenPos, blueSize, bluePos, rsvdSize, rsvdPos },
  };
}

export interface ZeroPageContents {
  readonly image: LinuxImage;
  readonly map: MemoryMap;
  readonly rsdp?: GuestPhysical;
  /** Without it the kernel uses no console on a display. */
  readonly screen?: LinuxScreen;
  /** The command line's offset from the zero page, for a kernel of protocol 2.00 or 2.01. */
  readonly oldCommandLineOffset?: number;
  /** Fields of the setup header that the boot loader sets. */
  readonly header: Parameters<typeof SetupHeader.make>[0];
}

/** The 4 KiB of a zero page. */
export function zeroPage(contents: ZeroPageContents): Uint8Array {
  const { image, map, header } = contents;
  const page = new Uint8Array(PAGE_SIZE);
  page.set(image.setup.subarray(SETUP_HEADER_AT, image.headerEnd), SETUP_HEADER_AT);
  Object.assign(SetupHeader.at(page, SETUP_HEADER_AT), header);

  const extended = extendedKib(map);
  const screen = ScreenInfo.at(page);
  screen.extMemK = Math.min(extended, 0xffff);
  if (contents.screen) Object.assign(screen, contents.screen === "text" ? VGA_TEXT : linearScreen(contents.screen));
  if (contents.oldCommandLineOffset !== undefined) {
    screen.clMagic = COMMAND_LINE_MAGIC;
    screen.clOffset = contents.oldCommandLineOffset;
  }

  const fields = ZeroPage.at(page);
  fields.acpiRsdpAddr = BigInt(contents.rsdp ?? 0);
  fields.altMemK = extended;
  fields.e820Entries = Math.min(map.entries.length, E820_TABLE_LENGTH);
  for (const [index, entry] of map.entries.slice(0, E820_TABLE_LENGTH).entries()) {
    const record = { address: BigInt(entry.address), size: BigInt(entry.size), type: entry.type };
    page.set(E820Record.make(record), E820_TABLE_AT + index * E820Record.size);
  }
  return page;
}
