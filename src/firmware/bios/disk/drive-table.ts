/** Which drive answers to which number of INT 13h. */
import {
  type BiosDrive,
  CD_SECTOR,
  diskGeometry,
  floppyGeometry,
  type Geometry,
  mediumOf,
  type NumberedDrive,
  numberDrive,
} from "./drive.ts";
import { type BootEntry, floppyBytes } from "./el-torito.ts";

const FIRST_DISK = 0x80;
const FIRST_CD = 0xe0;
const MOST_FLOPPIES = 2;
const SECTOR = 512;

/** A CD that a system was booted from by an entry of its catalogue. */
export interface BootedDisc {
  readonly drive: BiosDrive;
  readonly entry: BootEntry;
  /** The number that the system was told. */
  readonly number: number;
  /** Undefined without emulation. */
  readonly emulated: NumberedDrive | undefined;
}

export interface DiscState {
  /** Index of the drive with the disc that was booted; -1 for none. */
  drive: number;
  entry: BootEntry | undefined;
  /** The first sector of what was loaded: an emulated disk's partition table. */
  head: Uint8Array;
  emulationEnded: boolean;
}

export class DriveTable {
  readonly state: DiscState = { drive: -1, entry: undefined, head: new Uint8Array(SECTOR), emulationEnded: false };
  readonly drives: readonly BiosDrive[];

  constructor(drives: readonly BiosDrive[]) {
    this.drives = drives;
  }

  /** Forgets what was booted: the machine was reset. */
  reset(): void {
    Object.assign(this.state, { drive: -1, entry: undefined, emulationEnded: false });
  }

  get booted(): BootedDisc | undefined {
    const { entry, head } = this.state;
    const drive = this.drives[this.state.drive];
    if (drive === undefined || entry === undefined) return undefined;
    const number = entry.emulation === "none" ? this.numberOf(drive) : entry.emulation === "floppy" ? 0 : FIRST_DISK;
    return { drive, entry, number, emulated: emulatedDrive(number, drive, entry, head) };
  }
  get emulating(): NumberedDrive | undefined {
    return this.state.emulationEnded ? undefined : this.booted?.emulated;
  }
  endEmulation(): void {
    this.state.emulationEnded = true;
  }

  #kind(kind: BiosDrive["kind"]): readonly BiosDrive[] {
    return this.drives.filter((drive) => drive.kind === kind);
  }

  /** Drives of one sort, floppies below 80h or disks, an emulated one counted. */
  count(kind: "floppy" | "disk"): number {
    const emulated = this.emulating?.emulation?.kind === kind ? 1 : 0;
    const own = this.#kind(kind).length;
    return kind === "floppy" ? Math.min(own + emulated, MOST_FLOPPIES) : own + emulated;
  }

  find(number: number): NumberedDrive | undefined {
    const emulated = this.emulating;
    if (emulated?.number === number) return emulated;
    const shift = (kind: "floppy" | "disk") => (emulated?.emulation?.kind === kind ? 1 : 0);
    const at = (kind: BiosDrive["kind"], index: number) => {
      const drive = this.#kind(kind)[index];
      return drive && numberDrive(number, drive);
    };
    if (number >= FIRST_CD) return at("cd", number - FIRST_CD);
    if (number >= FIRST_DISK) return at("disk", number - FIRST_DISK - shift("disk"));
    return number < MOST_FLOPPIES ? at("floppy", number - shift("floppy")) : undefined;
  }

  /** Geometry of the drive with this number, where there is one with a medium. */
  geometry(number: number): Geometry | undefined {
    const drive = this.find(number);
    return drive && mediumOf(drive)?.geometry;
  }

  /** The number of one of the drives, as long as nothing is emulated. */
  numberOf(drive: BiosDrive): number {
    const first = { floppy: 0, disk: FIRST_DISK, cd: FIRST_CD }[drive.kind];
    return first + this.#kind(drive.kind).indexOf(drive);
  }

  /** Takes over an entry of a disc's catalogue; `image` begins with the emulated drive's first sector. */
  boot(drive: BiosDrive, entry: BootEntry, image: Uint8Array): number {
    const head = image.slice(0, SECTOR);
    Object.assign(this.state, { drive: this.drives.indexOf(drive), entry, head, emulationEnded: false });
    return this.booted?.number ?? 0;
  }
}

function emulatedDrive(
  number: number,
  drive: BiosDrive,
  entry: BootEntry,
  head: Uint8Array,
): NumberedDrive | undefined {
  const kind = entry.emulation;
  if (kind === "none") return undefined;
  const start = entry.lba * CD_SECTOR;
  const rest = Math.max(0, (drive.medium()?.size ?? 0) - start);
  const length = kind === "floppy" ? floppyBytes(entry) : partitionEnd(head) || rest;
  return {
    number,
    drive,
    sectorSize: SECTOR,
    emulation: { start, length, kind },
    geometry: kind === "floppy" ? floppyGeometry : () => partitionGeometry(head) ?? diskGeometry(length / SECTOR),
  };
}

const FIRST_PARTITION = 0x1be;
const u32 = (bytes: Uint8Array, at: number) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(at, true);

/** Bytes up to the end of the first partition, which the specification has be the only one. */
function partitionEnd(sector: Uint8Array): number {
  return (u32(sector, FIRST_PARTITION + 8) + u32(sector, FIRST_PARTITION + 12)) * 512;
}

/** The geometry that the partition's last sector tells. */
function partitionGeometry(sector: Uint8Array) {
  const [head, sectors] = [sector[FIRST_PARTITION + 5] as number, (sector[FIRST_PARTITION + 6] as number) & 0x3f];
  if (sectors === 0) return undefined;
  const heads = head + 1;
  const cylinders = Math.ceil(partitionEnd(sector) / 512 / (heads * sectors));
  return { cylinders: Math.max(1, Math.min(cylinders, 1024)), heads, sectors };
}
