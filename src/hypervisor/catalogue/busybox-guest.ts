/** A Debian kernel with an initial file system of BusyBox, the modules for our devices, and files of the catalogue. */
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { AptCache, AptPackage } from "./apt.ts";
import { type BuildContext, type GuestFile, readGuestFiles } from "./build-context.ts";
import { busyboxApplets } from "./busybox.ts";
import { type CpioEntry, writeCpio } from "./cpio.ts";
import type { DebianBusyboxEntry } from "./entry.ts";
import { CatalogueError } from "./failure.ts";
import type { GuestManifest } from "./guest-store.ts";
import { collectModules, type KernelModule, modulesAlias, modulesDep } from "./kernel-modules.ts";

/** Fills `directory` with the entry's kernel and initrd. */
export async function buildBusyboxGuest(
  entry: DebianBusyboxEntry,
  directory: string,
  context: BuildContext,
  apt: AptCache,
): Promise<GuestManifest> {
  const kernelPackage = await apt.resolve(entry.kernel);
  const busyboxPackage = await apt.resolve(entry.busybox);
  const [kernelArchive = "", busyboxArchive = ""] = await apt.download([kernelPackage, busyboxPackage]);

  const unpacked = await mkdtemp(path.join(directory, "unpacked-"));
  context.progress.step("unpacking the kernel");
  await apt.extract(kernelArchive, unpacked, ["./boot/vmlinuz-*", "*lib/modules/*"]);
  await copyFile(await findKernel(unpacked, kernelPackage), path.join(directory, "kernel"));
  await apt.extract(busyboxArchive, unpacked, ["*bin/busybox"]);
  const busybox = await readFirst([path.join(unpacked, "bin/busybox"), path.join(unpacked, "usr/bin/busybox")]);
  if (!busybox) throw lacks(busyboxPackage, "bin/busybox");
  const source = await moduleDirectory(unpacked, kernelPackage);
  const read = (file: string) => apt.readDecompressed(file);
  const modules = await collectModules({ ...source, packageName: kernelPackage.name, read }, entry.modules);
  await rm(unpacked, { recursive: true, force: true });

  context.progress.step("making the initial file system");
  const files = await readGuestFiles(entry.files, context);
  // Uncompressed: an emulated processor would need longer to decompress than a host to read a few megabytes.
  await writeFile(path.join(directory, "initrd"), writeCpio(initramfs(busybox, source.version, modules, files)));
  return {
    label: entry.label,
    kernel: "kernel",
    initrd: "initrd",
    append: entry.append,
    memoryMiB: entry.memoryMiB,
    packages: Object.fromEntries([kernelPackage, busyboxPackage].map((item) => [item.name, item.version])),
  };
}

/** The files of the initrd. Every program is in `/bin`; the other directories for programs lead there. */
export function initramfs(
  busybox: Uint8Array,
  version: string,
  modules: readonly KernelModule[],
  files: readonly GuestFile[],
): CpioEntry[] {
  const executable = 0o755;
  const moduleDirectory = `/lib/modules/${version}`;
  const text = (content: string) => new TextEncoder().encode(content);
  const applets = busyboxApplets(busybox).filter((name) => name !== "busybox");
  return [
    { kind: "file", path: "/bin/busybox", permissions: executable, content: busybox },
    ...applets.map((name): CpioEntry => ({ kind: "symlink", path: `/bin/${name}`, target: "busybox" })),
    { kind: "symlink", path: "/sbin", target: "bin" },
    { kind: "symlink", path: "/usr/bin", target: "../bin" },
    { kind: "symlink", path: "/usr/sbin", target: "../bin" },
    ...["dev", "mnt", "proc", "root", "run", "sys", "tmp"].map((path): CpioEntry => ({ kind: "directory", path })),
    // The kernel opens it for the first process, before that can mount anything.
    { kind: "character-device", path: "/dev/console", major: 5, minor: 1 },
    { kind: "symlink", path: "/etc/mtab", target: "/proc/mounts" },
    ...files.map((file): CpioEntry => ({ kind: "file", ...file })),
    ...modules.map(({ path, content }): CpioEntry => ({ kind: "file", path: `${moduleDirectory}/${path}`, content })),
    { kind: "file", path: `${moduleDirectory}/modules.dep`, content: text(modulesDep(modules)) },
    { kind: "file", path: `${moduleDirectory}/modules.alias`, content: text(modulesAlias(modules)) },
  ];
}

async function findKernel(unpacked: string, kernelPackage: AptPackage): Promise<string> {
  const boot = path.join(unpacked, "boot");
  const [name] = (await readdir(boot)).filter((file) => file.startsWith("vmlinuz-"));
  if (name === undefined) throw lacks(kernelPackage, "boot/vmlinuz-*");
  return path.join(boot, name);
}

/** The directory of the only kernel's modules in an unpacked package, and that kernel's version. */
export async function moduleDirectory(unpacked: string, kernelPackage: AptPackage) {
  for (const parent of ["lib/modules", "usr/lib/modules"]) {
    const [version] = await readdir(path.join(unpacked, parent)).catch(() => []);
    if (version !== undefined) return { version, directory: path.join(unpacked, parent, version) };
  }
  throw lacks(kernelPackage, "lib/modules");
}

async function readFirst(files: readonly string[]): Promise<Uint8Array | undefined> {
  for (const file of files) {
    const content = await readFile(file).catch(() => undefined);
    if (content) return content;
  }
  return undefined;
}

function lacks({ name }: AptPackage, what: string): CatalogueError {
  return new CatalogueError({ kind: "package-lacks", name, lacks: what });
}
