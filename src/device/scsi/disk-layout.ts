/** Command codes and structures of SCSI disks. @spec SBC-3 §5 "Commands", §6 "Parameters"; SPC-4 §6, §7 */
import { bytes, struct, u8, u16, u32, u64 } from "../../bits/struct.ts";

export const Sbc = {
  testUnitReady: 0x00,
  requestSense: 0x03,
  read6: 0x08,
  write6: 0x0a,
  inquiry: 0x12,
  modeSelect6: 0x15,
  reserve6: 0x16,
  release6: 0x17,
  modeSense6: 0x1a,
  startStopUnit: 0x1b,
  preventAllowMediumRemoval: 0x1e,
  readCapacity10: 0x25,
  read10: 0x28,
  write10: 0x2a,
  seek10: 0x2b,
  writeAndVerify10: 0x2e,
  verify10: 0x2f,
  synchronizeCache10: 0x35,
  writeSame10: 0x41,
  unmap: 0x42,
  modeSelect10: 0x55,
  modeSense10: 0x5a,
  read16: 0x88,
  write16: 0x8a,
  writeAndVerify16: 0x8e,
  verify16: 0x8f,
  synchronizeCache16: 0x91,
  writeSame16: 0x93,
  serviceActionIn16: 0x9e,
  reportLuns: 0xa0,
  read12: 0xa8,
  write12: 0xaa,
  writeAndVerify12: 0xae,
  verify12: 0xaf,
} as const;
export const READ_CAPACITY_16 = 0x10;

export const BLOCK = 512;
export const DISK_DEVICE = 0x00;

/** Most blocks that one WRITE SAME writes: 64 MiB. */
export const MOST_WRITE_SAME = 131_072;
/** Most blocks and ranges that one UNMAP gives up: 1 GiB. */
export const MOST_UNMAP = 2_097_152;
export const MOST_UNMAP_RANGES = 64;

export const VitalPage = {
  supported: 0x00,
  serial: 0x80,
  identification: 0x83,
  blockLimits: 0xb0,
  characteristics: 0xb1,
  provisioning: 0xb2,
} as const;

/** Vital product data from byte 4 on. @spec SBC-3 §6.5.3 to §6.5.5 */
export const BlockLimits = struct("BE", {
  flags: u8,
  maxCompareAndWrite: u8,
  optimalGranularity: u16,
  maxTransfer: u32,
  optimalTransfer: u32,
  maxPrefetch: u32,
  maxUnmap: u32,
  maxUnmapRanges: u32,
  optimalUnmapGranularity: u32,
  unmapAlignment: u32,
  maxWriteSame: u64,
  reserved: bytes(20),
});
/** A WRITE SAME of no blocks is refused, instead of going to the end of the disk. */
export const WRITE_SAME_NON_ZERO = 1;
export const Characteristics = struct("BE", { rotationRate: u16, type: u8, form: u8, reserved: bytes(56) });
export const NOT_ROTATING = 1;
export const Provisioning = struct("BE", { threshold: u8, flags: u8, type: u8, reserved: u8 });
/** UNMAP, WRITE SAME (16) and WRITE SAME (10) unmap. */
export const UNMAP_COMMANDS = 0xe0;
export const THIN = 2;

export const Capacity10 = struct("BE", { last: u32, blockLength: u32 });
export const Capacity16 = struct("BE", {
  last: u64,
  blockLength: u32,
  protection: u8,
  exponents: u8,
  /** Bit 15: provisioning is managed; the lowest aligned block. */
  provisioning: u16,
  reserved: bytes(16),
});
export const PROVISIONING_MANAGED = 0x8000;

/** UNMAP's parameter list. @spec SBC-3 §5.28 */
export const UnmapHeader = struct("BE", { length: u16, descriptors: u16, reserved: u32 });
export const UnmapRange = struct("BE", { lba: u64, count: u32, reserved: u32 });
