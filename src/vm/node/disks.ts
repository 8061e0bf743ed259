/** Opens a machine's disk images. */
import type { BlockDevice } from "../../disk/block-device.ts";
import { FileStore } from "../../disk/node/file-store.ts";
import { OverlayDisk } from "../../disk/overlay/overlay-disk.ts";
import { RawDisk } from "../../disk/raw/raw-disk.ts";

export interface DiskOptions {
  readonly file: string;
  readonly readOnly: boolean;
  /** Writes are kept in memory and dropped at the end. */
  readonly snapshot: boolean;
  readonly serial?: string;
}

/** Bytes of changed data that a snapshot disk may keep in memory. */
const SNAPSHOT_LIMIT = 2 * 1024 ** 3;

/** Opens all or none; `close` flushes and closes. */
export async function openDisks(disks: readonly DiskOptions[]): Promise<{
  devices: { device: BlockDevice; serial?: string }[];
  close(): Promise<void>;
}> {
  const devices: { device: BlockDevice; serial?: string }[] = [];
  const close = async () => {
    for (const { device } of devices) await device.close();
  };
  try {
    for (const { file, readOnly, snapshot, serial } of disks) {
      const store = await FileStore.open(file, { readOnly: readOnly || snapshot });
      const raw = new RawDisk(store, { readOnly: readOnly || snapshot });
      const device = snapshot ? new OverlayDisk({ base: raw, limit: SNAPSHOT_LIMIT }) : raw;
      devices.push(serial === undefined ? { device } : { device, serial });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { devices, close };
}
