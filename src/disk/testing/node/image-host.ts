/** What image formats need of a host, with files in memory. */

import { SeededRandom } from "../../../bits/testing/seeded-random.ts";
import type { BlockDevice } from "../../block-device.ts";
import { BlockError } from "../../block-device.ts";
import type { ByteStore } from "../../byte-store.ts";
import type { ImageHost } from "../../image-format.ts";
import { nodeDecompressor } from "../../node/decompress.ts";

export interface Files {
  /** Images that others are based on, by name. */
  readonly backing?: Readonly<Record<string, () => BlockDevice | Promise<BlockDevice>>>;
  readonly parts?: Readonly<Record<string, () => ByteStore>>;
}

/** The same identifiers every time. */
export function imageHost({ backing = {}, parts = {} }: Files = {}): ImageHost {
  const random = new SeededRandom(77);
  return {
    decompressor: nodeDecompressor,
    async openBacking(name) {
      const open = backing[name];
      if (open === undefined) throw new BlockError("io", `there is no ${name}`);
      return open();
    },
    async openPart(name) {
      const open = parts[name];
      if (open === undefined) throw new BlockError("io", `there is no ${name}`);
      return open();
    },
    randomBytes: (length) => Uint8Array.from({ length }, () => random.below(256)),
    now: () => 1_700_000_000,
  };
}
