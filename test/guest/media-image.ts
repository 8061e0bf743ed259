/** Bootable discs with a kernel and its initial RAM disk, made by the tools that distributions make theirs with. */
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { directoryOf } from "./media-machine.ts";
import { packagedFile } from "./packaged-file.ts";

const run = promisify(execFile);
/** Loaders that this host may have, for grub-mkrescue. */
const GRUB_MODULES = "/usr/lib/grub/i386-pc";

export interface LinuxOnDisc {
  readonly kernel: Uint8Array;
  readonly initrd: Uint8Array;
  readonly commandLine: string;
}

/** Runs a program; false, with the test skipped, where this host does not have it. */
async function ran(t: TestContext, name: string, args: readonly string[], debianPackage: string): Promise<boolean> {
  try {
    await run(name, args);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    t.skip(`needs the package ${debianPackage}`);
    return false;
  }
}

async function tree(t: TestContext, files: Readonly<Record<string, Uint8Array | string>>): Promise<string> {
  const root = path.join(await directoryOf(t), "files");
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(root, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
  }
  return root;
}

/** A disc that ISOLINUX starts, at its prompt; undefined, with the test skipped, where this host cannot make one. */
export async function isolinuxDisc(t: TestContext, linux: LinuxOnDisc): Promise<string | undefined> {
  const loader = await packagedFile(t, "isolinux", "usr/lib/ISOLINUX/isolinux.bin");
  const library = loader && (await packagedFile(t, "syslinux-common", "usr/lib/syslinux/modules/bios/ldlinux.c32"));
  if (!loader || !library) return undefined;
  const root = await tree(t, {
    "isolinux/isolinux.bin": loader,
    "isolinux/ldlinux.c32": library,
    "isolinux/isolinux.cfg": [
      "prompt 1",
      "say Type linux to start it.",
      "label linux",
      "  kernel /vmlinuz",
      "  initrd /initrd.gz",
      `  append ${linux.commandLine}`,
      "",
    ].join("\n"),
    vmlinuz: linux.kernel,
    "initrd.gz": linux.initrd,
  });
  const image = path.join(path.dirname(root), "isolinux.iso");
  const loading = ["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4"];
  const args = ["-as", "mkisofs", "-quiet", "-J", "-R", "-o", image, ...loading, "-boot-info-table", root];
  return (await ran(t, "xorriso", args, "xorriso")) ? image : undefined;
}

/** A disc of grub-mkrescue with a menu of one entry; undefined, with the test skipped, where this host cannot make one. */
export async function grubDisc(t: TestContext, linux: LinuxOnDisc): Promise<string | undefined> {
  const root = await tree(t, {
    "boot/grub/grub.cfg": [
      "set timeout=-1",
      'menuentry "Linux" {',
      `  linux /boot/vmlinuz ${linux.commandLine}`,
      "  initrd /boot/initrd.gz",
      "}",
      "",
    ].join("\n"),
    "boot/vmlinuz": linux.kernel,
    "boot/initrd.gz": linux.initrd,
  });
  const image = path.join(path.dirname(root), "grub.iso");
  if (!(await ran(t, "xorriso", ["-version"], "xorriso"))) return undefined;
  if (!(await ran(t, "mformat", ["--version"], "mtools"))) return undefined;
  const args = [`--directory=${GRUB_MODULES}`, "-o", image, root];
  return (await ran(t, "grub-mkrescue", args, "grub-common, with grub-pc-bin")) ? image : undefined;
}
