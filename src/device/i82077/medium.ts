/**
 * Floppy disks and drives: which geometry an image of a size has, and which disks a drive takes.
 * @spec ISO 8860, ISO 9529, ISO 10994 (90 mm disks); ECMA-66, ECMA-78, ECMA-99 (130 mm disks)
 */
import { SECTOR_SIZE } from "../../bits/units.ts";
import type { BlockDevice } from "../../disk/block-device.ts";

/** Drive types with their numbers in CMOS byte 10h. */
export const FLOPPY_TYPES = { "360K": 1, "1.2M": 2, "720K": 3, "1.44M": 4, "2.88M": 5 } as const;
export type FloppyType = keyof typeof FLOPPY_TYPES;
export const FLOPPY_TYPE_NAMES = Object.keys(FLOPPY_TYPES) as FloppyType[];

/** What the data rate select bits mean, in kilobits a second. */
export const DATA_RATES = [500, 300, 250, 1000] as const;
export type DataRate = (typeof DATA_RATES)[number];

export interface Geometry {
  readonly cylinders: number;
  readonly heads: 1 | 2;
  /** Of 512 bytes, on each track, numbered from 1. */
  readonly sectors: number;
}

interface Format extends Geometry {
  /** The drive that the disk was made for. */
  readonly type: FloppyType;
}

const format = (type: FloppyType, cylinders: number, heads: 1 | 2, sectors: number): Format => ({
  type,
  cylinders,
  heads,
  sectors,
});

const FORMATS: readonly Format[] = [
  format("360K", 40, 1, 8),
  format("360K", 40, 1, 9),
  format("360K", 40, 2, 8),
  format("360K", 40, 2, 9),
  format("720K", 80, 2, 9),
  format("720K", 82, 2, 10),
  format("1.2M", 80, 2, 15),
  format("1.44M", 80, 2, 18),
  format("1.44M", 80, 2, 20),
  format("1.44M", 80, 2, 21),
  format("1.44M", 82, 2, 21),
  format("2.88M", 80, 2, 36),
];

/**
 * Disks that each type of drive takes, with the data rate at which it reads them: a 1.2 MB drive turns faster, so that
 * disks made for 250 kb/s come at 300.
 */
const TAKES: Readonly<Record<FloppyType, Partial<Record<FloppyType, DataRate>>>> = {
  "360K": { "360K": 250 },
  "1.2M": { "360K": 300, "1.2M": 500 },
  "720K": { "720K": 250 },
  "1.44M": { "720K": 250, "1.44M": 500 },
  "2.88M": { "720K": 250, "1.44M": 500, "2.88M": 1000 },
};

const bytesOf = ({ cylinders, heads, sectors }: Geometry): number => cylinders * heads * sectors * SECTOR_SIZE;

/** Sizes in bytes that an image of a floppy disk may have, and the drive that it is for. */
export const FLOPPY_SIZES: ReadonlyMap<number, FloppyType> = new Map(FORMATS.map((each) => [bytesOf(each), each.type]));

/** The drive that takes an image of `size` bytes and most others like it; undefined where it is no floppy disk. */
export function driveTypeFor(size: number): FloppyType | undefined {
  const type = FLOPPY_SIZES.get(size);
  if (type === "360K") return "1.2M";
  return type === "720K" ? "1.44M" : type;
}

/** A disk in a drive. */
export interface FloppyMedium {
  readonly device: BlockDevice;
  readonly geometry: Geometry;
  readonly rate: DataRate;
}

/** The image as a disk in a drive of `type`; or undefined where that takes no disk of this size. */
export function mediumFor(device: BlockDevice, type: FloppyType): FloppyMedium | undefined {
  const found = FORMATS.find((each) => bytesOf(each) === device.size);
  const rate = found && TAKES[type][found.type];
  if (!found || rate === undefined) return undefined;
  const { cylinders, heads, sectors } = found;
  return { device, geometry: { cylinders, heads, sectors }, rate };
}
