import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE_SIZE } from "../../bits/units.ts";
import { PlainMemory } from "../../machine/testing/rig.ts";
import { needsReset, ProbeTransport, start } from "../virtio/testing/guest-driver.ts";
import { FEATURE } from "../virtio/virtio-device.ts";
import { type MemoryStatistics, VirtioBalloon } from "./virtio-balloon.ts";

const INFLATEQ = 0;
const DEFLATEQ = 1;
const STATSQ = 2;
const STATS_VQ = 1;
const PAGE_REPORTING = 5;
const PAGES = 64;

function rig() {
  const memory = new PlainMemory(PAGES * PAGE_SIZE);
  const released: [page: number, pages: number][] = [];
  const statistics: MemoryStatistics[] = [];
  const sizes: number[] = [];
  const device = new VirtioBalloon({
    memory,
    release: (address, length) => void released.push([address / PAGE_SIZE, length / PAGE_SIZE]),
    events: { statistics: (found) => void statistics.push(found), resized: (pages) => void sizes.push(pages) },
  });
  const transport = new ProbeTransport();
  device.attach(transport);
  const queues = start(device, memory, { features: [FEATURE.version1, STATS_VQ, PAGE_REPORTING] });
  const put32 = (at: number, values: number[]) => {
    const view = new DataView(memory.bytes.buffer);
    for (const [i, value] of values.entries()) view.setUint32(at + 4 * i, value, true);
  };
  const inflate = (...pages: number[]) => {
    put32(0x8000, pages);
    queues[INFLATEQ]!.add({ address: 0x8000, length: 4 * pages.length });
    device.notified(INFLATEQ);
  };
  return { memory, device, transport, queues, released, statistics, sizes, inflate };
}

test("inflated pages are released, neighbours together in either direction", () => {
  const { released, inflate, queues } = rig();
  inflate(20, 21, 22, 40, 39, 38, 50);
  assert.deepEqual(released, [
    [20, 3],
    [38, 3],
    [50, 1],
  ]);
  assert.deepEqual(queues[INFLATEQ]!.takeUsed(), [{ head: 0, length: 0 }]);
});

test("pages outside RAM are never released, also in a run that is partly inside", () => {
  const { released, inflate, device } = rig();
  inflate(PAGES, 0xffff_ffff, PAGES - 2, PAGES - 1, PAGES, PAGES + 1, 0x10_0000);
  assert.deepEqual(released, [
    [PAGES - 2, 1],
    [PAGES - 1, 1],
  ]);
  assert.equal(needsReset(device), false);
});

test("deflating needs nothing of the host", () => {
  const { device, queues, released } = rig();
  queues[DEFLATEQ]!.add({ address: 0x8000, length: 1024 });
  device.notified(DEFLATEQ);
  assert.equal(queues[DEFLATEQ]!.usedIndex, 1);
  assert.deepEqual(released, []);
});

test("the driver learns the target by a configuration change and says how far it got", () => {
  const { device, transport, sizes } = rig();
  device.setTarget(1000);
  assert.equal(transport.configChanges, 1);
  assert.equal(device.readConfig(0, 4), 1000);
  device.writeConfig(4, 4, 900);
  assert.equal(device.readConfig(4, 4), 900);
  assert.deepEqual(sizes, [900]);
});

test("the target outlives a reset, the balloon does not", () => {
  const { device } = rig();
  device.setTarget(1000);
  device.writeConfig(4, 4, 900);
  device.writeStatus(0);
  assert.equal(device.readConfig(0, 4), 1000);
  assert.equal(device.readConfig(4, 4), 0);
});

for (const queue of [3, 4]) {
  test(`whole pages reported on queue ${queue} are released`, () => {
    const { device, queues, released } = rig();
    queues[queue]!.add(
      { address: 20 * PAGE_SIZE, length: 4 * PAGE_SIZE, writable: true },
      { address: 30 * PAGE_SIZE + 1, length: 3 * PAGE_SIZE, writable: true },
      { address: 40 * PAGE_SIZE + 1, length: PAGE_SIZE, writable: true },
    );
    device.notified(queue);
    assert.deepEqual(released, [
      [20, 4],
      [31, 2],
    ]);
    assert.equal(queues[queue]!.usedIndex, 1);
  });
}

test("statistics come when asked for, unknown tags left out", () => {
  const { memory, device, queues, statistics, transport } = rig();
  const view = new DataView(memory.bytes.buffer);
  const entries: [number, bigint][] = [
    [4, 123456789012n],
    [99, 1n],
    [0, 7n],
  ];
  entries.forEach(([tag, value], i) => {
    view.setUint16(0x9000 + 10 * i, tag, true);
    view.setBigUint64(0x9002 + 10 * i, value, true);
  });
  assert.equal(device.requestStatistics(), false);
  queues[STATSQ]!.add({ address: 0x9000, length: 30 });
  device.notified(STATSQ);
  assert.deepEqual(statistics, [{ free: 123456789012n, swapIn: 7n }]);
  assert.equal(queues[STATSQ]!.usedIndex, 0);

  assert.equal(device.requestStatistics(), true);
  assert.deepEqual(queues[STATSQ]!.takeUsed(), [{ head: 0, length: 0 }]);
  assert.deepEqual(transport.notifications, [STATSQ]);
  assert.equal(device.requestStatistics(), false);
});

test("a second statistics buffer asks for a reset", () => {
  const { device, queues } = rig();
  queues[STATSQ]!.add({ address: 0x9000, length: 10 });
  queues[STATSQ]!.add({ address: 0x9000, length: 10 });
  device.notified(STATSQ);
  assert.equal(needsReset(device), true);
});
