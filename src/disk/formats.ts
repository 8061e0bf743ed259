/** The image formats that are there. */
import type { Content } from "./identify.ts";
import type { FormatName, ImageFormat } from "./image-format.ts";
import { qcow2 } from "./qcow2/format.ts";
import { raw } from "./raw/format.ts";
import { vdi } from "./vdi/format.ts";
import { vhd } from "./vhd/format.ts";
import { vhdx } from "./vhdx/format.ts";
import { vmdk } from "./vmdk/format.ts";

export const FORMATS: readonly ImageFormat[] = [raw, qcow2, vmdk, vdi, vhd, vhdx];

export const FORMAT_NAMES: readonly FormatName[] = FORMATS.map(({ name }) => name);

export function formatNamed(name: string): ImageFormat | undefined {
  return FORMATS.find((format) => format.name === name);
}

/** The format of an image with this content. What is no known image is a raw one. */
export function formatOf({ kind }: Content): ImageFormat {
  return FORMATS.find(({ content }) => content.includes(kind)) ?? raw;
}
