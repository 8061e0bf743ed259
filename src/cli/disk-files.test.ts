import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { type TestContext, test } from "node:test";
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

test("a qcow2 image is refused with how to convert it, or taken as it is", async (t) => {
  const name = await file(t, "QFI\xfb\0\0\0\x03");
  await assert.rejects(inspectDisk(parseDisk(name)), refused(/seems to be a qcow2 image; .* qemu-img convert -O raw /));
  assert.equal((await inspectDisk(parseDisk(`${name},format=raw`))).file, name);
});

test("a compressed image is refused with what to do", async (t) => {
  const name = await file(t, "\x1f\x8b");
  await assert.rejects(inspectDisk(parseDisk(name)), refused(/seems to be a gzip file; unpack it first/));
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
