/** Which disk and CD drive is connected where: the order in which systems and firmware find them. */
import type { BlockDevice } from "../disk/block-device.ts";

export const DISK_BUSES = ["virtio", "ide", "ahci", "nvme", "scsi"] as const;
export type DiskBus = (typeof DISK_BUSES)[number];
export const CDROM_BUSES = ["ide", "ahci", "scsi"] as const;
export type CdromBus = (typeof CDROM_BUSES)[number];

export interface DiskDefinition {
  readonly device: BlockDevice;
  readonly serial?: string;
  /** "virtio" unless given. */
  readonly bus?: DiskBus;
}

export interface CdromDefinition {
  /** The disc in the drive; none if left out. */
  readonly medium?: BlockDevice;
  /** "ide" unless given. */
  readonly bus?: CdromBus;
}

export interface DiskDrive {
  readonly kind: "disk";
  readonly number: number;
  readonly definition: DiskDefinition;
}

export type Drive =
  | DiskDrive
  | { readonly kind: "cdrom"; readonly number: number; readonly definition: CdromDefinition };

export interface DrivePlaces {
  readonly virtio: readonly DiskDrive[];
  readonly nvme: readonly DiskDrive[];
  /** By target. */
  readonly scsi: readonly Drive[];
  /** Primary device 0 and 1, secondary device 0 and 1. */
  readonly ide: readonly (Drive | undefined)[];
  /** By port. */
  readonly ahci: readonly Drive[];
}

const IDE_DRIVES = 4;
const AHCI_PORTS = 6;
const SCSI_TARGETS = 256;
/** A CD drive is usually alone on the secondary channel. */
const IDE_DISK_ORDER = [0, 1, 2, 3];
const IDE_CDROM_ORDER = [2, 3, 1, 0];

/** More drives than a controller has places for; `message` is one line that says what to change. */
export class DrivePlaceError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "DrivePlaceError";
  }
}

/** Throws DrivePlaceError. Disks take their places in order, CD drives theirs from the secondary channel on. */
export function placeDrives(disks: readonly DiskDefinition[], cdroms: readonly CdromDefinition[]): DrivePlaces {
  const drives: Drive[] = [
    ...disks.map((definition, number): Drive => ({ kind: "disk", number, definition })),
    ...cdroms.map((definition, number): Drive => ({ kind: "cdrom", number, definition })),
  ];
  const on = (bus: DiskBus) => drives.filter((drive) => busOf(drive) === bus);
  const ide = on("ide");
  const ahci = on("ahci");
  if (ide.length > IDE_DRIVES) {
    throw new DrivePlaceError(`${ide.length} drives on ide, which has room for ${IDE_DRIVES}; put some on ahci`);
  }
  if (ahci.length > AHCI_PORTS) {
    throw new DrivePlaceError(`${ahci.length} drives on ahci, which has room for ${AHCI_PORTS}; put disks on virtio`);
  }
  const scsi = on("scsi");
  if (scsi.length > SCSI_TARGETS) {
    throw new DrivePlaceError(`${scsi.length} drives on scsi, which has room for ${SCSI_TARGETS}`);
  }
  const places: (Drive | undefined)[] = new Array(IDE_DRIVES).fill(undefined);
  const put = (drive: Drive, order: readonly number[]) => {
    places[order.find((place) => places[place] === undefined) as number] = drive;
  };
  // The usual places of CD drives are kept free of disks while there are others.
  const cdromsFirst = [...ide].sort((a, b) => Number(a.kind === "disk") - Number(b.kind === "disk"));
  for (const drive of cdromsFirst) put(drive, drive.kind === "disk" ? IDE_DISK_ORDER : IDE_CDROM_ORDER);
  const disksOn = (bus: DiskBus) => on(bus).filter((drive) => drive.kind === "disk");
  return { virtio: disksOn("virtio"), nvme: disksOn("nvme"), scsi, ide: places, ahci };
}

function busOf(drive: Drive): DiskBus {
  return drive.kind === "disk" ? (drive.definition.bus ?? "virtio") : (drive.definition.bus ?? "ide");
}
