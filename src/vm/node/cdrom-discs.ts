/** Puts discs into a machine's CD drives while it runs, and takes them out. */

import type { ScsiCdrom } from "../../device/scsi/scsi-cdrom.ts";
import type { BlockDevice } from "../../disk/block-device.ts";
import { openDisc } from "./disks.ts";

/** What is asked of a CD drive. */
export type CdromRequest =
  | { readonly action: "insert"; readonly file: string }
  | { readonly action: "eject"; readonly force: boolean };

export class CdromDiscs {
  readonly #drives: readonly ScsiCdrom[];
  readonly #opened = new Set<BlockDevice>();

  /** The discs that are in the drives now are closed with the others. */
  constructor(drives: readonly ScsiCdrom[]) {
    this.#drives = drives;
    for (const { medium } of drives) if (medium !== undefined) this.#opened.add(medium);
  }

  /** Returns whether it was done: a guest that locked its drive is asked for a disc, and may let it go later. */
  async handle(number: number, request: CdromRequest): Promise<boolean> {
    const drive = this.#drives[number];
    if (drive === undefined) throw new RangeError(`the machine has no CD drive ${number}`);
    if (request.action === "insert") {
      const disc = await openDisc(request.file);
      this.#opened.add(disc);
      drive.insert(disc);
    } else if (!drive.eject({ force: request.force })) {
      return false;
    }
    await this.#closeUnused();
    return true;
  }

  async close(): Promise<void> {
    for (const disc of this.#opened) await disc.close();
    this.#opened.clear();
  }

  async #closeUnused(): Promise<void> {
    const used = new Set(this.#drives.map(({ medium }) => medium));
    for (const disc of this.#opened) {
      if (used.has(disc)) continue;
      this.#opened.delete(disc);
      await disc.close();
    }
  }
}
