/**
 * Booting from a drive: a boot sector, or what a disc's boot catalogue names.
 * @spec BIOS Boot Specification 1.01, section 6; "El Torito" 1.0
 */
import { BOOT_AT, type BootProgram, type BootSource } from "../boot-source.ts";
import { type BiosDrive, mediumOf, numberDrive, readMedium } from "./drive.ts";
import type { DriveTable } from "./drive-table.ts";
import { type BootEntry, readBootCatalogue, readBootImage } from "./el-torito.ts";

/** What there is to start on a medium. */
type FoundOnMedium =
  | { readonly kind: "sector"; readonly bytes: Uint8Array }
  | { readonly kind: "disc"; readonly entry: BootEntry; readonly bytes: Uint8Array }
  | { readonly kind: "none"; readonly reason: string };

const SIGNATURE_AT = 510;
/** What boot sectors of the first floppies, which have no signature, begin with: jumps and the like. */
const FLOPPY_STARTS = [0xeb, 0xe9, 0xfa, 0x33];

export function driveSource(table: DriveTable, drive: BiosDrive): BootSource {
  const program = (found: Exclude<FoundOnMedium, { kind: "none" }>): BootProgram => ({
    bytes: found.bytes,
    segment: found.kind === "disc" ? found.entry.loadSegment : BOOT_AT >> 4,
    prepare: () => ({
      edx: found.kind === "disc" ? table.boot(drive, found.entry, found.bytes) : table.numberOf(drive),
    }),
  });
  return {
    kind: drive.kind,
    name: drive.name,
    isReady: () => drive.medium() !== undefined,
    find(call, found) {
      call.hold(findBoot(drive), (result) => {
        if (!result.ok) return found({ reason: result.error.message });
        return found(result.value.kind === "none" ? result.value : program(result.value));
      });
      return undefined;
    },
  };
}

/** Reads what a BIOS would start from a medium. */
export async function findBoot(drive: BiosDrive): Promise<FoundOnMedium> {
  const medium = mediumOf(numberDrive(0, drive));
  if (medium === undefined) return { kind: "none", reason: "no medium" };
  if (drive.kind === "cd") {
    const catalogue = await readBootCatalogue(medium.device);
    if ("reason" in catalogue) return { kind: "none", reason: catalogue.reason };
    const entry = catalogue.entries[0] as BootEntry;
    const bytes = await readBootImage(medium.device, entry);
    return bytes
      ? { kind: "disc", entry, bytes }
      : { kind: "none", reason: "its boot image lies behind the end of the disc" };
  }
  const bytes = await readMedium(medium, 0, 512);
  if (bytes.every((byte) => byte === 0)) return { kind: "none", reason: "blank (its first sector is all zeros)" };
  const signed = bytes[SIGNATURE_AT] === 0x55 && bytes[SIGNATURE_AT + 1] === 0xaa;
  if (!signed && !(drive.kind === "floppy" && FLOPPY_STARTS.includes(bytes[0] as number))) {
    return { kind: "none", reason: "not bootable (no boot sector: the signature 55 AA is missing)" };
  }
  if (bytes.subarray(0, 0x1b0).every((byte) => byte === 0)) {
    return { kind: "none", reason: "not bootable (a partition table, but no boot code)" };
  }
  return { kind: "sector", bytes };
}
