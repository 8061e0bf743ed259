import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { byteOffset } from "../../bits/units.ts";
import type { CreateOptions } from "../image-format.ts";
import { MemoryStore } from "../memory-store.ts";
import { RawDisk } from "../raw/raw-disk.ts";
import { atOnce, blockDeviceContract, type OpenDisk, readOnlyContract } from "../testing/contract.ts";
import { imageHost } from "../testing/node/image-host.ts";
import { pattern } from "../testing/pattern.ts";
import { checkImage } from "./check.ts";
import { createImage } from "./create.ts";
import { Qcow2Disk } from "./qcow2-disk.ts";
import { createSnapshot } from "./snapshots.ts";

type Variant = Omit<CreateOptions & { version?: 2 | 3 }, "size">;

/** Opens a new image that holds the content; its check at the end must find nothing. */
const opener =
  (variant: Variant, prepare?: (store: MemoryStore) => Promise<void>): OpenDisk =>
  async (content, { readOnly }) => {
    const host = imageHost();
    const store = new MemoryStore(0);
    await createImage(store, host, { ...variant, size: content.length });
    const filled = await Qcow2Disk.open(store, host, { readOnly: false });
    await filled.write(byteOffset(0), content);
    await filled.close();
    await prepare?.(store);
    return checked(await Qcow2Disk.open(store, host, { readOnly }), store);
  };

/** A disk over an image that holds `content` in place of the disk itself. */
const overlayOpener =
  (variant: Variant): OpenDisk =>
  async (content, { readOnly }) => {
    const below = () => new RawDisk(MemoryStore.of(content, { readOnly: true }));
    const host = imageHost({ backing: { base: below } });
    const store = new MemoryStore(0);
    await createImage(store, host, { ...variant, size: content.length, backing: { name: "base", format: "raw" } });
    return checked(await Qcow2Disk.open(store, host, { readOnly }), store);
  };

/** The disk, whose image is checked when it is closed. */
function checked(disk: Qcow2Disk, store: MemoryStore): Qcow2Disk {
  const close = disk.close.bind(disk);
  disk.close = async () => {
    await close();
    const { corruptions, leaks, flaws, messages } = await checkImage(store, { repair: false });
    assert.deepEqual({ corruptions, leaks, flaws, messages }, { corruptions: 0, leaks: 0, flaws: 0, messages: [] });
  };
  return disk;
}

const IMPLEMENTATIONS: readonly [name: string, open: OpenDisk][] = [
  ["qcow2", opener({})],
  ["qcow2 version 2", opener({ version: 2 })],
  ["qcow2 with the smallest clusters", opener({ clusterSize: 512 })],
  ["qcow2 with the largest clusters", opener({ clusterSize: 2 * 1024 * 1024 })],
  ["qcow2 with a snapshot", opener({ clusterSize: 4096 }, (store) => createSnapshot(store, imageHost(), "one"))],
  ["qcow2 with preallocated metadata", opener({ preallocation: "metadata" })],
  ["qcow2 over another image", overlayOpener({})],
  ["qcow2 of version 2 over another image", overlayOpener({ version: 2, clusterSize: 4096 })],
  ["qcow2 with the smallest clusters over another image", overlayOpener({ clusterSize: 512 })],
];

for (const [name, open] of IMPLEMENTATIONS) {
  describe(name, () => {
    for (const part of [...blockDeviceContract, ...readOnlyContract]) test(part.name, () => part.run(open));
  });
  describe(`${name}, at once where it can`, () => {
    for (const part of [...blockDeviceContract, ...readOnlyContract]) test(part.name, () => part.run(atOnce(open)));
  });
}

test("a new image takes little storage, whatever its size", async () => {
  const store = new MemoryStore(0);
  await createImage(store, imageHost(), { size: 2 ** 40 });
  assert.ok(store.size < 1024 * 1024);
});

test("flushed writes are there when the image is opened anew", async () => {
  const store = new MemoryStore(0);
  await createImage(store, imageHost(), { size: 10 * 1024 * 1024 });
  const disk = await Qcow2Disk.open(store, imageHost(), { readOnly: false });
  const content = pattern(1, 300_000);
  await disk.write(byteOffset(5_000_000), content);
  await disk.flush();
  const again = await Qcow2Disk.open(MemoryStore.of(store.toBytes()), imageHost(), { readOnly: true });
  const found = new Uint8Array(content.length);
  await again.read(byteOffset(5_000_000), found);
  assert.deepEqual(found, content);
});

test("clusters with places of their own are read and written at once when their tables are in memory", async () => {
  const store = new MemoryStore(0);
  const size = 10 * 1024 * 1024;
  await createImage(store, imageHost(), { size });
  const disk = await Qcow2Disk.open(store, imageHost(), { readOnly: false });
  const [place, elsewhere] = [byteOffset(5_000_000), byteOffset(1_000_000)];
  const content = pattern(1, 300_000);
  assert.equal(disk.writeNow(place, [content]), false);
  await disk.write(place, content);
  const changed = pattern(2, 200_000);
  assert.equal(disk.writeNow(byteOffset(place + 50_000), [changed]), true);
  content.set(changed, 50_000);
  const found = new Uint8Array(content.length);
  assert.equal(disk.readNow(place, [found]), true);
  assert.deepEqual(found, content);
  // What changes the place of a cluster has it alone.
  const moving = disk.writeZeroes(place, content.length);
  assert.equal(disk.writeNow(place, [content]), false);
  assert.equal(disk.readNow(place, [found]), false);
  assert.equal(disk.readNow(elsewhere, [found]), true);
  assert.deepEqual(found, new Uint8Array(found.length));
  await moving;
  await disk.close();
  const again = await Qcow2Disk.open(store, imageHost(), { readOnly: false });
  assert.equal(again.readNow(elsewhere, [found]), false);
  await again.read(elsewhere, found);
  assert.equal(again.readNow(elsewhere, [found]), true);
  await again.close();
});

test("a write at once that would overwrite a table is left to the one that tells", async () => {
  const store = new MemoryStore(0);
  await createImage(store, imageHost(), { size: 10 * 1024 * 1024 });
  const disk = await Qcow2Disk.open(store, imageHost(), { readOnly: false });
  await disk.write(byteOffset(0), new Uint8Array(512));
  await disk.metadata.change(0, ({ offset, view }) => view.setUint32(4, offset));
  assert.equal(disk.writeNow(byteOffset(0), [new Uint8Array(512)]), false);
  await assert.rejects(disk.write(byteOffset(0), new Uint8Array(512)), /L2 table/);
});
