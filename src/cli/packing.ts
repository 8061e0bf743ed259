/** The ways in which disk images are packed that `unpack-image.ts` knows. */
import type { Content } from "../disk/identify.ts";

export type Packing = "gzip" | "xz" | "zstd";

const PACKINGS: Readonly<Record<string, Packing>> = {
  "a gzip file": "gzip",
  "an xz file": "xz",
  "a zstd file": "zstd",
};

/** How a file of this content is packed; undefined where it is in no way that is known here. */
export const packingOf = ({ phrase }: Content): Packing | undefined => PACKINGS[phrase];
