/** Linux from media that the machine's own BIOS boots: ISOLINUX and GRUB on discs, GRUB on a disk's image. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { PreparedGuest } from "../../src/hypervisor/catalogue/debian-guest.ts";
import { VirtualMachine, type VirtualMachineOptions } from "../../src/vm/index.ts";
import { catalogueGuest } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";
import { keepScreenshot } from "./kept-screenshot.ts";

/** What of the host's files a test needs, with the Debian package of each. */
const ISOLINUX = { "/usr/lib/ISOLINUX/isolinux.bin": "isolinux", "/usr/bin/xorriso": "xorriso" };
const GRUB = { "/usr/lib/grub/i386-pc": "grub-pc-bin", "/usr/bin/xorriso": "xorriso", "/usr/bin/mformat": "mtools" };

function lacks(t: TestContext, files: Readonly<Record<string, string>>): boolean {
  for (const [file, debianPackage] of Object.entries(files)) {
    if (existsSync(file)) continue;
    t.skip(`${file} is missing: apt install ${debianPackage}`);
    return true;
  }
  return false;
}

/** A folder with the guest's kernel and initrd, for a disc. */
async function filesOf(t: TestContext, guest: PreparedGuest): Promise<{ directory: string; image: string }> {
  const parent = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-media-"));
  t.after(() => rm(parent, { recursive: true }));
  const directory = path.join(parent, "files");
  await mkdir(path.join(directory, "boot/grub"), { recursive: true });
  await copyFile(guest.kernel, path.join(directory, "kernel"));
  await copyFile(guest.initrd, path.join(directory, "initrd"));
  return { directory, image: path.join(parent, "disc.iso") };
}

async function makeIsolinux(directory: string, image: string, append: string): Promise<void> {
  await copyFile("/usr/lib/ISOLINUX/isolinux.bin", path.join(directory, "isolinux.bin"));
  await copyFile("/usr/lib/syslinux/modules/bios/ldlinux.c32", path.join(directory, "ldlinux.c32"));
  const lines = ["DEFAULT linux", "LABEL linux", "  KERNEL /kernel", "  INITRD /initrd", `  APPEND ${append}`];
  await writeFile(path.join(directory, "isolinux.cfg"), `${lines.join("\n")}\n`);
  const options = ["-as", "mkisofs", "-quiet", "-o", image, "-b", "isolinux.bin", "-c", "boot.cat", "-no-emul-boot"];
  execFileSync("xorriso", [...options, "-boot-load-size", "4", "-boot-info-table", directory], { stdio: "pipe" });
}

async function makeGrub(directory: string, image: string, append: string): Promise<void> {
  await writeFile(path.join(directory, "boot/grub/grub.cfg"), `linux /kernel ${append}\ninitrd /initrd\nboot\n`);
  execFileSync("grub-mkrescue", ["-o", image, directory], { stdio: "pipe" });
}

async function boots(t: TestContext, guest: PreparedGuest, media: Partial<VirtualMachineOptions>): Promise<void> {
  const vm = await VirtualMachine.create({ memory: `${guest.memoryMiB}M`, noReboot: true, ...media });
  t.after(() => vm.stop());
  const ended = vm.start();
  const shell = new GuestShell(vm.serial);
  await shell.ready();
  assert.match(await shell.run("cat /proc/cmdline"), /console=ttyS0/);
  assert.match(await shell.run("dmesg | grep -i e820 | head -3"), /usable/);
  await keepScreenshot(vm, t.fullName);
  shell.type("poweroff -f\n");
  assert.deepEqual(await ended, { kind: "power-off" });
}

for (const name of ["debian", "debian-686"]) {
  test(`${name} starts from a disc of ISOLINUX`, async (t) => {
    const guest = lacks(t, ISOLINUX) ? undefined : await catalogueGuest(t, name);
    if (!guest) return;
    const { directory, image } = await filesOf(t, guest);
    await makeIsolinux(directory, image, `console=tty0 ${guest.append}`);
    await boots(t, guest, { cdroms: [{ file: image }] });
  });
}

test("debian starts from a disc of GRUB, and from the same image on a disk of each bus", async (t) => {
  const guest = lacks(t, GRUB) ? undefined : await catalogueGuest(t, "debian");
  if (!guest) return;
  const { directory, image } = await filesOf(t, guest);
  await makeGrub(directory, image, `console=tty0 ${guest.append}`);
  await t.test("CD", (t) => boots(t, guest, { cdroms: [{ file: image }] }));
  for (const bus of ["virtio", "ide", "ahci"] as const) {
    await t.test(bus, (t) => boots(t, guest, { disks: [{ file: image, readOnly: true, bus }] }));
  }
});
