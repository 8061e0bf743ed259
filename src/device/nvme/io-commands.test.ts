import assert from "node:assert/strict";
import { test } from "node:test";
import { byteOffset } from "../../bits/units.ts";
import { type BlockDevice, BlockError } from "../../disk/block-device.ts";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { DATA, NvmeRig, settle } from "./testing/node/nvme-rig.ts";

const [FLUSH, WRITE, READ, WRITE_ZEROES, DSM] = [0, 1, 2, 8, 9];
const PAGE = 4096;

/** Writes PRP entries at `at`. */
function list(rig: NvmeRig, at: number, entries: readonly number[]): void {
  const view = new DataView(rig.memory.bytes.buffer, at);
  entries.forEach((entry, i) => view.setBigUint64(i * 8, BigInt(entry), true));
}

test("data go by PRPs: within a page, over two, by a list, by a list of lists", async () => {
  const random = new SeededRandom(14);
  const rig = await NvmeRig.ready();
  const content = new Uint8Array(1 << 20);
  random.fill(content);
  await rig.disk.write(byteOffset(0), content);
  const read = async (sectors: number, prp1: number, prp2 = 0) =>
    (await rig.run(1, rig.io(READ, 0, sectors, prp1, prp2))).status;
  const at = (address: number, length: number) => rig.memory.bytes.subarray(address, address + length);

  assert.equal(await read(1, DATA + 0xe00), 0);
  assert.deepEqual(at(DATA + 0xe00, 512), content.subarray(0, 512));

  assert.equal(await read(8, DATA + 0xc00, DATA + 0x8000), 0);
  assert.deepEqual(at(DATA + 0xc00, 0x400), content.subarray(0, 0x400));
  assert.deepEqual(at(DATA + 0x8000, 0xc00), content.subarray(0x400, 0x1000));

  // Four pages, each at a place of its own, the first one from its middle on; the list starts in the middle of a page.
  const pages = [5, 3, 9, 7].map((page) => DATA + page * PAGE);
  list(rig, 0x9_0800, pages);
  assert.equal(await read(32 + 4, DATA + 0x800, 0x9_0800), 0);
  assert.deepEqual(at(DATA + 0x800, 0x800), content.subarray(0, 0x800));
  pages.forEach((page, i) => assert.deepEqual(at(page, PAGE), content.subarray(0x800 + i * PAGE, 0x1800 + i * PAGE)));

  // 256 pages, the list's first page with room for three entries, the last of which leads on.
  const many = Array.from({ length: 255 }, (_, i) => 0x20_0000 + (254 - i) * PAGE);
  list(rig, 0x9_0fe8, [...many.slice(0, 2), 0x9_2000]);
  list(rig, 0x9_2000, many.slice(2));
  assert.equal(await read(2048, DATA, 0x9_0fe8), 0);
  assert.deepEqual(at(DATA, PAGE), content.subarray(0, PAGE));
  many.forEach((page, i) => assert.deepEqual(at(page, PAGE), content.subarray((i + 1) * PAGE, (i + 2) * PAGE)));
});

test("what is written is on the disk, and nothing beside it", async () => {
  const rig = await NvmeRig.ready();
  rig.memory.bytes.fill(0xab, DATA, DATA + 1024);
  assert.equal((await rig.run(1, rig.io(WRITE, 100, 2, DATA))).status, 0);
  const sectors = await rig.onDisk(99, 4);
  assert.deepEqual([sectors[511], sectors[512], sectors[1535], sectors[1536]], [0, 0xab, 0xab, 0]);
});

test("PRPs that are wrong end the command", async () => {
  const rig = await NvmeRig.ready();
  const status = async (sectors: number, prp1: number, prp2 = 0) =>
    (await rig.run(1, rig.io(READ, 0, sectors, prp1, prp2))).status;
  assert.equal(await status(1, DATA + 2), 0x13);
  assert.equal(await status(16, DATA, DATA + 0x1100), 0x13);
  assert.equal(await status(24, DATA, DATA + 0x1101), 0x13);
  list(rig, 0x9_0000, [DATA, DATA + 8]);
  assert.equal(await status(24, DATA, 0x9_0000), 0x13);
  assert.equal(await status(1, 0x4000_0000), 0x04, "no RAM");
  assert.equal(await status(24, DATA, 0x4000_0000), 0x04);
  list(rig, 0x9_0ff8, [0x9_0ff8]);
  assert.equal(await status(2048, DATA, 0x9_0ff8), 0x13, "a list that leads to itself");
});

test("blocks beyond the end, other namespaces and more than 1 MiB are refused", async () => {
  const rig = await NvmeRig.ready();
  const status = async (fields: Parameters<NvmeRig["run"]>[1]) => (await rig.run(1, fields)).status;
  assert.equal(await status(rig.io(READ, 16383, 1, DATA)), 0);
  assert.equal(await status(rig.io(READ, 16383, 2, DATA)), 0x80);
  assert.equal(await status({ ...rig.io(READ, 0, 1, DATA), cdw11: 0xffff_ffff }), 0x80);
  assert.equal(await status(rig.io(READ, 0, 2049, DATA, 0x9_0000)), 0x02);
  assert.equal(await status({ ...rig.io(READ, 0, 1, DATA), nsid: 2 }), 0x0b);
  assert.equal(await status({ ...rig.io(READ, 0, 1, DATA), nsid: 0xffff_ffff }), 0x0b);
  assert.equal(await status({ ...rig.io(FLUSH, 0, 1, DATA), nsid: 0xffff_ffff }), 0);
  assert.equal(await status({ ...rig.io(READ, 0, 1, DATA), flags: 1 }), 0x02, "fused");
  assert.equal(await status({ ...rig.io(READ, 0, 1, DATA), flags: 0x40 }), 0x02, "an SGL");
  assert.equal(await status(rig.io(0x55, 0, 1, DATA)), 0x01);
});

test("WRITE ZEROES and deallocation", async () => {
  const rig = await NvmeRig.ready();
  await rig.disk.write(byteOffset(0), new Uint8Array(16 * 512).fill(0xee));
  assert.equal((await rig.run(1, rig.io(WRITE_ZEROES, 2, 3, 0))).status, 0);
  const sectors = await rig.onDisk(0, 8);
  const marks = Array.from({ length: 8 }, (_, i) => sectors[i * 512]);
  assert.deepEqual(marks, [0xee, 0xee, 0, 0, 0, 0xee, 0xee, 0xee]);

  const calls: [number, number][] = [];
  rig.disk.discard = async (offset, length) => void calls.push([offset, length]);
  const view = new DataView(rig.memory.bytes.buffer, DATA);
  const ranges = [
    [10, 6],
    [0, 100],
    [16383, 1],
  ] as const;
  ranges.forEach(([start, length], i) => {
    view.setUint32(i * 16 + 4, length, true);
    view.setBigUint64(i * 16 + 8, BigInt(start), true);
  });
  const dsm = { opcode: DSM, nsid: 1, prp1: BigInt(DATA), cdw10: 2 };
  assert.equal((await rig.run(1, { ...dsm, cdw11: 4 })).status, 0);
  assert.deepEqual(calls, [
    [5120, 3072],
    [0, 51200],
    [16383 * 512, 512],
  ]);
  assert.equal((await rig.run(1, { ...dsm, cdw11: 3 })).status, 0, "advice");
  assert.equal(calls.length, 3);
  view.setUint32(4, 100_000, true);
  assert.equal((await rig.run(1, { ...dsm, cdw11: 4 })).status, 0x80);
});

test("writes are flushed with FUA, and without a write cache", async () => {
  const rig = await NvmeRig.ready();
  let flushes = 0;
  rig.disk.flush = async () => {
    flushes++;
  };
  await rig.run(1, rig.io(WRITE, 0, 1, DATA));
  assert.equal(flushes, 0);
  await rig.run(1, rig.io(WRITE, 0, 1, DATA, 0, 0x4000_0000));
  assert.equal(flushes, 1);
  await rig.run(1, rig.io(FLUSH, 0, 1, 0));
  assert.equal(flushes, 2);
  await rig.admin(0x09, { cdw10: 6, cdw11: 0 });
  await rig.run(1, rig.io(WRITE, 0, 1, DATA));
  assert.equal(flushes, 3);
});

test("a read-only disk is a write-protected namespace", async () => {
  const rig = await NvmeRig.ready({ readOnly: true });
  for (const opcode of [WRITE, WRITE_ZEROES]) {
    assert.equal((await rig.run(1, rig.io(opcode, 0, 1, DATA))).status, 0x20);
  }
  const dsm = { opcode: DSM, nsid: 1, prp1: BigInt(DATA), cdw11: 4 };
  assert.equal((await rig.run(1, dsm)).status, 0x20);
  await rig.admin(0x06, { nsid: 1, cdw10: 0, prp1: BigInt(DATA) });
  assert.equal(rig.memory.bytes[DATA + 99], 1);
});

test("failures of the host's storage are media errors", async () => {
  const rig = await NvmeRig.ready();
  const fail = async () => {
    throw new BlockError("io", "broken");
  };
  Object.assign(rig.disk, { read: fail, write: fail, flush: fail });
  assert.equal((await rig.run(1, rig.io(READ, 0, 1, DATA))).status, 0x281);
  assert.equal((await rig.run(1, rig.io(WRITE, 0, 1, DATA))).status, 0x280);
  assert.equal((await rig.run(1, rig.io(FLUSH, 0, 1, DATA))).status, 0x06);
  assert.equal(rig.errors.length, 3);
});

test("many commands run at once, and each ends", async () => {
  const rig = new NvmeRig();
  rig.enable();
  await rig.createQueues(1, { size: 128 });
  await rig.createQueues(2, { size: 128 });
  const cids = new Set<string>();
  for (let i = 0; i < 100; i++) {
    for (const qid of [1, 2]) cids.add(`${qid} ${rig.submit(qid, rig.io(READ, i, 1, DATA + i * 512))}`);
  }
  assert.ok(rig.nvme.state.inFlight.length <= 64);
  for (let i = 0; i < 200 && cids.size > 0; i++) {
    await settle();
    for (const qid of [1, 2]) {
      for (let done = rig.take(qid); done; done = rig.take(qid)) assert.ok(cids.delete(`${qid} ${done.cid}`));
    }
  }
  assert.equal(cids.size, 0);
});

test("what the host does at once is done before the doorbell's write ends, but not past what a reset gave up", async () => {
  const rig = await NvmeRig.ready({ immediate: true });
  let atHand = 0;
  const disk: BlockDevice = rig.disk;
  disk.readNow = (_offset, targets) => {
    atHand++;
    for (const target of targets) target.fill(0x66);
    return true;
  };
  rig.submit(1, rig.io(READ, 0, 1, DATA));
  assert.equal(rig.take(1)?.status, 0);
  assert.deepEqual([atHand, rig.memory.bytes[DATA + 511]], [1, 0x66]);
  rig.memory.bytes.fill(0x77, DATA, DATA + 512);
  rig.submit(1, rig.io(WRITE, 3, 1, DATA));
  assert.equal(rig.take(1)?.status, 0);
  const stored = new Uint8Array(512);
  await rig.disk.read(byteOffset(3 * 512), stored);
  assert.deepEqual(stored, new Uint8Array(512).fill(0x77));
  // A write that is on its way when the controller is reset.
  let end = () => {};
  disk.writeNow = () => false;
  disk.write = () =>
    new Promise((resolve) => {
      end = resolve;
    });
  rig.submit(1, rig.io(WRITE, 0, 1, DATA));
  await settle();
  rig.write32(0x14, 0);
  rig.enable();
  await rig.createQueues(1);
  rig.submit(1, rig.io(READ, 0, 1, DATA));
  await settle();
  assert.equal(rig.take(1), undefined);
  assert.equal(atHand, 1);
  end();
  await settle();
  await settle();
  assert.equal(rig.take(1)?.status, 0);
});
