/** What `bunk run FILE` means: by the file's content it is a kernel, or a medium in a drive of the machine. */
import { stat } from "node:fs/promises";
import type { BlockDevice } from "../disk/block-device.ts";
import type { Content } from "../disk/identify.ts";
import { identifyFile } from "../disk/node/open-image.ts";
import { type DriveKind, isFloppySize } from "../firmware/bios/disk/drive.ts";
import { fileError } from "./failure.ts";

export type FileRole = "kernel" | DriveKind;

/** Kinds of content that a disk or a floppy has. */
const DISKS: readonly Content["kind"][] = [
  ...["qcow", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "disk-image"],
  ...["disk", "boot-sector", "file-system", "compressed"],
] as Content["kind"][];

/** Rejects with CliError or BlockError where no machine starts from such a file. */
export async function roleOfFile(file: string): Promise<FileRole> {
  const { kind, phrase } = await identifyFile(file);
  switch (kind) {
    case "iso9660":
    case "udf":
      return "cd";
    case "kernel":
    case "program":
      return "kernel";
    case "empty":
      throw fileError(`${file} is empty`);
    case "zeros":
      throw fileError(
        `${file} seems to be ${phrase}: there is nothing to boot; install a system on it with --cdrom FILE`,
      );
  }
  if (!DISKS.includes(kind))
    throw fileError(`${file} seems to be ${phrase}; a machine starts from discs, disks, floppies and kernels`);
  const raw = ["boot-sector", "file-system", "disk"].includes(kind);
  return raw && isFloppySize((await stat(file)).size) ? "floppy" : "disk";
}

/** Rejects with CliError where a BIOS finds nothing to boot on the medium that the user named. */
export async function requireBootable(file: string, kind: DriveKind, medium: BlockDevice): Promise<void> {
  const { findBoot } = await import("../firmware/bios/disk/drive-source.ts");
  const found = await findBoot({ kind, name: file, medium: () => medium });
  if (found.kind !== "none") return;
  const remedy = /UEFI/.test(found.reason) ? "; start it with UEFI firmware: --firmware OVMF.fd" : "";
  throw fileError(`${file} cannot be booted: ${found.reason}${remedy}`);
}
