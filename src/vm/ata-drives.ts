/** The drives behind IDE and AHCI, with a CD drive's SCSI part, as the board connects them. */

import { AtaDisk } from "../device/ata/ata-disk.ts";
import type { AtaDrive } from "../device/ata/ata-drive.ts";
import { AtapiDrive } from "../device/ata/atapi-drive.ts";
import { ScsiCdrom } from "../device/scsi/scsi-cdrom.ts";
import type { Device } from "../machine/device.ts";
import type { Drive } from "./drive-places.ts";

type Add = <D extends Device<object>>(name: string, device: D) => D;

/** Serial numbers of drives that were given none. */
export const serialOf = (kind: string, number: number): string => `BH-${kind}-${String(number + 1).padStart(5, "0")}`;

/** Makes a drive; its parts are added as devices of their own. A CD drive is told to `cdroms`, by its number. */
export function makeAtaDrive(
  drive: Drive,
  connection: "pata" | "sata",
  { add, cdroms }: { readonly add: Add; readonly cdroms: ScsiCdrom[] },
): AtaDrive {
  const { number } = drive;
  if (drive.kind === "disk") {
    const { device, serial = serialOf("DISK", number) } = drive.definition;
    return add(`ata-disk${number}`, new AtaDisk({ interface: connection, serial }, { disk: device }));
  }
  const serial = serialOf("CD", number);
  const { medium } = drive.definition;
  const unit = add(
    `cdrom${number}`,
    new ScsiCdrom({ transport: "atapi", serial }, medium === undefined ? {} : { medium }),
  );
  cdroms[number] = unit;
  return add(`atapi${number}`, new AtapiDrive({ interface: connection, serial }, { unit }));
}
