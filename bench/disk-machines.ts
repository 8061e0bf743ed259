/** The machines of bench/disks.ts, as commands that start them, and the images that they work on. */
import { execFile } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { copyFile, open } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { MIB } from "../src/bits/units.ts";
import { guestWithSource, PROGRAM_DIRECTORY } from "./guest-files.ts";
import type { Command } from "./guest-process.ts";
import { QEMU } from "./machines.ts";

/** Its kernel has drivers of all the buses. */
export const GUEST = "debian-686-pae";
export const IMAGE_MIB = 256;
const MEMORY_MIB = 256;
const BUNK = path.join(import.meta.dirname, "../bin/bunk.mjs");
const QEMU_IMG = "qemu-img";
const SOURCE = "disk";
export const PROGRAM = `${PROGRAM_DIRECTORY}/${SOURCE}`;

/** What Linux calls the disk. */
export const DEVICES = { virtio: "vda", nvme: "nvme0n1", ahci: "sda", scsi: "sda", ide: "sda" } as const;
export type Bus = keyof typeof DEVICES;
export const BUSES = Object.keys(DEVICES) as Bus[];
const QEMU_DEVICES: Readonly<Record<Bus, readonly string[]>> = {
  virtio: ["-device", "virtio-blk-pci,drive=d"],
  ide: ["-device", "ide-hd,drive=d,bus=ide.0"],
  ahci: ["-device", "ich9-ahci,id=ahci", "-device", "ide-hd,drive=d,bus=ahci.0"],
  nvme: ["-device", "nvme,drive=d,serial=bench"],
  scsi: ["-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=d"],
};

export const FORMATS = ["raw", "qcow2"] as const;
export type Format = (typeof FORMATS)[number];
export const WHOSE = ["ours", "qemu"] as const;

export interface DiskMachine {
  readonly whose: (typeof WHOSE)[number];
  readonly bus: Bus;
  readonly format: Format;
}

export interface Files {
  readonly directory: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly append: string;
  /** The checksum that the guest's program finds. */
  readonly checksum: string;
}

const imageOf = (directory: string, format: Format) => path.join(directory, `disk.${format}`);

/** Images of random content in every format, all of their clusters in use; and the guest with its program. */
export async function prepare(directory: string): Promise<Files> {
  const guest = await guestWithSource(GUEST, SOURCE, directory);
  const file = await open(imageOf(directory, "raw"), "w");
  let checksum: string | undefined;
  for (let i = 0; i < IMAGE_MIB; i++) {
    const bytes = randomFillSync(new Uint8Array(MIB));
    checksum ??= checksumOf(bytes.subarray(0, 4096));
    await file.write(bytes);
  }
  await file.close();
  const [from, to] = [imageOf(directory, "raw"), imageOf(directory, "qcow2")];
  await promisify(execFile)(QEMU_IMG, ["convert", "-f", "raw", "-O", "qcow2", from, to]);
  return { directory, ...guest, checksum: checksum as string };
}

/** FNV-1a, as of bench/guest/disk.c. */
function checksumOf(bytes: Uint8Array): string {
  const hash = bytes.reduce((sum, byte) => Math.imul(sum ^ byte, 16777619), 2166136261 | 0);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** The command that starts a machine, with a copy of the image for it alone. */
export async function commandOf({ whose, bus, format }: DiskMachine, files: Files): Promise<Command> {
  const { directory, kernel, initrd, append } = files;
  const image = path.join(directory, `${whose}.${format}`);
  await copyFile(imageOf(directory, format), image);
  if (whose === "ours") {
    const disk = `${image},bus=${bus},format=${format},readonly=off`;
    const boot = ["--kernel", kernel, "--initrd", initrd, "--append", append];
    return { program: process.execPath, args: [BUNK, "run", ...boot, "--memory", `${MEMORY_MIB}M`, "--disk", disk] };
  }
  return {
    program: QEMU,
    args: [
      ...["-accel", "tcg", "-cpu", "max", "-m", String(MEMORY_MIB), "-nographic", "-monitor", "none", "-nic", "none"],
      ...["-no-reboot", "-kernel", kernel, "-initrd", initrd, "-append", append],
      ...["-drive", `file=${image},format=${format},if=none,id=d`, ...QEMU_DEVICES[bus]],
    ],
  };
}
