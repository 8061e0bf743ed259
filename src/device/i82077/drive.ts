/** One floppy drive: where its head is, which disk is in it, and whether that was changed. */
import { byteOffset, SECTOR_SIZE } from "../../bits/units.ts";
import type { FloppyMedium, FloppyType } from "./medium.ts";

export interface DriveState {
  /** The cylinder that the head is at. */
  cylinder: number;
  /** The disk change line: a disk was taken out since the head was last stepped with one in. */
  changed: boolean;
}

/** The head stops here, whatever it is told. */
const LAST_CYLINDER = 83;

export class FloppyDrive {
  readonly type: FloppyType;
  readonly state: DriveState = { cylinder: 0, changed: true };
  #medium: FloppyMedium | undefined;
  /** The last of the host operations, which run one after the other. */
  #tail: Promise<unknown> = Promise.resolve();
  #dirty = false;

  constructor(type: FloppyType, medium?: FloppyMedium) {
    this.type = type;
    this.#medium = medium;
  }

  get medium(): FloppyMedium | undefined {
    return this.#medium;
  }

  /** Puts another disk in, or none. Resolves once nothing more is done to the one that was there, flushed. */
  async change(medium: FloppyMedium | undefined): Promise<void> {
    const flushed = this.flush();
    this.#medium = medium;
    this.state.changed = true;
    await flushed;
  }

  /** Moves the head by steps, of which even one lets a drive with a disk forget that it was changed. */
  stepTo(cylinder: number): void {
    const target = Math.min(Math.max(cylinder, 0), LAST_CYLINDER);
    if (target === this.state.cylinder) return;
    this.state.cylinder = target;
    if (this.#medium) this.state.changed = false;
  }

  /** Fills `target` from the sector with this number (0 is the disk's first) on. */
  read(sector: number, target: Uint8Array): Promise<void> {
    const device = this.#medium?.device;
    return this.#queue(async () => device?.read(byteOffset(sector * SECTOR_SIZE), target));
  }

  write(sector: number, source: Uint8Array): Promise<void> {
    const device = this.#medium?.device;
    this.#dirty = true;
    return this.#queue(async () => device?.write(byteOffset(sector * SECTOR_SIZE), source));
  }

  /** Puts what was written on stable storage. */
  flush(): Promise<void> {
    const device = this.#medium?.device;
    const dirty = this.#dirty;
    this.#dirty = false;
    return this.#queue(async () => (dirty ? device?.flush() : undefined));
  }

  #queue(operation: () => Promise<void>): Promise<void> {
    const result = this.#tail.then(operation);
    this.#tail = result.catch(() => {});
    return result;
  }
}
