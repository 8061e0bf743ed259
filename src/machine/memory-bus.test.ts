import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize, MemoryDevice } from "./device.ts";
import { MemoryBus } from "./memory-bus.ts";
import { SeededRandom } from "./testing/rig.ts";

/** A device whose byte at each offset is `tag`, and that keeps what it was asked. */
class Recorder implements MemoryDevice {
  readonly log: string[] = [];
  readonly #tag: number;
  constructor(tag: number) {
    this.#tag = tag;
  }
  readMemory(offset: number, size: AccessSize): number {
    this.log.push(`r${size} ${offset.toString(16)}`);
    return (this.#tag * 0x01010101) >>> 0;
  }
  writeMemory(offset: number, size: AccessSize, value: number): void {
    this.log.push(`w${size} ${offset.toString(16)}=${value.toString(16)}`);
  }
}

test("an address that nobody maps reads as all ones and takes writes", () => {
  const bus = new MemoryBus();
  assert.equal(bus.read(0xfed00000, 1), 0xff);
  assert.equal(bus.read(0xfed00000, 4), 0xffffffff);
  assert.equal(bus.read(0xfed00001, 2), 0xffff);
  bus.write(2 ** 52 - 1, 4, 1);
  const wide = new Uint32Array(2);
  bus.read64(2 ** 60, wide);
  assert.deepEqual([...wide], [0xffffffff, 0xffffffff]);
});

test("a device sees offsets from its own start, above 4 GiB too", () => {
  const bus = new MemoryBus();
  const device = new Recorder(0x5a);
  bus.map(2 ** 40, 0x1000, device);
  assert.equal(bus.read(2 ** 40 + 0x10, 4), 0x5a5a5a5a);
  assert.equal(bus.read(2 ** 40 + 0x12, 2), 0x5a5a);
  bus.write(2 ** 40 + 0xffc, 4, 0xfedcba98);
  assert.equal(bus.read(2 ** 40 + 0x1000, 4), 0xffffffff);
  assert.deepEqual(device.log, ["r4 10", "r2 12", "w4 ffc=fedcba98"]);
});

test("an 8-byte access is two of 4, low half first", () => {
  const bus = new MemoryBus();
  const device = new Recorder(3);
  bus.map(0x1000, 0x1000, device);
  bus.write64(0x1008, 0x11111111, 0x22222222);
  const wide = new Uint32Array(2);
  bus.read64(0x1010, wide);
  assert.deepEqual([...wide], [0x03030303, 0x03030303]);
  assert.deepEqual(device.log, ["w4 8=11111111", "w4 c=22222222", "r4 10", "r4 14"]);
});

test("a misaligned access arrives as bytes, in two devices if need be", () => {
  const bus = new MemoryBus();
  const low = new Recorder(1);
  const high = new Recorder(2);
  bus.map(0x1000, 0x1000, low);
  bus.map(0x2000, 0x1000, high);
  assert.equal(bus.read(0x1ffe, 4), 0x02020101);
  bus.write(0x1fff, 2, 0xbbaa);
  assert.deepEqual(low.log, ["r1 ffe", "r1 fff", "w1 fff=aa"]);
  assert.deepEqual(high.log, ["r1 0", "r1 1", "w1 0=bb"]);
});

test("an aligned access past the end of a range is split into bytes", () => {
  const bus = new MemoryBus();
  bus.map(0x1000, 2, new Recorder(7));
  assert.equal(bus.read(0x1000, 4), 0xffff0707);
});

test("ranges beyond the 52-bit physical address space are the board's mistake", () => {
  assert.throws(() => new MemoryBus().map(2 ** 52 - 0x1000, 0x2000, new Recorder(0)), RangeError);
});

test("whatever ranges come and go, each address is the first one's that covers it", () => {
  const random = new SeededRandom(11);
  const bus = new MemoryBus();
  const live: { range: ReturnType<MemoryBus["map"]>; tag: number }[] = [];
  for (let step = 0; step < 3000; step++) {
    if (live.length < 10 && random.below(2) === 0) {
      const tag = random.below(255);
      live.push({ range: bus.map(random.below(64), 1 + random.below(40), new Recorder(tag)), tag });
    } else if (live.length > 0) {
      bus.unmap(live.splice(random.below(live.length), 1)[0]!.range);
    }
    const address = random.below(100);
    let expected = 0;
    for (let at = 3; at >= 0; at--) {
      const covers = ({ range }: { range: { start: number; length: number } }) =>
        address + at >= range.start && address + at < range.start + range.length;
      expected = expected * 256 + (live.find(covers)?.tag ?? 0xff);
    }
    assert.equal(bus.read(address, 4), expected);
  }
});
