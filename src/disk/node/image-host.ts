/** What image formats get from the host, in Node: the files beside an image, chance and time. */
import { realpath } from "node:fs/promises";
import path from "node:path";
import type { BlockDevice } from "../block-device.ts";
import { BlockError } from "../block-device.ts";
import { formatNamed, formatOf } from "../formats.ts";
import { identifyStore } from "../identify.ts";
import type { ImageFormat, ImageHost } from "../image-format.ts";
import { nodeDecompressor } from "./decompress.ts";
import { FileStore } from "./file-store.ts";
import { hostError } from "./host-error.ts";

/** Images that are based on one another, at most. */
const MOST_IMAGES = 64;

/** For the image at `file`. `above` has the real paths of the images that are based on it. */
export function nodeImageHost(file: string, above: readonly string[] = []): ImageHost {
  return {
    decompressor: nodeDecompressor,
    openBacking: (name, format) => openBacking(file, name, format, above),
    openPart: (name) => FileStore.open(beside(file, localName(file, name)), { readOnly: true }),
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    now: () => Math.floor(Date.now() / 1000),
  };
}

/** A name in an image is relative to the image, through whatever link it was opened. */
export function beside(file: string, name: string): string {
  return path.resolve(path.dirname(file), name);
}

/** The path in a name that may have QEMU's prefix for files. */
function localName(file: string, name: string): string {
  if (name.startsWith("file:")) return name.slice("file:".length);
  // QEMU takes what stands before a colon for a protocol, unless a slash comes first.
  if (!/^[a-z][a-z0-9+.-]*:/i.test(name) || /^[a-z]:[\\/]/i.test(name)) return name;
  throw new BlockError("io", `${path.basename(file)} is based on ${name}, and only files are supported for that`);
}

async function openBacking(
  file: string,
  name: string,
  format: string | undefined,
  above: readonly string[],
): Promise<BlockDevice> {
  const own = await realpath(file).catch(() => file);
  const below = beside(own, localName(file, name));
  const realBelow = await realpath(below).catch((error: unknown) => {
    throw new BlockError("io", `${path.basename(file)} is based on ${below}: ${hostError("open it", error).message}`);
  });
  const chain = [...above, own];
  if (chain.includes(realBelow)) {
    throw new BlockError("io", `${path.basename(file)} is based on ${below}, which is based on it in turn`);
  }
  if (chain.length >= MOST_IMAGES) {
    throw new BlockError("io", `${above[0]} is based on more than ${MOST_IMAGES} images, one below the other`);
  }
  const store = await FileStore.open(below, { readOnly: true });
  let found: ImageFormat | undefined;
  try {
    // Images of before QEMU 6.1 may leave the format to be guessed.
    found =
      format === undefined
        ? await formatOf(await identifyStore(store))
        : await formatNamed(NAMES_OF_QEMU[format] ?? format);
    if (found === undefined) {
      const what = `which is said to have the format "${format?.replaceAll(/[^\x20-\x7e]/g, "?")}"`;
      throw new BlockError("io", `${path.basename(file)} is based on ${below}, ${what}: it is not supported`);
    }
  } catch (error) {
    await store.close();
    throw error;
  }
  return found.open(store, nodeImageHost(realBelow, chain), { readOnly: true });
}

/** Formats that QEMU calls otherwise. */
export const NAMES_OF_QEMU: Readonly<Record<string, string>> = { vpc: "vhd", file: "raw", host_device: "raw" };
