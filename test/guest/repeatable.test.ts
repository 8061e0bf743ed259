/** With `clock: "icount"`, a run follows from its inputs. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { PreparedGuest } from "../../src/hypervisor/catalogue/debian-guest.ts";
import { SeededRandom } from "../../src/machine/testing/rig.ts";
import { catalogueGuest, initrdWith, machineOf } from "./catalogue-guest.ts";

/** In the place of the shell on the console: time, chance, interrupts, disks and processes in one. */
const SCRIPT = `#!/bin/sh
dmesg
head -c 32 /dev/urandom | hexdump
cat /proc/sys/kernel/random/boot_id
date
dd if=/dev/vda bs=64k 2>/dev/null | tee /dev/vdb | sha256sum
i=0; while [ $i -lt 30 ]; do sleep 0.02 & i=$((i + 1)); done; wait
sleep 1
sync
cat /proc/uptime /proc/stat /proc/interrupts
poweroff -f
`;

async function run(t: TestContext, guest: PreparedGuest, initrd: Uint8Array, disk: string) {
  const vm = await machineOf(t, guest, {
    clock: "icount",
    memory: "128M",
    initrd,
    append: "console=ttyS0 loglevel=7",
    disks: [
      { file: disk, readOnly: true },
      { file: disk, snapshot: true },
    ],
  });
  const end = await vm.start();
  return { end, serial: vm.serial.text, instructions: vm.instructions, stateHash: vm.stateHash };
}

test("two boots that count instructions are the same in every byte and every instruction", async (t) => {
  const guest = await catalogueGuest(t, "debian");
  if (!guest) return;
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-repeatable-"));
  t.after(() => rm(directory, { recursive: true }));
  const disk = path.join(directory, "disk");
  const content = new Uint8Array(1024 * 1024);
  new SeededRandom(1).fill(content);
  await writeFile(disk, content);

  const initrd = await initrdWith(guest, { "/etc/console": SCRIPT });
  const first = await run(t, guest, initrd, disk);
  assert.deepEqual(first.end, { kind: "power-off" });
  assert.match(first.serial, /reboot: Power down\r\n$/);
  assert.match(first.serial, /^[0-9a-f]{64} {2}-\r$/m);
  const second = await run(t, guest, initrd, disk);
  assert.equal(second.serial, first.serial);
  assert.deepEqual(second, first);
});
