import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize } from "../../machine/device.ts";
import type { Rectangle, Surface } from "../../machine/display.ts";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { MAX_HEIGHT, MAX_WIDTH } from "./dispi.ts";
import { rig } from "./testing/vga-rig.ts";

const SIZES: readonly AccessSize[] = [1, 1, 2, 4];
/** Registers that modes are made of, so that what is random is often nearly a mode. */
const INDEX_PORTS = [0x3c4, 0x3ce, 0x3d4, 0x3b4];

for (const seed of [1234, 1111]) {
  test(`random accesses never break the adapter or its picture (seed ${seed})`, () => {
    const random = new SeededRandom(seed);
    const { vga, ports, memory, bytes, time, viewer } = rig({ videoMemory: 1 << 20 });
    vga.pci.writeConfig(0x10, 4, 0xe0000000);
    vga.pci.writeConfig(0x18, 4, 0xfebf0000);
    vga.pci.writeConfig(0x04, 2, 0x0003);
    const seen = viewer();
    const size = () => SIZES[random.below(SIZES.length)]!;
    const check = (value: number, width: AccessSize) => {
      assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * width));
    };
    for (let i = 0; i < 20_000; i++) {
      const width = size();
      switch (random.below(10)) {
        case 0:
          ports.write(0x3b0 + random.below(0x30), width, random.next());
          break;
        case 1:
          check(ports.read(0x3b0 + random.below(0x30), width), width);
          break;
        case 2:
          ports.write(INDEX_PORTS[random.below(INDEX_PORTS.length)]!, 2, random.below(0x20) | (random.next() & 0xff00));
          break;
        case 3:
          ports.write(0x1ce, 2, random.below(0x10));
          ports.write(0x1cf, width, random.below(2) ? random.next() & 0xffff : random.below(64));
          break;
        case 4:
          check(ports.read(0x1ce + random.below(3), width), width);
          break;
        case 5:
          memory.write(0xa0000 + random.below(0x20000), width, random.next());
          break;
        case 6:
          check(memory.read(0xa0000 + random.below(0x20000), width), width);
          break;
        case 7:
          memory.write(0xfebf0000 + 0x400 + random.below(0x220), width, random.next());
          check(memory.read(0xfebf0000 + random.below(0x1000), width), width);
          break;
        case 8:
          bytes[random.below(bytes.length)] = random.next();
          time.advance(random.below(100e6));
          break;
        default:
          if (i % 40 !== 0) break;
          ports.write(0x3c0, 1, 0x20);
          draw();
      }
    }
    assert.equal(bytes.length, 1 << 20);

    function draw(): void {
      const { width, height } = vga.display.size;
      assert.ok(width > 0 && width <= Math.max(MAX_WIDTH, 256 * 18) && height > 0 && height <= MAX_HEIGHT);
      for (const part of seen.draw()) {
        assert.ok(part.width > 0 && part.height > 0);
        assert.ok(part.x >= 0 && part.y >= 0 && part.x + part.width <= width && part.y + part.height <= height);
      }
      const text = vga.display.text();
      if (text) assert.ok(text.every((row) => row.length <= 256));
    }
  });
}

/** Every pixel that is not as `before` lies in one of the parts that are said to have changed. */
function assertCovered({ width, pixels }: Surface, before: Uint32Array, parts: readonly Rectangle[]): void {
  for (let at = 0; at < pixels.length; at++) {
    if (pixels[at] === before[at]) continue;
    const [x, y] = [at % width, Math.floor(at / width)];
    const inside = parts.some(
      (part) => x >= part.x && x < part.x + part.width && y >= part.y && y < part.y + part.height,
    );
    assert.ok(inside, `${x},${y} changed, but only ${JSON.stringify(parts)} were told`);
  }
}

test("a picture drawn bit by bit is the picture drawn at once", () => {
  const random = new SeededRandom(720);
  const { vga, ports, bytes, time, viewer } = rig({ videoMemory: 1 << 20 });
  ports.write(0x3c2, 1, 0x67);
  for (let round = 0; round < 150; round++) {
    for (let i = 0; i < 10; i++) {
      const index = random.below(0x19);
      // A width and a height that are soon drawn.
      const value = index === 1 ? random.below(64) : random.below(256);
      const port = INDEX_PORTS[random.below(3)]!;
      ports.write(port, 2, index | (value << 8));
      ports.read(0x3da, 1);
      ports.write(0x3c0, 1, random.below(0x15));
      ports.write(0x3c0, 1, random.below(256));
    }
    ports.read(0x3da, 1);
    ports.write(0x3c0, 1, 0x20);
    if (round % 7 === 0) {
      const dispi = [8 * random.below(20), random.below(100), [4, 8, 15, 16, 24, 32][random.below(6)]!, 0x41];
      dispi.forEach((value, register) => {
        ports.write(0x1ce, 2, register + 1);
        ports.write(0x1cf, 2, value);
      });
    } else if (round % 7 === 3) {
      ports.write(0x1ce, 2, 4);
      ports.write(0x1cf, 2, 0);
    }
    const steady = viewer();
    steady.draw();
    for (let step = 0; step < 5; step++) {
      for (let i = 0; i < 40; i++) bytes[random.below(bytes.length >> random.below(6))] = random.next();
      time.advance(random.below(300e6));
      assertCovered(steady.surface, steady.surface.pixels.slice(), steady.draw());
    }
    const fresh = viewer();
    fresh.draw();
    assert.deepEqual(steady.surface.pixels, fresh.surface.pixels, `round ${round}`);
    assert.deepEqual(vga.display.size, { width: fresh.surface.width, height: fresh.surface.height });
  }
});

test("a wide access to the window is byte accesses from the lowest address up", () => {
  const random = new SeededRandom(0xa0000);
  const wide = rig({ videoMemory: 1 << 20 });
  const narrow = rig({ videoMemory: 1 << 20 });
  const both = (act: (one: typeof wide) => void) => {
    act(wide);
    act(narrow);
  };
  for (let i = 0; i < 40_000; i++) {
    if (random.below(40) === 0) {
      const [port, index, value] = [INDEX_PORTS[random.below(2)]!, random.below(9), random.next() & 0xff];
      // Nearly always as a mode has it: a plain write is what there are short ways for.
      const usual = index === 8 ? 0xff : index < 4 && port === 0x3ce ? 0 : value;
      const written = random.below(8) ? usual : value;
      both(({ ports }) => void ports.write(port, 2, index | (written << 8)));
    }
    if (i % 1000 === 0) both(({ ports }) => void ports.write(0x3c2, 1, i % 10_000 === 0 ? 0 : 0x67));
    if (i % 5000 === 2500) {
      [640, 480, [4, 8, 32][random.below(3)]!, random.below(2)].forEach((value, at) => {
        both(({ dispi }) => void dispi(at + 1, value));
      });
    }
    const size = random.below(2) ? 2 : 4;
    const at = 0xa0000 + Math.floor(random.below(0x20000) / size) * size;
    if (random.below(2)) {
      const value = random.next();
      wide.memory.write(at, size, value);
      for (let byte = 0; byte < size; byte++) narrow.memory.write(at + byte, 1, value >>> (8 * byte));
    } else {
      const bytes = Array.from({ length: size }, (_, byte) => narrow.memory.read(at + byte, 1));
      const value = wide.memory.read(at, size);
      assert.deepEqual(
        Array.from({ length: size }, (_, byte) => (value >>> (8 * byte)) & 0xff),
        bytes,
        `access ${i}`,
      );
    }
    if (i % 500 === 0) assert.deepEqual(wide.bytes, narrow.bytes, `after access ${i}`);
  }
  assert.ok(wide.bytes.some((byte) => byte !== 0));
});
