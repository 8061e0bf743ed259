/** What an installation of Debian from a CD must come to, whichever architecture and firmware. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { createImageFile } from "../../src/disk/node/create-image.ts";
import { qemuImg, withoutQemuImg } from "../../src/disk/testing/node/qemu-img.ts";
import type { DebianArchitecture } from "../../src/hypervisor/catalogue/apt.ts";
import { VirtualMachine, type VirtualMachineOptions } from "../../src/vm/index.ts";
import { orSkip } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";
import { cpuMinutes, follow, keepDisk, keepScreenshot } from "./install-artefacts.ts";
import { makeInstallerCd } from "./installer-cd/disc.ts";
import { packagedFile } from "./packaged-file.ts";
import { QemuDisk } from "./qemu-disk.ts";

const GIB = 2 ** 30;
/** An installation on a busy host with few processors. */
const PATIENCE = 10_800_000;
const PASSWORD = "bunkhouse";
/** The installer's last word, and in which order the others come. */
const STEPS = [
  "the CD is mounted",
  "partitioning /dev/",
  "installing the base system",
  "configuring apt",
  "installing the kernel",
  "installing the boot loader",
  "finishing",
  "installed",
];

/** What starts the machine: its own BIOS, or SeaBIOS. */
export type Firmware = "own" | "seabios";

/** Declares the test: installed under one firmware, the disk boots under both, and in QEMU. */
export function installContract(architecture: DebianArchitecture, firmware: Firmware): void {
  test(`Debian 12 for ${architecture} is installed from a CD, and runs from its disk`, async (t) => {
    const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-install-"));
    t.after(() => rm(directory, { recursive: true }));
    const firmwares = await firmwareFiles(t, directory);
    if (!firmwares) return;
    const cd = path.join(directory, "installer.iso");
    const made = await orSkip(t, async () => {
      await makeInstallerCd(architecture, cd);
      return true;
    });
    if (!made) return;
    const disk = path.join(directory, "disk.qcow2");
    await createImageFile(disk, "qcow2", { size: 4 * GIB });

    await t.test("the installer on the CD installs without a key pressed, and switches off", async (t) => {
      const vm = await VirtualMachine.create({
        ...firmwares[firmware],
        memory: "1G",
        cdroms: [{ file: cd }],
        disks: [{ file: disk }],
      });
      t.after(() => vm.stop());
      const ended = vm.start();
      t.after(follow(vm, `${architecture}-serial`));
      const start = performance.now();
      const cpu = cpuMinutes();
      for (const step of STEPS) {
        await stepOf(vm, step);
        const minutes = ((performance.now() - start) / 60_000).toFixed(1);
        t.diagnostic(`${minutes} min, ${(cpuMinutes() - cpu).toFixed(1)} min of processor time: ${step}`);
        await keepScreenshot(vm, `${architecture}-${STEPS.indexOf(step)}`);
      }
      assert.deepEqual(await ended, { kind: "power-off" });
      await keepDisk(disk, architecture);
    });

    await t.test("qemu-img finds nothing wrong with the image", { skip: withoutQemuImg }, async () => {
      assert.match(await qemuImg(directory, "check", disk), /No errors were found/);
    });

    await t.test("the disk boots to a login on the screen and on the serial line", async (t) => {
      const vm = await VirtualMachine.create({ ...firmwares[firmware], memory: "1G", disks: [{ file: disk }] });
      t.after(() => vm.stop());
      const ended = vm.start();
      await vm.serial.expect("installed login: ", { timeout: PATIENCE });
      await vm.display.waitForText("installed login: ", { timeout: PATIENCE });
      await keepScreenshot(vm, `${architecture}-login`);
      await vm.keyboard.type("root\n");
      await vm.display.waitForText("Password: ", { timeout: PATIENCE });
      await vm.keyboard.type(`${PASSWORD}\n`);
      await vm.display.waitForText("root@installed:~# ", { timeout: PATIENCE });
      await keepScreenshot(vm, `${architecture}-shell`);
      const shell = await signIn(vm);
      assert.match(await shell.run("cat /etc/debian_version"), /^12\./);
      assert.equal(await shell.run("dpkg --print-architecture"), `${architecture}\n`);
      assert.equal(await shell.run("dpkg --audit"), "");
      assert.match(await shell.run("findmnt -no FSTYPE,SOURCE /"), /^ext4 +\/dev\/vda1$/m);
      shell.type("poweroff\n");
      assert.deepEqual(await ended, { kind: "power-off" });
    });

    const other = firmware === "own" ? "seabios" : "own";
    await t.test(`the disk boots with other firmware, too: ${other}`, async (t) => {
      const vm = await VirtualMachine.create({ ...firmwares[other], memory: "1G", disks: [{ file: disk }] });
      t.after(() => vm.stop());
      const ended = vm.start();
      await vm.serial.expect("installed login: ", { timeout: PATIENCE });
      await signIn(vm);
      vm.powerButton();
      assert.deepEqual(await ended, { kind: "power-off" });
    });

    await t.test("QEMU boots the same disk", { skip: QemuDisk.missing }, async (t) => {
      const qemu = new QemuDisk(disk);
      t.after(() => qemu.stop());
      await qemu.expect("installed login: ", PATIENCE);
    });
  });
}

/** Waits for a step of the installer; fails where it asks somebody about an error instead. */
async function stepOf(vm: VirtualMachine, step: string): Promise<void> {
  const { match } = await vm.serial.expect(new RegExp(`STEP ${step}|!! ERROR`), { timeout: PATIENCE });
  if (match !== "!! ERROR") return;
  const { before } = await vm.serial.expect("[Press enter to continue]");
  assert.fail(`before the step "${step}" the installer shows an error${before}`);
}

/**
 * Logs in as root at the prompt on the serial line, and waits for what starts after the prompt: it writes between the
 * lines of commands, and what listens to the power button is among it.
 */
async function signIn(vm: VirtualMachine): Promise<GuestShell> {
  vm.serial.write("root\n");
  await vm.serial.expect("Password: ", { timeout: PATIENCE });
  vm.serial.write(`${PASSWORD}\n`);
  await vm.serial.expect("root@installed:~# ", { timeout: PATIENCE });
  const shell = new GuestShell(vm.serial);
  assert.match(await shell.run("systemctl is-system-running --wait"), /^running$/m);
  return shell;
}

/** What makes a machine start with each firmware; undefined, with the test skipped, without Debian's packages. */
async function firmwareFiles(
  t: TestContext,
  directory: string,
): Promise<Readonly<Record<Firmware, Partial<VirtualMachineOptions>>> | undefined> {
  for (const name of ["bios-256k.bin", "vgabios-stdvga.bin"]) {
    const content = await packagedFile(t, "seabios", `usr/share/seabios/${name}`);
    if (!content) return undefined;
    await writeFile(path.join(directory, name), content);
  }
  return { own: {}, seabios: { firmware: { image: path.join(directory, "bios-256k.bin") } } };
}
