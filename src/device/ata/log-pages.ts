/**
 * The logs of a disk: their directory, and on SATA the error of a queued command.
 * @spec ACS-3 §A.2 "General Purpose Log Directory"; SATA 3.0 §13.7.1 "NCQ Command Error log (10h)"
 */
import { SECTOR_SIZE } from "../../bits/units.ts";
import type { TaskFile } from "./ata-drive.ts";

export const LOG_PAGE = { directory: 0x00, queuedError: 0x10 } as const;

export interface QueuedError {
  tag: number;
  status: number;
  error: number;
  lba: number;
}

/** Nothing queued failed. */
const NOT_QUEUED = 0x80;
const DEVICE_LBA = 0x40;

/** What READ LOG EXT brings; undefined for what is not there. */
export function readLog(
  { lba, count }: TaskFile,
  queuedError: QueuedError | undefined,
  hasQueue: boolean,
): Uint8Array | undefined {
  const page = ((lba >>> 8) & 0xff) | ((Math.floor(lba / 2 ** 32) & 0xff) * 256);
  if ((count & 0xffff) !== 1 || page !== 0) return undefined;
  const data = new Uint8Array(SECTOR_SIZE);
  switch (lba & 0xff) {
    case LOG_PAGE.directory:
      // The version, and one page of each log that is there.
      data[0] = 1;
      if (hasQueue) data[LOG_PAGE.queuedError * 2] = 1;
      return data;
    case LOG_PAGE.queuedError:
      if (!hasQueue) return undefined;
      if (queuedError === undefined) {
        data[0] = NOT_QUEUED;
      } else {
        const { tag, status, error, lba: at } = queuedError;
        data.set([tag, 0, status, error, at & 0xff, (at >>> 8) & 0xff, (at >>> 16) & 0xff, DEVICE_LBA]);
        const high = Math.floor(at / 2 ** 24);
        data.set([high & 0xff, (high >>> 8) & 0xff, (high >>> 16) & 0xff], 8);
      }
      data[SECTOR_SIZE - 1] = -data.reduce((sum, byte) => sum + byte, 0);
      return data;
    default:
      return undefined;
  }
}
