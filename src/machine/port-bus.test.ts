import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize, PortDevice } from "./device.ts";
import { PortBus } from "./port-bus.ts";
import { SeededRandom } from "./testing/rig.ts";

/** A device whose byte at a port is `tag`, and that keeps what it was asked. */
class Recorder implements PortDevice {
  readonly log: string[] = [];
  readonly #tag: number;
  constructor(tag: number) {
    this.#tag = tag;
  }
  readPort(port: number, size: AccessSize): number {
    this.log.push(`r${size} ${port.toString(16)}`);
    return (this.#tag * 0x01010101) >>> 0;
  }
  writePort(port: number, size: AccessSize, value: number): void {
    this.log.push(`w${size} ${port.toString(16)}=${value.toString(16)}`);
  }
}

test("a port that nobody owns reads as all ones and takes writes", () => {
  const bus = new PortBus();
  assert.equal(bus.read(0x80, 1), 0xff);
  assert.equal(bus.read(0x80, 2), 0xffff);
  assert.equal(bus.read(0xffff, 4), 0xffffffff);
  bus.write(0xffff, 4, 1);
});

test("a device gets an access as it is, cut to its size", () => {
  const bus = new PortBus();
  const device = new Recorder(0xa5);
  bus.register(0x1f0, 8, device);
  assert.equal(bus.read(0x1f0, 2), 0xa5a5);
  assert.equal(bus.read(0x1f4, 4), 0xa5a5a5a5);
  bus.write(0x1f1, 1, 0x1234);
  assert.deepEqual(device.log, ["r2 1f0", "r4 1f4", "w1 1f1=34"]);
});

test("a wide access to a byte-wide device arrives as bytes, lowest port first", () => {
  const bus = new PortBus();
  const bytes = new Recorder(1);
  const words = new Recorder(2);
  bus.register(0x60, 8, bytes, { width: 1 });
  bus.register(0x70, 8, words, { width: 2 });
  bus.write(0x60, 4, 0x44332211);
  assert.equal(bus.read(0x64, 2), 0x0101);
  bus.write(0x70, 4, 0x44332211);
  assert.deepEqual(bytes.log, ["w1 60=11", "w1 61=22", "w1 62=33", "w1 63=44", "r1 64", "r1 65"]);
  assert.deepEqual(words.log, ["w2 70=2211", "w2 72=4433"]);
});

test("an access across two devices is split into bytes", () => {
  const bus = new PortBus();
  const low = new Recorder(0x11);
  const high = new Recorder(0x22);
  bus.register(0x100, 2, low);
  bus.register(0x102, 1, high);
  assert.equal(bus.read(0x100, 4), 0xff221111);
  bus.write(0x101, 2, 0xbbaa);
  assert.deepEqual(low.log, ["r1 100", "r1 101", "w1 101=aa"]);
  assert.deepEqual(high.log, ["r1 102", "w1 102=bb"]);
});

test("of overlapping ranges the first keeps its ports until it goes", () => {
  const bus = new PortBus();
  const first = bus.register(0x100, 4, new Recorder(1), { name: "first" });
  const second = bus.register(0x102, 4, new Recorder(2), { name: "second" });
  const third = bus.register(0x100, 8, new Recorder(3));
  assert.equal(bus.read(0x102, 1), 1);
  assert.equal(bus.read(0x104, 1), 2);
  assert.equal(bus.read(0x106, 1), 3);
  bus.unregister(first);
  bus.unregister(first);
  assert.equal(bus.read(0x100, 1), 3);
  assert.equal(bus.read(0x102, 1), 2);
  bus.unregister(second);
  bus.unregister(third);
  assert.equal(bus.read(0x102, 4), 0xffffffff);
  assert.deepEqual(bus.ranges(), []);
});

test("ports past FFFFh are the board's mistake", () => {
  assert.throws(() => new PortBus().register(0xffff, 2, new Recorder(0)), RangeError);
  assert.throws(() => new PortBus().register(-1, 2, new Recorder(0)), RangeError);
});

test("whatever ranges come and go, each port is the first one's that covers it", () => {
  const random = new SeededRandom(7);
  const bus = new PortBus();
  const live: { range: ReturnType<PortBus["register"]>; tag: number }[] = [];
  for (let step = 0; step < 2000; step++) {
    if (live.length < 12 && random.below(2) === 0) {
      const tag = random.below(255);
      const first = random.below(64);
      live.push({ range: bus.register(first, 1 + random.below(64 - first), new Recorder(tag)), tag });
    } else if (live.length > 0) {
      bus.unregister(live.splice(random.below(live.length), 1)[0]!.range);
    }
    const port = random.below(64);
    let expected = 0;
    for (let at = 3; at >= 0; at--) {
      const owner = live.find(({ range }) => port + at >= range.first && port + at < range.first + range.count);
      expected = expected * 256 + (owner?.tag ?? 0xff);
    }
    assert.equal(bus.read(port, 4), expected);
  }
});
