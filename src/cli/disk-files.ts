/** Looks at disk files before a machine gets them: a wrong format shows in the guest only as a broken disk. */
import { BlockError } from "../disk/block-device.ts";
import { type Content, type ContentKind, identifyStore } from "../disk/identify.ts";
import { FileStore } from "../disk/node/file-store.ts";
import { hostErrorCode } from "../disk/node/host-error.ts";
import { type DiskOptions, openDisks } from "../vm/node/disks.ts";
import type { DiskOption } from "./disk-option.ts";
import { fileError } from "./failure.ts";

const IMAGE_FORMATS: readonly ContentKind[] = ["qcow", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "disk-image"];
const DISCS: readonly ContentKind[] = ["iso9660", "udf"];

/** Checks and completes what the command line says of a disk; rejects with BlockError or CliError. */
export async function inspectDisk(option: DiskOption): Promise<DiskOptions> {
  const content = await identifyFile(option.file);
  if (content.kind === "empty") {
    throw fileError(`${option.file} is empty; give it the size of a disk first: truncate -s 1G ${option.file}`);
  }
  const problem = option.raw ? undefined : problemWith(content, option.file);
  if (problem !== undefined) throw fileError(`${option.file} seems to be ${content.phrase}; ${problem}`);
  return {
    file: option.file,
    // Nobody wants a disc image changed by a guest that mounts it.
    readOnly: option.readOnly ?? (DISCS.includes(content.kind) && !option.snapshot),
    snapshot: option.snapshot && option.readOnly !== true,
    ...(option.serial === undefined ? {} : { serial: option.serial }),
  };
}

/** Opens the disks; rejects with BlockError, which says how to go on without write permission. */
export async function openDiskFiles(disks: readonly DiskOptions[]): ReturnType<typeof openDisks> {
  try {
    return await openDisks(disks);
  } catch (error) {
    const code = error instanceof BlockError ? hostErrorCode(error.cause) : undefined;
    if (!(error instanceof BlockError) || !["EACCES", "EPERM", "EROFS"].includes(code ?? "")) throw error;
    throw fileError(`${error.message}; add ,readonly=on or ,snapshot=on to leave the file as it is`);
  }
}

async function identifyFile(file: string): Promise<Content> {
  const store = await FileStore.open(file, { readOnly: true });
  try {
    return await identifyStore(store);
  } finally {
    await store.close();
  }
}

/** What keeps this content from being a disk byte for byte, and the way out. */
function problemWith({ kind }: Content, file: string): string | undefined {
  if (IMAGE_FORMATS.includes(kind)) {
    return `only raw images can be attached; convert it: qemu-img convert -O raw ${file} ${file}.raw`;
  }
  if (kind === "compressed") return "unpack it first, or add ,format=raw to attach it as it is";
  return undefined;
}
