/** The rescue media of GRUB's package on each kind of drive: GRUB reaches its prompt and finds all disks. */
import { RESCUE_FLOPPY, type RescueMedium, rescueContract } from "./media-grub-contract.ts";
import { FIRMWARE } from "./media-machine.ts";

const CD = "grub-rescue-cdrom.iso";

const MEDIA: readonly RescueMedium[] = [
  {
    kind: "CD",
    file: CD,
    machine: (file, disk) => ({ cdroms: [{ file }], disks: [{ file: disk, bus: "ide" }], floppies: [{}] }),
    drives: ["(cd)", "(hd0)", "(hd0,msdos1)"],
  },
  {
    kind: "CD on AHCI",
    file: CD,
    machine: (file, disk) => ({ cdroms: [{ file, bus: "ahci" }], disks: [{ file: disk, bus: "ahci" }] }),
    drives: ["(cd)", "(hd0)", "(hd0,msdos1)"],
  },
  {
    // The same image has a boot sector for disks.
    kind: "USB disk's image",
    file: CD,
    machine: (file, disk) => ({ disks: [{ file, readOnly: true }, { file: disk }] }),
    drives: ["(hd0)", "(hd1)", "(hd1,msdos1)"],
  },
  RESCUE_FLOPPY,
];

for (const medium of MEDIA) for (const firmware of FIRMWARE) rescueContract(medium, firmware);
