/** Layouts and numbers of the virtio block device. Source: OASIS virtio 1.2, §5.2. */
import { bytes, struct, u8, u16, u32, u64 } from "../../bits/struct.ts";

/** Feature bits (§5.2.3). */
export const BlkFeature = {
  segMax: 2,
  geometry: 4,
  readOnly: 5,
  blkSize: 6,
  flush: 9,
  configWce: 11,
  discard: 13,
  writeZeroes: 14,
} as const;

/** Device configuration (§5.2.4), up to the last field of a feature that is offered. */
export const BlkConfig = struct("LE", {
  capacity: u64,
  sizeMax: u32,
  segMax: u32,
  cylinders: u16,
  heads: u8,
  sectors: u8,
  blkSize: u32,
  topology: bytes(8),
  writeback: u8,
  unused0: u8,
  numQueues: u16,
  maxDiscardSectors: u32,
  maxDiscardSeg: u32,
  discardSectorAlignment: u32,
  maxWriteZeroesSectors: u32,
  maxWriteZeroesSeg: u32,
  writeZeroesMayUnmap: u8,
  unused1: bytes(3),
});

/** What a request begins with (§5.2.6). */
export const RequestHeader = struct("LE", { type: u32, reserved: u32, sector: u64 });

/** One range of a discard or write zeroes request (§5.2.6). */
export const RangeSegment = struct("LE", { sector: u64, numSectors: u32, flags: u32 });
export const RANGE_FLAG_UNMAP = 1;

export const RequestType = { in: 0, out: 1, flush: 4, getId: 8, discard: 11, writeZeroes: 13 } as const;

export const RequestStatus = { ok: 0, ioError: 1, unsupported: 2 } as const;

/** Bytes of the device ID string. */
export const ID_LENGTH = 20;

/**
 * Cylinders, heads and sectors for a driver that wants them: the usual translation of a large ATA disk, which
 * stops at 16383 cylinders.
 */
export function geometryOf(capacity: number): { cylinders: number; heads: number; sectors: number } {
  const heads = 16;
  const sectors = 63;
  return { cylinders: Math.min(Math.floor(capacity / (heads * sectors)), 16383), heads, sectors };
}
