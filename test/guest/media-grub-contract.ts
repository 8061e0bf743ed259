/** What GRUB's rescue media must come to, whichever drive they are in. */
import assert from "node:assert/strict";
import { readFile, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { VirtualMachineOptions } from "../../src/vm/index.ts";
import { bootSector } from "../bios/bios-guest.ts";
import { directoryOf, type Firmware, MediaMachine, mediumFrom } from "./media-machine.ts";

/** A disk with one partition, which holds no file system; what boots it is told to go on to the next drive. */
async function partitionedDisk(t: TestContext): Promise<string> {
  const bytes = new Uint8Array(4 << 20);
  bytes.set(bootSector("int 0x18"));
  bytes.set([0, 0, 2, 0, 0x83, 0, 0, 0, 63, 0, 0, 0, 0, 16, 0, 0], 446);
  const file = path.join(await directoryOf(t), "disk.img");
  await writeFile(file, bytes);
  return file;
}

/** A medium of GRUB's package in a machine that has other drives, too. */
export interface RescueMedium {
  /** What the drive is called. */
  readonly kind: string;
  readonly file: string;
  /** Bytes that the medium is filled up to. */
  readonly size?: number;
  machine(medium: string, disk: string): VirtualMachineOptions;
  /** What GRUB calls the drives. */
  readonly drives: readonly string[];
}

/** The image for floppies is what such a disk begins with. */
export const RESCUE_FLOPPY: RescueMedium = {
  kind: "floppy",
  file: "grub-rescue-floppy.img",
  size: 1440 * 1024,
  machine: (file, disk) => ({ floppies: [{ file, readOnly: true }], disks: [{ file: disk }] }),
  drives: ["(fd0)", "(hd0)", "(hd0,msdos1)"],
};

/** Declares the test: GRUB's menu, its prompt, and what it lists there. */
export function rescueContract(
  { kind, file: name, size, machine: machineWith, drives }: RescueMedium,
  firmware: Firmware,
) {
  test(`GRUB's rescue ${kind} reaches its prompt on ${firmware.name}`, async (t) => {
    const file = await mediumFrom(t, "grub-rescue-pc", `usr/lib/grub-rescue/${name}`);
    if (!file) return;
    if (size !== undefined) await truncate(file, size);
    const before = await readFile(file);
    const disk = await partitionedDisk(t);
    const machine = await MediaMachine.start(t, firmware, machineWith(file, disk));
    if (!machine) return;
    await machine.screen("highlighted");
    await machine.press("c");
    await machine.screen(/^grub>$/m);
    await machine.type("ls\n");
    const found = await machine.screen(/^grub> ls\n(.*\n)+?grub>$/m);
    for (const drive of drives) assert.ok(found.includes(drive), `no ${drive}:\n${found}`);
    await machine.keepScreenshot();
    await machine.type("clear\n");
    await machine.type("ls ($root)/boot/grub\n");
    assert.match(await machine.screen(/^grub> ls \(\$root\).*\n(.*\n)+?grub>$/m), /grub\.cfg i386-pc\//);
    await machine.type("halt\n");
    assert.deepEqual(await machine.vm.ended, { kind: "power-off" });
    assert.deepEqual(await readFile(file), before);
  });
}
