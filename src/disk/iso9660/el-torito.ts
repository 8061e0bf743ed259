/** The boot catalogue of a disc: what a BIOS or UEFI may start from it. @spec El Torito 1.0 */
import { latin1 } from "../../bits/utf8.ts";
import { BootEntryLayout, ENTRY, Indicator, SectionHeader, VALIDATION_KEY, ValidationEntry } from "./layout.ts";

export type BootMedia = "none" | "floppy-1.2M" | "floppy-1.44M" | "floppy-2.88M" | "hard-disk" | "unknown";

export interface BootEntry {
  readonly platform: "x86" | "powerpc" | "mac" | "efi" | "unknown";
  readonly isBootable: boolean;
  /** What the image is shown as. */
  readonly media: BootMedia;
  /** Real-mode segment to load to; 0x7C0 unless the catalogue says another. */
  readonly loadSegment: number;
  /** Of 512 bytes, to load before the start. */
  readonly sectors: number;
  /** Of 2048 bytes, on the disc. */
  readonly loadSector: number;
  readonly id: string;
}

const PLATFORMS: Readonly<Record<number, BootEntry["platform"]>> = { 0: "x86", 1: "powerpc", 2: "mac", 239: "efi" };
const MEDIA: readonly BootMedia[] = ["none", "floppy-1.2M", "floppy-1.44M", "floppy-2.88M", "hard-disk"];
const DEFAULT_SEGMENT = 0x7c0;

/** The entries in order, the default one first; undefined where the bytes are no catalogue. */
export function parseCatalog(bytes: Uint8Array): BootEntry[] | undefined {
  if (bytes.length < 2 * ENTRY) return undefined;
  const validation = ValidationEntry.at(bytes);
  let sum = 0;
  for (let at = 0; at < ENTRY; at += 2) sum += (bytes[at] as number) + (bytes[at + 1] as number) * 256;
  if (validation.header !== 1 || validation.key !== VALIDATION_KEY || (sum & 0xffff) !== 0) return undefined;
  const entries = [entryAt(bytes, ENTRY, validation.platform, latin1(validation.id))];
  for (let at = 2 * ENTRY; at + ENTRY <= bytes.length; ) {
    const header = SectionHeader.at(bytes, at);
    if (header.indicator !== Indicator.moreSections && header.indicator !== Indicator.lastSection) break;
    at += ENTRY;
    for (let i = 0; i < header.entries && at + ENTRY <= bytes.length; at += ENTRY) {
      // Criteria for choosing the entry before it.
      if (bytes[at] === Indicator.extension) continue;
      entries.push(entryAt(bytes, at, header.platform, latin1(header.id)));
      i++;
    }
    while (bytes[at] === Indicator.extension) at += ENTRY;
    if (header.indicator === Indicator.lastSection) break;
  }
  return entries;
}

function entryAt(bytes: Uint8Array, at: number, platform: number, id: string): BootEntry {
  const entry = BootEntryLayout.at(bytes, at);
  return {
    platform: PLATFORMS[platform] ?? "unknown",
    isBootable: entry.indicator === Indicator.bootable,
    media: MEDIA[entry.mediaType & 0x0f] ?? "unknown",
    loadSegment: entry.loadSegment === 0 ? DEFAULT_SEGMENT : entry.loadSegment,
    sectors: entry.sectorCount,
    loadSector: entry.loadSector,
    id: id.trimEnd(),
  };
}
