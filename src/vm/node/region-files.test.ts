import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { StoredRegion } from "../../cpu/translate/region-store.ts";
import { keptFolder } from "./kept-file.ts";
import { RegionFiles } from "./region-files.ts";

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-regions-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

/** Regions of made-up bytes, of which bodies have a length. */
function regions(count: number, from = 0, length = 10): StoredRegion[] {
  return Array.from({ length: count }, (_, i) => ({
    key: 0xf000_0000 + i,
    place: 0xf_0000 + i,
    head: Buffer.from(`head ${from + i}`),
    body: Buffer.alloc(length + i, from + i),
  }));
}

const inBuffers = (regions: readonly StoredRegion[] | undefined): StoredRegion[] | undefined =>
  regions?.map(({ head, body, ...rest }) => ({ ...rest, head: Buffer.from(head), body: Buffer.from(body) }));

/** All that a process finds there now, part by part. */
function found(directory: string): (StoredRegion[] | undefined)[] {
  return filesOf(directory).parts.map((part) => inBuffers(part.read(0, part.keys.length)));
}

const filesOf = (directory: string): RegionFiles => new RegionFiles(keptFolder(directory, "regions"));

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

test("what was added is found by later processes, and by the same one", async (t) => {
  const directory = await temporaryDirectory(t);
  assert.deepEqual(found(directory), []);
  const store = filesOf(directory);
  const part = store.add(regions(5));
  assert.deepEqual(inBuffers(part?.read(1, 2)), regions(5).slice(1, 3));
  assert.equal(store.add([]), undefined);
  // Another machine runs at the same time.
  filesOf(directory).add(regions(2, 100));
  const all = found(directory);
  assert.equal(all.length, 2);
  assert.deepEqual(
    all.sort((a, b) => (b?.length ?? 0) - (a?.length ?? 0)),
    [regions(5), regions(2, 100)],
  );
});

test("what is damaged is not used", async (t) => {
  const directory = await temporaryDirectory(t);
  filesOf(directory).add(regions(3));
  const [file = ""] = await filesIn(directory);
  const bytes = await readFile(file);
  const withByte = (at: number, value: number) => {
    const changed = Buffer.from(bytes);
    changed[at] = value;
    return changed;
  };
  for (let at = 0; at < bytes.length; at++) {
    await writeFile(file, withByte(at, (bytes[at] as number) ^ 0x41));
    assert.equal(found(directory)[0], undefined, `byte ${at}`);
  }
  for (let length = 0; length < bytes.length; length++) {
    await writeFile(file, bytes.subarray(0, length));
    assert.equal(found(directory)[0], undefined, `${length} bytes`);
  }
});

test("what other sources have made is not used, and goes", async (t) => {
  const directory = await temporaryDirectory(t);
  filesOf(directory).add(regions(3));
  const [file = ""] = await filesIn(directory);
  const folder = path.dirname(file);
  const other = path.join(path.dirname(folder), "0123456789abcdef");
  await rename(folder, other);
  assert.deepEqual(found(directory), []);
  filesOf(directory).add(regions(1));
  assert.deepEqual(found(directory), [regions(1)]);
  await assert.rejects(stat(other));
});

test("what was not used for longest goes when there is no room, and what ended processes were writing", async (t) => {
  const directory = await temporaryDirectory(t);
  const store = filesOf(directory);
  const MIB = 1024 * 1024;
  for (let i = 0; i < 3; i++) store.add(regions(1, i, 20 * MIB));
  const files = (await filesIn(directory)).sort();
  assert.equal(files.length, 3);
  for (const [i, file] of files.entries()) await utimes(file, 1000 + i, 1000 + i);
  const abandoned = `${files[0]}.123`;
  await writeFile(abandoned, "");
  await utimes(abandoned, 1000, 1000);
  const [, , oldest] = filesOf(directory).parts;
  oldest?.use();
  store.add(regions(1, 9, 20 * MIB));
  const left = await filesIn(directory);
  assert.equal(left.length, 3);
  assert.ok(left.includes(files[0] as string), "it was used");
  assert.ok(!left.includes(files[1] as string), "it was not");
  // What is gone by now is not found.
  assert.equal(found(directory).length, 3);
});

test("what starts used is noted for each of them, and outlasts what is removed around it", async (t) => {
  const directory = await temporaryDirectory(t);
  const store = filesOf(directory);
  assert.deepEqual(store.usesOf("kernel-1"), []);
  const part = store.add(regions(1));
  const uses = [
    { part: part?.name ?? "", group: 0, weight: 60 },
    { part: "gone", group: 12, weight: 7 },
  ];
  store.noteUses("kernel-1", uses);
  store.noteUses("bios", []);
  const later = filesOf(directory);
  assert.deepEqual(later.usesOf("kernel-1"), uses);
  assert.deepEqual(later.usesOf("bios"), []);
  assert.deepEqual(later.usesOf("kernel-2"), []);
  assert.ok(later.parts.some(({ name }) => name === part?.name));
  // Long ago, and more is added.
  for (const file of await filesIn(directory)) await utimes(file, 1000, 1000);
  later.add(regions(1));
  assert.deepEqual(filesOf(directory).usesOf("kernel-1"), uses);
  for (let i = 0; i < 40; i++) later.noteUses(`kernel-${i + 10}`, uses);
  assert.ok((await filesIn(directory)).length <= 2 + 32);
  assert.deepEqual(filesOf(directory).usesOf("kernel-49"), uses);
});
