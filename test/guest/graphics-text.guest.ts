/**
 * Linux on its screen alone: GRUB starts Debian's installer from a disc, which draws its dialogs in a graphics mode, in
 * the kernel's own font; they are read off the picture and answered on the keyboard. Without fb=false the installer would
 * draw them itself, in Unifont, which is not read.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { VirtualMachine } from "../../src/vm/index.ts";
import { catalogueGuest } from "./catalogue-guest.ts";
import { keepScreenshot } from "./kept-screenshot.ts";

const MENU = `insmod all_video
set gfxpayload=800x600x32
linux /kernel console=tty0 fb=false
initrd /initrd
boot
`;

test("the installer's dialogs are read off a graphics mode's picture and answered", async (t) => {
  if (spawnSync("grub-mkrescue", ["--version"]).status !== 0) {
    t.skip("needs the packages grub-common, grub-pc-bin, xorriso and mtools");
    return;
  }
  const guest = await catalogueGuest(t, "debian-installer-amd64");
  if (!guest) return;
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-graphics-"));
  t.after(() => rm(directory, { recursive: true }));
  const root = path.join(directory, "root");
  await mkdir(path.join(root, "boot", "grub"), { recursive: true });
  await copyFile(guest.kernel, path.join(root, "kernel"));
  await copyFile(guest.initrd, path.join(root, "initrd"));
  await writeFile(path.join(root, "boot", "grub", "grub.cfg"), MENU);
  const disc = path.join(directory, "disc.iso");
  const made = spawnSync("grub-mkrescue", ["-o", disc, root], { encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);

  const vm = await VirtualMachine.create({ memory: `${guest.memoryMiB}M`, cdroms: [{ file: disc }] });
  t.after(() => vm.stop());
  void vm.start();
  await vm.display.waitForText(/^\[ +[\d.]+\] Run \/init as init process$/m, { timeout: 1_200_000 });
  assert.deepEqual(await vm.display.size(), { width: 800, height: 600 });
  await vm.display.waitForText("Select a language", { timeout: 1_200_000 });
  await vm.display.waitForText("<Go Back>", { timeout: 600_000 });
  await keepScreenshot(vm, t.name);
  await vm.keyboard.press("ret");
  await vm.display.waitForText("Select your location", { timeout: 600_000 });
});
