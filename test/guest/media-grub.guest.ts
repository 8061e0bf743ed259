/** The rescue media of GRUB's package on each kind of drive: GRUB reaches its prompt and finds all disks. */
import assert from "node:assert/strict";
import { readFile, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { VirtualMachineOptions } from "../../src/vm/index.ts";
import { bootSector } from "../bios/bios-guest.ts";
import { directoryOf, FIRMWARE, MediaMachine, mediumFrom } from "./media-machine.ts";

const FLOPPY = 1440 * 1024;

/** A disk with one partition, which holds no file system; what boots it is told to go on to the next drive. */
async function partitionedDisk(t: TestContext): Promise<string> {
  const bytes = new Uint8Array(4 << 20);
  bytes.set(bootSector("int 0x18"));
  bytes.set([0, 0, 2, 0, 0x83, 0, 0, 0, 63, 0, 0, 0, 0, 16, 0, 0], 446);
  const file = path.join(await directoryOf(t), "disk.img");
  await writeFile(file, bytes);
  return file;
}

/** Each medium with the machine's drives, and what GRUB calls those. */
const MEDIA: readonly [string, string, (medium: string, disk: string) => VirtualMachineOptions, string[]][] = [
  [
    "CD",
    "grub-rescue-cdrom.iso",
    (file, disk) => ({ cdroms: [{ file }], disks: [{ file: disk, bus: "ide" }], floppies: [{}] }),
    ["(cd)", "(hd0)", "(hd0,msdos1)"],
  ],
  [
    "CD on AHCI",
    "grub-rescue-cdrom.iso",
    (file, disk) => ({ cdroms: [{ file, bus: "ahci" }], disks: [{ file: disk, bus: "ahci" }] }),
    ["(cd)", "(hd0)", "(hd0,msdos1)"],
  ],
  [
    "USB disk's image",
    "grub-rescue-cdrom.iso",
    (file, disk) => ({ disks: [{ file, readOnly: true }, { file: disk }] }),
    ["(hd0)", "(hd1)", "(hd1,msdos1)"],
  ],
  [
    "floppy",
    "grub-rescue-floppy.img",
    (file, disk) => ({ floppies: [{ file, readOnly: true }], disks: [{ file: disk }] }),
    ["(fd0)", "(hd0)", "(hd0,msdos1)"],
  ],
];

for (const [kind, name, machineWith, drives] of MEDIA) {
  for (const firmware of FIRMWARE) {
    test(`GRUB's rescue ${kind} reaches its prompt on ${firmware.name}`, async (t) => {
      const file = await mediumFrom(t, "grub-rescue-pc", `usr/lib/grub-rescue/${name}`);
      if (!file) return;
      // The image for floppies is what they begin with.
      if (kind === "floppy") await truncate(file, FLOPPY);
      const before = await readFile(file);
      const disk = await partitionedDisk(t);
      const machine = await MediaMachine.start(t, firmware, machineWith(file, disk));
      if (!machine) return;
      await machine.screen("highlighted");
      await machine.keepScreenshot();
      await machine.press("c");
      await machine.screen(/^grub>$/m);
      await machine.type("ls\n");
      const found = await machine.screen(/^grub> ls\n(.*\n)+?grub>$/m);
      for (const drive of drives) assert.ok(found.includes(drive), `no ${drive}:\n${found}`);
      await machine.type("clear\n");
      await machine.type("ls ($root)/boot/grub\n");
      assert.match(await machine.screen(/^grub> ls \(\$root\).*\n(.*\n)+?grub>$/m), /grub\.cfg i386-pc\//);
      await machine.type("halt\n");
      assert.deepEqual(await machine.vm.ended, { kind: "power-off" });
      assert.deepEqual(await readFile(file), before);
    });
  }
}
