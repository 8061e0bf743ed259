/**
 * The setup header of a Linux bzImage or zImage, boot protocol 2.00 to 2.15.
 *
 * @spec Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"
 */
import { bits } from "../bits/fields.ts";
import { struct, u8, u16, u32, u64 } from "../bits/struct.ts";
import { BootError } from "./boot-error.ts";
import { textAt } from "./c-string.ts";
import { describeFile } from "./describe-file.ts";

/** Byte offset of the setup header in the kernel file, and in the zero page. */
export const SETUP_HEADER_AT = 0x1f1;
const SECTOR = 512;
const BOOT_FLAG = 0xaa55;
/** "HdrS" */
const HEADER_MAGIC = 0x5372_6448;
/** The jump before the magic leads over the rest of the header: its displacement counts from here. */
const HEADER_MAGIC_AT = 0x202;
/** "The real-mode code can total up to 32K." */
const MAX_SETUP_SIZE = 0x8000;

export const SetupHeader = struct("LE", {
  setupSects: u8,
  rootFlags: u16,
  syssize: u32,
  ramSize: u16,
  vidMode: u16,
  rootDev: u16,
  bootFlag: u16,
  jump: u16,
  header: u32,
  version: u16,
  realmodeSwtch: u32,
  startSysSeg: u16,
  kernelVersion: u16,
  typeOfLoader: u8,
  loadflags: u8,
  setupMoveSize: u16,
  code32Start: u32,
  ramdiskImage: u32,
  ramdiskSize: u32,
  bootsectKludge: u32,
  heapEndPtr: u16,
  extLoaderVer: u8,
  extLoaderType: u8,
  cmdLinePtr: u32,
  initrdAddrMax: u32,
  kernelAlignment: u32,
  relocatableKernel: u8,
  minAlignment: u8,
  xloadflags: u16,
  cmdlineSize: u32,
  hardwareSubarch: u32,
  hardwareSubarchData: u64,
  payloadOffset: u32,
  payloadLength: u32,
  setupData: u64,
  prefAddress: u64,
  initSize: u32,
  handoverOffset: u32,
  kernelInfoOffset: u32,
});

export const LoadFlags = bits({ loadedHigh: 0, kaslr: 1, quiet: 5, keepSegments: 6, canUseHeap: 7 });
export const XLoadFlags = bits({ kernel64: 0, above4g: 1, efiHandover32: 2, efiHandover64: 3, efiKexec: 4 });

/** What the header says, with the documented defaults for fields that this protocol version lacks. */
export interface LinuxImage {
  /** Boot protocol, major * 256 + minor. */
  readonly protocol: number;
  /** "6.1.0-56-cloud-amd64 (...)", empty where the kernel does not tell. */
  readonly release: string;
  /** The real-mode part: boot sector and setup code. */
  readonly setup: Uint8Array;
  /** Byte offset of the header's end in `setup`. */
  readonly headerEnd: number;
  /** The protected-mode part. */
  readonly code: Uint8Array;
  /** The packed kernel proper in `code`; empty where the header does not tell. */
  readonly payload: Uint8Array;
  /** A bzImage, loaded at 1 MiB; false for a zImage, loaded at 64 KiB. */
  readonly loadedHigh: boolean;
  /** It has the 64-bit entry point. */
  readonly kernel64: boolean;
  readonly relocatable: boolean;
  /** Bytes; 1 where the header does not tell. */
  readonly alignment: number;
  /** 0 where the kernel has no preference. */
  readonly prefAddress: number;
  /** Bytes that the kernel needs from its run-time start on; 0 where the header does not tell. */
  readonly initSize: number;
  /** The last byte that an initial RAM disk may occupy. */
  readonly initrdMax: number;
  /** Bytes, without the zero byte at the end. */
  readonly maxCommandLine: number;
}

/** Whether the file has a Linux setup header, of whatever version. */
export function isLinuxImage(file: Uint8Array): boolean {
  if (file.length < HEADER_MAGIC_AT + 6) return false;
  const at = (offset: number) => file[offset] as number;
  const magic = at(0x202) | (at(0x203) << 8) | (at(0x204) << 16) | (at(0x205) << 24);
  return at(0x1fe) === (BOOT_FLAG & 0xff) && at(0x1ff) === BOOT_FLAG >> 8 && magic === HEADER_MAGIC;
}

/** Reads the header of a kernel file; throws BootError where it is no bzImage or zImage that can be loaded. */
export function parseLinuxImage(file: Uint8Array): LinuxImage {
  if (!isLinuxImage(file)) {
    throw new BootError("not-a-kernel", `not a Linux bzImage: the file ${describeFile(file)}`);
  }
  const truncated = (needed: number) =>
    new BootError("truncated", `the Linux kernel is cut short: it has ${file.length} bytes and should have ${needed}`);
  if (file.length < SETUP_HEADER_AT + SetupHeader.size) throw truncated(2 * SECTOR);
  const header = SetupHeader.at(file, SETUP_HEADER_AT);
  const protocol = header.version;
  if (protocol < 0x200) {
    throw new BootError("too-old", `the Linux kernel's boot protocol is older than 2.00 (${protocolText(protocol)})`);
  }
  const setupSize = ((header.setupSects || 4) + 1) * SECTOR;
  const headerEnd = HEADER_MAGIC_AT + (header.jump >> 8);
  if (setupSize > MAX_SETUP_SIZE || headerEnd > setupSize) {
    throw new BootError("corrupt", "the Linux kernel's setup header has impossible sizes");
  }
  // Before 2.04 the size field is 16 bits wide and means nothing for a bzImage.
  const announced = protocol >= 0x204 ? header.syssize * 16 : 0;
  // The size is rounded up to paragraphs, the file need not be.
  if (file.length <= setupSize || setupSize + announced - file.length >= 16) throw truncated(setupSize + announced);
  const since = <T>(version: number, value: T, otherwise: T): T => (protocol >= version ? value : otherwise);
  const code = file.subarray(setupSize, announced === 0 ? file.length : Math.min(file.length, setupSize + announced));
  const payloadEnd = header.payloadOffset + header.payloadLength;
  return {
    protocol,
    release: header.kernelVersion === 0 ? "" : textAt(file.subarray(0, setupSize), header.kernelVersion + 0x200, 128),
    setup: file.subarray(0, setupSize),
    headerEnd,
    code,
    payload: code.subarray(header.payloadOffset, since(0x208, payloadEnd <= code.length, false) ? payloadEnd : 0),
    loadedHigh: LoadFlags(header.loadflags).loadedHigh,
    kernel64: since(0x20c, XLoadFlags(header.xloadflags).kernel64, false),
    relocatable: since(0x205, header.relocatableKernel !== 0, false),
    alignment: since(0x205, header.kernelAlignment, 1) || 1,
    prefAddress: Number(since(0x20a, header.prefAddress, 0n)),
    initSize: since(0x20a, header.initSize, 0),
    initrdMax: since(0x203, header.initrdAddrMax, 0x37ff_ffff),
    maxCommandLine: since(0x206, header.cmdlineSize, 255),
  };
}

/** "2.15" for 0x20f. */
export function protocolText(protocol: number): string {
  return `${protocol >> 8}.${String(protocol & 0xff).padStart(2, "0")}`;
}

/** How the payload is packed, as far as a machine can unpack it. */
export type PayloadPacking = "gzip" | "zstd" | "lz4";

const PACKING_MAGIC: readonly (readonly [PayloadPacking, magic: number, mask: number])[] = [
  ["gzip", 0x8b1f, 0xffff],
  ["zstd", 0xfd2f_b528, 0xffff_ffff],
  ["lz4", 0x184c_2102, 0xffff_ffff],
];
/** The magic number, and the unpacked size at the end. */
const SHORTEST_PAYLOAD = 8;

/** Undefined for a kernel without a 64-bit entry, and where it is packed otherwise, or the header does not tell. */
export function payloadPacking({ payload, kernel64 }: LinuxImage): PayloadPacking | undefined {
  if (!kernel64 || payload.length < SHORTEST_PAYLOAD) return undefined;
  const word = new DataView(payload.buffer, payload.byteOffset, payload.length).getUint32(0, true);
  return PACKING_MAGIC.find(([, magic, mask]) => (word & mask) >>> 0 === magic)?.[0];
}
