/** Disks and CD drives on IDE and AHCI in a Linux guest: its drivers find them, read and write, and notice discs. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { SeededRandom } from "../../src/machine/testing/rig.ts";
import { catalogueGuest, machineOf } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";

const MIB = 1024 * 1024;
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const BUSES = ["ide", "ahci"] as const;

/** A disc with one file of random bytes, made by xorriso; undefined, with the test skipped, where that is missing. */
async function makeDisc(t: TestContext, directory: string, name: string, content: Uint8Array) {
  const [source, image] = [path.join(directory, name), path.join(directory, `${name}.iso`)];
  await mkdir(source);
  await writeFile(path.join(source, "content"), content);
  try {
    await promisify(execFile)("xorriso", ["-as", "mkisofs", "-quiet", "-R", "-V", name, "-o", image, source]);
    return image;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    t.skip("xorriso is not installed (Debian package xorriso)");
    return undefined;
  }
}

test("Linux uses disks and CD drives on IDE and AHCI", async (t) => {
  const guest = await catalogueGuest(t, "debian-686-pae");
  if (!guest) return;
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-ata-"));
  t.after(() => rm(directory, { recursive: true }));
  const random = new SeededRandom(1986);
  const bytes = (size: number) => {
    const content = new Uint8Array(size);
    random.fill(content);
    return content;
  };
  // Sizes tell the disks apart, whichever driver is the first.
  const disks = await Promise.all(
    BUSES.map(async (bus, index) => {
      const [file, content] = [path.join(directory, `${bus}.raw`), bytes((9 - index) * MIB)];
      await writeFile(file, content);
      return { bus, file, content };
    }),
  );
  const contents = [bytes(3 * MIB), bytes(2 * MIB), bytes(MIB)] as const;
  const discs: string[] = [];
  for (const [index, content] of contents.entries()) {
    const disc = await makeDisc(t, directory, `DISC${index}`, content);
    if (disc === undefined) return;
    discs.push(disc);
  }
  const vm = await machineOf(t, guest, {
    disks: disks.map(({ bus, file }) => ({ bus, file, serial: `SERIAL-${bus}` })),
    cdroms: BUSES.map((bus, index) => ({ bus, file: discs[index] as string })),
  });
  const ended = vm.start();
  const shell = new GuestShell(vm.serial);
  await shell.ready();
  /** The block device of so many bytes. */
  const deviceOf = async (pattern: string, size: number) => {
    const names = await shell.run(`grep -l -x ${size / 512} /sys/block/${pattern}/size`);
    return `/dev/${names.split("/")[3]}`;
  };

  await t.test("ata_piix and ahci find the drives that are there", async () => {
    const messages = await shell.run("dmesg");
    assert.match(messages, /ata_piix/);
    assert.match(messages, /AHCI 0001\.0301 32 slots 6 ports/);
    assert.equal(messages.match(/: ATA-8: BUNKHOUSE DISK/g)?.length, 2);
    assert.equal(messages.match(/: ATAPI: BUNKHOUSE DVD-ROM/g)?.length, 2);
    assert.match(messages, /NCQ \(depth 32\)/);
    assert.match(await shell.run("cat /proc/interrupts"), /PCI-MSI.*ahci/);
    assert.doesNotMatch(messages, /ata\d.*(failed|error|exception|timeout)/i);
  });

  for (const { bus, content } of disks) {
    await t.test(`a disk on ${bus} has the content of the host's file, and takes writes`, async () => {
      const device = await deviceOf("sd*", content.length);
      assert.equal(await shell.run(`sha256sum <${device}`), `${sha256(content)}  -\n`);
      await shell.run(`dd if=${device} of=${device} bs=64k count=32 seek=64 conv=fsync,notrunc 2>/dev/null`);
      content.copyWithin(4 * MIB, 0, 2 * MIB);
      const onHost = await readFile(disks.find((disk) => disk.bus === bus)?.file as string);
      assert.equal(sha256(onHost), sha256(content));
      await shell.run("echo 3 >/proc/sys/vm/drop_caches");
      assert.equal(await shell.run(`sha256sum <${device}`), `${sha256(content)}  -\n`);
    });

    await t.test(`a file system on ${bus} gives up what it does not use`, async () => {
      const device = await deviceOf("sd*", content.length);
      await shell.run(`dd if=/dev/zero of=${device} bs=64k count=1 conv=notrunc 2>/dev/null; blkdiscard ${device}`);
    });
  }

  for (const [index, bus] of BUSES.entries()) {
    await t.test(`a disc in the drive on ${bus} mounts, and is locked while it is`, async () => {
      const iso = await readFile(discs[index] as string);
      const device = await deviceOf("sr*", iso.length);
      assert.equal(await shell.run(`sha256sum <${device}`), `${sha256(iso)}  -\n`);
      await shell.run(`mount -t iso9660 -o ro ${device} /mnt`);
      assert.equal(await shell.run("sha256sum </mnt/content"), `${sha256(contents[index] as Uint8Array)}  -\n`);
      assert.equal(await vm.cdrom(index).eject(), false);
      await shell.run("umount /mnt");
    });

    await t.test(`the drive on ${bus} gives its disc to the host and takes another one`, async () => {
      const iso = await readFile(discs[index] as string);
      const device = await deviceOf("sr*", iso.length);
      assert.equal(await vm.cdrom(index).eject(), true);
      await shell.run(`head -c 2048 ${device} >/dev/null 2>&1`, 1);
      await vm.cdrom(index).insert(discs[2] as string);
      await shell.run(`mount -t iso9660 -o ro ${device} /mnt`);
      assert.equal(await shell.run("sha256sum </mnt/content"), `${sha256(contents[2])}  -\n`);
      await shell.run("umount /mnt");
    });
  }

  await t.test("requests that cannot be met are refused", async () => {
    assert.throws(() => vm.cdrom(2), /the machine has 2 CD drives/);
    await assert.rejects(vm.cdrom(0).insert(path.join(directory, "none.iso")), /there is no such file/);
  });

  shell.type("poweroff -f\n");
  assert.deepEqual(await ended, { kind: "power-off" });
});
