import assert from "node:assert/strict";
import { test } from "node:test";
import { byteOffset } from "../../bits/units.ts";
import { BlockError } from "../../disk/block-device.ts";
import { MemoryStore } from "../../disk/memory-store.ts";
import { RawDisk } from "../../disk/raw/raw-disk.ts";
import { ImmediateWork } from "../../machine/testing/rig.ts";
import { runCommand, type ScsiResult } from "./run-command.ts";
import { ScsiDisk } from "./scsi-disk.ts";

const BLOCKS = 8192;

interface Reply extends ScsiResult {
  readonly data: Uint8Array;
}

function rig({ readOnly = false } = {}) {
  const disk = new RawDisk(new MemoryStore(BLOCKS * 512), { readOnly });
  const unit = new ScsiDisk({ disk, serial: "SER1" });
  const calls: string[] = [];
  const { flush, discard, writeZeroes } = disk;
  disk.flush = () => {
    calls.push("flush");
    return flush.call(disk);
  };
  disk.discard = (offset, length) => {
    calls.push(`discard ${offset} ${length}`);
    return discard.call(disk, offset, length);
  };
  disk.writeZeroes = (offset, length) => {
    calls.push(`zero ${offset} ${length}`);
    return writeZeroes.call(disk, offset, length);
  };
  const run = (cdb: number[], out: Uint8Array = new Uint8Array(0), inLength = 1 << 20) =>
    new Promise<Reply>((resolve) => {
      const data = new Uint8Array(inLength);
      runCommand({
        unit,
        cdb: Uint8Array.from(cdb),
        work: new ImmediateWork(),
        buffers: {
          inLength,
          outLength: out.length,
          put: (at, bytes) => {
            data.set(bytes, at);
            return true;
          },
          take: (at, target) => {
            target.set(out.subarray(at, at + target.length));
            return true;
          },
        },
        done: (result) => resolve({ ...result, data: data.subarray(0, result.transferred) }),
      });
    });
  const onDisk = async (lba: number, count = 1) => {
    const bytes = new Uint8Array(count * 512);
    await disk.read(byteOffset(lba * 512), bytes);
    return bytes;
  };
  return { disk, unit, run, calls, onDisk };
}

/** A rig whose unit attention was taken. */
async function ready(options: Parameters<typeof rig>[0] = {}) {
  const made = rig(options);
  const { sense } = await made.run([0]);
  assert.deepEqual(sense, { key: 6, code: 0x2900 });
  return made;
}

const be = (value: number, bytes: number) =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** (bytes - 1 - i)) % 256);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const sector = (fill: number, count = 1) => new Uint8Array(512 * count).fill(fill);

test("the first command is told of the reset, which INQUIRY and REPORT LUNS do not take away", async () => {
  const { run } = rig();
  assert.equal((await run([0x12, 0, 0, 0, 36])).status, 0);
  assert.deepEqual([...(await run([0xa0, 0, 0, 0, 0, 0, ...be(16, 4)])).data], [0, 0, 0, 8, ...new Array(12).fill(0)]);
  const { status, sense } = await run([0]);
  assert.deepEqual([status, sense?.key, sense?.code], [2, 6, 0x2900]);
  assert.equal((await run([0])).status, 0);
});

test("INQUIRY tells of a disk, its serial number, limits and provisioning", async () => {
  const { run } = await ready();
  const { data } = await run([0x12, 0, 0, 0, 255]);
  assert.deepEqual([data.length, data[0], data[2], data[3], data[4], data[7]], [36, 0, 6, 0x12, 31, 2]);
  assert.equal(text(data.subarray(8, 32)), "BUNKHSE Virtual disk    ");
  const page = async (code: number) => (await run([0x12, 1, code, 0, 255])).data;
  assert.deepEqual([...(await page(0))], [0, 0, 0, 6, 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2]);
  assert.equal(text((await page(0x80)).subarray(4)), "SER1");
  assert.equal(text((await page(0x83)).subarray(8)), "BUNKHSE SER1");
  const limits = new DataView((await page(0xb0)).slice().buffer);
  assert.deepEqual([limits.byteLength, limits.getUint32(20), limits.getUint32(24)], [64, 2_097_152, 64]);
  assert.equal(limits.getBigUint64(36), 131_072n);
  assert.deepEqual([...(await page(0xb1)).subarray(0, 6)], [0, 0xb1, 0, 60, 0, 1]);
  assert.deepEqual([...(await page(0xb2))], [0, 0xb2, 0, 4, 0, 0xe0, 2, 0]);
  assert.deepEqual((await run([0x12, 1, 0x99, 0, 255])).sense, { key: 5, code: 0x2400 });
  assert.deepEqual((await run([0x12, 0, 0x80, 0, 255])).sense, { key: 5, code: 0x2400 });
  assert.equal((await run([0x12, 0, 0, 0, 5])).data.length, 5, "as much as was asked for");
});

test("READ CAPACITY tells the last block", async () => {
  const { run } = await ready();
  assert.deepEqual([...(await run([0x25])).data], [...be(BLOCKS - 1, 4), ...be(512, 4)]);
  const long = (await run([0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, ...be(32, 4)])).data;
  assert.deepEqual([...long.subarray(0, 15)], [...be(BLOCKS - 1, 8), ...be(512, 4), 0, 0, 0x80]);
  assert.equal((await run([0x9e, 0x11])).sense?.code, 0x2400);
  const readOnly = await ready({ readOnly: true });
  assert.equal((await readOnly.run([0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, ...be(32, 4)])).data[14], 0);
});

test("blocks are read and written by each length of command", async () => {
  const { run, onDisk } = await ready();
  const writes: [number[], number, number][] = [
    [[0x0a, 0, 0, 5, 2, 0], 5, 2],
    [[0x2a, 0, ...be(10, 4), 0, ...be(3, 2), 0], 10, 3],
    [[0xaa, 0, ...be(20, 4), ...be(1, 4), 0, 0], 20, 1],
    [[0x8a, 0, ...be(30, 8), ...be(4, 4), 0, 0], 30, 4],
    [[0x2e, 0, ...be(40, 4), 0, ...be(1, 2), 0], 40, 1],
    [[0xae, 0, ...be(41, 4), ...be(1, 4), 0, 0], 41, 1],
    [[0x8e, 0, ...be(42, 8), ...be(1, 4), 0, 0], 42, 1],
  ];
  for (const [cdb, lba, count] of writes) {
    const { status, transferred } = await run(cdb, sector(lba, count));
    assert.deepEqual([status, transferred], [0, count * 512]);
    assert.ok((await onDisk(lba, count)).every((byte) => byte === lba));
    assert.equal((await onDisk(lba + count))[0] === lba, false);
  }
  const reads = [
    [0x08, 0, 0, 5, 2, 0],
    [0x28, 0, ...be(5, 4), 0, ...be(2, 2), 0],
    [0xa8, 0, ...be(5, 4), ...be(2, 4), 0, 0],
    [0x88, 0, ...be(5, 8), ...be(2, 4), 0, 0],
  ];
  for (const cdb of reads) assert.deepEqual((await run(cdb)).data, sector(5, 2));
  assert.equal((await run([0x08, 0, 0, 0, 0, 0])).data.length, 256 * 512, "no blocks are 256 here");
  assert.equal((await run([0x28, 0, ...be(0, 4), 0, 0, 0, 0])).data.length, 0);
});

test("blocks beyond the end are refused", async () => {
  const { run } = await ready();
  for (const cdb of [
    [0x28, 0, ...be(BLOCKS, 4), 0, 0, 1, 0],
    [0x28, 0, ...be(BLOCKS - 1, 4), 0, 0, 2, 0],
    [0x88, 0, ...be(2 ** 52, 8), ...be(1, 4), 0, 0],
    [0x8a, 0, 255, 255, 255, 255, 255, 255, 255, 255, ...be(1, 4), 0, 0],
    [0x2f, 0, ...be(BLOCKS, 4), 0, 0, 1, 0],
    [0x41, 0, ...be(BLOCKS, 4), 0, 0, 1, 0],
  ]) {
    assert.deepEqual((await run(cdb, sector(0))).sense, { key: 5, code: 0x2100 });
  }
});

test("the cache is flushed when told, with FUA, and always while it is off", async () => {
  const { run, calls } = await ready();
  await run([0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], sector(1));
  assert.deepEqual(calls, []);
  await run([0x35]);
  await run([0x91]);
  await run([0x2a, 0x08, 0, 0, 0, 0, 0, 0, 1, 0], sector(1));
  assert.equal(calls.length, 3);
  const caching = async (control: number) => (await run([0x1a, 0, (control << 6) | 8, 0, 255])).data;
  assert.deepEqual([...(await caching(0))].slice(0, 7), [23, 0, 0x10, 0, 8, 18, 4]);
  assert.equal((await caching(1))[6], 4);
  assert.equal(
    (await run([0x15, 0x10, 0, 0, 24, 0], Uint8Array.of(0, 0, 0, 0, 8, 18, ...new Array(18).fill(0)))).status,
    0,
  );
  assert.equal((await caching(0))[6], 0);
  assert.equal((await caching(2))[6], 4, "the default stays");
  await run([0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], sector(1));
  await run([0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0], sector(0));
  assert.deepEqual(calls, ["flush", "flush", "flush", "flush", "zero 0 512", "flush"]);
});

test("mode pages that cannot be changed are refused", async () => {
  const { run } = await ready();
  const all = (await run([0x5a, 0, 0x3f, 0, 0, 0, 0, ...be(255, 2), 0])).data;
  assert.deepEqual([all.length, all[1], all[3]], [8 + 12 + 20 + 12, 50, 0x10]);
  assert.equal((await run([0x1a, 0, 0x1c, 0, 255])).sense?.code, 0x2400);
  assert.equal((await run([0x1a, 0, 0xc8, 0, 255])).sense?.code, 0x3900);
  const select = async (list: number[], given = list.length) =>
    (await run([0x55, 0x10, 0, 0, 0, 0, 0, ...be(list.length, 2), 0], Uint8Array.from(list).subarray(0, given))).sense
      ?.code;
  const header = new Array(8).fill(0);
  assert.equal(await select([...header, 8, 18, 4, 1, ...new Array(16).fill(0)]), 0x2600);
  assert.equal(await select([...header, 8, 17, 4, ...new Array(16).fill(0)]), 0x2600);
  assert.equal(await select([...header, 0x1c, 2, 0, 0]), 0x2600);
  assert.equal(await select([...header, 8, 18, 4, ...new Array(17).fill(0)], 10), 0x1a00);
  assert.equal(await select([...header, 8, 18, 4, ...new Array(17).fill(0)]), undefined);
});

test("WRITE SAME repeats a block, and stores no zeros", async () => {
  const { run, calls, onDisk } = await ready();
  assert.equal((await run([0x93, 0, ...be(100, 8), ...be(3000, 4), 0, 0], sector(0x5a))).status, 0);
  const written = await onDisk(99, 3002);
  assert.deepEqual([written[511], written[512], written[3001 * 512 - 1], written[3001 * 512]], [0, 0x5a, 0x5a, 0]);
  assert.equal((await run([0x93, 0x09, ...be(100, 8), ...be(1000, 4), 0, 0])).status, 0, "no data: zeros");
  assert.equal((await run([0x41, 0x08, ...be(1100, 4), 0, ...be(1000, 2), 0], sector(0))).status, 0);
  assert.deepEqual(calls, ["zero 51200 512000", "zero 563200 512000"]);
  assert.deepEqual([(await onDisk(2099))[0], (await onDisk(2100))[0]], [0, 0x5a]);
  assert.equal((await run([0x93, 0, ...be(0, 8), ...be(0, 4), 0, 0], sector(0))).sense?.code, 0x2400);
  assert.equal((await run([0x93, 0, ...be(0, 8), ...be(10, 4), 0, 0], sector(0).subarray(1))).sense?.code, 0x1a00);
});

test("UNMAP gives ranges up", async () => {
  const { run, calls } = await ready();
  const unmap = (ranges: [number, number][], length = 8 + ranges.length * 16) => {
    const list = [...be(length - 2, 2), ...be(ranges.length * 16, 2), 0, 0, 0, 0];
    for (const [lba, count] of ranges) list.push(...be(lba, 8), ...be(count, 4), 0, 0, 0, 0);
    return run([0x42, 0, 0, 0, 0, 0, 0, ...be(length, 2), 0], Uint8Array.from(list));
  };
  assert.equal(
    (
      await unmap([
        [0, 8],
        [100, 0],
        [8184, 8],
      ])
    ).status,
    0,
  );
  assert.deepEqual(calls, ["discard 0 4096", "discard 4190208 4096"]);
  assert.equal(
    (
      await unmap([
        [0, 8],
        [8184, 9],
      ])
    ).sense?.code,
    0x2100,
  );
  assert.equal(calls.length, 2, "not even the good one");
  assert.equal((await unmap([], 0)).status, 0);
  assert.equal((await unmap([], 4)).sense?.code, 0x1a00);
});

test("a read-only disk is write-protected", async () => {
  const { run } = await ready({ readOnly: true });
  for (const cdb of [
    [0x0a, 0, 0, 0, 1, 0],
    [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0],
    [0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0],
    [0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0],
  ]) {
    assert.deepEqual((await run(cdb, sector(0))).sense, { key: 7, code: 0x2700 });
  }
  assert.equal((await run([0x1a, 0, 0x3f, 0, 255])).data[2], 0x90);
  assert.equal((await run([0x12, 1, 0xb2, 0, 255])).data[5], 0);
});

test("failures of the host's storage are medium errors, with the block", async () => {
  const { disk, run } = await ready();
  disk.read = async () => {
    throw new BlockError("io", "broken");
  };
  disk.write = async () => {
    throw new BlockError("no-space", "full");
  };
  disk.flush = async () => {
    throw new BlockError("io", "broken");
  };
  assert.deepEqual((await run([0x28, 0, ...be(7, 4), 0, 0, 1, 0])).sense, { key: 3, code: 0x1100, information: 7 });
  assert.deepEqual((await run([0x2a, 0, ...be(7, 4), 0, 0, 1, 0], sector(1))).sense, { key: 7, code: 0x2707 });
  assert.deepEqual((await run([0x35])).sense, { key: 4, code: 0x4400 });
});

test("other commands: what has nothing to do succeeds, what is not there is refused", async () => {
  const { run } = await ready();
  for (const code of [0x00, 0x1b, 0x1e, 0x2b, 0x16, 0x17]) assert.equal((await run([code])).status, 0);
  assert.equal((await run([0x2f, 0, 0, 0, 0, 0, 0, 0, 1, 0])).status, 0);
  assert.equal((await run([0x2f, 2, 0, 0, 0, 0, 0, 0, 1, 0])).sense?.code, 0x2400);
  assert.deepEqual([...(await run([0x03, 0, 0, 0, 18])).data].slice(0, 3), [0x70, 0, 0]);
  for (const code of [0x04, 0x5e, 0xa3, 0xff]) assert.deepEqual((await run([code])).sense, { key: 5, code: 0x2000 });
});
