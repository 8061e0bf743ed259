/**
 * Bytes of VMDK extents. Pure. Numbers are little-endian; offsets and sizes are in sectors unless they say bytes.
 *
 * @spec VMware "Virtual Disk Format 5.0"
 */
import { bytes, struct, u8, u16, u32, u64 } from "../../bits/struct.ts";

/** "KDMV". */
export const MAGIC = 0x564d444b;

/** "Hosted Sparse Extents", SparseExtentHeader. */
export const SparseHeader = struct("LE", {
  magic: u32,
  version: u32,
  flags: u32,
  capacity: u64,
  grainSize: u64,
  descriptorOffset: u64,
  descriptorSize: u64,
  entriesPerTable: u32,
  redundantDirectory: u64,
  directory: u64,
  overhead: u64,
  unclean: u8,
  lineEnd: u8,
  notLineEnd: u8,
  doubleLineEnd: u16,
  compression: u16,
  padding: bytes(433),
});
export const Flag = {
  newLines: 1 << 0,
  redundantTable: 1 << 1,
  zeroedGrains: 1 << 2,
  compressed: 1 << 16,
  markers: 1 << 17,
} as const;
export const COMPRESSION_DEFLATE = 1;
/** The directory's place is told by a footer at the end. */
export const DIRECTORY_AT_END = 0xffff_ffff_ffff_ffffn;

/** "Stream-Optimized Compressed Sparse Extents": what is before a grain's packed bytes. */
export const GrainMarker = struct("LE", { sector: u64, size: u32 });

/** Grain table entries that are no place. */
export const ABSENT = 0;
export const ZEROED = 1;
