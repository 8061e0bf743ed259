/**
 * Bootable CDs: the boot catalogue and its entries.
 * @spec "El Torito" Bootable CD-ROM Format Specification 1.0; UEFI 2.10 section 13.3.2 (platform EFh)
 */
import { byteOffset } from "../../../bits/units.ts";
import type { BlockDevice } from "../../../disk/block-device.ts";
import { CD_SECTOR } from "./drive.ts";

const BOOT_RECORD = 17;
const SYSTEM_IDENTIFIER = "EL TORITO SPECIFICATION";
const CATALOGUE_AT = 0x47;
const ENTRY = 32;
const PLATFORM_X86 = 0;
const PLATFORM_EFI = 0xef;
const BOOTABLE = 0x88;
const SECTION = 0x90;
const LAST_SECTION = 0x91;
const VIRTUAL_SECTOR = 512;
/** Sectors of a catalogue that are looked at. */
const CATALOGUE_SECTORS = 4;

export type Emulation = "none" | "floppy" | "disk";

export interface BootEntry {
  readonly emulation: Emulation;
  /** As the catalogue has it: 0 none, 1 to 3 floppies, 4 hard disk. */
  readonly media: number;
  readonly loadSegment: number;
  /** Sectors of 512 bytes to load. */
  readonly sectors: number;
  /** Sector of 2048 bytes of the disc. */
  readonly lba: number;
  /** What the catalogue calls it; often nothing. */
  readonly title: string;
}

/** The entries that a BIOS can start, or why there are none. */
export type BootCatalogue = { readonly entries: readonly BootEntry[] } | { readonly reason: string };

const FLOPPY_BYTES = [0, 1_228_800, 1_474_560, 2_949_120];
/** Bytes of the drive that the entry emulates; a disk's are told by its partition table. */
export const floppyBytes = ({ media }: BootEntry): number => FLOPPY_BYTES[media] ?? 0;

/** Reads a disc's boot catalogue. */
export async function readBootCatalogue(disc: BlockDevice): Promise<BootCatalogue> {
  const record = await readSectors(disc, BOOT_RECORD, 1);
  const identifier = String.fromCharCode(...(record?.subarray(7, 7 + SYSTEM_IDENTIFIER.length) ?? []));
  if (record === undefined || text(record, 1, 5) !== "CD001") return { reason: "it holds no ISO 9660 file system" };
  if (record[0] !== 0 || identifier !== SYSTEM_IDENTIFIER) return { reason: "the disc has no boot record (El Torito)" };
  const catalogue = await readSectors(disc, u32(record, CATALOGUE_AT), CATALOGUE_SECTORS);
  if (catalogue === undefined) return { reason: "its boot catalogue lies behind the end of the disc" };
  return parseCatalogue(catalogue);
}

function parseCatalogue(catalogue: Uint8Array): BootCatalogue {
  let sum = 0;
  for (let i = 0; i < ENTRY; i += 2) sum = (sum + u16(catalogue, i)) & 0xffff;
  const valid = catalogue[0] === 1 && catalogue[30] === 0x55 && catalogue[31] === 0xaa && sum === 0;
  if (!valid) return { reason: "its boot catalogue is damaged (the validation entry's checksum is wrong)" };
  const entries: BootEntry[] = [];
  const platforms = new Set<number>();
  const add = (at: number, platform: number, title: string) => {
    if (catalogue[at] !== BOOTABLE) return;
    platforms.add(platform);
    const media = (catalogue[at + 1] as number) & 0xf;
    if (platform !== PLATFORM_X86 || media > 4) return;
    entries.push({
      emulation: media === 0 ? "none" : media === 4 ? "disk" : "floppy",
      media,
      loadSegment: u16(catalogue, at + 2) || 0x7c0,
      sectors: u16(catalogue, at + 6) || 1,
      lba: u32(catalogue, at + 8),
      title,
    });
  };
  add(ENTRY, catalogue[1] as number, text(catalogue, 4, 24));
  let last = false;
  for (let at = 2 * ENTRY; !last && at + ENTRY <= catalogue.length; ) {
    const kind = catalogue[at];
    if (kind !== SECTION && kind !== LAST_SECTION) break;
    last = kind === LAST_SECTION;
    const platform = catalogue[at + 1] as number;
    const count = u16(catalogue, at + 2);
    const title = text(catalogue, at + 4, 28);
    at += ENTRY;
    for (let i = 0; i < count && at + ENTRY <= catalogue.length; i++, at += ENTRY) {
      add(at, platform, title);
      // Extensions of an entry's selection criteria.
      while (at + 2 * ENTRY <= catalogue.length && catalogue[at + ENTRY] === 0x44) at += ENTRY;
    }
  }
  if (entries.length > 0) return { entries };
  if (platforms.has(PLATFORM_EFI)) return { reason: "it boots by UEFI only: it has no entry for a BIOS" };
  return { reason: "no entry of its boot catalogue is marked as bootable" };
}

/** What an entry loads, and where to. */
export async function readBootImage(disc: BlockDevice, entry: BootEntry): Promise<Uint8Array | undefined> {
  const length = entry.emulation === "none" ? entry.sectors * VIRTUAL_SECTOR : VIRTUAL_SECTOR;
  const sectors = await readSectors(disc, entry.lba, Math.ceil(length / CD_SECTOR));
  return sectors?.subarray(0, length);
}

/** Whole sectors as far as the disc has them; undefined where it has not the first. */
async function readSectors(disc: BlockDevice, lba: number, count: number): Promise<Uint8Array | undefined> {
  const start = lba * CD_SECTOR;
  if (start + CD_SECTOR > Math.ceil(disc.size / CD_SECTOR) * CD_SECTOR) return undefined;
  const target = new Uint8Array(count * CD_SECTOR);
  await disc.read(byteOffset(start), target.subarray(0, Math.min(target.length, disc.size - start)));
  return target;
}

const u16 = (bytes: Uint8Array, at: number) => (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
const u32 = (bytes: Uint8Array, at: number) => (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0;
const text = (bytes: Uint8Array, at: number, length: number) =>
  String.fromCharCode(...bytes.subarray(at, at + length))
    .replace(/[^\x20-\x7e]/g, "")
    .trim();
