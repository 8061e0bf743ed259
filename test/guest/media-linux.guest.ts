/** Discs with Debian's installer and with a live system, made as distributions make theirs: from power-on to what they show. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { catalogueGuest } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";
import { grubDisc, isolinuxDisc } from "./media-image.ts";
import { FIRMWARE, MediaMachine, SEABIOS } from "./media-machine.ts";

for (const firmware of FIRMWARE) {
  test(`ISOLINUX starts Debian's installer for amd64 on ${firmware.name}, on its screen`, async (t) => {
    const guest = await catalogueGuest(t, "debian-installer-amd64");
    const disc =
      guest &&
      (await isolinuxDisc(t, {
        kernel: await readFile(guest.kernel),
        initrd: await readFile(guest.initrd),
        commandLine: "vga=normal fb=false",
      }));
    if (!disc) return;
    const options = { memory: `${guest.memoryMiB}M`, cdroms: [{ file: disc }] };
    const machine = await MediaMachine.start(t, firmware, options);
    if (!machine) return;
    assert.match(await machine.screen(/^boot: *$/m), /ISOLINUX[\s\S]*Type linux to start it/);
    await machine.type("linux\n");
    // The dialog is drawn from top to bottom, its buttons last.
    assert.match(await machine.screen("<Go Back>"), /Select a language/);
    await machine.keepScreenshot();
    await machine.press("ret");
    await machine.screen("Select your location");
  });

  test(`GRUB starts Debian's installer for i386 on ${firmware.name}, on its serial line`, async (t) => {
    const guest = await catalogueGuest(t, "debian-installer-i386");
    const disc =
      guest &&
      (await grubDisc(t, {
        kernel: await readFile(guest.kernel),
        initrd: await readFile(guest.initrd),
        commandLine: guest.append,
      }));
    if (!disc) return;
    const options = { memory: `${guest.memoryMiB}M`, cdroms: [{ file: disc }] };
    const machine = await MediaMachine.start(t, firmware, options);
    if (!machine) return;
    await machine.screen("*Linux");
    await machine.keepScreenshot();
    await machine.press("ret");
    await machine.serial("Select a language");
    await machine.serial("<Go Back>");
  });
}

// On the machine's own BIOS: boot-media.guest.ts.
for (const [loader, makeDisc, prompt, keys] of [
  ["ISOLINUX", isolinuxDisc, /^boot: *$/m, "linux\n"],
  ["GRUB", grubDisc, "*Linux", "\n"],
] as const) {
  test(`${loader} starts a live system on SeaBIOS, which finds its memory map and tables`, async (t) => {
    const guest = await catalogueGuest(t, "debian");
    const disc =
      guest &&
      (await makeDisc(t, {
        kernel: await readFile(guest.kernel),
        initrd: await readFile(guest.initrd),
        commandLine: `${guest.append} console=tty0 console=ttyS0`,
      }));
    if (!disc) return;
    const options = { memory: `${guest.memoryMiB}M`, cdroms: [{ file: disc }] };
    const machine = await MediaMachine.start(t, SEABIOS, options);
    if (!machine) return;
    await machine.screen(prompt);
    await machine.type(keys);
    const shell = new GuestShell(machine.vm.serial);
    await shell.ready();
    await machine.keepScreenshot();
    assert.match(await shell.run("cat /proc/cmdline"), /BOOT_IMAGE=/);
    assert.match(await shell.run("dmesg | grep e820"), /0x0{8,}-0x0{8,}9[\da-f]{4}\] usable/);
    assert.equal(await shell.run("dmesg | grep -ci 'acpi.*error'", 1), "0\n");
    assert.match(await shell.run("dmesg | grep ACPI:.RSDP"), /RSDP/);
    shell.type("poweroff -f\n");
    assert.deepEqual(await machine.vm.ended, { kind: "power-off" });
  });
}
