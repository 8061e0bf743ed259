/** qcow2 images go to and fro between QEMU's tools and Bunkhouse. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { byteOffset } from "../../bits/units.ts";
import type { CreateOptions } from "../image-format.ts";
import { FileStore } from "../node/file-store.ts";
import { nodeImageHost } from "../node/image-host.ts";
import { openImage } from "../node/open-image.ts";
import { contentOf, diskContent, fileContent, KIB, MIB, mustBeSame } from "../testing/node/image-content.ts";
import { qemuImg, run, scratch, withoutQemuImg } from "../testing/node/qemu-img.ts";
import { pattern } from "../testing/pattern.ts";
import { checkImage } from "./check.ts";
import { createImage } from "./create.ts";
import { resizeImage } from "./resize.ts";
import { applySnapshot, createSnapshot, deleteSnapshot } from "./snapshots.ts";

const skip = withoutQemuImg;
const SIZE = 5 * MIB + 3 * 512;

/** Makes a new image in a file. */
async function create(file: string, options: CreateOptions & { version?: 2 | 3 }): Promise<void> {
  const store = await FileStore.open(file, { create: 0 });
  await createImage(store, nodeImageHost(file), options);
  await store.close();
}

async function withStore(file: string, operation: (store: FileStore) => Promise<void>): Promise<void> {
  const store = await FileStore.open(file);
  try {
    await operation(store);
  } finally {
    await store.close();
  }
}

async function check(file: string) {
  const store = await FileStore.open(file, { readOnly: true });
  const { corruptions, leaks, flaws } = await checkImage(store, { repair: false });
  await store.close();
  return { corruptions, leaks, flaws };
}

const SOUND = { corruptions: 0, leaks: 0, flaws: 0 };

/** What QEMU's tools think of an image, and its content by them. */
async function byQemu(directory: string, file: string): Promise<Uint8Array> {
  await qemuImg(directory, "check", "-f", "qcow2", file);
  const raw = path.join(directory, "by-qemu.raw");
  await qemuImg(directory, "convert", "-f", "qcow2", "-O", "raw", file, raw);
  return fileContent(raw);
}

describe("images made by qemu-img", { skip }, () => {
  const conversions: readonly [name: string, options: readonly string[]][] = [
    ["of version 3", []],
    ["of version 2", ["-o", "compat=0.10"]],
    ["with the smallest clusters", ["-o", "cluster_size=512"]],
    ["with the largest clusters", ["-o", "cluster_size=2M"]],
    ["with lazy refcounts", ["-o", "lazy_refcounts=on"]],
    ["compressed by zlib", ["-c"]],
    ["compressed by zlib with small clusters", ["-c", "-o", "cluster_size=4k"]],
    ["compressed by zlib with large clusters", ["-c", "-o", "cluster_size=1M"]],
    ["compressed by zstd", ["-c", "-o", "compression_type=zstd"]],
    ["with preallocated metadata", ["-o", "preallocation=metadata"]],
    ["with full preallocation", ["-o", "preallocation=full"]],
    ...[1, 2, 4, 8, 32, 64].map((bits): [string, string[]] => [
      `with refcounts of ${bits} bits`,
      ["-o", `refcount_bits=${bits}`],
    ]),
  ];
  for (const [name, options] of conversions) {
    test(`an image ${name} has its content, and can be changed`, async (t) => {
      const directory = await scratch(t);
      const content = diskContent(1, SIZE);
      await writeFile(path.join(directory, "a.raw"), content);
      await qemuImg(directory, "convert", "-f", "raw", "-O", "qcow2", ...options, "a.raw", "a.qcow2");
      const file = path.join(directory, "a.qcow2");
      const disk = await openImage(file, { readOnly: false });
      mustBeSame(await contentOf(disk), content);
      const random = new SeededRandom(5);
      for (let i = 0; i < 40; i++) {
        const offset = random.below(SIZE);
        const length = random.below(Math.min(SIZE - offset, 300 * KIB)) + 1;
        if (i % 4 === 3) {
          await disk.writeZeroes(byteOffset(offset), length);
          content.fill(0, offset, offset + length);
        } else {
          const bytes = pattern(i + 1, length);
          await disk.write(byteOffset(offset), bytes);
          content.set(bytes, offset);
        }
      }
      mustBeSame(await contentOf(disk), content);
      await disk.close();
      mustBeSame(await byQemu(directory, file), content);
      assert.deepEqual(await check(file), SOUND);
    });
  }

  test("images based on one another, with relative names in other folders, read as qemu-img reads them", async (t) => {
    const directory = await scratch(t);
    const content = diskContent(2, SIZE);
    await run(directory, "mkdir", "below");
    await writeFile(path.join(directory, "below", "base.raw"), content);
    await qemuImg(
      directory,
      "create",
      "-f",
      "qcow2",
      "-b",
      "base.raw",
      "-F",
      "raw",
      "below/middle.qcow2",
      `${SIZE + MIB}`,
    );
    await qemuImg(directory, "create", "-f", "qcow2", "-b", "below/middle.qcow2", "-F", "qcow2", "top.qcow2");
    await run(directory, "qemu-io", "-c", "write -P 7 100k 300k", "below/middle.qcow2");
    await run(directory, "qemu-io", "-c", "write -P 9 200k 1M", "-c", "write -z 2M 1M", "top.qcow2");
    const file = path.join(directory, "top.qcow2");
    const disk = await openImage(file, { readOnly: true });
    mustBeSame(await contentOf(disk), await byQemu(directory, file));
    await disk.close();
  });

  test("snapshots of qemu-img are listed, readable and hold through writes", async (t) => {
    const directory = await scratch(t);
    const content = diskContent(3, SIZE);
    await writeFile(path.join(directory, "a.raw"), content);
    await qemuImg(directory, "convert", "-O", "qcow2", "a.raw", "a.qcow2");
    await qemuImg(directory, "snapshot", "-c", "first", "a.qcow2");
    const file = path.join(directory, "a.qcow2");
    const disk = await openImage(file, { readOnly: false });
    assert.deepEqual(
      disk.info.snapshots?.map(({ id, name, size }) => ({ id, name, size })),
      [{ id: "1", name: "first", size: SIZE }],
    );
    const later = content.slice();
    later.set(pattern(4, MIB), 12345);
    await disk.write(byteOffset(12345), pattern(4, MIB));
    await disk.close();
    mustBeSame(await byQemu(directory, file), later);
    const before = await openImage(file, { readOnly: true, snapshot: "first" });
    mustBeSame(await contentOf(before), content);
    await before.close();
    await qemuImg(directory, "snapshot", "-a", "first", "a.qcow2");
    mustBeSame(await byQemu(directory, file), content);
  });

  test("an image that QEMU left dirty is mended when it is opened for writing", async (t) => {
    const directory = await scratch(t);
    await qemuImg(directory, "create", "-f", "qcow2", "-o", "lazy_refcounts=on", "a.qcow2", "8M");
    // Ends without closing the image: its counts were never written.
    await run(directory, "qemu-io", "-c", "write -P 5 1M 2M", "-c", "flush", "-c", "sigraise 9", "a.qcow2").catch(
      () => "",
    );
    const file = path.join(directory, "a.qcow2");
    const reader = await openImage(file, { readOnly: true });
    assert.match(reader.info.details?.join() ?? "", /dirty/);
    await reader.close();
    const disk = await openImage(file, { readOnly: false });
    await disk.write(byteOffset(4 * MIB), pattern(1, MIB));
    await disk.close();
    const content = await byQemu(directory, file);
    assert.ok(content.subarray(MIB, 3 * MIB).every((byte) => byte === 5));
    mustBeSame(content.subarray(4 * MIB, 5 * MIB), pattern(1, MIB));
  });

  test("extended L2 entries and external data files are refused by name", async (t) => {
    const directory = await scratch(t);
    await qemuImg(directory, "create", "-f", "qcow2", "-o", "extended_l2=on", "a.qcow2", "8M");
    await qemuImg(directory, "create", "-f", "qcow2", "-o", "data_file=data", "b.qcow2", "8M");
    const open = (name: string) => openImage(path.join(directory, name), { readOnly: false });
    await assert.rejects(open("a.qcow2"), /features that are not supported: extended L2 entries \(subclusters\)/);
    await assert.rejects(open("b.qcow2"), /features that are not supported: external data file/);
  });
});

describe("images made by Bunkhouse", { skip }, () => {
  const variants: readonly [name: string, options: Omit<CreateOptions & { version?: 2 | 3 }, "size">][] = [
    ["plain", {}],
    ["of version 2", { version: 2 }],
    ["with the smallest clusters", { clusterSize: 512 }],
    ["with the largest clusters", { clusterSize: 2 * MIB }],
    ["with preallocated metadata", { preallocation: "metadata" }],
    ["with storage reserved", { preallocation: "falloc" }],
    ["fully preallocated", { preallocation: "full" }],
  ];
  for (const [name, options] of variants) {
    test(`an image ${name} is sound to qemu-img and has its content`, async (t) => {
      const directory = await scratch(t);
      const file = path.join(directory, "a.qcow2");
      await create(file, { ...options, size: SIZE });
      await qemuImg(directory, "check", file);
      const content = diskContent(6, SIZE);
      const disk = await openImage(file, { readOnly: false });
      await disk.write(byteOffset(0), content);
      await disk.discard(byteOffset(MIB), MIB);
      content.set(await contentOf(disk));
      await disk.close();
      mustBeSame(await byQemu(directory, file), content);
    });
  }

  test("an image of 64 TiB is sound, and holds what is written at its end", async (t) => {
    const directory = await scratch(t);
    const file = path.join(directory, "a.qcow2");
    await create(file, { size: 64 * 1024 ** 4 });
    const disk = await openImage(file, { readOnly: false });
    await disk.write(byteOffset(64 * 1024 ** 4 - 512), pattern(1, 512));
    await disk.close();
    await qemuImg(directory, "check", file);
    const read = await run(directory, "qemu-io", "-r", "-c", `read -v ${64 * 1024 ** 4 - 512} 16`, "a.qcow2");
    const bytes = [...pattern(1, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    assert.match(read, new RegExp(bytes));
  });

  test("more clusters than the first refcount table counts are sound", async (t) => {
    const directory = await scratch(t);
    const file = path.join(directory, "a.qcow2");
    // A table of one cluster of 512 bytes has 64 blocks for 256 clusters each: 8 MiB.
    await create(file, { size: 40 * MIB, clusterSize: 512 });
    const disk = await openImage(file, { readOnly: false });
    const content = pattern(9, 20 * MIB);
    for (let at = 0; at < content.length; at += 64 * KIB) {
      await disk.write(byteOffset(at), content.subarray(at, at + 64 * KIB));
    }
    await disk.close();
    mustBeSame((await byQemu(directory, file)).subarray(0, content.length), content);
  });

  test("an image over another one is sound to qemu-img and hides what is below zeroes", async (t) => {
    const directory = await scratch(t);
    const content = diskContent(7, SIZE);
    await writeFile(path.join(directory, "base.raw"), content);
    const file = path.join(directory, "top.qcow2");
    await create(file, { size: SIZE + MIB, backing: { name: "base.raw", format: "raw" } });
    const expected = new Uint8Array(SIZE + MIB);
    expected.set(content);
    const disk = await openImage(file, { readOnly: false });
    await disk.writeZeroes(byteOffset(100), 700 * KIB);
    expected.fill(0, 100, 100 + 700 * KIB);
    await disk.write(byteOffset(SIZE - 700), pattern(3, 5000));
    expected.set(pattern(3, 5000), SIZE - 700);
    await disk.close();
    mustBeSame(await byQemu(directory, file), expected);
    mustBeSame(await fileContent(path.join(directory, "base.raw")), content);
  });

  test("snapshots made, gone back to and deleted are sound to qemu-img at every step", async (t) => {
    const directory = await scratch(t);
    const file = path.join(directory, "a.qcow2");
    await create(file, { size: SIZE, clusterSize: 4 * KIB });
    const states: Uint8Array[] = [];
    const host = nodeImageHost(file);
    for (let i = 0; i < 3; i++) {
      const disk = await openImage(file, { readOnly: false });
      await disk.write(byteOffset(i * 500_000), pattern(20 + i, MIB));
      await disk.writeZeroes(byteOffset(i * 700_000), 100_000);
      states.push(await contentOf(disk));
      await disk.close();
      await withStore(file, (store) => createSnapshot(store, host, `state ${i}`));
      mustBeSame(await byQemu(directory, file), states[i]!);
      assert.deepEqual(await check(file), SOUND);
    }
    assert.match(await qemuImg(directory, "snapshot", "-l", file), /state 0[\s\S]*state 1[\s\S]*state 2/);
    await withStore(file, (store) => applySnapshot(store, "state 0"));
    mustBeSame(await byQemu(directory, file), states[0]!);
    await withStore(file, (store) => deleteSnapshot(store, "state 1"));
    mustBeSame(await byQemu(directory, file), states[0]!);
    const disk = await openImage(file, { readOnly: false });
    await disk.write(byteOffset(0), pattern(30, 2 * MIB));
    await disk.close();
    await withStore(file, (store) => applySnapshot(store, "state 2"));
    mustBeSame(await byQemu(directory, file), states[2]!);
    await withStore(file, (store) => deleteSnapshot(store, "state 0"));
    await withStore(file, (store) => deleteSnapshot(store, "state 2"));
    mustBeSame(await byQemu(directory, file), states[2]!);
    assert.deepEqual(await check(file), SOUND);
  });

  test("a disk that grows and shrinks keeps its content and reads as zeros where it is new", async (t) => {
    const directory = await scratch(t);
    const file = path.join(directory, "a.qcow2");
    const content = diskContent(8, SIZE);
    await create(file, { size: SIZE, clusterSize: 512 });
    const disk = await openImage(file, { readOnly: false });
    await disk.write(byteOffset(0), content);
    await disk.close();
    const host = nodeImageHost(file);
    for (const size of [MIB, 20 * MIB, 2 * MIB + 512, 60 * MIB]) {
      await withStore(file, (store) => resizeImage(store, host, size, { shrink: true }));
      const found = await byQemu(directory, file);
      assert.equal(found.length, size);
      mustBeSame(found.subarray(0, MIB), content.subarray(0, MIB));
      assert.ok(Buffer.from(found.subarray(MIB)).equals(Buffer.alloc(size - MIB)));
    }
  });
});
