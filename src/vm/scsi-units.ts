/** The logical units behind a SCSI host, as the board connects them. */
import { ScsiCdrom } from "../device/scsi/scsi-cdrom.ts";
import { ScsiDisk } from "../device/scsi/scsi-disk.ts";
import type { Device } from "../machine/device.ts";
import { serialOf } from "./ata-drives.ts";
import type { Drive } from "./drive-places.ts";

/** Makes a drive's unit, which is added as a device of its own. A CD drive is told to `cdroms`, by its number. */
export function makeScsiUnit(
  drive: Drive,
  {
    add,
    cdroms,
  }: { readonly add: <D extends Device<object>>(name: string, device: D) => D; readonly cdroms: ScsiCdrom[] },
): ScsiCdrom | ScsiDisk {
  const { number } = drive;
  if (drive.kind === "disk") {
    const { device: disk, serial = serialOf("DISK", number) } = drive.definition;
    return add(`scsi-disk${number}`, new ScsiDisk({ disk, serial }));
  }
  const { medium } = drive.definition;
  const config = { transport: "scsi", serial: serialOf("CD", number) } as const;
  const unit = add(`cdrom${number}`, new ScsiCdrom(config, medium === undefined ? {} : { medium }));
  cdroms[number] = unit;
  return unit;
}
