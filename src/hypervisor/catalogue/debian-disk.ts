/**
 * A Debian system on a disk: a raw ext4 image without a partition table, made from packages of the host's
 * sources, for the kernel and initrd of a `debian-busybox` entry. `root` has no password and is logged in on
 * the serial console.
 *
 * Needs root, or an ordinary user with subordinate user ids (package uidmap), since a system's files belong to
 * several users.
 */
import { chmod, link, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import type { AptCache } from "./apt.ts";
import { type BuildContext, readGuestFiles } from "./build-context.ts";
import { buildBusyboxGuest, moduleDirectory } from "./busybox-guest.ts";
import type { DebianBusyboxEntry, DebianDiskEntry } from "./entry.ts";
import { CatalogueError } from "./failure.ts";
import type { GuestManifest } from "./guest-store.ts";
import { runTool } from "./host-tool.ts";
import { ROOT_SCRIPT } from "./root-script.ts";

const IMAGE = "disk.raw";

/** Fills `directory` with the base's kernel and initrd, and the disk. */
export async function buildDiskGuest(
  entry: DebianDiskEntry,
  base: DebianBusyboxEntry,
  directory: string,
  context: BuildContext,
  apt: AptCache,
): Promise<GuestManifest> {
  const namespace = await rootNamespace(context.signal);
  const boot = await buildBusyboxGuest(base, directory, context, apt);
  const work = await mkdtemp(path.join(directory, "disk-"));
  const modules = await unpackKernelModules(base, apt, path.join(work, "kernel"));
  const packages = await apt.resolveWithDependencies(entry.packages);
  const archives = await apt.download(packages);
  const places = await layOut(entry, archives, work, context);

  context.progress.step("installing Debian on the disk");
  const image = path.join(directory, IMAGE);
  const args = [places.root, places.packages, modules, places.files, image, String(entry.diskMiB)];
  const [tool, ...namespaceArgs] = [...namespace, "sh", "-s", "--", ...args] as [string, ...string[]];
  await runTool(tool, namespaceArgs, { input: ROOT_SCRIPT, signal: context.signal });
  await chmod(image, 0o444);
  await rm(work, { recursive: true, force: true });
  return {
    ...boot,
    label: entry.label,
    append: entry.append,
    memoryMiB: entry.memoryMiB,
    disk: IMAGE,
    packages: { ...boot.packages, ...Object.fromEntries(packages.map(({ name, version }) => [name, version])) },
  };
}

/** The command that runs another as root, in mount and process namespaces of its own where that is possible. */
async function rootNamespace(signal: AbortSignal | undefined): Promise<string[]> {
  const isRoot = process.geteuid?.() === 0;
  const separate = ["unshare", "--mount", "--pid", "--fork", "--kill-child"];
  const command = isRoot ? separate : [...separate, "--map-root-user", "--map-auto"];
  try {
    await runTool("unshare", [...command.slice(1), "true"], { signal });
    return command;
  } catch (error) {
    if (!(error instanceof CatalogueError)) throw error;
    if (isRoot) return ["env"];
    throw new CatalogueError({
      kind: "no-root-filesystem",
      said: error.failure.kind === "tool-failed" ? error.failure.said : "",
    });
  }
}

/** Directories with what the script reads. */
async function layOut(entry: DebianDiskEntry, archives: readonly string[], work: string, context: BuildContext) {
  const places = {
    root: path.join(work, "root"),
    packages: path.join(work, "packages"),
    files: path.join(work, "files"),
  };
  for (const place of Object.values(places)) await mkdir(place);
  for (const archive of archives) await link(archive, path.join(places.packages, path.basename(archive)));
  for (const file of await readGuestFiles(entry.files, context)) {
    const target = path.join(places.files, file.path);
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, file.content, { mode: file.permissions });
  }
  return places;
}

/** The whole module tree of the base's kernel; returns its directory, which is named after the version. */
async function unpackKernelModules(base: DebianBusyboxEntry, apt: AptCache, directory: string): Promise<string> {
  const kernel = await apt.resolve(base.kernel);
  const [archive = ""] = await apt.download([kernel]);
  await apt.extract(archive, directory, ["*lib/modules/*"]);
  return (await moduleDirectory(directory, kernel)).directory;
}
