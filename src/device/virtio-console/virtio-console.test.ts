import assert from "node:assert/strict";
import { test } from "node:test";
import { PlainMemory } from "../../machine/testing/rig.ts";
import { ascii, needsReset, ProbeTransport, start, textIn } from "../virtio/testing/guest-driver.ts";
import { FEATURE } from "../virtio/virtio-device.ts";
import { INPUT_CAPACITY, MAX_TRANSMIT, VirtioConsole } from "./virtio-console.ts";

const RECEIVEQ = 0;
const TRANSMITQ = 1;
const SIZE = 0;
const EMERG_WRITE = 2;

function rig({ ram = 0x40000 } = {}) {
  const memory = new PlainMemory(ram);
  const writes: Uint8Array[] = [];
  const spaces: number[] = [];
  const device = new VirtioConsole({
    memory,
    output: { write: (bytes) => void writes.push(bytes) },
    inputTaken: (space) => void spaces.push(space),
    columns: 132,
    rows: 43,
  });
  const transport = new ProbeTransport();
  device.attach(transport);
  const output = () => writes.map((bytes) => String.fromCharCode(...bytes)).join("");
  const up = () => start(device, memory, { features: [FEATURE.version1, SIZE, EMERG_WRITE] });
  return { memory, device, transport, spaces, output, writes, up };
}

test("what the guest transmits goes to the sink in order", () => {
  const { memory, device, transport, output, up } = rig();
  const queue = up()[TRANSMITQ]!;
  memory.bytes.set(ascii("login: "), 0x8000);
  queue.add({ address: 0x8000, length: 5 }, { address: 0x8005, length: 2 });
  queue.add({ address: 0x8000, length: 1 });
  device.notified(TRANSMITQ);
  assert.equal(output(), "login: l");
  assert.deepEqual(
    queue.takeUsed().map(({ length }) => length),
    [0, 0],
  );
  assert.deepEqual(transport.notifications, [TRANSMITQ]);
});

test("what the sink got does not change with RAM", () => {
  const { memory, device, output, up } = rig();
  const queue = up()[TRANSMITQ]!;
  memory.bytes.set(ascii("ok"), 0x8000);
  queue.add({ address: 0x8000, length: 2 });
  device.notified(TRANSMITQ);
  memory.bytes.set(ascii("no"), 0x8000);
  assert.equal(output(), "ok");
});

test("one transmit request gives the sink a limited number of bytes", () => {
  const { device, writes, up } = rig();
  const queue = up()[TRANSMITQ]!;
  queue.add({ address: 0x8000, length: 0x10000 }, { address: 0x8000, length: 0x10000 });
  device.notified(TRANSMITQ);
  assert.equal(
    writes.reduce((total, bytes) => total + bytes.length, 0),
    MAX_TRANSMIT,
  );
  assert.equal(queue.usedIndex, 1);
});

test("input fills the guest's buffers as they are and interrupts", () => {
  const { memory, device, transport, up } = rig();
  const queue = up()[RECEIVEQ]!;
  queue.add({ address: 0x8000, length: 4, writable: true });
  queue.add({ address: 0x9000, length: 64, writable: true });
  assert.equal(device.receive(ascii("halt -p")), 7);
  assert.deepEqual(
    queue.takeUsed().map(({ length }) => length),
    [4, 3],
  );
  assert.equal(textIn(memory, 0x8000, 4) + textIn(memory, 0x9000, 3), "halt -p");
  assert.deepEqual(transport.notifications, [RECEIVEQ]);
});

test("input waits for a buffer", () => {
  const { memory, device, spaces, up } = rig();
  const queue = up()[RECEIVEQ]!;
  device.receive(ascii("early"));
  assert.equal(queue.usedIndex, 0);
  queue.add({ address: 0x8000, length: 64, writable: true });
  device.notified(RECEIVEQ);
  assert.equal(textIn(memory, 0x8000, 5), "early");
  assert.equal(spaces.at(-1), INPUT_CAPACITY);
});

test("input beyond the capacity is refused until the guest reads", () => {
  const { memory, device, up } = rig();
  const queue = up()[RECEIVEQ]!;
  const flood = Uint8Array.from({ length: INPUT_CAPACITY + 100 }, (_, i) => i % 251);
  assert.equal(device.receive(flood), INPUT_CAPACITY);
  assert.equal(device.receive(flood), 0);
  assert.equal(device.inputSpace, 0);
  queue.add({ address: 0x8000, length: 1000, writable: true });
  device.notified(RECEIVEQ);
  assert.equal(device.inputSpace, 1000);
  // The ring buffer wraps: the order is kept across its end.
  assert.equal(device.receive(flood.subarray(INPUT_CAPACITY)), 100);
  queue.add({ address: 0x9000, length: 0x2000, writable: true });
  device.notified(RECEIVEQ);
  assert.deepEqual(memory.bytes.slice(0x8000, 0x8000 + 1000), flood.slice(0, 1000));
  assert.deepEqual(memory.bytes.slice(0x9000, 0x9000 + INPUT_CAPACITY - 900), flood.slice(1000));
});

test("the driver reads the size of the terminal and hears when it changes", () => {
  const { device, transport, up } = rig();
  up();
  assert.equal(device.readConfig(0, 2), 132);
  assert.equal(device.readConfig(2, 2), 43);
  assert.equal(device.readConfig(4, 4), 1);
  const generation = device.state.configGeneration;
  device.resize(80, 25);
  assert.equal(device.readConfig(0, 4), (25 << 16) | 80);
  assert.equal(transport.configChanges, 1);
  assert.notEqual(device.state.configGeneration, generation);
  device.resize(80, 25);
  assert.equal(transport.configChanges, 1);
});

test("an emergency write reaches the sink before any driver is up", () => {
  const { device, output } = rig();
  for (const char of ascii("panic")) device.writeConfig(8, 4, char);
  assert.equal(output(), "panic");
});

test("a reset drops unread input", () => {
  const { device, spaces, up } = rig();
  up();
  device.receive(ascii("gone"));
  up();
  assert.equal(device.inputSpace, INPUT_CAPACITY);
  assert.equal(spaces.at(-1), INPUT_CAPACITY);
});

test("a receive buffer that cannot be written asks for a reset", () => {
  const { device, up } = rig();
  up()[RECEIVEQ]!.add({ address: 0x8000, length: 4 });
  device.receive(ascii("x"));
  assert.equal(needsReset(device), true);
});
