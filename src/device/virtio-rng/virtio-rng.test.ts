import assert from "node:assert/strict";
import { test } from "node:test";
import { PlainMemory, SeededRandom } from "../../machine/testing/rig.ts";
import { needsReset, ProbeTransport, start } from "../virtio/testing/guest-driver.ts";
import { MAX_FILL, VirtioRng } from "./virtio-rng.ts";

function rig() {
  const memory = new PlainMemory(0x10000);
  const device = new VirtioRng({ memory, random: new SeededRandom(7) });
  const transport = new ProbeTransport();
  device.attach(transport);
  return { memory, device, transport, queue: start(device, memory)[0]! };
}

test("a buffer is filled with the source's bytes and handed back with an interrupt", () => {
  const { memory, device, transport, queue } = rig();
  const expected = new Uint8Array(100);
  new SeededRandom(7).fill(expected);
  queue.add({ address: 0x8000, length: 60, writable: true }, { address: 0x9000, length: 40, writable: true });
  device.notified(0);
  assert.deepEqual(queue.takeUsed(), [{ head: 0, length: 100 }]);
  assert.deepEqual(memory.bytes.slice(0x8000, 0x803c), expected.slice(0, 60));
  assert.deepEqual(memory.bytes.slice(0x9000, 0x9028), expected.slice(60));
  assert.deepEqual(transport.notifications, [0]);
});

test("several buffers are served at one notification with one interrupt", () => {
  const { device, transport, queue } = rig();
  for (let i = 0; i < 5; i++) queue.add({ address: 0x8000, length: 64, writable: true });
  device.notified(0);
  assert.equal(queue.takeUsed().length, 5);
  assert.equal(transport.notifications.length, 1);
});

test("a huge buffer is filled in part, and the used length tells how far", () => {
  const { memory, device, queue } = rig();
  queue.add({ address: 0x4000, length: 0x8000, writable: true });
  device.notified(0);
  assert.deepEqual(queue.takeUsed(), [{ head: 0, length: MAX_FILL }]);
  assert.equal(memory.bytes[0x4000 + MAX_FILL], 0);
});

test("a buffer that cannot be written asks for a reset", () => {
  const { device, queue } = rig();
  queue.add({ address: 0x8000, length: 64 });
  device.notified(0);
  assert.equal(needsReset(device), true);
});
