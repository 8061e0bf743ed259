import assert from "node:assert/strict";
import { readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { type TestContext, test } from "node:test";
import zlib from "node:zlib";
import { identifyFile } from "../disk/node/open-image.ts";
import { diskContent, MIB, mustBeSame } from "../disk/testing/node/image-content.ts";
import { missing, run, scratch } from "../disk/testing/node/qemu-img.ts";
import { packingOf } from "./packing.ts";
import { unpackImage } from "./unpack-image.ts";

const CONTENT = diskContent(3, 5 * MIB);

async function packed(t: TestContext, name: string, bytes: Uint8Array) {
  const directory = await scratch(t);
  const file = path.join(directory, name);
  await writeFile(file, bytes);
  const unpack = async () => {
    const packing = packingOf(await identifyFile(file));
    assert.ok(packing !== undefined);
    return unpackImage(file, packing, { directory: path.join(directory, "cache") });
  };
  return { directory, file, unpack };
}

for (const [name, bytes] of [
  ["disk.img.gz", zlib.gzipSync(CONTENT)],
  ["disk.img.zst", zlib.zstdCompressSync(CONTENT)],
] as const) {
  test(`${name} is unpacked once, whatever becomes of it later`, async (t) => {
    const { unpack, file } = await packed(t, name, bytes);
    const target = await unpack();
    mustBeSame(new Uint8Array(await readFile(target)), CONTENT);
    assert.ok((await stat(target)).blocks * 512 <= CONTENT.length);
    const before = (await stat(target)).ctimeMs;
    assert.equal(await unpack(), target);
    assert.equal((await stat(target)).ctimeMs, before);
    await writeFile(file, name.endsWith("gz") ? zlib.gzipSync("other") : zlib.zstdCompressSync("other"));
    assert.notEqual(await unpack(), target);
  });
}

test("disk.img.xz is unpacked by xz", { skip: missing("xz") }, async (t) => {
  const directory = await scratch(t);
  await writeFile(path.join(directory, "disk.img"), CONTENT);
  await run(directory, "xz", "disk.img");
  const { unpack, file } = await packed(t, "disk.img.xz", await readFile(path.join(directory, "disk.img.xz")));
  mustBeSame(new Uint8Array(await readFile(await unpack())), CONTENT);
  await truncate(file, 1000);
  await assert.rejects(unpack(), /disk\.img\.xz cannot be unpacked: .*(end of|end-of)/i);
});

test("a file that is cut off leaves nothing in the cache", async (t) => {
  const { unpack, file, directory } = await packed(t, "disk.img.gz", zlib.gzipSync(CONTENT));
  await truncate(file, 100_000);
  await assert.rejects(unpack(), /cannot unpack .*disk\.img\.gz: /);
  assert.deepEqual(await readdir(path.join(directory, "cache")), []);
});
