/** Opens a disk image in a file, whatever its format. */

import { formatNamed, formatOf } from "../formats.ts";
import type { Content } from "../identify.ts";
import { identifyStore } from "../identify.ts";
import type { FormatName, ImageDisk, ImageFormat } from "../image-format.ts";
import { QuotaStore } from "../quota-store.ts";
import { FormatGuard } from "../raw/format-guard.ts";
import { FileStore } from "./file-store.ts";
import { nodeImageHost } from "./image-host.ts";

export interface OpenImageOptions {
  readonly readOnly: boolean;
  /** By content unless given. */
  readonly format?: FormatName;
  /** An internal snapshot, by ID or name. */
  readonly snapshot?: string;
  /** Bytes of the host's storage that the file may take. */
  readonly quota?: number;
}

/** Rejects with BlockError, whose message is for the user. */
export async function openImage(file: string, options: OpenImageOptions): Promise<ImageDisk> {
  const { readOnly, snapshot, quota } = options;
  const store = await FileStore.open(file, { readOnly });
  let format: ImageFormat;
  try {
    format = (options.format && (await formatNamed(options.format))) || (await formatOf(await identifyStore(store)));
  } catch (error) {
    await store.close();
    throw error;
  }
  const limited = quota === undefined || readOnly ? store : new QuotaStore(store, quota);
  const disk = await format.open(limited, nodeImageHost(file), {
    readOnly,
    ...(snapshot === undefined ? {} : { snapshot }),
  });
  return format.name === "raw" && options.format === undefined ? new FormatGuard(disk, store) : disk;
}

/** What a file seems to be, by its content. */
export async function identifyFile(file: string): Promise<Content> {
  const store = await FileStore.open(file, { readOnly: true });
  try {
    return await identifyStore(store);
  } finally {
    await store.close();
  }
}
