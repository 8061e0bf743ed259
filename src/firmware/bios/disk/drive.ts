/** What the BIOS's disk services work on: drives with media, whatever controller they are on. */
import { byteOffset } from "../../../bits/units.ts";
import type { BlockDevice } from "../../../disk/block-device.ts";

export type DriveKind = "floppy" | "disk" | "cd";

/** A drive of the machine, as the boot order and messages know it. */
export interface BiosDrive {
  readonly kind: DriveKind;
  /** In menus and messages: "disk 1". */
  readonly name: string;
  /** What is in it now; undefined for nothing. */
  readonly medium: () => BlockDevice | undefined;
}

/** Cylinders, heads, and sectors a track, as INT 13h counts them. */
export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

const SECTOR = 512;
export const CD_SECTOR = 2048;

/** Bytes of a floppy, and its geometry and CMOS type. */
const FLOPPIES: readonly (readonly [kib: number, geometry: Geometry, type: number])[] = [
  [160, { cylinders: 40, heads: 1, sectors: 8 }, 1],
  [180, { cylinders: 40, heads: 1, sectors: 9 }, 1],
  [320, { cylinders: 40, heads: 2, sectors: 8 }, 1],
  [360, { cylinders: 40, heads: 2, sectors: 9 }, 1],
  [720, { cylinders: 80, heads: 2, sectors: 9 }, 3],
  [1200, { cylinders: 80, heads: 2, sectors: 15 }, 2],
  [1440, { cylinders: 80, heads: 2, sectors: 18 }, 4],
  [1680, { cylinders: 80, heads: 2, sectors: 21 }, 4],
  [1722, { cylinders: 82, heads: 2, sectors: 21 }, 4],
  [2880, { cylinders: 80, heads: 2, sectors: 36 }, 5],
];
const LARGEST_FLOPPY = 2880 * 1024;

/** A floppy's geometry by its size, the smallest that holds it; and the CMOS type of the drive that reads it. */
export function floppyGeometry(bytes: number): Geometry & { readonly type: number } {
  const known = FLOPPIES.find(([kib]) => bytes <= kib * 1024) ?? FLOPPIES.at(-1)!;
  return { ...known[1], type: known[2] };
}

export const isFloppySize = (bytes: number): boolean =>
  bytes <= LARGEST_FLOPPY && FLOPPIES.some(([kib]) => kib * 1024 === bytes);

/** Tracks of 63 sectors, and as few heads as 1024 cylinders leave. @spec Phoenix EDD 1.1, "LBA assisted translation" */
export function diskGeometry(sectors: number): Geometry {
  const SECTORS = 63;
  const heads = [16, 32, 64, 128].find((each) => sectors <= each * SECTORS * 1024) ?? 255;
  const cylinders = Math.floor(sectors / (heads * SECTORS));
  return { cylinders: Math.max(1, Math.min(cylinders, 1024)), heads, sectors: SECTORS };
}

/** A drive as INT 13h numbers it: a real one, or one that a CD emulates. */
export interface NumberedDrive {
  readonly number: number;
  readonly drive: BiosDrive;
  /** Bytes of a sector. */
  readonly sectorSize: number;
  /** What of the medium is the drive's, for emulation. */
  readonly emulation?: { readonly start: number; readonly length: number; readonly kind: "floppy" | "disk" };
  readonly geometry: (bytes: number) => Geometry;
}

export function numberDrive(number: number, drive: BiosDrive): NumberedDrive {
  const { kind } = drive;
  if (kind === "cd") return { number, drive, sectorSize: CD_SECTOR, geometry: (bytes) => diskGeometry(bytes / SECTOR) };
  const geometry = kind === "floppy" ? floppyGeometry : (bytes: number) => diskGeometry(Math.floor(bytes / SECTOR));
  return { number, drive, sectorSize: SECTOR, geometry };
}

/** The bytes of a numbered drive that are there now; undefined without a medium. */
export interface Medium {
  readonly device: BlockDevice;
  readonly start: number;
  readonly bytes: number;
  readonly readOnly: boolean;
  readonly geometry: Geometry;
}

export function mediumOf({ drive, emulation, geometry }: NumberedDrive): Medium | undefined {
  const device = drive.medium();
  if (device === undefined) return undefined;
  const start = emulation?.start ?? 0;
  const bytes = Math.max(0, Math.min(emulation?.length ?? device.size, device.size - start));
  const readOnly = device.readOnly || drive.kind === "cd";
  return { device, start, bytes, readOnly, geometry: geometry(emulation?.length ?? device.size) };
}

/** What `readMedium` gives, where the medium can be read at once. */
export function readMediumNow(
  { device, start, bytes }: Medium,
  offset: number,
  length: number,
): Uint8Array | undefined {
  const target = new Uint8Array(length);
  const there = Math.max(Math.min(length, bytes - offset), 0);
  const isRead = there === 0 || device.readNow?.(byteOffset(start + offset), [target.subarray(0, there)]);
  return isRead ? target : undefined;
}

/** Reads from a medium; what lies behind its end, in its last sector, reads as zeros. */
export async function readMedium(
  { device, start, bytes }: Medium,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const target = new Uint8Array(length);
  const there = Math.min(length, bytes - offset);
  if (there > 0) await device.read(byteOffset(start + offset), target.subarray(0, there));
  return target;
}
