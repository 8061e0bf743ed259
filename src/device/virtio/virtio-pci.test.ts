import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize } from "../../machine/device.ts";
import { MemoryBus } from "../../machine/memory-bus.ts";
import { PortBus } from "../../machine/port-bus.ts";
import { PlainMemory, ProbeLine, SeededRandom } from "../../machine/testing/rig.ts";
import { VirtioConsole } from "../virtio-console/virtio-console.ts";
import { VirtioRng } from "../virtio-rng/virtio-rng.ts";
import { ascii, DriverQueue } from "./testing/guest-driver.ts";
import { DeviceStatus } from "./virtio-device.ts";
import { CommonConfig, NO_VECTOR, VirtioPci } from "./virtio-pci.ts";

const BAR = 0xfe00_0000;
const MSIX_BAR = 0xfe01_0000;
const { acknowledge, driver: DRIVER, featuresOk, driverOk } = DeviceStatus.mask;
type CommonField = keyof typeof CommonConfig.offset;

/** What a PCI driver finds out and does: by configuration space and the BARs only. */
function rig() {
  const ram = new PlainMemory(0x2_0000);
  const bus = new MemoryBus();
  const intx = new ProbeLine();
  const messages: [address: number, data: number][] = [];
  const output: number[] = [];
  const console = new VirtioConsole({ memory: ram, output: { write: (bytes) => void output.push(...bytes) } });
  const card = new VirtioPci({
    name: "console",
    device: console,
    ports: new PortBus(),
    memory: bus,
    intx,
    msi: { send: (address, data) => void messages.push([address, data]) },
  });
  card.reset();
  const config = (offset: number, size: AccessSize) => card.pci.readConfig(offset, size);
  const capabilities: { at: number; id: number; type: number; bar: number; offset: number; length: number }[] = [];
  for (let at = config(0x34, 1); at !== 0; at = config(at + 1, 1)) {
    capabilities.push({
      at,
      id: config(at, 1),
      type: config(at + 3, 1),
      bar: config(at + 4, 1),
      offset: config(at + 8, 4),
      length: config(at + 12, 4),
    });
  }
  const structure = (type: number) => capabilities.find((entry) => entry.id === 9 && entry.type === type)!;
  const msix = capabilities.find((entry) => entry.id === 0x11)!;
  card.pci.writeConfig(0x10, 4, BAR);
  card.pci.writeConfig(0x14, 4, MSIX_BAR);
  card.pci.writeConfig(0x04, 2, 0x6);
  const common = BAR + structure(1).offset;
  const sizes: Partial<Record<CommonField, AccessSize>> = { deviceStatus: 1, configGeneration: 1 };
  const sizeOf = (field: CommonField): AccessSize =>
    sizes[field] ?? (/Select$|Feature$|Low$|High$/.test(field) && field !== "queueSelect" ? 4 : 2);
  const get = (field: CommonField) => bus.read(common + CommonConfig.offset[field], sizeOf(field));
  const put = (field: CommonField, value: number) =>
    bus.write(common + CommonConfig.offset[field], sizeOf(field), value);
  const isr = () => bus.read(BAR + structure(3).offset, 1);
  const notify = (index: number) => {
    put("queueSelect", index);
    const multiplier = config(structure(2).at + 16, 4);
    bus.write(BAR + structure(2).offset + get("queueNotifyOff") * multiplier, 2, index);
  };

  /** Brings the device up as virtio 1.2 §3.1.1 says; returns the queues. */
  const up = ({ vectors = false } = {}) => {
    put("deviceStatus", 0);
    put("deviceStatus", acknowledge);
    put("deviceStatus", acknowledge | DRIVER);
    for (const word of [0, 1]) {
      put("deviceFeatureSelect", word);
      put("driverFeatureSelect", word);
      put("driverFeature", word === 1 ? get("deviceFeature") : 0);
    }
    put("deviceStatus", acknowledge | DRIVER | featuresOk);
    assert.equal(get("deviceStatus"), acknowledge | DRIVER | featuresOk);
    if (vectors) {
      card.pci.writeConfig(msix.at + 2, 2, 0x8000);
      for (let vector = 0; vector < 3; vector++) {
        bus.write(MSIX_BAR + 16 * vector, 4, 0xfee0_0000);
        bus.write(MSIX_BAR + 16 * vector + 8, 4, 0x40 + vector);
        bus.write(MSIX_BAR + 16 * vector + 12, 4, 0);
      }
      put("configMsixVector", 0);
    }
    const queues = [0, 1].map((index) => {
      const queue = new DriverQueue(ram, 0x1000 * (index + 1), 16);
      ram.bytes.fill(0, queue.desc, queue.end);
      put("queueSelect", index);
      put("queueSize", 16);
      if (vectors) put("queueMsixVector", index + 1);
      put("queueDescLow", queue.desc);
      put("queueDriverLow", queue.driver);
      put("queueDeviceLow", queue.device);
      put("queueEnable", 1);
      return queue;
    });
    put("deviceStatus", acknowledge | DRIVER | featuresOk | driverOk);
    return queues;
  };
  const transmit = (queue: DriverQueue, text: string) => {
    ram.bytes.set(ascii(text), 0x8000);
    queue.add({ address: 0x8000, length: text.length });
    notify(1);
  };
  const written = () => String.fromCharCode(...output);
  return {
    ram,
    bus,
    card,
    console,
    config,
    structure,
    msix,
    get,
    put,
    isr,
    notify,
    up,
    transmit,
    intx,
    messages,
    written,
  };
}

test("the function is a modern virtio console of revision 1 that the usual drivers know", () => {
  const { config } = rig();
  assert.equal(config(0, 4), 0x1043_1af4);
  assert.equal(config(8, 1), 1);
  assert.equal(config(9, 2) | (config(11, 1) << 16), 0x07_8000);
  assert.equal(config(0x2c, 4), 0x1100_1af4);
  assert.equal(config(0x3d, 1), 1);
});

test("the capabilities point at the four structures, none overlapping, and at an MSI-X table with a vector a queue and one more", () => {
  const { config, structure, msix } = rig();
  const places = [1, 2, 3, 4].map((type) => structure(type));
  assert.ok(places.every(({ bar }) => bar === 0));
  assert.deepEqual(
    places.map(({ length }) => length),
    [56, 8, 1, 12],
  );
  const sorted = places.toSorted((a, b) => a.offset - b.offset);
  sorted.slice(1).forEach((place, i) => {
    assert.ok(place.offset >= sorted[i]!.offset + sorted[i]!.length);
  });
  assert.equal(config(structure(1).at + 2, 1), 16);
  assert.equal(config(structure(2).at + 2, 1), 20);
  assert.equal(config(structure(5).at + 2, 1), 20);
  assert.equal(config(msix.at + 2, 2), 2);
});

test("a device without configuration has no device structure", () => {
  const device = new VirtioRng({ memory: new PlainMemory(0x1000), random: new SeededRandom(1) });
  const card = new VirtioPci({ name: "rng", device, ports: new PortBus(), memory: new MemoryBus() });
  card.reset();
  const types = [];
  for (let at = card.pci.readConfig(0x34, 1); at !== 0; at = card.pci.readConfig(at + 1, 1)) {
    if (card.pci.readConfig(at, 1) === 9) types.push(card.pci.readConfig(at + 3, 1));
  }
  assert.deepEqual(types.toSorted(), [1, 2, 3, 5]);
});

test("a driver comes up and works with the interrupt pin", () => {
  const { up, transmit, written, intx, isr } = rig();
  const [, queue] = up();
  transmit(queue!, "hello");
  assert.equal(written(), "hello");
  assert.equal(intx.level, true);
  assert.equal(isr(), 1);
  assert.equal(intx.level, false);
  assert.equal(isr(), 0);
});

test("a configuration change sets its own bit in the ISR status", () => {
  const { up, console, intx, isr, get } = rig();
  up();
  const before = get("configGeneration");
  console.resize(100, 50);
  assert.equal(intx.level, true);
  assert.equal(isr(), 2);
  assert.notEqual(get("configGeneration"), before);
});

test("with MSI-X each queue and the configuration have their message, and the pin stays low", () => {
  const { up, transmit, console, messages, intx, isr } = rig();
  const [receive, queue] = up({ vectors: true });
  transmit(queue!, "x");
  receive!.add({ address: 0x9000, length: 8, writable: true });
  console.receive(ascii("y"));
  console.resize(1, 1);
  assert.deepEqual(messages, [
    [0xfee0_0000, 0x42],
    [0xfee0_0000, 0x41],
    [0xfee0_0000, 0x40],
  ]);
  assert.equal(intx.rises, 0);
  assert.equal(isr(), 0);
});

test("a queue without a vector sends no message", () => {
  const { up, put, transmit, messages } = rig();
  const [, queue] = up({ vectors: true });
  put("queueSelect", 1);
  put("queueMsixVector", NO_VECTOR);
  transmit(queue!, "x");
  assert.deepEqual(messages, []);
});

test("a vector that is not there reads back as none", () => {
  const { put, get } = rig();
  put("configMsixVector", 2);
  assert.equal(get("configMsixVector"), 2);
  put("configMsixVector", 3);
  assert.equal(get("configMsixVector"), NO_VECTOR);
  put("queueMsixVector", 100);
  assert.equal(get("queueMsixVector"), NO_VECTOR);
});

test("a queue that is not there has size 0 and ignores writes", () => {
  const { put, get } = rig();
  assert.equal(get("numQueues"), 2);
  put("queueSelect", 2);
  put("queueSize", 8);
  put("queueEnable", 1);
  put("queueMsixVector", 1);
  assert.deepEqual([get("queueSize"), get("queueEnable"), get("queueDescLow")], [0, 0, 0]);
  put("queueSelect", 1);
  assert.equal(get("queueSize"), 64);
});

test("an enabled queue cannot be moved or disabled", () => {
  const { up, put, get } = rig();
  up();
  put("queueSelect", 0);
  put("queueDescLow", 0x5000);
  put("queueSize", 2);
  put("queueEnable", 0);
  assert.deepEqual([get("queueDescLow"), get("queueSize"), get("queueEnable")], [0x1000, 16, 1]);
});

test("64-bit addresses are written by halves and read back", () => {
  const { put, get } = rig();
  put("queueDeviceLow", 0x1234_5678);
  put("queueDeviceHigh", 0xffff_ffff);
  assert.deepEqual([get("queueDeviceLow"), get("queueDeviceHigh")], [0x1234_5678, 0xffff_ffff]);
});

test("a write to part of a field changes nothing, one over two fields changes both", () => {
  const { bus, put, get } = rig();
  const at = (field: CommonField) => BAR + CommonConfig.offset[field];
  put("queueDescLow", 0x1111_1111);
  bus.write(at("queueDescLow"), 2, 0xffff);
  assert.equal(get("queueDescLow"), 0x1111_1111);
  bus.write(at("queueSize"), 4, 0x0001_0020);
  assert.deepEqual([get("queueSize"), get("queueMsixVector")], [0x20, 1]);
  assert.equal(bus.read(at("queueSize"), 4), 0x0001_0020);
});

test("writing 0 to the status takes the interrupt back and forgets queues and vectors", () => {
  const { up, transmit, put, get, intx } = rig();
  const [, queue] = up();
  put("configMsixVector", 1);
  transmit(queue!, "x");
  put("deviceStatus", 0);
  assert.equal(intx.level, false);
  assert.deepEqual([get("deviceStatus"), get("configMsixVector"), get("queueSelect")], [0, NO_VECTOR, 0]);
  assert.deepEqual([get("queueEnable"), get("queueSize"), get("queueDescLow")], [0, 64, 0]);
});

test("the access capability reaches the structures from configuration space alone", () => {
  const { card, structure, config, put, get } = rig();
  const { at } = structure(5);
  const point = (bar: number, offset: number, length: number) => {
    card.pci.writeConfig(at + 4, 1, bar);
    card.pci.writeConfig(at + 8, 4, offset);
    card.pci.writeConfig(at + 12, 4, length);
  };
  put("queueSelect", 1);
  point(0, structure(1).offset + CommonConfig.offset.queueSelect, 2);
  assert.equal(config(at + 16, 2), 1);
  card.pci.writeConfig(at + 16, 2, 0);
  assert.equal(get("queueSelect"), 0);
  point(0, structure(4).offset, 4);
  assert.equal(config(at + 16, 4), (25 << 16) | 80);
  for (const [bar, offset, length] of [
    [1, 0, 4],
    [0, 0x4000, 4],
    [0, 0xffff_fffc, 4],
    [0, 1, 4],
    [0, 0, 3],
    [0, 0, 0],
  ] as const) {
    point(bar, offset, length);
    card.pci.writeConfig(at + 16, 4, 0xdead_beef);
    assert.equal(config(at + 16, 4), 0xdead_beef);
  }
});

test("without bus mastering the device leaves memory alone, and catches up when it is allowed", () => {
  const { card, up, transmit, written } = rig();
  const [, queue] = up();
  card.pci.writeConfig(0x04, 2, 0x2);
  transmit(queue!, "later");
  assert.equal(written(), "");
  card.pci.writeConfig(0x04, 2, 0x6);
  assert.equal(written(), "later");
});

test("a restored function goes on: BARs, vectors, queues and a pending interrupt", () => {
  const first = rig();
  const [, queue] = first.up();
  first.transmit(queue!, "x");
  const copy = rig();
  copy.ram.bytes.set(first.ram.bytes);
  copy.card.pci.writeConfig(0x04, 2, 0);
  Object.assign(copy.card.state, structuredClone(first.card.state));
  copy.card.restored();
  assert.equal(copy.intx.level, true);
  assert.equal(copy.isr(), 1);
  const there = new DriverQueue(copy.ram, 0x2000, 16);
  there.describe(5, 0x8000, 1, 0);
  there.makeAvailable(5);
  copy.notify(1);
  assert.equal(copy.written(), "x");
  assert.equal(copy.get("deviceStatus"), acknowledge | DRIVER | featuresOk | driverOk);
  assert.equal(copy.card.state.virtio, copy.console.state);
});

test("a card's expansion ROM can be read where firmware puts it, and names the card", () => {
  const rom = new Uint8Array(1024);
  rom.set([0x55, 0xaa, 2]);
  rom[0x18] = 0x1c;
  rom.set([...ascii("PCIR"), 0x86, 0x80, 0x0e, 0x10, 0, 0, 0x18, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0x80], 0x1c);
  const bus = new MemoryBus();
  const device = new VirtioRng({ memory: new PlainMemory(0x1000), random: new SeededRandom(1) });
  const card = new VirtioPci({ name: "rng", device, ports: new PortBus(), memory: bus, rom });
  card.reset();
  card.pci.writeConfig(0x30, 4, 0xfe02_0001);
  card.pci.writeConfig(0x04, 2, 2);
  assert.equal(bus.read(0xfe02_0000, 2), 0xaa55);
  assert.equal(bus.read(0xfe02_0020, 4), card.pci.readConfig(0, 4));
});
