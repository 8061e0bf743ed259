/**
 * Bytes of a qcow2 image: header, extensions, table entries, snapshot table. Pure: nothing here reads or writes.
 *
 * @spec QEMU docs/interop/qcow2.txt; sections are named as there. All numbers are big-endian.
 */
import { bytes, struct, u8, u16, u32, u64 } from "../../bits/struct.ts";

/** "QFI\xfb". */
export const MAGIC = 0x514649fb;

/** "Header". Version 2 ends before `incompatibleFeatures`. */
export const Header = struct("BE", {
  magic: u32,
  version: u32,
  backingFileOffset: u64,
  backingFileSize: u32,
  clusterBits: u32,
  size: u64,
  cryptMethod: u32,
  l1Size: u32,
  l1TableOffset: u64,
  refcountTableOffset: u64,
  refcountTableClusters: u32,
  nbSnapshots: u32,
  snapshotsOffset: u64,
  incompatibleFeatures: u64,
  compatibleFeatures: u64,
  autoclearFeatures: u64,
  refcountOrder: u32,
  headerLength: u32,
  compressionType: u8,
  padding: bytes(7),
});
export const HEADER_V2_LENGTH = 72;
/** The least length of a version 3 header. */
export const HEADER_V3_LENGTH = 104;

export const Incompatible = { dirty: 0, corrupt: 1, externalData: 2, compressionType: 3, extendedL2: 4 } as const;
export const Compatible = { lazyRefcounts: 0 } as const;
export const Autoclear = { bitmaps: 0, rawExternalData: 1 } as const;

export const CompressionType = { zlib: 0, zstd: 1 } as const;

/** "Header extensions". */
export const Extension = struct("BE", { type: u32, length: u32 });
export const ExtensionType = {
  end: 0,
  backingFormat: 0xe2792aca,
  featureNames: 0x6803f857,
  bitmaps: 0x23852875,
} as const;

/** "Feature name table". */
export const FeatureName = struct("BE", { type: u8, bit: u8, name: bytes(46) });
export const FeatureType = { incompatible: 0, compatible: 1, autoclear: 2 } as const;

/** "Snapshot table entry", followed by extra data, ID and name, and padding to a multiple of 8. */
export const SnapshotEntry = struct("BE", {
  l1TableOffset: u64,
  l1Size: u32,
  idLength: u16,
  nameLength: u16,
  seconds: u32,
  nanoseconds: u32,
  guestClock: u64,
  vmStateSize: u32,
  extraSize: u32,
});
/** The extra data that is known; version 3 has at least this. */
export const SnapshotExtra = struct("BE", { vmStateSize: u64, diskSize: u64 });

/** Bytes of an L1, L2 or refcount table entry. */
export const ENTRY = 8;

/**
 * Table entries are handled as their two 32-bit halves: an offset of up to 56 bits and a few flags fit no
 * number, and BigInt would cost on the way of every read and write.
 */
const HIGH = 2 ** 32;
/** Bit 63: refcount is exactly one. */
export const COPIED = 0x8000_0000;
/** Bit 62. */
export const COMPRESSED = 0x4000_0000;
/** Bit 0 of a standard cluster descriptor. */
export const ZERO = 1;
const OFFSET_HIGH = 0x00ff_ffff;
const OFFSET_LOW = 0xffff_fe00;
/** Bits 56 to 61 of the high half, and bits 1 to 8 of the low one. */
const RESERVED_HIGH = 0x3f00_0000;
const RESERVED_LOW = 0x0000_01fe;

export type ClusterKind = "unallocated" | "zero" | "data" | "compressed";

/** The host's offset in an L1 or refcount table entry, or of a standard cluster. */
export const hostOffset = (high: number, low: number): number =>
  (high & OFFSET_HIGH) * HIGH + ((low & OFFSET_LOW) >>> 0);

/** The high and the low half of an entry that points at `offset`. */
export const highOf = (offset: number): number => Math.floor(offset / HIGH);
export const lowOf = (offset: number): number => offset % HIGH;

export function kindOf(high: number, low: number): ClusterKind {
  if ((high & COMPRESSED) !== 0) return "compressed";
  if ((low & ZERO) !== 0) return "zero";
  return hostOffset(high, low) === 0 ? "unallocated" : "data";
}

/** Whether reserved bits of a standard cluster's entry are set. */
export const hasReservedBits = (high: number, low: number): boolean =>
  ((high & RESERVED_HIGH) | (low & RESERVED_LOW)) !== 0;

/** "Compressed Clusters Descriptor": where the compressed bytes are, and at most how many. */
export function compressedExtent(clusterBits: number, high: number, low: number): { offset: number; length: number } {
  const offsetBits = 62 - (clusterBits - 8);
  const highBits = offsetBits - 32;
  const mask = 2 ** highBits - 1;
  const fields = high & 0x3fff_ffff;
  const offset = (fields & mask) * HIGH + (low >>> 0);
  const sectors = Math.floor(fields / (mask + 1)) + 1;
  return { offset, length: sectors * 512 - (offset % 512) };
}
