/** What a Linux guest must be able to do with disks on a bus, beside what its file systems ask for. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { SeededRandom } from "../../src/machine/testing/rig.ts";
import type { DiskBus } from "../../src/vm/index.ts";
import { catalogueGuest, machineOf } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";

const MIB = 1024 * 1024;
const SIZE = 48 * MIB;
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

export interface DiskBusContract {
  readonly bus: DiskBus;
  readonly guest: string;
  /** Device files of the first two disks. */
  readonly devices: readonly [string, string];
  /** The attribute of a disk in sysfs that has its serial number, and how it is shown. */
  readonly serial: { readonly attribute: string; readonly shows: RegExp };
}

/** Declares the test. */
export function diskBusContract({ bus, guest: name, devices: [first, second], serial }: DiskBusContract): void {
  test(`disks on ${bus} in ${name}`, async (t) => {
    const guest = await catalogueGuest(t, name);
    if (!guest) return;
    const directory = await mkdtemp(path.join(os.tmpdir(), `bunkhouse-${bus}-`));
    t.after(() => rm(directory, { recursive: true }));
    const source = path.join(directory, "source");
    const target = path.join(directory, "target");
    const content = new Uint8Array(SIZE);
    new SeededRandom(50).fill(content);
    await writeFile(source, content);
    await writeFile(target, new Uint8Array(0));
    await truncate(target, SIZE);
    const vm = await machineOf(t, guest, {
      disks: [
        { file: source, readOnly: true, serial: "SOURCE1", bus },
        { file: target, serial: "TARGET1", bus },
      ],
    });
    const ended = vm.start();
    const shell = new GuestShell(vm.serial);
    await shell.ready();
    const sys = (device: string) => `/sys/block/${device.slice(5)}`;

    await t.test("the disks have their sizes and serial numbers, one is read-only", async () => {
      const sectors = `${SIZE / 512}\n`;
      assert.equal(await shell.run(`cat ${sys(first)}/size ${sys(second)}/size`), sectors + sectors);
      assert.equal(await shell.run(`cat ${sys(first)}/ro ${sys(second)}/ro`), "1\n0\n");
      assert.match(await shell.run(`cat ${sys(first)}/${serial.attribute}`), serial.shows);
    });

    await t.test("what is read has the checksum of the host's file", async () => {
      assert.equal(await shell.run(`sha256sum <${first}`), `${sha256(content)}  -\n`);
    });

    await t.test("what is written is in the host's file, and is read back", async () => {
      await shell.run(`dd if=${first} of=${second} bs=512k conv=fsync 2>/dev/null`);
      assert.equal(sha256(await readFile(target)), sha256(content));
      await shell.run("echo 3 >/proc/sys/vm/drop_caches");
      assert.equal(await shell.run(`sha256sum <${second}`), `${sha256(content)}  -\n`);
    });

    await t.test("discarding gives the host its storage back", async () => {
      const before = (await stat(target)).blocks;
      await shell.run(`blkdiscard -o ${8 * MIB} -l ${16 * MIB} ${second} && sync`);
      const after = (await stat(target)).blocks;
      assert.ok(before - after >= (15 * MIB) / 512, `${before} blocks before, ${after} after`);
    });

    await t.test("a file system on it is clean, seen by the host too", async () => {
      await shell.run(`mke2fs -q ${second} 2>&1`);
      await shell.run(`mount -t ext4 ${second} /mnt && seq 100000 >/mnt/numbers && umount /mnt`);
      await shell.run(`mount -t ext4 ${second} /mnt`);
      const numbers = Array.from({ length: 100_000 }, (_, i) => `${i + 1}\n`).join("");
      assert.equal(await shell.run("sha256sum </mnt/numbers"), `${sha256(new TextEncoder().encode(numbers))}  -\n`);
      await shell.run("umount /mnt");
    });

    await t.test("no error was told", async () => {
      assert.equal(await shell.run("dmesg | grep -i -E 'I/O error|timeout|timed out|abort' ; true"), "");
    });

    shell.type("poweroff -f\n");
    assert.deepEqual(await ended, { kind: "power-off" });
  });
}
