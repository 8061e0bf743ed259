/** The text that describes a VMDK image: which files it is made of, and what it is based on. Pure. */

import { decodeUtf8 } from "../../bits/utf8.ts";

/** The text in the sectors that are kept for it. */
export function descriptorOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decodeUtf8(end < 0 ? bytes : bytes.subarray(0, end));
}

export interface ExtentLine {
  readonly access: "RW" | "RDONLY" | "NOACCESS";
  /** Sectors. */
  readonly size: number;
  readonly type: string;
  readonly file: string;
  /** Sectors from the start of the file. */
  readonly offset: number;
}

export interface Descriptor {
  readonly type: string;
  readonly extents: readonly ExtentLine[];
  /** The image that this one is based on; undefined where there is none. */
  readonly parent: string | undefined;
  readonly hasParent: boolean;
}

const NO_PARENT = "ffffffff";
const MOST_EXTENTS = 1024;

/** Undefined where the text is no descriptor. */
export function parseDescriptor(text: string): Descriptor | undefined {
  const values = new Map<string, string>();
  const extents: ExtentLine[] = [];
  for (const line of text.split(/\r?\n/)) {
    const extent = /^\s*(RW|RDONLY|NOACCESS)\s+(\d{1,15})\s+([A-Z0-9]+)(?:\s+"([^"]*)"(?:\s+(\d{1,15}))?)?/.exec(line);
    if (extent !== null) {
      if (extents.length >= MOST_EXTENTS) return undefined;
      const [, access, size, type = "", file = "", offset = "0"] = extent;
      extents.push({ access: access as ExtentLine["access"], size: Number(size), type, file, offset: Number(offset) });
      continue;
    }
    const setting = /^\s*([A-Za-z][\w.]*)\s*=\s*"?([^"]*)"?\s*$/.exec(line);
    if (setting !== null) values.set((setting[1] as string).toLowerCase(), setting[2] as string);
  }
  const type = values.get("createtype");
  if (type === undefined) return undefined;
  const hasParent = (values.get("parentcid") ?? NO_PARENT).toLowerCase() !== NO_PARENT;
  return { type, extents, hasParent, parent: hasParent ? values.get("parentfilenamehint") : undefined };
}

export interface DescriptorFields {
  readonly contentId: number;
  readonly type: string;
  /** Sectors. */
  readonly size: number;
  readonly file: string;
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

export function descriptorText(fields: DescriptorFields): string {
  return [
    "# Disk DescriptorFile",
    "version=1",
    `CID=${fields.contentId.toString(16).padStart(8, "0")}`,
    `parentCID=${NO_PARENT}`,
    `createType="${fields.type}"`,
    "",
    "# Extent description",
    `RW ${fields.size} SPARSE "${fields.file}"`,
    "",
    "# The Disk Data Base",
    "#DDB",
    "",
    'ddb.virtualHWVersion = "4"',
    `ddb.geometry.cylinders = "${fields.cylinders}"`,
    `ddb.geometry.heads = "${fields.heads}"`,
    `ddb.geometry.sectors = "${fields.sectors}"`,
    'ddb.adapterType = "ide"',
    "",
  ].join("\n");
}
