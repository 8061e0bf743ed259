/** Makes a disk image in a new file. */
import { rm } from "node:fs/promises";
import { BlockError } from "../block-device.ts";
import { formatNamed } from "../formats.ts";
import type { CreateOptions, FormatName } from "../image-format.ts";
import { FileStore } from "./file-store.ts";
import { nodeImageHost } from "./image-host.ts";

/** Rejects with BlockError where the file exists or the image cannot be made; there is no file then. */
export async function createImageFile(file: string, name: FormatName, options: CreateOptions): Promise<void> {
  const format = await formatNamed(name);
  if (format?.create === undefined) throw new BlockError("io", `${name} images cannot be made`);
  if (options.variant !== undefined && !format.variants?.includes(options.variant)) {
    const known = format.variants === undefined ? "none" : format.variants.join(", ");
    throw new BlockError("io", `${name} has no variant "${options.variant}"; there are: ${known}`);
  }
  const store = await FileStore.open(file, { create: 0 });
  try {
    await format.create(store, nodeImageHost(file), options);
  } catch (error) {
    await store.close();
    await rm(file, { force: true });
    throw error;
  }
  await store.close();
}
