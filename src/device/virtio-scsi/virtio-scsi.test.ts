import assert from "node:assert/strict";
import { test } from "node:test";
import { byteOffset } from "../../bits/units.ts";
import { MemoryStore } from "../../disk/memory-store.ts";
import { RawDisk } from "../../disk/raw/raw-disk.ts";
import { ImmediateWork, PlainMemory } from "../../machine/testing/rig.ts";
import { ScsiCdrom } from "../scsi/scsi-cdrom.ts";
import { ScsiDisk } from "../scsi/scsi-disk.ts";
import { type Buffer, type DriverQueue, needsReset, ProbeTransport, start } from "../virtio/testing/guest-driver.ts";
import { RequestHeader, ResponseHeader, ScsiConfig, TaskManagement } from "./layout.ts";
import { MAX_IN_FLIGHT, VirtioScsi } from "./virtio-scsi.ts";

const [REQUEST, RESPONSE, OUT, IN] = [0x2_0000, 0x2_1000, 0x4_0000, 0x8_0000];
const READ_1 = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];

/** Lets every host operation that was begun end. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

function rig() {
  const memory = new PlainMemory(4 << 20);
  const disk = new RawDisk(new MemoryStore(1 << 20));
  const units = [
    new ScsiDisk({ disk, serial: "A" }),
    new ScsiCdrom(
      { transport: "scsi", serial: "C" },
      { medium: new RawDisk(new MemoryStore(1 << 20), { readOnly: true }) },
    ),
  ];
  const device = new VirtioScsi({ memory, work: new ImmediateWork(), units });
  const transport = new ProbeTransport();
  device.attach(transport);
  device.reset();
  const [control, , requests] = start(device, memory, { size: 128 }) as [DriverQueue, DriverQueue, DriverQueue];
  let id = 0n;

  const submit = (
    cdb: number[],
    { target = 0, lun = 0, outLength = 0, inLength = 0, place = 0, address = [] as number[] } = {},
  ) => {
    id++;
    const header = RequestHeader.make({
      lun: Uint8Array.from(address.length > 0 ? address : [1, target, 0x40 | (lun >>> 8), lun & 0xff]),
      id,
    });
    memory.bytes.set(header, REQUEST + place * 64);
    memory.bytes.fill(0, REQUEST + place * 64 + header.length, REQUEST + place * 64 + header.length + 32);
    memory.bytes.set(cdb, REQUEST + place * 64 + header.length);
    const buffers: Buffer[] = [{ address: REQUEST + place * 64, length: header.length + 32 }];
    if (outLength) buffers.push({ address: OUT, length: outLength });
    buffers.push({ address: RESPONSE + place * 128, length: ResponseHeader.size + 96, writable: true });
    if (inLength) buffers.push({ address: IN, length: inLength, writable: true });
    requests.add(...buffers);
    device.notified(2);
    return id;
  };
  const response = (place = 0) => {
    const { senseLength, residual, status, response } = ResponseHeader.at(memory.bytes, RESPONSE + place * 128);
    const sense = [...memory.bytes.subarray(RESPONSE + place * 128 + 12, RESPONSE + place * 128 + 12 + senseLength)];
    return { residual, status, response, sense };
  };
  const run = async (...args: Parameters<typeof submit>) => {
    submit(...args);
    for (let i = 0; i < 20; i++) {
      if (requests.takeUsed().length > 0) return response();
      await settle();
    }
    throw new Error("a command that does not end");
  };
  const manage = (subtype: number, { target = 0, task = 0n, type = 0 } = {}) => {
    const lun = Uint8Array.of(1, target, 0x40, 0, 0, 0, 0, 0);
    memory.bytes.set(TaskManagement.make({ type, subtype, lun, id: task }), REQUEST + 0xf00);
    memory.bytes[RESPONSE + 0xf00] = 0xee;
    control.add(
      { address: REQUEST + 0xf00, length: TaskManagement.size },
      { address: RESPONSE + 0xf00, length: 8, writable: true },
    );
    device.notified(0);
    assert.equal(control.takeUsed().length, 1);
    return memory.bytes[RESPONSE + 0xf00];
  };
  return { memory, disk, device, requests, control, submit, run, manage, response, units };
}

async function ready() {
  const made = rig();
  assert.deepEqual((await made.run([0])).sense.slice(0, 3), [0x70, 0, 6]);
  return made;
}

test("the configuration tells of one queue and as many targets as there are", () => {
  const { device } = rig();
  const words = Array.from({ length: 7 }, (_, i) => device.readConfig(i * 4, 4));
  assert.deepEqual(words, [1, 254, 0xffff, 64, 16, 96, 32]);
  assert.equal(device.readConfig(ScsiConfig.offset.maxTarget, 2), 1);
});

test("data come and go, with what is left of the buffers", async () => {
  const { memory, disk, run } = await ready();
  await disk.write(byteOffset(0), new Uint8Array(512).fill(0x33));
  assert.deepEqual(await run(READ_1, { inLength: 1024 }), { residual: 512, status: 0, response: 0, sense: [] });
  assert.deepEqual([memory.bytes[IN], memory.bytes[IN + 511], memory.bytes[IN + 512]], [0x33, 0x33, 0]);
  memory.bytes.fill(0x44, OUT, OUT + 512);
  assert.deepEqual(await run([0x2a, 0, 0, 0, 0, 9, 0, 0, 1, 0], { outLength: 512 }), {
    residual: 0,
    status: 0,
    response: 0,
    sense: [],
  });
  const bytes = new Uint8Array(512);
  await disk.read(byteOffset(9 * 512), bytes);
  assert.ok(bytes.every((byte) => byte === 0x44));
});

test("a command that fails has its sense data beside the status", async () => {
  const { run } = await ready();
  const { status, response, sense } = await run([0x28, 0, 0xff, 0, 0, 0, 0, 0, 1, 0], { inLength: 512 });
  assert.deepEqual([status, response, sense.length, sense[2], sense[12]], [2, 0, 18, 5, 0x21]);
});

test("targets and units that are not there", async () => {
  const { run, memory } = await ready();
  assert.equal((await run([0], { target: 2 })).response, 3);
  assert.equal((await run([0], { address: [9, 0, 0x40, 0] })).response, 12);
  assert.equal((await run([0x12, 0, 0, 0, 36], { lun: 1, inLength: 36 })).status, 0);
  assert.equal(memory.bytes[IN], 0x7f);
  const { status, sense } = await run(READ_1, { lun: 300, inLength: 512 });
  assert.deepEqual([status, sense[2], sense[12]], [2, 5, 0x25]);
  for (const place of [{ lun: 0 }, { lun: 1 }, { address: [0xc1, 1, 0, 0] }]) {
    assert.equal((await run([0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16], { ...place, inLength: 16 })).status, 0);
    assert.equal(memory.bytes[IN + 3], 8);
  }
});

test("a CD drive is at a target of its own", async () => {
  const { run, memory } = await ready();
  assert.equal((await run([0x12, 0, 0, 0, 36], { target: 1, inLength: 36 })).status, 0);
  assert.deepEqual([memory.bytes[IN], memory.bytes[IN + 2]], [5, 5]);
  await run([0], { target: 1 });
  assert.equal((await run([0x25], { target: 1, inLength: 8 })).status, 0);
  assert.equal(new DataView(memory.bytes.buffer).getUint32(IN), 511);
});

test("tasks are aborted, asked for, and a unit is reset", async () => {
  const { submit, manage, response, run, memory, requests } = await ready();
  const id = submit(READ_1, { inLength: 512 });
  assert.equal(manage(6, { task: id }), 10);
  assert.equal(manage(6, { task: id + 1n }), 0);
  assert.equal(manage(7), 10);
  assert.equal(manage(0, { task: id, target: 1 }), 0, "of another unit");
  assert.equal(requests.takeUsed().length, 0);
  assert.equal(manage(0, { task: id }), 0);
  assert.equal(requests.takeUsed().length, 1);
  assert.equal(response().response, 2);
  memory.bytes.fill(0x99, IN, IN + 512);
  await settle();
  assert.equal(memory.bytes[IN], 0x99, "what the host had begun goes nowhere");
  assert.equal(manage(7), 0);
  assert.equal(manage(5), 0);
  assert.deepEqual((await run([0])).sense.slice(0, 3), [0x70, 0, 6]);
  assert.equal(manage(2), 11);
  assert.equal(manage(0, { target: 7 }), 3);
  assert.equal(manage(0, { type: 2 }), 0, "no events of this kind");
  assert.equal(manage(0, { type: 9 }), 11);
});

test("many commands run at once, and each ends", async () => {
  const { submit, requests, device } = await ready();
  for (let i = 0; i < 30; i++) submit(READ_1, { inLength: 512, place: i });
  assert.ok(device.state.device.inFlight.length <= MAX_IN_FLIGHT);
  let done = 0;
  for (let i = 0; i < 50 && done < 30; i++) {
    await settle();
    done += requests.takeUsed().length;
  }
  assert.equal(done, 30);
});

test("a request without room for its headers is a fault", () => {
  const short = rig();
  short.requests.add({ address: REQUEST, length: 20 }, { address: RESPONSE, length: 108, writable: true });
  short.device.notified(2);
  assert.equal(needsReset(short.device), true);
});

test("a driver that goes on from a snapshot gets what it asked for", async () => {
  const before = await ready();
  before.memory.bytes.fill(0x12, OUT, OUT + 512);
  before.submit([0x2a, 0, 0, 0, 0, 7, 0, 0, 1, 0], { outLength: 512 });
  const after = rig();
  after.memory.bytes.set(before.memory.bytes);
  Object.assign(after.device.state, structuredClone(before.device.state));
  Object.assign(after.units[0]!.state, structuredClone(before.units[0]!.state));
  after.device.restored();
  await settle();
  await settle();
  const bytes = new Uint8Array(512);
  await after.disk.read(byteOffset(7 * 512), bytes);
  assert.ok(bytes.every((byte) => byte === 0x12));
  assert.deepEqual(after.response(), { residual: 0, status: 0, response: 0, sense: [] });
});
