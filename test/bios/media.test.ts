/** Boot loaders of Debian's packages on discs, floppies and disks reach their prompts. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { FileStore } from "../../src/disk/node/file-store.ts";
import { RawDisk } from "../../src/disk/raw/raw-disk.ts";
import { biosGuest, needs, screenWith } from "./bios-guest.ts";

const program = (t: TestContext, name: string, debianPackage: string) => needs(t, `/usr/bin/${name}`, debianPackage);

async function directoryFor(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-bios-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

async function open(t: TestContext, file: string): Promise<RawDisk> {
  const disk = new RawDisk(await FileStore.open(file, { readOnly: true }));
  t.after(() => disk.close());
  return disk;
}

const GRUB = "/usr/lib/grub-rescue";
const MEMORY = 64 << 20;

for (const [what, file, place] of [
  ["a CD", "grub-rescue-cdrom.iso", "cd"],
  ["a USB disk's image", "grub-rescue-usb.img", "disk"],
  ["an image for a floppy drive, on a disk", "grub-rescue-floppy.img", "disk"],
] as const) {
  test(`GRUB's rescue system starts from ${what}`, async (t) => {
    if (!needs(t, `${GRUB}/${file}`, "grub-rescue-pc")) return;
    const device = await open(t, `${GRUB}/${file}`);
    const guest = await biosGuest({
      memory: MEMORY,
      ...(place === "cd" ? { cdroms: [{ medium: device }] } : { disks: [{ device }] }),
    });
    const shown = await screenWith(guest, /GNU GRUB {2}version[\s\S]*highlighted|grub>/);
    assert.match(shown, /GNU GRUB|grub>/);
  });
}

test("ISOLINUX shows its prompt, from a disc that xorriso makes", async (t) => {
  const loader = "/usr/lib/ISOLINUX/isolinux.bin";
  if (!needs(t, loader, "isolinux") || !program(t, "xorriso", "xorriso")) return;
  const directory = await directoryFor(t);
  const files = path.join(directory, "files");
  await mkdir(files);
  await copyFile(loader, path.join(files, "isolinux.bin"));
  await copyFile("/usr/lib/syslinux/modules/bios/ldlinux.c32", path.join(files, "ldlinux.c32"));
  await writeFile(path.join(files, "isolinux.cfg"), "PROMPT 1\nSAY what there is to start\nDEFAULT none\n");
  const image = path.join(directory, "disc.iso");
  const options = ["-as", "mkisofs", "-quiet", "-o", image, "-b", "isolinux.bin", "-c", "boot.cat", "-no-emul-boot"];
  execFileSync("xorriso", [...options, "-boot-load-size", "4", "-boot-info-table", files], { stdio: "pipe" });
  const guest = await biosGuest({ memory: MEMORY, cdroms: [{ medium: await open(t, image) }] });
  const shown = await screenWith(guest, /^boot: *$/m);
  assert.match(shown, /ISOLINUX \d.*\n(.*\n)*what there is to start/);
});

test("SYSLINUX shows its prompt, from a FAT floppy", async (t) => {
  if (!program(t, "syslinux", "syslinux") || !program(t, "mformat", "mtools")) return;
  const directory = await directoryFor(t);
  const image = path.join(directory, "floppy.img");
  await writeFile(image, new Uint8Array(1440 * 1024));
  execFileSync("mformat", ["-i", image, "-f", "1440", "::"]);
  execFileSync("syslinux", ["--install", image], { stdio: "pipe" });
  await writeFile(path.join(directory, "syslinux.cfg"), "PROMPT 1\nDEFAULT none\n");
  execFileSync("mcopy", ["-i", image, path.join(directory, "syslinux.cfg"), "::syslinux.cfg"]);
  const guest = await biosGuest({ memory: MEMORY, floppies: [{ type: "1.44M", device: await open(t, image) }] });
  const shown = await screenWith(guest, /^boot: *$/m);
  assert.match(shown, /SYSLINUX/);
});

test("a disc of grub-mkrescue runs its script, on the serial line too", async (t) => {
  if (!program(t, "grub-mkrescue", "grub-common") || !needs(t, "/usr/lib/grub/i386-pc", "grub-pc-bin")) return;
  if (!program(t, "xorriso", "xorriso") || !program(t, "mformat", "mtools")) return;
  const directory = await directoryFor(t);
  const files = path.join(directory, "files");
  await mkdir(path.join(files, "boot/grub"), { recursive: true });
  await writeFile(path.join(files, "boot/grub/grub.cfg"), 'echo "from the script"\nhalt\n');
  const image = path.join(directory, "disc.iso");
  execFileSync("grub-mkrescue", ["-o", image, files], { stdio: "pipe" });
  const guest = await biosGuest({
    memory: MEMORY,
    cdroms: [{ medium: await open(t, image) }],
    bios: { serialScreen: true },
  });
  assert.deepEqual(await guest.machine.run(), { kind: "power-off" });
  assert.match(guest.serial(), /from the script/);
});

test("Memtest86+ starts through GRUB's 16-bit entry and finds the memory map", async (t) => {
  const kernel = "/boot/memtest86+x64.bin";
  if (!needs(t, kernel, "memtest86+") || !program(t, "grub-mkrescue", "grub-common")) return;
  if (!needs(t, "/usr/lib/grub/i386-pc", "grub-pc-bin") || !program(t, "xorriso", "xorriso")) return;
  const directory = await directoryFor(t);
  const files = path.join(directory, "files");
  await mkdir(path.join(files, "boot/grub"), { recursive: true });
  await writeFile(path.join(files, "memtest"), await readFile(kernel));
  await writeFile(path.join(files, "boot/grub/grub.cfg"), "linux16 /memtest\nboot\n");
  const image = path.join(directory, "disc.iso");
  execFileSync("grub-mkrescue", ["-o", image, files], { stdio: "pipe" });
  const guest = await biosGuest({ memory: MEMORY, cdroms: [{ medium: await open(t, image) }] });
  // The frame of the screen is there before what it is filled with.
  const shown = await screenWith(guest, /Memory +: +\d[\s\S]*Pass:[\s\S]*Errors/);
  assert.match(shown, /Memory +: +64MB|Memory +: +6[34]/);
});
