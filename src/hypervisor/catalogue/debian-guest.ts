/** Makes guests of the catalogue ready to boot: built once from the host's package sources, then taken from the cache. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { BuildContext } from "./build-context.ts";
import { CATALOGUE_DIRECTORY, type CatalogueEntry, loadEntry } from "./entry.ts";
import { CatalogueError } from "./failure.ts";
import { defaultCacheDirectory, type GuestManifest, GuestStore } from "./guest-store.ts";
import { type Progress, silentProgress } from "./progress.ts";

/** A guest on the host's disk. Paths are absolute. */
export interface PreparedGuest extends GuestManifest {
  readonly name: string;
}

export interface PrepareOptions {
  /** By default the user's cache; see `defaultCacheDirectory`. */
  readonly cacheDirectory?: string;
  readonly catalogueDirectory?: string;
  readonly progress?: Progress;
  /** Build anew, from the packages that are the newest now. */
  readonly refresh?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** To be raised where the same entry gives other files than before. */
const BUILDERS_VERSION = 1;

/** The named guest, ready to boot. Throws CatalogueError with a message of one line that says what to do. */
export async function prepareGuest(name: string, options: PrepareOptions = {}): Promise<PreparedGuest> {
  const context = contextOf(options);
  const { refresh = false } = options;
  const entry = await loadEntry(name, context.catalogueDirectory);
  const recipe = await describeRecipe(entry, context);
  const store = new GuestStore(context.cacheDirectory);
  const ready =
    (refresh ? undefined : await store.find(name, recipe)) ??
    (await store.build(name, recipe, (directory) => build(entry, directory, context), {
      replace: refresh,
      progress: context.progress,
      signal: options.signal,
    }));
  context.progress.finish();
  return preparedGuest(name, ready);
}

/** The named guest where it is ready already; undefined where `prepareGuest` would have to build it. */
export async function findGuest(
  name: string,
  options: Pick<PrepareOptions, "cacheDirectory" | "catalogueDirectory"> = {},
): Promise<PreparedGuest | undefined> {
  const context = contextOf(options);
  const entry = await loadEntry(name, context.catalogueDirectory);
  const ready = await new GuestStore(context.cacheDirectory).find(name, await describeRecipe(entry, context));
  return ready && preparedGuest(name, ready);
}

function contextOf(options: PrepareOptions): BuildContext {
  return {
    catalogueDirectory: options.catalogueDirectory ?? CATALOGUE_DIRECTORY,
    cacheDirectory: path.resolve(options.cacheDirectory ?? defaultCacheDirectory()),
    progress: options.progress ?? silentProgress,
    signal: options.signal,
  };
}

function preparedGuest(
  name: string,
  { directory, manifest }: { directory: string; manifest: GuestManifest },
): PreparedGuest {
  return {
    ...manifest,
    name,
    kernel: path.join(directory, manifest.kernel),
    initrd: path.join(directory, manifest.initrd),
    ...(manifest.disk === undefined ? {} : { disk: path.join(directory, manifest.disk) }),
  };
}

/** Builders are loaded where one is needed: guests are mostly ready. */
async function build(entry: CatalogueEntry, directory: string, context: BuildContext): Promise<GuestManifest> {
  const { withApt } = await import("./build-context.ts");
  switch (entry.builder) {
    case "debian-busybox": {
      const { buildBusyboxGuest } = await import("./busybox-guest.ts");
      return withApt(entry, context, (apt) => buildBusyboxGuest(entry, directory, context, apt));
    }
    case "debian-installer": {
      const { buildInstallerGuest } = await import("./installer-guest.ts");
      return withApt(entry, context, (apt) => buildInstallerGuest(entry, directory, context, apt));
    }
    case "debian-disk": {
      const { buildDiskGuest } = await import("./debian-disk.ts");
      const base = await baseOf(entry.base, context);
      return withApt(base, context, (apt) => buildDiskGuest(entry, base, directory, context, apt));
    }
  }
}

async function baseOf(name: string, { catalogueDirectory }: BuildContext) {
  const base = await loadEntry(name, catalogueDirectory);
  if (base.builder === "debian-busybox") return base;
  throw new CatalogueError({ kind: "entry-invalid", file: `${name}.json`, problem: "cannot be the base of a disk" });
}

/** A text that changes with everything on our side that the guest is made of. */
async function describeRecipe(entry: CatalogueEntry, context: BuildContext): Promise<string> {
  const base = entry.builder === "debian-disk" ? await describeRecipe(await baseOf(entry.base, context), context) : "";
  const files = "files" in entry ? Object.values(entry.files) : [];
  const contents = await Promise.all(
    files.map((file) => readFile(path.join(context.catalogueDirectory, file), "utf8")),
  );
  return JSON.stringify([BUILDERS_VERSION, entry, contents, base]);
}
