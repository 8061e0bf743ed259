/** Debian's installer: kernel and initrd as the netboot packages hold them. */
import { mkdtemp, rename, rm } from "node:fs/promises";
import path from "node:path";
import type { AptCache } from "./apt.ts";
import type { BuildContext } from "./build-context.ts";
import type { DebianInstallerEntry } from "./entry.ts";
import type { GuestManifest } from "./guest-store.ts";

/** Fills `directory` with the installer's kernel and initrd. */
export async function buildInstallerGuest(
  entry: DebianInstallerEntry,
  directory: string,
  context: BuildContext,
  apt: AptCache,
): Promise<GuestManifest> {
  const installer = await apt.resolve(entry.package);
  const [archive = ""] = await apt.download([installer]);
  context.progress.step("unpacking the installer");
  const unpacked = await mkdtemp(path.join(directory, "unpacked-"));
  await apt.extract(archive, unpacked, [`./${entry.kernel}`, `./${entry.initrd}`]);
  await rename(path.join(unpacked, entry.kernel), path.join(directory, "kernel"));
  // Kept compressed: unpacked it would need another 100 MB of guest memory to save a second of the boot.
  await rename(path.join(unpacked, entry.initrd), path.join(directory, "initrd"));
  await rm(unpacked, { recursive: true, force: true });
  return {
    label: entry.label,
    kernel: "kernel",
    initrd: "initrd",
    append: entry.append,
    memoryMiB: entry.memoryMiB,
    packages: { [installer.name]: installer.version },
  };
}
