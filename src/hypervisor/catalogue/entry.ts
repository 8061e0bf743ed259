/** Catalogue entries: the guests that can be made ready by name, as data in `catalogue/*.json`. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { DebianArchitecture } from "./apt.ts";
import { CatalogueError } from "./failure.ts";

interface Guest {
  /** The file's name without `.json`, and what `bunk run` is given. */
  readonly name: string;
  /** One line for lists. */
  readonly label: string;
  /** Kernel command line. */
  readonly append: string;
  /** Memory with which the guest works well. */
  readonly memoryMiB: number;
}

interface DebianGuest extends Guest {
  readonly architecture: DebianArchitecture;
  /** Codename of the release. */
  readonly suite: string;
  readonly backports: boolean;
}

/** A Debian kernel with an initial file system of BusyBox, modules and a few files of ours. */
export interface DebianBusyboxEntry extends DebianGuest {
  readonly builder: "debian-busybox";
  /** Names of packages. */
  readonly kernel: string;
  readonly busybox: string;
  readonly modules: readonly string[];
  /** Paths in the guest, each with the file of the catalogue that goes there; scripts become executable. */
  readonly files: Readonly<Record<string, string>>;
}

/** Debian's installer as its netboot packages hold it. */
export interface DebianInstallerEntry extends DebianGuest {
  readonly builder: "debian-installer";
  readonly package: string;
  /** Paths in the package. */
  readonly kernel: string;
  readonly initrd: string;
}

/** Kernel and initrd of another entry, with a root file system of Debian packages on a disk. */
export interface DebianDiskEntry extends Guest {
  readonly builder: "debian-disk";
  /** Name of the `debian-busybox` entry that mounts the disk. */
  readonly base: string;
  /** Packages besides the essential ones, or apt patterns. */
  readonly packages: readonly string[];
  /** Size of the disk; the image is sparse. */
  readonly diskMiB: number;
  readonly files: Readonly<Record<string, string>>;
}

export type CatalogueEntry = DebianBusyboxEntry | DebianInstallerEntry | DebianDiskEntry;

/** Where the catalogue lies in a checkout and in the package. */
export const CATALOGUE_DIRECTORY: string = fileURLToPath(new URL("../../../catalogue/", import.meta.url));

/** Reads and checks all entries, sorted by name. */
export async function loadCatalogue(directory: string = CATALOGUE_DIRECTORY): Promise<CatalogueEntry[]> {
  const names = await entryNames(directory);
  return Promise.all(names.map((name) => loadEntry(name, directory)));
}

/** Reads and checks one entry. */
export async function loadEntry(name: string, directory: string = CATALOGUE_DIRECTORY): Promise<CatalogueEntry> {
  const known = await entryNames(directory);
  if (!known.includes(name)) throw new CatalogueError({ kind: "guest-unknown", name, known });
  const file = `${name}.json`;
  return parseEntry(await readFile(path.join(directory, file), "utf8"), file);
}

async function entryNames(directory: string): Promise<string[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith(".json"));
  return files.map((file) => path.basename(file, ".json")).sort();
}

type Kind = "text" | "texts" | "size" | "flag" | "architecture" | "files";

const GUEST = { label: "text", append: "text", memoryMiB: "size" } as const;
const DEBIAN = { ...GUEST, architecture: "architecture", suite: "text", backports: "flag" } as const;
const FIELDS: Readonly<Record<CatalogueEntry["builder"], Readonly<Record<string, Kind>>>> = {
  "debian-busybox": { ...DEBIAN, kernel: "text", busybox: "text", modules: "texts", files: "files" },
  "debian-installer": { ...DEBIAN, package: "text", kernel: "text", initrd: "text" },
  "debian-disk": { ...GUEST, base: "text", packages: "texts", diskMiB: "size", files: "files" },
};

const EXPECTED: Readonly<Record<Kind, string>> = {
  text: "a text",
  texts: "a list of texts",
  size: "a positive whole number",
  flag: "true or false",
  architecture: '"amd64" or "i386"',
  files: "an object of absolute guest paths, each with a file of the catalogue",
};

/** Checks the text of a catalogue file. Throws CatalogueError with the file, the field and what it should be. */
export function parseEntry(text: string, file: string): CatalogueEntry {
  const fail = (problem: string) => new CatalogueError({ kind: "entry-invalid", file, problem });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fail(`not JSON: ${(error as Error).message}`);
  }
  if (!isRecord(value)) throw fail("must be an object");
  const { builder, ...given } = value;
  const fields =
    typeof builder === "string" && Object.hasOwn(FIELDS, builder) && FIELDS[builder as keyof typeof FIELDS];
  if (!fields) throw fail(`"builder" must be one of: ${Object.keys(FIELDS).join(", ")}`);
  for (const [name, kind] of Object.entries(fields)) {
    if (!fits(given[name], kind)) throw fail(`"${name}" must be ${EXPECTED[kind]}`);
  }
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(fields, name)) throw fail(`"${name}" is no field of a ${builder} entry`);
  }
  // The loop above has checked each field of the variant that `builder` selects.
  return { name: path.basename(file, ".json"), builder, ...given } as unknown as CatalogueEntry;
}

function fits(value: unknown, kind: Kind): boolean {
  switch (kind) {
    case "text":
      return typeof value === "string" && value !== "";
    case "texts":
      return Array.isArray(value) && value.every((item) => fits(item, "text"));
    case "size":
      return Number.isSafeInteger(value) && (value as number) > 0;
    case "flag":
      return typeof value === "boolean";
    case "architecture":
      return value === "amd64" || value === "i386";
    case "files":
      return isRecord(value) && Object.entries(value).every(([to, from]) => to.startsWith("/") && isInnerPath(from));
  }
}

/** A relative path that stays within the catalogue. */
function isInnerPath(value: unknown): boolean {
  return fits(value, "text") && !path.isAbsolute(value as string) && !(value as string).split("/").includes("..");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
