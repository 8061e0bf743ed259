/** Raw images as one of the formats of formats.ts. */
import { byteOffset, MIB } from "../../bits/units.ts";
import type { ByteStore } from "../byte-store.ts";
import { ImageError } from "../image-error.ts";
import type { CreateOptions, ImageDisk, ImageFormat, ImageInfo, OpenOptions } from "../image-format.ts";
import { RawDisk } from "./raw-disk.ts";

/** A raw disk that says what it is. */
class RawImage extends RawDisk implements ImageDisk {
  readonly info: ImageInfo;

  constructor(store: ByteStore, { readOnly }: OpenOptions) {
    super(store, { readOnly });
    this.info = { format: "raw", size: this.size };
  }
}

export const raw: ImageFormat = {
  name: "raw",
  async open(store, _host, options) {
    if (options.snapshot === undefined) return new RawImage(store, options);
    await store.close();
    const problem = { kind: "no-snapshots" } as const;
    throw new ImageError(store.name, problem, "is a raw image, which has no snapshots; convert it to qcow2");
  },
  create,
  async resize(store, _host, size, { shrink }) {
    if (size < store.size && !shrink) {
      const problem = { kind: "shrink-not-asked" } as const;
      const text = `would lose what lies beyond ${size} bytes of ${store.size}; add --shrink if that is wanted`;
      throw new ImageError(store.name, problem, text);
    }
    await store.resize(size);
    await store.flush();
  },
};

/** Bytes of zeros written at once. */
const PIECE = MIB;

async function create(store: ByteStore, _host: unknown, options: CreateOptions): Promise<void> {
  const { size, preallocation = "off", report } = options;
  if (options.backing !== undefined) {
    const problem = { kind: "no-backing" } as const;
    throw new ImageError(store.name, problem, "a raw image cannot be based on another; use --format qcow2");
  }
  await store.resize(size);
  if (preallocation === "full" || preallocation === "falloc") {
    const isReserved = preallocation === "falloc" && (await store.reserve(byteOffset(0), size));
    const zeros = new Uint8Array(isReserved ? 0 : Math.min(PIECE, size));
    for (let at = 0; !isReserved && at < size; at += PIECE) {
      await store.write(byteOffset(at), zeros.subarray(0, size - at));
      report?.(at / size);
    }
  }
  await store.flush();
}
