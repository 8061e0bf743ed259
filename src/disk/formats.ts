/** The image formats that are there, each loaded when it is met. */
import type { Content } from "./identify.ts";
import type { FormatName, ImageFormat } from "./image-format.ts";

const LOADERS: Readonly<Record<FormatName, () => Promise<ImageFormat>>> = {
  raw: async () => (await import("./raw/format.ts")).raw,
  qcow2: async () => (await import("./qcow2/format.ts")).qcow2,
  vmdk: async () => (await import("./vmdk/format.ts")).vmdk,
  vdi: async () => (await import("./vdi/format.ts")).vdi,
  vhd: async () => (await import("./vhd/format.ts")).vhd,
  vhdx: async () => (await import("./vhdx/format.ts")).vhdx,
};

export const FORMAT_NAMES = Object.keys(LOADERS) as FormatName[];

export async function formatNamed(name: string): Promise<ImageFormat | undefined> {
  const known = FORMAT_NAMES.find((format) => format === name);
  return known && LOADERS[known]();
}

/** The format of an image with this content, which identification calls as the format. What is no known image is a raw one. */
export async function formatOf({ kind }: Content): Promise<ImageFormat> {
  return (await formatNamed(kind)) ?? LOADERS.raw();
}
