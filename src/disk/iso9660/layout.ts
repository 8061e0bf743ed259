/**
 * Bytes of an ISO 9660 disc. Pure. Numbers that the standard has in both byte orders are read in the little-endian one.
 *
 * @spec ECMA-119 (ISO 9660), sections as there; Joliet Specification 1995; IEEE P1281 (SUSP), IEEE P1282 (Rock Ridge);
 * El Torito 1.0
 */
import { bytes, struct, u8, u16, u32 } from "../../bits/struct.ts";

/** Bytes of a logical sector. */
export const SECTOR = 2048;
/** §6.2.1: the first 16 sectors are the system's. */
export const FIRST_DESCRIPTOR = 16;
export const IDENTIFIER = "CD001";

/** §8.1; and of a primary or supplementary descriptor (§8.4, §8.5) what is used. */
export const Descriptor = struct("LE", {
  type: u8,
  identifier: bytes(5),
  version: u8,
  flags: u8,
  systemId: bytes(32),
  volumeId: bytes(32),
  unused: bytes(8),
  sectors: u32,
  sectorsBig: u32,
  escapes: bytes(32),
  setSize: u32,
  sequence: u32,
  blockSize: u16,
  blockSizeBig: u16,
  pathTable: bytes(24),
  root: bytes(34),
});
export const DescriptorType = { boot: 0, primary: 1, supplementary: 2, end: 255 } as const;

/** §9.1: a directory record, up to the name. */
export const Record = struct("LE", {
  length: u8,
  extendedAttributes: u8,
  extent: u32,
  extentBig: u32,
  size: u32,
  sizeBig: u32,
  time: bytes(7),
  flags: u8,
  unitSize: u8,
  gap: u8,
  sequence: u16,
  sequenceBig: u16,
  nameLength: u8,
});
export const RecordFlag = { hidden: 1, directory: 2, associated: 4, moreExtents: 0x80 } as const;

/** El Torito figure 7: the boot record descriptor. */
export const BOOT_SYSTEM = "EL TORITO SPECIFICATION";
export const BootRecord = struct("LE", {
  type: u8,
  identifier: bytes(5),
  version: u8,
  systemId: bytes(32),
  unused: bytes(32),
  catalog: u32,
});

/** El Torito figures 2 to 6. */
export const ENTRY = 32;
export const ValidationEntry = struct("LE", {
  header: u8,
  platform: u8,
  reserved: u16,
  id: bytes(24),
  checksum: u16,
  key: u16,
});
export const VALIDATION_KEY = 0xaa55;
export const BootEntryLayout = struct("LE", {
  indicator: u8,
  mediaType: u8,
  loadSegment: u16,
  systemType: u8,
  unused: u8,
  sectorCount: u16,
  loadSector: u32,
});
export const SectionHeader = struct("LE", { indicator: u8, platform: u8, entries: u16, id: bytes(28) });
export const Indicator = {
  bootable: 0x88,
  notBootable: 0x00,
  moreSections: 0x90,
  lastSection: 0x91,
  extension: 0x44,
} as const;
