/** Opens a machine's disk images and discs. */
import type { BlockDevice } from "../../disk/block-device.ts";
import type { FormatName } from "../../disk/image-format.ts";
import { openImage } from "../../disk/node/open-image.ts";
import { OverlayDisk } from "../../disk/overlay/overlay-disk.ts";
import type { CdromBus, CdromDefinition, DiskBus, DiskDefinition } from "../drive-places.ts";

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
  readonly bus?: DiskBus;
}

export interface CdromOptions {
  /** A disc image, or a drive or another block device of the host; an empty drive if left out. */
  readonly file?: string;
  readonly bus?: CdromBus;
}

/** Bytes of changed data that a snapshot disk may keep in memory. */
const SNAPSHOT_LIMIT = 2 * 1024 ** 3;

/** Opens all or none; `close` flushes and closes. */
export async function openDisks(disks: readonly DiskOptions[]): Promise<{
  devices: DiskDefinition[];
  close(): Promise<void>;
}> {
  const devices: DiskDefinition[] = [];
  const close = async () => {
    for (const { device } of devices) await device.close();
  };
  try {
    for (const { file, readOnly, snapshot, serial, format, quota, bus } of disks) {
      const image = await openImage(file, {
        readOnly: readOnly || snapshot,
        ...(format === undefined ? {} : { format }),
        ...(quota === undefined ? {} : { quota }),
      });
      const device = snapshot ? new OverlayDisk({ base: image, limit: SNAPSHOT_LIMIT }) : image;
      devices.push({ device, ...(serial === undefined ? {} : { serial }), ...(bus === undefined ? {} : { bus }) });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { devices, close };
}

/** Opens a disc, which nobody writes to. */
export function openDisc(file: string): Promise<BlockDevice> {
  return openImage(file, { readOnly: true, format: "raw" });
}

/** Opens the discs of a machine's CD drives, all or none. */
export async function openCdroms(cdroms: readonly CdromOptions[]): Promise<CdromDefinition[]> {
  const opened: CdromDefinition[] = [];
  try {
    for (const { file, bus } of cdroms) {
      const medium = file === undefined ? undefined : await openDisc(file);
      opened.push({ ...(medium === undefined ? {} : { medium }), ...(bus === undefined ? {} : { bus }) });
    }
  } catch (error) {
    for (const { medium } of opened) await medium?.close();
    throw error;
  }
  return opened;
}
