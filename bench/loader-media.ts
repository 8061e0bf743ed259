/** Media that boot loaders start from, each with what its loader shows when it waits for somebody to choose. */
import { execFile } from "node:child_process";
import { access, copyFile, mkdir, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";

const GRUB = "/usr/lib/grub-rescue";
const GRUB_MENU = "highlighted";
const FLOPPY_BYTES = 1440 * 1024;

export interface LoaderMedium {
  readonly name: string;
  readonly drive: "cd" | "disk" | "floppy";
  /** A line of the screen that has it is the loader's prompt, as the source of a regular expression. */
  readonly prompt: string;
  /** Makes the medium in a directory; its path. Throws an error that names the Debian package which is missing. */
  make(directory: string): Promise<string>;
}

export const LOADER_MEDIA: readonly LoaderMedium[] = [
  { name: "GRUB, CD", drive: "cd", prompt: GRUB_MENU, make: () => rescueImage("grub-rescue-cdrom.iso") },
  { name: "GRUB, USB disk", drive: "disk", prompt: GRUB_MENU, make: () => rescueImage("grub-rescue-usb.img") },
  { name: "GRUB, floppy", drive: "floppy", prompt: GRUB_MENU, make: rescueFloppy },
  { name: "ISOLINUX, CD", drive: "cd", prompt: "^boot:", make: isolinuxDisc },
];

async function needed(file: string, debianPackage: string): Promise<string> {
  await access(file).catch(() => {
    throw new Error(`${file} is missing (Debian package ${debianPackage})`);
  });
  return file;
}

const rescueImage = (name: string) => needed(path.join(GRUB, name), "grub-rescue-pc");

/** The package's image is what a floppy begins with. */
async function rescueFloppy(directory: string): Promise<string> {
  const file = path.join(directory, "floppy.img");
  await copyFile(await rescueImage("grub-rescue-floppy.img"), file);
  await truncate(file, FLOPPY_BYTES);
  return file;
}

async function isolinuxDisc(directory: string): Promise<string> {
  const loader = await needed("/usr/lib/ISOLINUX/isolinux.bin", "isolinux");
  const library = await needed("/usr/lib/syslinux/modules/bios/ldlinux.c32", "syslinux-common");
  const root = path.join(directory, "files");
  await mkdir(path.join(root, "isolinux"), { recursive: true });
  await copyFile(loader, path.join(root, "isolinux/isolinux.bin"));
  await copyFile(library, path.join(root, "isolinux/ldlinux.c32"));
  await writeFile(path.join(root, "isolinux/isolinux.cfg"), "prompt 1\nlabel linux\n  kernel /vmlinuz\n");
  const disc = path.join(directory, "isolinux.iso");
  const loading = ["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4"];
  const args = ["-as", "mkisofs", "-quiet", "-J", "-R", "-o", disc, ...loading, "-boot-info-table", root];
  await promisify(execFile)("xorriso", args).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? new Error("xorriso is not installed (Debian package xorriso)") : error;
  });
  return disc;
}
