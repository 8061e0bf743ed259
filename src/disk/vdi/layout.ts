/**
 * Bytes of a VDI image, VirtualBox's own format. Pure. Numbers are little-endian.
 *
 * @spec VirtualBox src/VBox/Storage/VDICore.h: VDIPREHEADER, VDIHEADER1PLUS
 */
import { bytes, struct, u32, u64 } from "../../bits/struct.ts";

export const SIGNATURE = 0xbeda107f;
export const VERSION_1_1 = 0x0001_0001;

export const Header = struct("LE", {
  text: bytes(64),
  signature: u32,
  version: u32,
  headerSize: u32,
  imageType: u32,
  imageFlags: u32,
  description: bytes(256),
  blocksOffset: u32,
  dataOffset: u32,
  cylinders: u32,
  heads: u32,
  sectors: u32,
  sectorSize: u32,
  unused: u32,
  diskSize: u64,
  blockSize: u32,
  blockExtraSize: u32,
  blocksInImage: u32,
  blocksAllocated: u32,
  imageUuid: bytes(16),
  snapshotUuid: bytes(16),
  linkUuid: bytes(16),
  parentUuid: bytes(16),
  padding: bytes(56),
});
/** From `headerSize` to the end of the header proper. */
export const HEADER_SIZE = 0x190;

export const ImageType = { dynamic: 1, fixed: 2, undo: 3, difference: 4 } as const;

/** Entries of the block map that are no block's number. */
export const ABSENT = 0xffff_ffff;
export const DISCARDED = 0xffff_fffe;
