/** Looks at disk files before a machine gets them: a wrong format shows in the guest only as a broken disk. */
import { stat } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { SECTOR_SIZE } from "../bits/units.ts";
import { BlockError } from "../disk/block-device.ts";
import { FORMAT_NAMES, formatOf } from "../disk/formats.ts";
import type { Content, ContentKind } from "../disk/identify.ts";
import { createImageFile } from "../disk/node/create-image.ts";
import { hostErrorCode } from "../disk/node/host-error.ts";
import { identifyFile } from "../disk/node/open-image.ts";
import { type DiskOptions, openDisks } from "../vm/node/disks.ts";
import { progressBar } from "./disk/progress-bar.ts";
import type { DiskOption } from "./disk-option.ts";
import { fileError, usageError } from "./failure.ts";
import { type Packing, packingOf } from "./packing.ts";

/** Images that are recognised, and have no format of ours. */
const FOREIGN: readonly ContentKind[] = ["qcow", "disk-image"];
const DISCS: readonly ContentKind[] = ["iso9660", "udf"];

/**
 * Checks and completes what the command line says of a disk; rejects with BlockError or CliError. A packed image is
 * unpacked, and read from the cache. `warn` is told of what the user may not have meant, in a line.
 */
export async function inspectDisk(option: DiskOption, warn: (line: string) => void = () => {}): Promise<DiskOptions> {
  if (option.size !== undefined) await createIfMissing(option, option.size);
  const content = await identifyFile(option.file).catch((error: unknown) => {
    const isMissing = error instanceof BlockError && hostErrorCode(error.cause) === "ENOENT";
    throw isMissing ? fileError(`${error.message}; ${option.file},size=8G makes a new disk`) : error;
  });
  if (content.kind === "empty") {
    throw fileError(
      `${option.file} is empty; remove it and let a disk be made by adding ,size=8G, or give it a size: truncate -s 1G ${option.file}`,
    );
  }
  const packing = option.format === undefined ? packingOf(content) : undefined;
  if (packing !== undefined) return inspectDisk(await unpacked(option, packing), warn);
  const problem = option.format === undefined ? problemWith(content, option.file) : undefined;
  if (problem !== undefined) throw fileError(`${option.file} seems to be ${content.phrase}; ${problem}`);
  if ((option.format ?? (await formatOf(content)).name) === "raw") await checkSectors(option.file, content, warn);
  return {
    file: option.file,
    // Nobody wants a disc image changed by a guest that mounts it.
    readOnly: option.readOnly ?? (DISCS.includes(content.kind) && !option.snapshot),
    snapshot: option.snapshot && option.readOnly !== true,
    ...(option.serial === undefined ? {} : { serial: option.serial }),
    ...(option.format === undefined ? {} : { format: option.format }),
    ...(option.quota === undefined ? {} : { quota: option.quota }),
    ...(option.bus === undefined ? {} : { bus: option.bus }),
  };
}

/** The option with the unpacked image, which several machines may be reading: nobody writes to it. */
async function unpacked(option: DiskOption, packing: Packing): Promise<DiskOption> {
  if (option.readOnly === false) {
    throw usageError(`--disk ${option.file}: a packed image cannot be written; unpack it, or use snapshot=on`);
  }
  const { unpackImage } = await import("./unpack-image.ts");
  const bar = progressBar(`unpacking ${path.basename(option.file)}`, process.stderr, process.stdout);
  try {
    const file = await unpackImage(option.file, packing, { report: bar.report });
    return { ...option, file, size: undefined, readOnly: option.snapshot ? undefined : true };
  } finally {
    bar.finish();
  }
}

/** A raw image that ends within a sector is most often a part of one, or no disk. */
async function checkSectors(file: string, { phrase }: Content, warn: (line: string) => void): Promise<void> {
  const { size } = await stat(file);
  const beyond = size % SECTOR_SIZE;
  if (beyond === 0) return;
  warn(
    `${file} (${phrase}) has ${size} bytes, which is no whole number of ${SECTOR_SIZE}-byte sectors: if it is a disk's image, its end is missing; the guest sees ${SECTOR_SIZE - beyond} zeros in its place`,
  );
}

/** A new disk, thin: it takes the host's storage as the guest writes. */
async function createIfMissing({ file, format = "qcow2" }: DiskOption, size: number): Promise<void> {
  const isThere = await stat(file).then(
    () => true,
    (error: unknown) => hostErrorCode(error) !== "ENOENT",
  );
  if (!isThere) await createImageFile(file, format, { size });
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

/** What keeps this content from being a disk, and the way out. */
function problemWith({ kind }: Content, file: string): string | undefined {
  if (FOREIGN.includes(kind)) {
    const names = FORMAT_NAMES.join(", ");
    return `images of that format cannot be attached (only ${names}); convert it: qemu-img convert -O qcow2 ${file} ${file}.qcow2`;
  }
  if (kind === "compressed")
    return "packed in a way that is not known here; unpack it first, or add ,format=raw to attach it as it is";
  return undefined;
}
