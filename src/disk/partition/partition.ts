/** What both kinds of partition tables have. */
import { byteOffset } from "../../bits/units.ts";
import type { BlockDevice } from "../block-device.ts";
import { SECTOR } from "./layout.ts";

export interface Partition {
  readonly number: number;
  /** Sectors. */
  readonly first: number;
  readonly sectors: number;
  /** Two hexadecimal digits, or a GUID. */
  readonly type: string;
  /** GPT only. */
  readonly name: string;
  /** GPT's GUID, or "". */
  readonly id: string;
  readonly bootable: boolean;
}

/** One sector; zeros where the disk has none. */
export async function readSector(disk: BlockDevice, lba: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(SECTOR);
  if (lba >= 0 && (lba + 1) * SECTOR <= disk.size) await disk.read(byteOffset(lba * SECTOR), bytes);
  return bytes;
}
