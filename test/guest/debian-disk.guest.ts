/** A Debian system with systemd on a disk of its own, through a reboot. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { catalogueGuest, machineOf } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";

const TERMS = 20_000;
const PERL_SUMS = `for $i (1..${TERMS}) { $a += sqrt $i; $b += exp(-$i / 1000); $c += log $i; $d += sin($i) * cos($i); $e += atan2($i, 3) } print "$a $b $c $d $e\\n"`;

function hostSums(): number[] {
  const sums = [0, 0, 0, 0, 0] as [number, number, number, number, number];
  for (let i = 1; i <= TERMS; i++) {
    sums[0] += Math.sqrt(i);
    sums[1] += Math.exp(-i / 1000);
    sums[2] += Math.log(i);
    sums[3] += Math.sin(i) * Math.cos(i);
    sums[4] += Math.atan2(i, 3);
  }
  return sums;
}

/** A copy of the guest's disk to write to, with its holes, that is removed after the test. */
async function ownDisk(t: TestContext, image: string): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-disk-"));
  t.after(() => rm(directory, { recursive: true }));
  const disk = path.join(directory, "disk.raw");
  await promisify(execFile)("cp", ["--sparse=always", "--reflink=auto", image, disk]);
  await chmod(disk, 0o644);
  return disk;
}

test("Debian on a disk boots systemd, keeps files through a reboot, and leaves a clean file system", async (t) => {
  const guest = await catalogueGuest(t, "debian-disk");
  if (!guest) return;
  const disk = await ownDisk(t, guest.disk as string);
  const vm = await machineOf(t, guest, { disks: [{ file: disk }] });
  const ended = vm.start();
  const shell = new GuestShell(vm.serial);
  await shell.ready();

  await t.test("no unit of systemd fails", async () => {
    assert.equal(await shell.run("systemctl is-system-running --wait"), "running\n");
    assert.equal(await shell.run("ps -p 1 -o comm="), "systemd\n");
  });

  await t.test("apt and dpkg work", async () => {
    assert.match(await shell.run("apt-get --version"), /^apt 2\.\d+.*\(amd64\)/);
    assert.equal(await shell.run("dpkg --audit"), "");
    assert.match(await shell.run("apt-cache policy apt"), /Installed: 2\./);
  });

  await t.test("perl's floating-point functions give the host's results", async () => {
    const sums = (await shell.run(`perl -e '${PERL_SUMS}'`)).trim().split(" ").map(Number);
    for (const [index, value] of hostSums().entries()) {
      // perl prints 15 digits.
      const error = Math.abs((sums[index] as number) / value - 1);
      assert.ok(error < 1e-10, `sum ${index} is ${sums[index]}, and ${value} on the host`);
    }
  });

  const files = "cd /root/kept && find . -type f -o -type l | sort | xargs sha256sum; readlink link; cd";
  let sums = "";
  await t.test("files are written", async () => {
    await shell.run("mkdir -p /root/kept/deep/er && seq 200000 >/root/kept/numbers && ln -s numbers /root/kept/link");
    await shell.run("perl -e 'print pack(\"N*\", map { $_ * 2654435761 } 1..500000)' >/root/kept/deep/er/words");
    sums = await shell.run(files);
    assert.match(sums, /numbers$/m);
  });

  // The prompt of the command before may still be on its way, and must not be taken for that of the new system.
  shell.type("reboot; exec sleep infinity\n");
  await shell.expect("bunkhouse login: ");
  await shell.ready();

  await t.test("they are there again after a reboot", async () => {
    assert.equal(await shell.run(files), sums);
    assert.equal(await shell.run("systemctl is-system-running --wait"), "running\n");
  });

  shell.type("poweroff\n");
  assert.deepEqual(await ended, { kind: "power-off" });

  await t.test("e2fsck on the host finds nothing to mend", async () => {
    const { stdout } = await promisify(execFile)("/sbin/e2fsck", ["-f", "-n", disk]);
    assert.match(stdout, /Pass 5/);
  });
});
