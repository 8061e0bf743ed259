/**
 * Bytes of a VHD image, the format of Virtual PC, Hyper-V and Azure. Pure. Numbers are big-endian.
 *
 * @spec Microsoft "Virtual Hard Disk Image Format Specification" 1.0
 */
import { bytes, struct, u8, u16, u32, u64 } from "../../bits/struct.ts";

/** "Hard Disk Footer Format": the last 512 bytes, and of a dynamic disk the first as well. */
export const Footer = struct("BE", {
  cookie: bytes(8),
  features: u32,
  version: u32,
  dataOffset: u64,
  time: u32,
  creatorApplication: bytes(4),
  creatorVersion: u32,
  creatorHost: u32,
  originalSize: u64,
  currentSize: u64,
  cylinders: u16,
  heads: u8,
  sectors: u8,
  diskType: u32,
  checksum: u32,
  uniqueId: bytes(16),
  savedState: u8,
  reserved: bytes(427),
});
export const DiskType = { fixed: 2, dynamic: 3, differencing: 4 } as const;
/** "Time Stamp": seconds since 2000 began, in UTC. */
export const EPOCH = 946_684_800;

/** "Dynamic Disk Header Format". */
export const DynamicHeader = struct("BE", {
  cookie: bytes(8),
  dataOffset: u64,
  tableOffset: u64,
  version: u32,
  maxTableEntries: u32,
  blockSize: u32,
  checksum: u32,
  parentId: bytes(16),
  parentTime: u32,
  reserved: u32,
  parentName: bytes(512),
  locators: bytes(8 * 24),
  padding: bytes(256),
});

/** "Parent Locator Entries". */
export const Locator = struct("BE", {
  platform: u32,
  dataSpace: u32,
  dataLength: u32,
  reserved: u32,
  dataOffset: u64,
});
export const LOCATORS = 8;
/** Platform codes: relative and absolute paths of Windows, in UTF-16LE; and a file URL. */
export const Platform = { windowsRelative: 0x5732_7275, windowsAbsolute: 0x5732_6b75, macUrl: 0x4d61_6358 } as const;

export const COOKIE = "conectix";
export const DYNAMIC_COOKIE = "cxsparse";
export const NO_OFFSET = 0xffff_ffff_ffff_ffffn;
/** An entry of the block allocation table, in sectors. */
export const ABSENT = 0xffff_ffff;
export const VERSION = 0x0001_0000;

/** The one's complement of the sum of all bytes but those of the checksum itself. */
export function checksum(bytes: Uint8Array, checksumAt: number): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) if (i < checksumAt || i >= checksumAt + 4) sum += bytes[i] as number;
  return ~sum >>> 0;
}
