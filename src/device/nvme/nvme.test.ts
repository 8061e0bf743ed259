import assert from "node:assert/strict";
import { test } from "node:test";
import { byteOffset } from "../../bits/units.ts";
import { DATA, NvmeRig, settle } from "./testing/node/nvme-rig.ts";

const [IDENTIFY, GET_LOG, SET_FEATURES, GET_FEATURES, ABORT, EVENT] = [0x06, 0x02, 0x09, 0x0a, 0x08, 0x0c];
const [DELETE_SQ, CREATE_SQ, DELETE_CQ, CREATE_CQ] = [0, 1, 4, 5];

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("a controller tells its capabilities, and is ready once enabled", () => {
  const rig = new NvmeRig();
  assert.deepEqual([rig.read32(0), rig.read32(4), rig.read32(8)], [0x1401_03ff, 0x20, 0x10400]);
  assert.equal(rig.read32(0x1c), 0);
  rig.enable();
  rig.write32(0x14, 0);
  assert.equal(rig.read32(0x1c), 0);
  assert.equal(rig.read32(0x28), 0x1000, "a controller reset keeps the admin queues' registers");
  assert.equal(rig.nvme.readMemory(0x1e, 2), 0);
  assert.equal(rig.nvme.readMemory(0x00, 1), 0xff);
});

test("a controller that is asked for what it has not fails", () => {
  for (const [aqa, cc] of [
    [0, 0x0046_0001],
    [0x000f_000f, 0x0046_0011],
    [0x000f_000f, 0x0046_0081],
    [0x000f_000f, 0x0046_0801],
  ] as const) {
    const rig = new NvmeRig();
    rig.write32(0x24, aqa);
    rig.write32(0x14, cc);
    assert.equal(rig.read32(0x1c), 2);
    rig.write32(0x14, 0);
    rig.enable();
  }
});

test("IDENTIFY tells of the controller and its one namespace", async () => {
  const rig = await NvmeRig.ready();
  const { bytes } = rig.memory;
  const identify = async (cns: number, nsid = 0) =>
    (await rig.admin(IDENTIFY, { nsid, cdw10: cns, prp1: BigInt(DATA) })).status;
  assert.equal(await identify(1), 0);
  assert.equal(text(bytes.subarray(DATA + 4, DATA + 24)), "S1".padEnd(20));
  assert.equal(text(bytes.subarray(DATA + 24, DATA + 64)), "Bunkhouse NVMe disk".padEnd(40));
  assert.equal(bytes[DATA + 77], 8, "1 MiB at a time");
  assert.deepEqual([...bytes.subarray(DATA + 512, DATA + 522)], [0x66, 0x44, 0, 0, 1, 0, 0, 0, 0x0c, 0]);
  assert.equal(bytes[DATA + 525]! & 1, 1, "a write cache");
  assert.equal(await identify(0, 1), 0);
  const view = new DataView(bytes.buffer, DATA);
  assert.equal(view.getBigUint64(0, true), 16384n);
  assert.equal(view.getUint32(128, true), 9 << 16);
  const eui64 = [...bytes.subarray(DATA + 120, DATA + 128)];
  assert.equal(await identify(2), 0);
  assert.deepEqual([view.getUint32(0, true), view.getUint32(4, true)], [1, 0]);
  assert.equal(await identify(2, 1), 0);
  assert.equal(view.getUint32(0, true), 0);
  assert.equal(await identify(3, 1), 0);
  assert.deepEqual([...bytes.subarray(DATA, DATA + 12)], [1, 8, 0, 0, ...eui64]);
  assert.equal(await identify(0, 2), 0x0b);
  assert.equal(await identify(2, 0xffff_ffff), 0x0b);
  assert.equal(await identify(0x77), 0x02);
});

test("queues are made and deleted in the right order only", async () => {
  const rig = await NvmeRig.ready();
  const status = async (opcode: number, cdw10: number, cdw11 = 0, prp1 = 0x8_0000) =>
    (await rig.admin(opcode, { cdw10: cdw10 >>> 0, cdw11: cdw11 >>> 0, prp1: BigInt(prp1) })).status;
  const eight = 7 << 16;
  assert.equal(await status(CREATE_CQ, eight | 0, 3), 0x101);
  assert.equal(await status(CREATE_CQ, eight | 1, 3), 0x101, "there is one");
  assert.equal(await status(CREATE_CQ, eight | 9, 3), 0x101);
  assert.equal(await status(CREATE_CQ, 2, 3), 0x102, "one entry");
  assert.equal(await status(CREATE_CQ, (1024 << 16) | 2, 3), 0x102);
  assert.equal(await status(CREATE_CQ, eight | 2, 3, 0x8_0010), 0x13);
  assert.equal(await status(CREATE_CQ, eight | 2, 2), 0x02, "not contiguous");
  assert.equal(await status(CREATE_CQ, eight | 2, 3 | (9 << 16)), 0x108);
  assert.equal(await status(CREATE_SQ, eight | 2, 1 | (2 << 16)), 0x100, "no such completion queue");
  assert.equal(await status(CREATE_SQ, eight | 2, 1), 0x100, "nor is the admin queue one for I/O");
  assert.equal(await status(CREATE_SQ, eight | 1, 1 | (1 << 16)), 0x101);
  assert.equal(await status(DELETE_CQ, 1), 0x10c, "a submission queue has it");
  assert.equal(await status(DELETE_SQ, 0), 0x101);
  assert.equal(await status(DELETE_SQ, 1), 0);
  assert.equal(await status(DELETE_SQ, 1), 0x101);
  assert.equal(await status(DELETE_CQ, 1), 0);
  assert.equal(await status(DELETE_CQ, 1), 0x101);
});

test("features are told and set", async () => {
  const rig = await NvmeRig.ready();
  const get = async (cdw10: number, cdw11 = 0) => rig.admin(GET_FEATURES, { cdw10, cdw11 });
  const set = async (cdw10: number, cdw11: number) =>
    (await rig.admin(SET_FEATURES, { cdw10: cdw10 >>> 0, cdw11 })).status;
  assert.equal((await rig.admin(SET_FEATURES, { cdw10: 7, cdw11: 0x003f_003f })).result, 0x0007_0007);
  assert.equal((await get(7)).result, 0x0007_0007);
  assert.equal((await get(6)).result, 1);
  assert.equal(await set(6, 0), 0);
  assert.equal((await get(6)).result, 0);
  assert.equal(await set(9, 0x1_0003), 0);
  assert.equal((await get(9, 3)).result, 0x1_0003);
  assert.equal((await get(9, 2)).result, 2);
  assert.equal((await get(9, 100)).status, 0x02);
  assert.equal(await set(2, 1), 0x02, "one power state");
  assert.equal(await set(6 | 0x8000_0000, 0), 0x10d);
  assert.equal((await get(0x55)).status, 0x02);
  assert.equal(await set(0x55, 0), 0x02);
  assert.equal((await get(0x306)).result, 4, "changeable");
});

test("log pages count commands, errors, and name the firmware", async () => {
  const rig = await NvmeRig.ready();
  const log = async (id: number, dwords: number, offset = 0) =>
    (await rig.admin(GET_LOG, { cdw10: id | ((dwords - 1) << 16), cdw12: offset, prp1: BigInt(DATA) })).status;
  await rig.run(1, rig.io(2, 0, 8, DATA));
  await rig.run(1, rig.io(1, 0, 8, DATA));
  await rig.run(1, rig.io(2, 16384, 1, DATA));
  const view = new DataView(rig.memory.bytes.buffer, DATA);
  assert.equal(await log(2, 128), 0);
  assert.equal(view.getUint16(1, true), 303);
  assert.deepEqual(
    [32, 48, 64, 80].map((at) => view.getBigUint64(at, true)),
    [1n, 1n, 1n, 1n],
  );
  assert.equal(await log(1, 16), 0);
  assert.equal(view.getBigUint64(0, true), 1n);
  assert.deepEqual([view.getUint16(8, true), view.getBigUint64(16, true)], [1, 16384n]);
  assert.equal(view.getUint16(12, true) >>> 1, 0x4080);
  assert.equal(await log(3, 128), 0);
  assert.deepEqual([rig.memory.bytes[DATA], text(rig.memory.bytes.subarray(DATA + 8, DATA + 11))], [1, "1.0"]);
  assert.equal(await log(3, 2, 8), 0);
  assert.equal(text(rig.memory.bytes.subarray(DATA, DATA + 3)), "1.0");
  assert.equal(await log(0x99, 16), 0x109);
  assert.equal(await log(2, 16, 4096), 0x02);
});

test("bad doorbells are told to who asked for events, again once the log page was read", async () => {
  const rig = await NvmeRig.ready();
  rig.write32(0x1000 + 5 * 8, 1);
  const requests = [rig.submit(0, { opcode: EVENT }), rig.submit(0, { opcode: EVENT })];
  assert.deepEqual(rig.take(0), { cid: requests[0], sqid: 0, status: 0, result: 0x01_0000 });
  rig.write32(0x1008, 8);
  assert.equal(rig.take(0), undefined, "that type waits for its log page");
  const log = rig.submit(0, { opcode: GET_LOG, cdw10: 1 | (15 << 16), prp1: BigInt(DATA) });
  assert.equal(rig.take(0)?.cid, log);
  assert.deepEqual(rig.take(0), { cid: requests[1], sqid: 0, status: 0, result: 0x01_0100 });
  for (let i = 0; i < 4; i++) rig.submit(0, { opcode: EVENT });
  assert.equal((await rig.admin(EVENT)).status, 0x105);
  assert.equal((await rig.admin(ABORT, { cdw10: 1 })).result, 1);
  assert.equal((await rig.admin(0x7f)).status, 0x01);
});

test("a completion queue interrupts by its message, and by the pin until its entries are taken", async () => {
  const rig = await NvmeRig.ready();
  assert.equal(rig.intx.level, false);
  rig.submit(1, rig.io(0, 0, 1, 0));
  await settle();
  assert.equal(rig.intx.level, true);
  rig.write32(0x0c, 2);
  assert.equal(rig.intx.level, false, "masked");
  rig.write32(0x10, 2);
  assert.equal(rig.intx.level, true);
  assert.equal(rig.take(1)?.status, 0);
  assert.equal(rig.intx.level, false);

  // MSI-X: vector 1 to an address, the capability's enable bit.
  for (const [at, value] of [
    [0, 0xfee0_0000],
    [4, 0],
    [8, 0x41],
    [12, 0],
  ] as const) {
    rig.nvme.pci.state.msixTable.set(new Uint8Array(Uint32Array.of(value).buffer), 16 + at);
  }
  rig.nvme.pci.writeConfig(0x42, 2, 0x8000);
  rig.submit(1, rig.io(0, 0, 1, 0));
  await settle();
  assert.deepEqual(rig.messages, [[0xfee0_0000, 0x41]]);
  assert.equal(rig.intx.level, false);
});

test("a full completion queue holds commands back until there is room", async () => {
  const rig = new NvmeRig();
  rig.enable();
  await rig.createQueues(1, { size: 4 });
  for (let round = 0; round < 5; round++) {
    const cids = [1, 2, 3].map(() => rig.submit(1, rig.io(0, 0, 1, 0)));
    await settle();
    for (let i = 0; i < 3; i++) cids.push(rig.submit(1, rig.io(0, 0, 1, 0)));
    const done: number[] = [];
    for (let i = 0; i < 20 && done.length < cids.length; i++) {
      const completed = rig.take(1);
      if (completed) done.push(completed.cid);
      await settle();
    }
    assert.deepEqual(done, cids);
  }
});

test("nothing is done before the function may reach memory", async () => {
  const rig = await NvmeRig.ready();
  rig.nvme.pci.writeConfig(4, 2, 0x2);
  const cid = rig.submit(1, rig.io(0, 0, 1, 0));
  await settle();
  assert.equal(rig.take(1), undefined);
  rig.nvme.pci.writeConfig(4, 2, 0x6);
  await settle();
  assert.equal(rig.take(1)?.cid, cid);
});

test("a shutdown is complete once the disk is flushed", async () => {
  const rig = await NvmeRig.ready();
  let flushed = false;
  rig.disk.flush = async () => {
    flushed = true;
  };
  rig.write32(0x14, 0x0046_4001);
  assert.equal(rig.read32(0x1c), 0x05);
  await settle();
  assert.equal(flushed, true);
  assert.equal(rig.read32(0x1c), 0x09);
});

test("a controller that goes on from a snapshot finishes its commands", async () => {
  const before = await NvmeRig.ready();
  before.memory.bytes.fill(0x77, DATA, DATA + 512);
  const cid = before.submit(1, before.io(1, 5, 1, DATA));
  const after = new NvmeRig();
  after.memory.bytes.set(before.memory.bytes);
  Object.assign(after.nvme.state, structuredClone(before.nvme.state));
  after.nvme.restored();
  await settle();
  assert.equal((await after.onDisk(5))[0], 0x77);
  const status = new DataView(after.memory.bytes.buffer).getUint32(0x2_6000 + 12, true);
  assert.equal(status & 0x1_ffff, 0x1_0000 | cid);
});

test("a reset forgets what is in flight: nothing is stored for it", async () => {
  const rig = await NvmeRig.ready();
  await rig.disk.write(byteOffset(0), new Uint8Array(512).fill(0x11));
  rig.submit(1, rig.io(2, 0, 1, DATA));
  rig.write32(0x14, 0);
  await settle();
  assert.equal(rig.memory.bytes[DATA], 0);
  assert.equal(rig.nvme.state.inFlight.length, 0);
});

test("deleting a submission queue forgets its commands", async () => {
  const rig = await NvmeRig.ready();
  rig.submit(1, rig.io(2, 0, 1, DATA));
  assert.equal((await rig.admin(DELETE_SQ, { cdw10: 1 })).status, 0);
  await settle();
  assert.equal(rig.take(1), undefined);
  assert.equal(rig.nvme.state.inFlight.length, 0);
});
