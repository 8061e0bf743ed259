/** Disks and a CD drive behind a virtio SCSI host, in Linux. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { SeededRandom } from "../../src/machine/testing/rig.ts";
import { catalogueGuest, machineOf } from "./catalogue-guest.ts";
import { diskBusContract } from "./disk-bus-contract.ts";
import { GuestShell } from "./guest-shell.ts";

diskBusContract({
  bus: "scsi",
  guest: "debian",
  devices: ["/dev/sda", "/dev/sdb"],
  // Page 80h of the vital product data, with its header of four bytes.
  serial: { attribute: "device/vpd_pg80", shows: /SOURCE1/ },
});

test("a CD drive on scsi in debian-686", async (t) => {
  const guest = await catalogueGuest(t, "debian-686");
  if (!guest) return;
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-scsi-cd-"));
  t.after(() => rm(directory, { recursive: true }));
  const disc = async (name: string, blocks: number) => {
    const content = new Uint8Array(blocks * 2048);
    new SeededRandom(blocks).fill(content);
    const file = path.join(directory, name);
    await writeFile(file, content);
    return { file, sum: `${createHash("sha256").update(content).digest("hex")}  -\n` };
  };
  const first = await disc("first", 3000);
  const second = await disc("second", 5000);
  const vm = await machineOf(t, guest, { cdroms: [{ file: first.file, bus: "scsi" }] });
  const ended = vm.start();
  const shell = new GuestShell(vm.serial);
  await shell.ready();
  assert.equal(await shell.run("sha256sum </dev/sr0"), first.sum);
  await vm.cdrom(0).insert(second.file);
  // The first access is told that the disc was changed.
  await shell.run("cat /dev/sr0 >/dev/null 2>&1; true");
  assert.equal(await shell.run("sha256sum </dev/sr0"), second.sum);
  shell.type("poweroff -f\n");
  assert.deepEqual(await ended, { kind: "power-off" });
});
