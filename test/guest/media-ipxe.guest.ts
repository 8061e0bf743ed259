/** iPXE's disc: its banner, its prompt, and what it says of a machine without a network card, by its SMBIOS tables. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FIRMWARE, MediaMachine, mediumFrom } from "./media-machine.ts";

for (const firmware of FIRMWARE) {
  test(`iPXE's disc reaches its command line on ${firmware.name}`, async (t) => {
    const file = await mediumFrom(t, "ipxe", "usr/lib/ipxe/ipxe.iso");
    if (!file) return;
    const machine = await MediaMachine.start(t, firmware, { cdroms: [{ file }], noReboot: true });
    if (!machine) return;
    assert.match(await machine.screen("Press Ctrl-B"), /iPXE \d+\.\d+.*Open Source Network Boot Firmware/);
    await machine.press("ctrl-b");
    await machine.screen(/^iPXE>$/m);
    await machine.type("ifstat\n");
    await machine.screen(/^iPXE> ifstat\niPXE>$/m);
    await machine.type("autoboot\n");
    await machine.screen(/^iPXE> autoboot\niPXE>$/m);
    await machine.type(`set place test/\${buildarch} && echo In \${place} of \${product}\n`);
    await machine.screen(/^In test\/i386 of Bunkhouse VM$/m);
    await machine.keepScreenshot();
    await machine.type("reboot\n");
    assert.equal((await machine.vm.ended).kind, "reset");
  });
}
