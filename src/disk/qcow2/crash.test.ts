/** A host that crashes never damages a qcow2 image: at worst, clusters are counted that nothing uses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { byteOffset } from "../../bits/units.ts";
import type { CreateOptions } from "../image-format.ts";
import { MemoryStore } from "../memory-store.ts";
import { RawDisk } from "../raw/raw-disk.ts";
import { CrashStore } from "../testing/crash-store.ts";
import { type CrashSubject, tryCrashes } from "../testing/crash-test.ts";
import { imageHost } from "../testing/node/image-host.ts";
import { pattern } from "../testing/pattern.ts";
import { checkImage } from "./check.ts";
import { createImage } from "./create.ts";
import { Qcow2Disk } from "./qcow2-disk.ts";
import { applySnapshot, createSnapshot, deleteSnapshot } from "./snapshots.ts";

const SIZE = 600 * 512;
const host = imageHost({ backing: { base: () => new RawDisk(new MemoryStore(SIZE, { readOnly: true })) } });

async function subject(options: Partial<CreateOptions> & { version?: 2 | 3 }): Promise<CrashSubject> {
  const store = new MemoryStore(0);
  await createImage(store, host, { ...options, size: SIZE });
  return {
    image: store.toBytes(),
    size: SIZE,
    open: (store) => Qcow2Disk.open(store, host, { readOnly: false }),
    check: async (store) => {
      const { corruptions, flaws, messages } = await checkImage(store, { repair: false });
      assert.deepEqual({ corruptions, flaws, messages: corruptions + flaws > 0 ? messages : [] }, SOUND);
    },
  };
}
const SOUND = { corruptions: 0, flaws: 0, messages: [] };

const SUBJECTS: readonly [name: string, options: Parameters<typeof subject>[0]][] = [
  ["with the smallest clusters", { clusterSize: 512 }],
  ["with clusters of 4 KiB", { clusterSize: 4096 }],
  ["of version 2", { clusterSize: 1024, version: 2 }],
  ["over another image", { clusterSize: 1024, backing: { name: "base", format: "raw" } }],
];

for (const [name, options] of SUBJECTS) {
  test(`an image ${name} survives crashes with all that was flushed`, async () => {
    const crashes = await tryCrashes(await subject(options), { seed: 3, operations: 400, rarity: 12 });
    assert.ok(crashes > 50, `only ${crashes} crashes`);
  });
}

/** What a crash leaves at every moment of `operation`, on an image with a snapshot and writes after it. */
async function duringSnapshot(operation: (store: CrashStore) => Promise<void>): Promise<void> {
  const made = new MemoryStore(0);
  await createImage(made, host, { size: SIZE, clusterSize: 512 });
  const write = async (seed: number) => {
    const disk = await Qcow2Disk.open(made, host, { readOnly: false });
    await disk.write(byteOffset(seed * 10_000), pattern(seed, 100_000));
    await disk.close();
  };
  await write(1);
  await createSnapshot(made, host, "first");
  const states = [await contentAt(made, "first")];
  await write(5);
  states.push(await contentAt(made));
  const random = new SeededRandom(9);
  const store = new CrashStore(made.toBytes());
  const crashes: Promise<MemoryStore>[] = [];
  store.onMoment = () => {
    if (crashes.length < 400) crashes.push(store.afterCrash(random));
  };
  await operation(store);
  for (const left of await Promise.all(crashes)) {
    const { corruptions, messages } = await checkImage(left, { repair: false });
    assert.equal(corruptions, 0, messages.join("\n"));
    const found = await contentAt(left);
    assert.ok(
      states.some((state) => Buffer.compare(state, found) === 0),
      "the disk is neither as before nor as after",
    );
    const snapshots = (await Qcow2Disk.open(left, host, { readOnly: true })).info.snapshots ?? [];
    if (snapshots.some(({ name }) => name === "first")) assert.deepEqual(await contentAt(left, "first"), states[0]);
  }
}

async function contentAt(store: MemoryStore, snapshot?: string): Promise<Uint8Array> {
  const options = snapshot === undefined ? {} : { snapshot };
  const disk = await Qcow2Disk.open(store, host, { readOnly: true, ...options });
  const content = new Uint8Array(disk.size);
  await disk.read(byteOffset(0), content);
  return content;
}

test("a crash while a snapshot is made leaves the disk and the other snapshots as they were", () =>
  duringSnapshot((store) => createSnapshot(store, host, "second")));

test("a crash while a snapshot is gone back to leaves the disk as before or as wanted", () =>
  duringSnapshot((store) => applySnapshot(store, "first")));

test("a crash while a snapshot is deleted leaves the disk as it was", () =>
  duringSnapshot((store) => deleteSnapshot(store, "first")));
