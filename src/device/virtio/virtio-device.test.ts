import assert from "node:assert/strict";
import { test } from "node:test";
import { PlainMemory, SeededRandom } from "../../machine/testing/rig.ts";
import { VirtioRng } from "../virtio-rng/virtio-rng.ts";
import {
  ALL_RING_FEATURES,
  DriverQueue,
  needsReset,
  negotiate,
  ProbeTransport,
  placeQueue,
  start,
} from "./testing/guest-driver.ts";
import { DeviceStatus, FEATURE } from "./virtio-device.ts";

const { acknowledge, driver: DRIVER, driverOk, featuresOk, deviceNeedsReset, failed } = DeviceStatus.mask;

/** The entropy device stands for any: it adds nothing to what is tested here. */
function rig() {
  const memory = new PlainMemory(0x10000);
  const faults: string[] = [];
  const events = { fault: (reason: string) => void faults.push(reason) };
  const device = new VirtioRng({ memory, random: new SeededRandom(1), events });
  const transport = new ProbeTransport();
  device.attach(transport);
  return { memory, device, transport, faults };
}

test("the device offers VERSION_1, RING_EVENT_IDX and INDIRECT_DESC and no packed ring", () => {
  const { device } = rig();
  assert.equal(device.deviceFeatures(0), 2 ** 28 + 2 ** 29);
  assert.equal(device.deviceFeatures(1), 1);
  assert.equal(device.deviceFeatures(2), 0);
});

test("FEATURES_OK stays set for a subset with VERSION_1", () => {
  const { device } = rig();
  assert.equal(negotiate(device, [FEATURE.version1]), true);
  assert.equal(negotiate(device, ALL_RING_FEATURES), true);
});

test("FEATURES_OK does not stay set without VERSION_1", () => {
  assert.equal(negotiate(rig().device, [FEATURE.eventIdx]), false);
});

test("FEATURES_OK does not stay set with a feature that was not offered", () => {
  assert.equal(negotiate(rig().device, [FEATURE.version1, 34]), false);
});

test("features cannot be changed after FEATURES_OK", () => {
  const { device } = rig();
  negotiate(device, [FEATURE.version1]);
  device.writeDriverFeatures(0, 0xffff_ffff);
  assert.equal(device.driverFeatures(0), 0);
});

test("DRIVER_OK needs FEATURES_OK", () => {
  const { device } = rig();
  device.writeStatus(acknowledge | DRIVER | driverOk);
  assert.equal(device.state.status, acknowledge | DRIVER);
});

test("status bits can be added but not taken back, and DEVICE_NEEDS_RESET is the device's", () => {
  const { device } = rig();
  device.writeStatus(acknowledge);
  device.writeStatus(DRIVER | deviceNeedsReset);
  assert.equal(device.state.status, acknowledge | DRIVER);
  device.writeStatus(failed);
  assert.equal(device.state.status, acknowledge | DRIVER | failed);
});

test("writing 0 to the status forgets features and queues", () => {
  const { device, memory } = rig();
  start(device, memory, { features: ALL_RING_FEATURES });
  device.writeStatus(0);
  assert.equal(device.state.status, 0);
  assert.equal(device.driverFeatures(1), 0);
  assert.deepEqual(
    [device.queues[0]!.state.enabled, device.queues[0]!.state.size, device.queues[0]!.state.descLow],
    [false, 64, 0],
  );
});

test("nothing is taken from a queue before DRIVER_OK, and what was put there is served with it", () => {
  const { device, memory } = rig();
  negotiate(device, [FEATURE.version1]);
  const queue = new DriverQueue(memory, 0x1000, 8);
  placeQueue(device, 0, queue);
  queue.add({ address: 0x4000, length: 8, writable: true });
  device.notified(0);
  assert.equal(queue.usedIndex, 0);
  device.writeStatus(acknowledge | DRIVER | featuresOk | driverOk);
  assert.equal(queue.usedIndex, 1);
});

test("a notification of a queue that is not there or not enabled is ignored", () => {
  const { device, memory } = rig();
  negotiate(device, [FEATURE.version1]);
  device.writeStatus(device.state.status | driverOk);
  device.notified(0);
  device.notified(7);
  device.enableQueue(7);
  assert.equal(needsReset(device), false);
  start(device, memory);
  device.notified(1);
  assert.equal(needsReset(device), false);
});

test("a driver's mistake sets DEVICE_NEEDS_RESET with a configuration interrupt, and queues rest until the reset", () => {
  const { device, memory, transport, faults } = rig();
  const [queue] = start(device, memory);
  queue!.add({ address: 0x4000, length: 8 });
  device.notified(0);
  assert.equal(needsReset(device), true);
  assert.equal(transport.configChanges, 1);
  assert.equal(faults.length, 1);
  queue!.add({ address: 0x4000, length: 8, writable: true });
  device.notified(0);
  assert.equal(queue!.usedIndex, 0);

  const [again] = start(device, memory);
  again!.add({ address: 0x4000, length: 8, writable: true });
  device.notified(0);
  assert.equal(needsReset(device), false);
  assert.deepEqual(again!.takeUsed(), [{ head: 0, length: 8 }]);
});

test("a queue enabled at impossible addresses asks for a reset, without an interrupt before DRIVER_OK", () => {
  const { device, transport } = rig();
  negotiate(device, [FEATURE.version1]);
  Object.assign(device.queues[0]!.state, { descHigh: 0xffff_ffff });
  device.enableQueue(0);
  assert.equal(needsReset(device), true);
  assert.equal(transport.configChanges, 0);
});

test("a device that may not reach memory leaves its queues alone", () => {
  const { device, memory, transport } = rig();
  const [queue] = start(device, memory);
  queue!.add({ address: 0x4000, length: 8, writable: true });
  transport.dmaAllowed = false;
  device.notified(0);
  assert.equal(queue!.usedIndex, 0);
  transport.dmaAllowed = true;
  device.serviceAll();
  assert.equal(queue!.usedIndex, 1);
});

test("a restored device goes on where the snapshot was taken", () => {
  const { device, memory } = rig();
  const [queue] = start(device, memory, { features: ALL_RING_FEATURES });
  queue!.add({ address: 0x4000, length: 8, writable: true });
  device.notified(0);

  const copy = new VirtioRng({ memory, random: new SeededRandom(1) });
  const transport = new ProbeTransport();
  copy.attach(transport);
  Object.assign(copy.state, structuredClone(device.state));
  copy.restored();
  queue!.addIndirect(0x6000, { address: 0x4000, length: 16, writable: true });
  queue!.usedEvent = 1;
  copy.notified(0);
  assert.deepEqual(queue!.takeUsed(), [
    { head: 0, length: 8 },
    { head: 1, length: 16 },
  ]);
  assert.deepEqual(transport.notifications, [0]);
});
