import assert from "node:assert/strict";
import { appendFile, chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { type TestContext, test } from "node:test";
import { gzipSync } from "node:zlib";
import { byteOffset } from "../bits/units.ts";
import { readBootFile } from "./boot-files.ts";
import { inspectDisk, openDiskFiles } from "./disk-files.ts";
import { parseDisk } from "./disk-option.ts";
import { CliError } from "./failure.ts";

const MIB = 1024 * 1024;

/** Makes a file with `magic` at `at`; returns its path. */
async function file(t: TestContext, magic = "", { at = 0, size = MIB } = {}): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-disk-"));
  t.after(() => rm(directory, { recursive: true }));
  const bytes = Buffer.alloc(size);
  bytes.write(magic, at, "latin1");
  const name = path.join(directory, "disk.img");
  await writeFile(name, bytes);
  return name;
}

const refused = (message: RegExp) => (error: unknown) =>
  error instanceof CliError && error.status === 66 && message.test(error.message);

test("a blank disk is attached for reading and writing", async (t) => {
  const name = await file(t);
  assert.deepEqual(await inspectDisk(parseDisk(name)), { file: name, readOnly: false, snapshot: false });
});

test("a disc image is read-only unless told otherwise", async (t) => {
  const name = await file(t, "CD001", { at: 0x8001 });
  assert.equal((await inspectDisk(parseDisk(name))).readOnly, true);
  assert.equal((await inspectDisk(parseDisk(`${name},readonly=off`))).readOnly, false);
  assert.equal((await inspectDisk(parseDisk(`${name},snapshot=on`))).readOnly, false);
});

test("a raw image that ends within a sector is attached with a warning", async (t) => {
  const warnings = async (name: string, settings = "") => {
    const lines: string[] = [];
    await inspectDisk(parseDisk(`${name}${settings}`), (line) => lines.push(line));
    return lines;
  };
  const name = await file(t, "some text", { size: 1000 });
  for (const settings of ["", ",format=raw"]) {
    const [line = "", ...others] = await warnings(name, settings);
    assert.match(line, /^\/.*disk\.img \(.*\) has 1000 bytes, .* its end is missing; the guest sees 24 zeros/);
    assert.deepEqual(others, []);
  }
  assert.deepEqual(await warnings(await file(t)), []);
  // Tables of other formats end anywhere.
  const qcow2 = `${name}.qcow2,size=1M`;
  await warnings(qcow2);
  await appendFile(`${name}.qcow2`, "x");
  assert.deepEqual(await warnings(qcow2), []);
});

test("an image of a format that is not supported is refused with how to convert it, or taken as it is", async (t) => {
  const name = await file(t, "QED\0");
  await assert.rejects(inspectDisk(parseDisk(name)), refused(/seems to be a QED image; .* qemu-img convert -O qcow2 /));
  assert.equal((await inspectDisk(parseDisk(`${name},format=raw`))).format, "raw");
});

test("a disk that is not there is refused with how to make one", async (t) => {
  const name = `${await file(t)}.new`;
  await assert.rejects(
    inspectDisk(parseDisk(name)),
    refused(/there is no such file; .*\.new,size=8G makes a new disk$/),
  );
});

test("a disk that is not there is made with the size that is given, thin, and used again the next time", async (t) => {
  const name = `${await file(t)}.new`;
  const option = parseDisk(`${name},size=20M`);
  const disks = await openDiskFiles([await inspectDisk(option)]);
  const disk = disks.devices[0]?.device;
  assert.equal(disk?.size, 20 * MIB);
  await disk?.write(byteOffset(5 * MIB), new Uint8Array(4096).fill(7));
  await disks.close();
  assert.ok((await stat(name)).size < MIB);
  const again = await openDiskFiles([await inspectDisk(option)]);
  const found = new Uint8Array(4096);
  await again.devices[0]?.device.read(byteOffset(5 * MIB), found);
  assert.ok(found.every((byte) => byte === 7));
  await again.close();
});

test("a file takes no more of the host's storage than its quota, and what was there can still be written", async (t) => {
  for (const format of ["raw", "qcow2"]) {
    const name = `${await file(t)}.${format}`;
    const disks = await openDiskFiles([await inspectDisk(parseDisk(`${name},size=64M,format=${format},quota=4M`))]);
    const disk = disks.devices[0]?.device;
    const piece = new Uint8Array(256 * 1024).fill(7);
    let written = 0;
    for (let at = 0; at < 64 * MIB; at += piece.length) {
      const error = await disk?.write(byteOffset(at), piece).then(
        () => undefined,
        (error) => error,
      );
      if (error === undefined) written += piece.length;
      else assert.equal(error.kind, "no-space");
    }
    assert.ok(written >= 3 * MIB && written <= 4 * MIB, `${written} bytes written`);
    await disk?.write(byteOffset(0), piece.fill(8));
    await disk?.flush();
    await disks.close();
    assert.ok((await stat(name)).blocks * 512 <= 4 * MIB);
  }
});

test("a guest cannot make a raw disk an image of another format, unless format=raw says that it is one", async (t) => {
  const header = new Uint8Array(512);
  header.set([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]);
  const footer = new Uint8Array(512);
  footer.set(Buffer.from("conectix"));
  const name = await file(t);
  const attach = async (settings: string) => openDiskFiles([await inspectDisk(parseDisk(name + settings))]);
  const guessed = await attach("");
  const disk = guessed.devices[0]!.device;
  await assert.rejects(disk.write(byteOffset(0), header), /would make .* look like a qcow2 image.*format=raw/);
  await assert.rejects(disk.write(byteOffset(disk.size - 512), footer), /look like a VHD image/);
  // In parts, and with a harmless start that hides it.
  await disk.write(byteOffset(0), header.subarray(0, 2));
  await assert.rejects(disk.write(byteOffset(2), header.subarray(2)), { kind: "io" });
  await disk.write(byteOffset(0), Buffer.from("hsqs"));
  await assert.rejects(disk.write(byteOffset(disk.size - 512), footer), { kind: "io" });
  await disk.write(byteOffset(512), header);
  await guessed.close();
  const raw = await attach(",format=raw");
  await raw.devices[0]!.device.write(byteOffset(0), header);
  await raw.close();
});

test("a packed image is attached unpacked, for reading or with writes that are dropped", async (t) => {
  const name = `${await file(t)}.gz`;
  const cache = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = path.dirname(name);
  t.after(() => {
    if (cache === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = cache;
  });
  await writeFile(name, gzipSync(Buffer.alloc(MIB, 7)));
  const plain = await inspectDisk(parseDisk(name));
  assert.deepEqual([plain.readOnly, path.basename(plain.file).slice(17)], [true, "disk.img"]);
  const dropped = await openDiskFiles([await inspectDisk(parseDisk(`${name},snapshot=on`))]);
  const byte = new Uint8Array(1);
  await dropped.devices[0]?.device.write(byteOffset(0), byte);
  await dropped.devices[0]?.device.read(byteOffset(1), byte);
  assert.equal(byte[0], 7);
  await dropped.close();
  await assert.rejects(
    inspectDisk(parseDisk(`${name},readonly=off`)),
    /cannot be written; unpack it, or use snapshot=on/,
  );
});

test("an image that is packed in an unknown way is refused with what to do", async (t) => {
  const name = await file(t, "BZh9");
  await assert.rejects(inspectDisk(parseDisk(name)), refused(/seems to be a bzip2 file; .*unpack it first/));
});

test("an empty file is refused with how to make it a disk", async (t) => {
  const name = await file(t, "", { size: 0 });
  await assert.rejects(inspectDisk(parseDisk(name)), refused(/is empty; .* truncate -s 1G /));
});

test("a file that is not there, or a directory, is refused by name", async () => {
  await assert.rejects(inspectDisk(parseDisk("/no/such/disk.img")), /cannot open \/no\/such\/disk.img: there is no/);
  await assert.rejects(inspectDisk(parseDisk("/")), /cannot open \/: it is not a regular file/);
});

test("a file that may not be written is refused with the settings that help", async (t) => {
  if (process.getuid?.() === 0) return t.skip("root may write everything");
  const name = await file(t);
  await chmod(name, 0o444);
  const disk = await inspectDisk(parseDisk(name));
  await assert.rejects(openDiskFiles([disk]), refused(/permission denied; add ,readonly=on or ,snapshot=on/));
  await (await openDiskFiles([{ ...disk, snapshot: true }])).close();
});

test("a boot file is read whole", async (t) => {
  const name = await file(t, "kernel", { size: 70_001 });
  const bytes = await readBootFile(name, 2 * MIB);
  assert.equal(bytes.length, 70_001);
  assert.equal(Buffer.from(bytes.subarray(0, 6)).toString(), "kernel");
});

test("a boot file larger than memory is refused with what it seems to be", async (t) => {
  const name = await file(t, "CD001", { at: 0x8001, size: 3 * MIB });
  await assert.rejects(
    readBootFile(name, 2 * MIB),
    refused(/seems to be an ISO 9660 disc image and is larger than the machine's memory of 2M/),
  );
});

test("an empty boot file is refused", async (t) => {
  await assert.rejects(readBootFile(await file(t, "", { size: 0 }), MIB), refused(/is empty/));
});
