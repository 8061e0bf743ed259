import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, type TestContext, test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { byteOffset, MIB } from "../../bits/units.ts";
import { MemoryStore } from "../memory-store.ts";
import { openImage } from "../node/open-image.ts";
import { RawDisk } from "../raw/raw-disk.ts";
import { missing, run, scratch } from "../testing/node/qemu-img.ts";
import { pattern } from "../testing/pattern.ts";
import { createGpt, createMbr, type NewPartition, randomGuid } from "./create-table.ts";
import { readPartitionTable } from "./read-table.ts";
import { PARTITION_TYPES } from "./types.ts";

const skip = missing("sfdisk");
const SIZE = 200 * MIB;

const typeOf = (name: string) => PARTITION_TYPES.find((type) => type.name === name)!;
const guid = () => randomGuid((length) => new Uint8Array(randomBytes(length)));
const PARTITIONS: readonly NewPartition[] = [
  { size: 20 * MIB, type: typeOf("efi"), name: "boot" },
  { size: 30 * MIB + 512, type: typeOf("swap"), name: "" },
  { size: undefined, type: typeOf("linux"), name: "wörld" },
];

/** What sfdisk makes of an image: partitions as `[first, sectors, type, name]`. */
async function bySfdisk(directory: string, file: string) {
  const { partitiontable: table } = JSON.parse(await run(directory, "sfdisk", "--json", file));
  return {
    kind: table.label === "dos" ? "mbr" : table.label,
    id: String(table.id).replace("0x", ""),
    partitions: table.partitions.map((one: { start: number; size: number; type: string; name?: string }) => [
      one.start,
      one.size,
      one.type,
      one.name ?? "",
    ]),
  };
}

async function ours(file: string) {
  const disk = await openImage(file, { readOnly: true, format: "raw" });
  const { kind, id, partitions, problems } = await readPartitionTable(disk);
  await disk.close();
  assert.deepEqual(problems, []);
  const short = (type: string) => (kind === "mbr" ? type.replace(/^0/, "") : type);
  return { kind, id, partitions: partitions.map((one) => [one.first, one.sectors, short(one.type), one.name]) };
}

async function partitioned(t: TestContext, script: string) {
  const directory = await scratch(t);
  const file = path.join(directory, "disk.img");
  await writeFile(file, "");
  await truncate(file, SIZE);
  const child = spawn("sfdisk", [file], { stdio: ["pipe", "ignore", "ignore"] });
  child.stdin.end(script);
  assert.deepEqual(await once(child, "close"), [0, null]);
  return { directory, file };
}

describe("tables made by sfdisk", { skip }, () => {
  const scripts = {
    "an MBR": "label: dos\n,20M,c,*\n,30M,82\n,,83\n",
    "an MBR with logical partitions": "label: dos\n,20M,83\n,,5\n,10M,83\n,20M,82\n,30M,8e\n",
    "a GPT": 'label: gpt\nsize=20M,type=U,name="EFI"\nsize=30M,type=S\ntype=L,name="räst"\n',
  };
  for (const [name, script] of Object.entries(scripts)) {
    test(`${name} reads as sfdisk reads it`, async (t) => {
      const { directory, file } = await partitioned(t, script);
      assert.deepEqual(await ours(file), await bySfdisk(directory, file));
    });
  }
});

describe("tables made by Bunkhouse", { skip }, () => {
  for (const kind of ["mbr", "gpt"] as const) {
    test(`a new ${kind} is right to sfdisk`, async (t) => {
      const { directory, file } = await partitioned(t, "label: gpt\n,,L\n");
      const disk = await openImage(file, { readOnly: false, format: "raw" });
      if (kind === "gpt") await createGpt(disk, PARTITIONS, guid);
      else await createMbr(disk, PARTITIONS, new Uint8Array(randomBytes(4)));
      await disk.close();
      assert.match(await run(directory, "sfdisk", "--verify", file), /No errors detected|Remaining/);
      const found = await bySfdisk(directory, file);
      assert.equal(found.kind, kind);
      assert.deepEqual(await ours(file), found);
      assert.deepEqual(
        found.partitions.map(([first, sectors]: [number, number]) => [first % 2048, sectors]).slice(0, 2),
        [
          [0, 40960],
          [0, 61441],
        ],
      );
    });
  }
});

async function withGpt() {
  const store = new MemoryStore(SIZE);
  const disk = new RawDisk(store);
  await createGpt(disk, PARTITIONS, guid);
  return disk;
}

test("a GPT whose start is damaged is read from its copy at the end, and that is told", async () => {
  for (const damaged of [512, 1024]) {
    const disk = await withGpt();
    await disk.write(byteOffset(damaged + 20), Uint8Array.of(99));
    const { kind, partitions, problems } = await readPartitionTable(disk);
    assert.deepEqual([kind, partitions.length], ["gpt", 3]);
    assert.match(problems.join(), /the GPT at the start is damaged \(.*checksum.*\); the one at the end is used/);
  }
});

test("a GPT whose copy is damaged, and a disk that has grown, are told", async () => {
  const disk = await withGpt();
  await disk.write(byteOffset(SIZE - 512), new Uint8Array(512));
  assert.match((await readPartitionTable(disk)).problems.join(), /the GPT at the end is damaged: there is none/);
});

test("an endless list of logical partitions ends", async () => {
  const disk = new RawDisk(new MemoryStore(SIZE));
  const link = new Uint8Array(512);
  link.set([0x55, 0xaa], 510);
  link.set([0, 0, 0, 0, 5, 0, 0, 0, 10, 0, 0, 0, 10, 0, 0, 0], 0x1be);
  await disk.write(byteOffset(0), link);
  link.set([0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0], 0x1ce);
  await disk.write(byteOffset(5120), link);
  assert.match((await readPartitionTable(disk)).problems.join(), /has no end/);
});

test("any start of a disk gives a table or none", async () => {
  const random = new SeededRandom(8);
  for (let i = 0; i < 500; i++) {
    const disk = i % 2 === 0 ? await withGpt() : new RawDisk(MemoryStore.of(pattern(i + 1, 64 * 512)));
    await disk.write(byteOffset(510), Uint8Array.of(0x55, 0xaa));
    for (let k = 0; k < 4; k++) await disk.write(byteOffset(random.below(2048)), pattern(i * 4 + k + 1, 8));
    await readPartitionTable(disk);
  }
});

test("a partition that does not fit is refused with what is left", async () => {
  const disk = new RawDisk(new MemoryStore(10 * MIB));
  await assert.rejects(createGpt(disk, PARTITIONS, guid), /there is no room for partition 1: \d+ bytes are left/);
  await assert.rejects(
    createMbr(disk, Array(5).fill(PARTITIONS[0]), guid()),
    /at most 4 partitions here; use --create gpt/,
  );
});
