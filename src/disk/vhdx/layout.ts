/**
 * Bytes of a VHDX image, Hyper-V's format. Pure. Numbers are little-endian.
 *
 * @spec Microsoft [MS-VHDX], sections as there
 */
import { bytes, struct, u16, u32, u64 } from "../../bits/struct.ts";

export const KIB64 = 64 * 1024;
export const MIB = 1024 * 1024;

/** §2.2.1 */
export const FILE_SIGNATURE = "vhdxfile";
export const FileIdentifier = struct("LE", { signature: bytes(8), creator: bytes(512) });

/** §2.2.2: two of them, of which the one with the higher number counts. */
export const HEADER_PLACES = [KIB64, 2 * KIB64] as const;
export const HEADER_SIZE = 4096;
export const HEADER_SIGNATURE = 0x64616568;
export const Header = struct("LE", {
  signature: u32,
  checksum: u32,
  sequence: u64,
  fileWriteGuid: bytes(16),
  dataWriteGuid: bytes(16),
  logGuid: bytes(16),
  logVersion: u16,
  version: u16,
  logLength: u32,
  logOffset: u64,
});

/** §2.2.3: two copies. */
export const REGION_PLACES = [3 * KIB64, 4 * KIB64] as const;
export const REGION_SIZE = KIB64;
export const REGION_SIGNATURE = 0x69676572;
export const RegionTable = struct("LE", { signature: u32, checksum: u32, entryCount: u32, reserved: u32 });
export const RegionEntry = struct("LE", { guid: bytes(16), fileOffset: u64, length: u32, required: u32 });
export const MOST_REGIONS = 2047;

/** §2.3 */
export const LOG_SECTOR = 4096;
export const LOG_SIGNATURE = 0x65676f6c;
export const LogEntry = struct("LE", {
  signature: u32,
  checksum: u32,
  entryLength: u32,
  tail: u32,
  sequence: u64,
  descriptorCount: u32,
  reserved: u32,
  logGuid: bytes(16),
  flushedFileOffset: u64,
  lastFileOffset: u64,
});
export const DATA_DESCRIPTOR = 0x63736564;
export const ZERO_DESCRIPTOR = 0x6f72657a;
/** `trailing` is a part of the sector of a data descriptor; a zero descriptor has its length in `leading`. */
export const LogDescriptor = struct("LE", {
  signature: u32,
  trailing: u32,
  leading: u64,
  fileOffset: u64,
  sequence: u64,
});
export const DATA_SECTOR = 0x61746164;

/** §2.5 */
export const BlockState = {
  notPresent: 0,
  undefined: 1,
  zero: 2,
  unmapped: 3,
  fullyPresent: 6,
  partiallyPresent: 7,
} as const;

/** §2.6 */
export const METADATA_SIGNATURE = "metadata";
export const MetadataTable = struct("LE", { signature: bytes(8), reserved: u16, entryCount: u16, unused: bytes(20) });
export const MetadataEntry = struct("LE", { item: bytes(16), offset: u32, length: u32, flags: u32, reserved: u32 });
export const MOST_METADATA = 2047;
export const MetadataFlag = { isUser: 1, isVirtualDisk: 2, isRequired: 4 } as const;
export const FileParameters = struct("LE", { blockSize: u32, flags: u32 });
export const FileFlag = { leaveAllocated: 1, hasParent: 2 } as const;

/** The bytes of a GUID as it is written: its first three parts are numbers. */
export function guid(text: string): Uint8Array {
  const hex = text.replaceAll("-", "");
  const all = Array.from({ length: 16 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  return Uint8Array.from(order, (i) => all[i] as number);
}

export const Guid = {
  bat: guid("2DC27766-F623-4200-9D64-115E9BFD4A08"),
  metadata: guid("8B7CA206-4790-4B9A-B8FE-575F050F886E"),
  fileParameters: guid("CAA16737-FA36-4D43-B3B6-33F0AA44E76B"),
  virtualDiskSize: guid("2FA54224-CD1B-4876-B211-5DBED83BF4B8"),
  page83: guid("BECA12AB-B2E6-4523-93EF-C309E000C746"),
  logicalSectorSize: guid("8141BF1D-A96F-4709-BA47-F233A8FAAB5F"),
  physicalSectorSize: guid("CDA348C7-445D-4471-9CC9-E9885251C556"),
} as const;

export const sameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, i) => byte === other[i]);
export const isNull = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  // Castagnoli's polynomial, reflected.
  for (let bit = 0; bit < 8; bit++) value = (value & 1) !== 0 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

/** CRC-32C of `bytes`, in which the checksum's own four bytes at `checksumAt` count as zeros. */
export function crc32c(bytes: Uint8Array, checksumAt: number): number {
  let crc = 0xffff_ffff;
  for (let i = 0; i < bytes.length; i++) {
    const byte = i >= checksumAt && i < checksumAt + 4 ? 0 : (bytes[i] as number);
    crc = ((crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] as number)) >>> 0;
  }
  return ~crc >>> 0;
}
