/** Opens the disks of a machine's floppy drives. */
import { driveTypeFor, FLOPPY_SIZES, type FloppyType, mediumFor } from "../../device/i82077/medium.ts";
import type { BlockDevice } from "../../disk/block-device.ts";
import { ImageError } from "../../disk/image-error.ts";
import type { FormatName } from "../../disk/image-format.ts";
import { openImage } from "../../disk/node/open-image.ts";
import { OverlayDisk } from "../../disk/overlay/overlay-disk.ts";
import type { FloppyDrive } from "../definition.ts";

/** The image of a floppy disk. */
export interface FloppyDiskOptions {
  readonly file: string;
  /** Write-protected. */
  readonly readOnly: boolean;
  /** Writes are kept in memory and dropped at the end. */
  readonly snapshot: boolean;
  readonly format?: FormatName;
}

export interface FloppyOptions {
  /** The disk that is in the drive at power-on. */
  readonly disk?: FloppyDiskOptions;
  /** By the disk unless given; 1.44 MB for an empty drive. */
  readonly type?: FloppyType;
}

/** What a snapshot disk may keep in memory is all of it. */
const SNAPSHOT_LIMIT = 64 * 1024 ** 2;
const EMPTY_DRIVE = "1.44M";
/** KiB of the disks that nearly every system reads. */
const FILLED_UP = [1440, 2880];

/** Opens the image of a disk that a drive of `type` takes; rejects with BlockError. */
export async function openFloppyDisk(options: FloppyDiskOptions, type: FloppyType | undefined): Promise<BlockDevice> {
  const { file, readOnly, snapshot, format } = options;
  const image = await openImage(file, { readOnly: readOnly || snapshot, ...(format === undefined ? {} : { format }) });
  const problem = problemWith(image, file, type);
  if (problem) {
    await image.close();
    throw problem;
  }
  return snapshot ? new OverlayDisk({ base: image, limit: SNAPSHOT_LIMIT }) : image;
}

function problemWith(image: BlockDevice, file: string, type: FloppyType | undefined): Error | undefined {
  if (!FLOPPY_SIZES.has(image.size)) {
    const sizes = [...FLOPPY_SIZES.keys()].map((size) => `${size / 1024}`).join(", ");
    const larger = FILLED_UP.find((kib) => kib * 1024 > image.size);
    // Images often hold only what a disk begins with.
    const advice = larger === undefined ? "" : `; to fill it up: truncate -s ${larger}K ${file}`;
    const phrase = `no floppy disk has ${image.size} bytes; KiB may be ${sizes}${advice}`;
    return new ImageError(file, { kind: "no-floppy" }, phrase);
  }
  if (type === undefined || mediumFor(image, type)) return undefined;
  const needed = driveTypeFor(image.size);
  return new ImageError(file, { kind: "wrong-drive" }, `a drive for ${type} takes no such disk; use type=${needed}`);
}

/** The drives with their disks: opens all or none; `close` flushes and closes what is in a drive then. */
export async function openFloppies(options: readonly FloppyOptions[]): Promise<FloppyDrives> {
  const drives: FloppyDrive[] = [];
  const floppies = new FloppyDrives(drives);
  try {
    for (const { disk, type } of options) {
      const device = disk && (await openFloppyDisk(disk, type));
      const fitting = type ?? (device && driveTypeFor(device.size)) ?? EMPTY_DRIVE;
      drives.push(device ? { type: fitting, device } : { type: fitting });
    }
  } catch (error) {
    await floppies.close();
    throw error;
  }
  return floppies;
}

/** What a change of disks needs of a machine. */
export interface FloppyMachine {
  changeFloppy(drive: number, device: BlockDevice | undefined): Promise<void>;
}

export class FloppyDrives {
  readonly drives: FloppyDrive[];

  constructor(drives: FloppyDrive[]) {
    this.drives = drives;
  }

  /**
   * Takes the disk out of a drive, closes it, and puts another one in, or none. Rejects with BlockError, and RangeError
   * for a drive that is not there; the disk stays where it is then.
   */
  async change(machine: FloppyMachine, drive: number, disk: FloppyDiskOptions | undefined): Promise<void> {
    const before = this.drives[drive];
    if (!before) throw new RangeError(`the machine has no floppy drive ${drive}`);
    const { type } = before;
    const device = disk && (await openFloppyDisk(disk, type));
    this.drives[drive] = device ? { type, device } : { type };
    await machine.changeFloppy(drive, device);
    await before.device?.flush();
    await before.device?.close();
  }

  async close(): Promise<void> {
    for (const { device } of this.drives) {
      if (!device?.readOnly) await device?.flush();
      await device?.close();
    }
  }
}
