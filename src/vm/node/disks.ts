/** Opens a machine's disk images. */
import type { BlockDevice } from "../../disk/block-device.ts";
import type { FormatName } from "../../disk/image-format.ts";
import { openImage } from "../../disk/node/open-image.ts";
import { OverlayDisk } from "../../disk/overlay/overlay-disk.ts";

export interface DiskOptions {
  readonly file: string;
  readonly readOnly: boolean;
  /** Writes are kept in memory and dropped at the end. */
  readonly snapshot: boolean;
  readonly serial?: string;
  /** By content unless given; a guest cannot make a disk whose format was not given look like another format's image. */
  readonly format?: FormatName;
  /** Bytes of the host's storage that the image file may take; the guest's writes beyond it fail. */
  readonly quota?: number;
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
    for (const { file, readOnly, snapshot, serial, format, quota } of disks) {
      const image = await openImage(file, {
        readOnly: readOnly || snapshot,
        ...(format === undefined ? {} : { format }),
        ...(quota === undefined ? {} : { quota }),
      });
      const device = snapshot ? new OverlayDisk({ base: image, limit: SNAPSHOT_LIMIT }) : image;
      devices.push(serial === undefined ? { device } : { device, serial });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { devices, close };
}
