/** Stock firmware from power-on to what it starts: SeaBIOS to GRUB, OVMF to its shell, to GRUB, and to Linux. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { promisify, stripVTControlCharacters } from "node:util";
import { VirtualMachine, type VirtualMachineOptions } from "../../src/vm/index.ts";
import { catalogueGuest } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";
import { keepScreenshot } from "./kept-screenshot.ts";
import { packagedFile } from "./packaged-file.ts";

const run = promisify(execFile);
const PATIENCE = { timeout: 900_000 };
const ESCAPE = "\x1b";
const SHELL = /Shell> /;

async function directoryOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-firmware-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

/** OVMF, and a file for its variables. */
async function ovmf(
  t: TestContext,
  directory: string,
): Promise<NonNullable<VirtualMachineOptions["firmware"]> | undefined> {
  const image = await packagedFile(t, "ovmf", "usr/share/OVMF/OVMF_CODE_4M.fd");
  const empty = image && (await packagedFile(t, "ovmf", "usr/share/OVMF/OVMF_VARS_4M.fd"));
  if (!image || !empty) return undefined;
  const variables = path.join(directory, "vars.fd");
  await writeFile(variables, empty);
  return { image, variables };
}

async function started(t: TestContext, options: VirtualMachineOptions) {
  const vm = await VirtualMachine.create({ memory: "256M", ...options });
  t.after(() => vm.stop());
  const ended = vm.start();
  return {
    vm,
    ended,
    type: (text: string) => vm.serial.write(text),
    expect: (what: string | RegExp) => vm.serial.expect(what, PATIENCE),
  };
}

test("OVMF reaches its shell, resets the machine and switches it off, and keeps its variables in their file", async (t) => {
  const firmware = await ovmf(t, await directoryOf(t));
  if (!firmware) return;
  const toShell = async ({ type, expect }: Awaited<ReturnType<typeof started>>) => {
    await expect("to skip");
    type(ESCAPE);
    await expect(SHELL);
  };
  const variable = "setvar bunkhouse -guid 6b2f1a7e-3c55-4a7b-9d2e-0f5a1c2b3d4e";
  const first = await started(t, { firmware });
  await toShell(first);
  first.type(`${variable} -bs -rt -nv =c0ffee\r`);
  await first.expect(SHELL);
  first.type("memmap\r");
  const { before: map } = await first.expect(SHELL);
  assert.match(map, /Total Memory: +255 MB/);
  assert.match(map, /MMIO +00000000FFC00000-00000000FFFFFFFF/);
  first.type("smbiosview -t 1\r");
  assert.match((await first.expect(SHELL)).before, /ProductName: Bunkhouse VM/);
  await keepScreenshot(first.vm, "OVMF's shell");
  first.type("reset\r");
  await toShell(first);
  first.type("reset -s\r");
  assert.deepEqual(await first.ended, { kind: "power-off" });

  const second = await started(t, { firmware });
  await toShell(second);
  second.type(`${variable}\r`);
  assert.match((await second.expect(SHELL)).before, /C0 FF EE/);
  second.type("reset -s\r");
  assert.deepEqual(await second.ended, { kind: "power-off" });
});

/** A FAT image with the files, by their paths; undefined, with the test skipped, without mtools. */
async function fatImage(t: TestContext, directory: string, files: Readonly<Record<string, Uint8Array | string>>) {
  const image = path.join(directory, "esp.img");
  await writeFile(image, "");
  await truncate(image, 64 << 20);
  try {
    await run("mformat", ["-i", image, "-F", "::"]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    t.skip("needs the package mtools");
    return undefined;
  }
  const directories = new Set(
    Object.keys(files).flatMap((name) =>
      name
        .split("/")
        .slice(0, -1)
        .map((_, i, parts) => parts.slice(0, i + 1).join("/")),
    ),
  );
  for (const name of directories) await run("mmd", ["-i", image, `::${name}`]);
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(directory, "file");
    await writeFile(file, content);
    await run("mcopy", ["-i", image, file, `::${name}`]);
  }
  return image;
}

test("OVMF starts GRUB from a disk, and GRUB Linux, which finds the firmware's services and tables", async (t) => {
  const directory = await directoryOf(t);
  const firmware = await ovmf(t, directory);
  const guest = firmware && (await catalogueGuest(t, "debian"));
  const signed = "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed";
  const grub = guest && (await packagedFile(t, "grub-efi-amd64-signed", signed));
  if (!grub) return;
  const disk = await fatImage(t, directory, {
    "EFI/BOOT/BOOTX64.EFI": grub,
    "EFI/debian/grub.cfg":
      "set timeout=0\nmenuentry Linux { linux /vmlinuz console=tty0 console=ttyS0; initrd /initrd }\n",
    vmlinuz: await readFile(guest.kernel),
    initrd: await readFile(guest.initrd),
  });
  if (!disk) return;
  const { vm, ended } = await started(t, { firmware, memory: "512M", disks: [{ file: disk, readOnly: true }] });
  const shell = new GuestShell(vm.serial);
  await shell.ready();
  assert.match(await shell.run("dmesg | grep 'efi: EFI v'"), /EFI v2\.\d+ by EDK II/);
  assert.match(await shell.run("dmesg | grep 'PM-Timer'"), /IO Port: 0xb008/);
  await keepScreenshot(vm, "Linux, started by GRUB on OVMF");
  // No resource of a device was where the tables have no room for it.
  assert.equal(await shell.run('dmesg | grep -c "can\'t claim\\|no compatible bridge window"', 1), "0\n");
  shell.type("poweroff -f\n");
  assert.deepEqual(await ended, { kind: "power-off" });
});

test("OVMF starts a kernel that the machine was given, with its initial RAM disk and command line", async (t) => {
  const firmware = await ovmf(t, await directoryOf(t));
  const guest = firmware && (await catalogueGuest(t, "debian"));
  if (!guest) return;
  const { vm, ended } = await started(t, {
    firmware,
    memory: "512M",
    kernel: guest.kernel,
    initrd: guest.initrd,
    append: "console=ttyS0 bunkhouse=here",
  });
  const shell = new GuestShell(vm.serial);
  await shell.ready();
  assert.match(await shell.run("cat /proc/cmdline"), /bunkhouse=here/);
  assert.match(await shell.run("dmesg | grep 'efi: EFI v'"), /EDK II/);
  shell.type("poweroff -f\n");
  assert.deepEqual(await ended, { kind: "power-off" });
});

/** Waits for text on the screen: the serial line moves the cursor anywhere within it. */
async function seen(vm: VirtualMachine, what: RegExp): Promise<void> {
  for (let waited = 0; waited < PATIENCE.timeout; waited += 100) {
    if (what.test(stripVTControlCharacters(vm.serial.text))) return;
    await delay(100);
  }
  assert.fail(`${what} did not appear in:\n${vm.serial.text}`);
}

test("SeaBIOS starts GRUB from a disk, which shows on the serial line and takes keys from there", async (t) => {
  const directory = await directoryOf(t);
  const image = await packagedFile(t, "seabios", "usr/share/seabios/bios-256k.bin");
  const rescue = image && (await packagedFile(t, "grub-rescue-pc", "usr/lib/grub-rescue/grub-rescue-cdrom.iso"));
  if (!rescue) return;
  const disk = path.join(directory, "grub.img");
  await writeFile(disk, rescue);
  const { vm, type } = await started(t, { firmware: { image }, disks: [{ file: disk, readOnly: true }] });
  await seen(vm, /executed automatically in/);
  type("c");
  await seen(vm, /grub> /);
  type("ls\r");
  await seen(vm, /\(hd0\)\s[^>]*grub> /);
  assert.match(vm.serial.text, /Booting from Hard Disk/);
  await keepScreenshot(vm, "GRUB on SeaBIOS's serial line");
});
