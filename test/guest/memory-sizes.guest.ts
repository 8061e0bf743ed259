/** The smallest, a usual and the largest memory that Linux is given. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogueGuest, machineOf } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";

const MIB = 1024 * 1024;

// The 64-bit kernels unpack themselves in no less than 68 MiB.
for (const [name, mebibytes] of [
  ["debian-686", 64],
  ["debian", 96],
  ["debian", 512],
  ["debian", 3072],
] as const) {
  test(`${name} with ${mebibytes} MiB finds and can use all of it`, async (t) => {
    const guest = await catalogueGuest(t, name);
    if (!guest) return;
    const vm = await machineOf(t, guest, { memory: mebibytes * MIB });
    const ended = vm.start();
    const shell = new GuestShell(vm.serial);
    await shell.ready();

    const total = Number((await shell.run("grep MemTotal /proc/meminfo")).match(/\d+/)?.[0]);
    // The kernel itself and its table of pages (64 bytes for each 4 KiB) are not counted.
    assert.ok(total > mebibytes * 1024 * 0.98 - 45_000 && total < mebibytes * 1024, `${total} KiB`);
    const map = await shell.run("cat /proc/iomem");
    const top = [...map.matchAll(/^([0-9a-f]+)-([0-9a-f]+) : System RAM/gm)].map(([, , last]) =>
      parseInt(last as string, 16),
    );
    assert.ok(Math.max(...top) > mebibytes * MIB - MIB, map);

    // Most of what is free is filled with data that is not zero, and read back.
    const free = Number((await shell.run("grep MemAvailable /proc/meminfo")).match(/\d+/)?.[0]);
    const blocks = Math.floor((free * 0.7) / 1024);
    await shell.run(
      `mount -t tmpfs -o size=100% fill /mnt && dd if=/dev/urandom of=/tmp/block bs=1M count=1 2>/dev/null`,
    );
    const expected = (await shell.run("md5sum </tmp/block")).trim();
    await shell.run(`i=0; while [ $i -lt ${blocks} ]; do cp /tmp/block /mnt/$i || exit; i=$((i + 1)); done`);
    for (const block of [0, Math.floor(blocks / 2), blocks - 1]) {
      assert.equal((await shell.run(`md5sum </mnt/${block}`)).trim(), expected);
    }
    await shell.run(`i=0; while [ $i -lt ${blocks} ]; do cmp /tmp/block /mnt/$i || exit; i=$((i + 64)); done`);
    shell.type("poweroff -f\n");
    assert.deepEqual(await ended, { kind: "power-off" });
  });
}
