import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { byteOffset } from "../../bits/units.ts";
import { MemoryStore } from "../memory-store.ts";
import { FileStore } from "../node/file-store.ts";
import { atOnce, blockDeviceContract, type OpenDisk, readOnlyContract } from "../testing/contract.ts";
import { RawDisk } from "./raw-disk.ts";

const folder = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-raw-"));
after(() => rm(folder, { recursive: true }));
let files = 0;

const implementations: [string, OpenDisk][] = [
  ["raw over memory", async (content, options) => new RawDisk(MemoryStore.of(content, options))],
  [
    "raw over a file",
    async (content, options) => {
      const file = path.join(folder, `${files++}.img`);
      await writeFile(file, content);
      return new RawDisk(await FileStore.open(file, options));
    },
  ],
];

for (const [name, open] of implementations) {
  describe(name, () => {
    for (const part of [...blockDeviceContract, ...readOnlyContract]) test(part.name, () => part.run(open));
  });
  describe(`${name}, at once where it can`, () => {
    for (const part of [...blockDeviceContract, ...readOnlyContract]) test(part.name, () => part.run(atOnce(open)));
  });
}

test("a writable store can be shown as a read-only disk", async () => {
  const disk = new RawDisk(new MemoryStore(1024), { readOnly: true });
  assert.equal(disk.readOnly, true);
  await assert.rejects(disk.write(byteOffset(0), new Uint8Array(1)), { kind: "read-only" });
});

test("an image that ends within a sector is rounded up with zeros and grows when its end is written", async () => {
  const store = MemoryStore.of(new Uint8Array(700).fill(7));
  const disk = new RawDisk(store);
  assert.equal(disk.size, 1024);
  const sector = new Uint8Array(512).fill(1);
  await disk.read(byteOffset(512), sector);
  assert.deepEqual([sector[187], sector[188], sector[511]], [7, 0, 0]);
  await disk.write(byteOffset(1023), Uint8Array.of(9));
  assert.equal(store.size, 1024);
  assert.deepEqual([...store.toBytes().subarray(699, 702)], [7, 0, 0]);
});
