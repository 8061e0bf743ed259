/** The rescue media of GRUB's package on each kind of drive: GRUB reaches its prompt and finds all disks. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { bootSector } from "../bios/bios-guest.ts";
import { RESCUE_FLOPPY, type RescueMedium, rescueContract } from "./media-grub-contract.ts";
import { directoryOf, FIRMWARE, MediaMachine, mediumFrom, OWN_BIOS } from "./media-machine.ts";

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

test("F12 at power-on gives a menu, which starts GRUB's rescue CD rather than the disk", async (t) => {
  const cd = await mediumFrom(t, "grub-rescue-pc", `usr/lib/grub-rescue/${CD}`);
  if (!cd) return;
  const disk = path.join(await directoryOf(t), "disk.img");
  await writeFile(disk, bootSector("halted: hlt\njmp halted"));
  const boot = { order: ["disk", "cd"], menu: "offered" } as const;
  const machine = await MediaMachine.start(t, OWN_BIOS, { disks: [{ file: disk }], cdroms: [{ file: cd }], boot });
  if (!machine) return;
  await machine.press("f12");
  assert.match(await machine.screen("Press a number"), /^ {2}1 {2}disk\n {2}2 {2}CD$/m);
  await machine.keepScreenshot();
  await machine.type("2");
  await machine.screen("highlighted");
});
