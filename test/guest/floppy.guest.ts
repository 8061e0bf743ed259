/** Floppy disks in a Linux guest: its driver finds the drives, reads and writes disks, and notices other ones. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { SeededRandom } from "../../src/machine/testing/rig.ts";
import { catalogueGuest, machineOf } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";

const KIB = 1024;
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test("Linux reads, writes and changes floppy disks", async (t) => {
  const guest = await catalogueGuest(t, "debian-686");
  if (!guest) return;
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-floppy-"));
  t.after(() => rm(directory, { recursive: true }));
  const random = new SeededRandom(144);
  const disk = async (name: string, kib: number) => {
    const content = new Uint8Array(kib * KIB);
    random.fill(content);
    const file = path.join(directory, name);
    await writeFile(file, content);
    return { file, content };
  };
  const first = await disk("first", 1440);
  const second = await disk("second", 2880);
  const small = await disk("small", 720);
  const vm = await machineOf(t, guest, { floppies: [{ file: first.file }, { file: second.file }] });
  const ended = vm.start();
  const shell = new GuestShell(vm.serial);
  await shell.ready();

  await t.test("the driver finds an 82077AA with two drives", async () => {
    const messages = await shell.run("dmesg | grep -i -E 'floppy|fd[01]|FDC'");
    assert.match(messages, /fd0 is 1\.44M/);
    assert.match(messages, /fd1 is 2\.88M/);
    assert.match(messages, /FDC 0 is a .*82077/);
  });

  await t.test("a disk has the checksum of the host's file", async () => {
    assert.equal(await shell.run("sha256sum </dev/fd0"), `${sha256(first.content)}  -\n`);
  });

  await t.test("a disk of 2.88 MB, too", async () => {
    assert.equal(await shell.run("sha256sum </dev/fd1"), `${sha256(second.content)}  -\n`);
  });

  await t.test("what is written is in the host's file, and is read back", async () => {
    await shell.run("dd if=/dev/fd1 of=/dev/fd0 bs=72k count=20 conv=fsync 2>/dev/null");
    assert.equal(sha256(await readFile(first.file)), sha256(second.content.subarray(0, 1440 * KIB)));
    await shell.run("echo 3 >/proc/sys/vm/drop_caches");
    const copied = sha256(second.content.subarray(0, 1440 * KIB));
    assert.equal(await shell.run("sha256sum </dev/fd0"), `${copied}  -\n`);
  });

  await t.test("another disk of another size is noticed, and a write-protected one is not written to", async () => {
    await vm.changeFloppy(0, { file: small.file, readOnly: true });
    // Until Linux is up for five minutes its driver does not look before an access, which then fails.
    await shell.run("cat /dev/fd0 >/dev/null 2>&1; true");
    assert.equal(await shell.run("sha256sum </dev/fd0"), `${sha256(small.content)}  -\n`);
    await shell.run("dd if=/dev/zero of=/dev/fd0 bs=512 count=1 conv=fsync 2>/dev/null", 1);
    await vm.changeFloppy(0, undefined);
    await shell.run("dd if=/dev/fd0 bs=512 count=1 2>/dev/null", 1);
  });

  await t.test("changes that cannot be made are refused", async () => {
    await assert.rejects(vm.changeFloppy(2, undefined), /no floppy drive 2/);
    const large = await disk("large", 2880);
    await assert.rejects(vm.changeFloppy(0, { file: large.file }), /a drive for 1.44M takes no such disk/);
  });

  shell.type("poweroff -f\n");
  assert.deepEqual(await ended, { kind: "power-off" });
  assert.equal(sha256(await readFile(second.file)), sha256(second.content));
});
