import assert from "node:assert/strict";
import { test } from "node:test";
import { rig } from "./testing/vga-rig.ts";

/** Planes one by one at A0000h, as a 16-colour mode has them. */
function planar() {
  const vga = rig({ videoMemory: 1 << 20 });
  vga.out(0x3c2, 0x63);
  vga.sequencer(2, 0x0f);
  vga.sequencer(4, 0x06);
  vga.graphics(6, 0x05);
  vga.graphics(7, 0x0f);
  vga.graphics(8, 0xff);
  return vga;
}

test("write mode 0 puts the byte into the planes of the map mask", () => {
  const { poke, plane, sequencer } = planar();
  poke(5, 0xa5);
  assert.deepEqual(plane(5), [0xa5, 0xa5, 0xa5, 0xa5]);
  sequencer(2, 0b0110);
  poke(5, 0x3c);
  assert.deepEqual(plane(5), [0xa5, 0x3c, 0x3c, 0xa5]);
  assert.deepEqual(plane(6), [0, 0, 0, 0]);
});

test("write mode 0 rotates, sets and resets planes, and keeps bits of the latches", () => {
  const { poke, peek, plane, graphics } = planar();
  poke(0, 0xf0);
  peek(0);
  graphics(3, 0x04);
  poke(1, 0x1f);
  assert.deepEqual(plane(1), [0xf1, 0xf1, 0xf1, 0xf1], "rotated right by four");
  graphics(1, 0b0011);
  graphics(0, 0b0001);
  poke(2, 0x1f);
  assert.deepEqual(plane(2), [0xff, 0x00, 0xf1, 0xf1], "planes 0 and 1 from set/reset");
  graphics(8, 0x0f);
  poke(3, 0x1f);
  assert.deepEqual(plane(3), [0xff, 0xf0, 0xf1, 0xf1], "the high bits are the latches'");
});

test("logical operations combine the processor's data with the latches", () => {
  const { poke, peek, plane, graphics } = planar();
  poke(0, 0b1100_1100);
  peek(0);
  const results = [1, 2, 3].map((operation) => {
    graphics(3, operation << 3);
    poke(operation, 0b1010_1010);
    return plane(operation)[0];
  });
  assert.deepEqual(results, [0b1000_1000, 0b1110_1110, 0b0110_0110]);
});

test("write mode 1 copies the latches", () => {
  const { poke, peek, plane, graphics, sequencer } = planar();
  for (let p = 0; p < 4; p++) {
    sequencer(2, 1 << p);
    poke(100, 0x11 * (p + 1));
  }
  sequencer(2, 0x0f);
  graphics(5, 1);
  peek(100);
  poke(200, 0xff);
  assert.deepEqual(plane(200), [0x11, 0x22, 0x33, 0x44]);
});

test("write mode 2 makes a colour of the low bits, where the bit mask has ones", () => {
  const { poke, peek, plane, graphics } = planar();
  poke(0, 0xff);
  peek(0);
  graphics(5, 2);
  graphics(8, 0xf0);
  poke(0, 0b0101);
  assert.deepEqual(plane(0), [0xff, 0x0f, 0xff, 0x0f]);
});

test("write mode 3 takes the byte as a mask for the set/reset colour", () => {
  const { poke, peek, plane, graphics } = planar();
  poke(0, 0x0f);
  peek(0);
  graphics(5, 3);
  graphics(0, 0b1001);
  graphics(8, 0x7e);
  poke(0, 0xf0);
  assert.deepEqual(plane(0), [0x7f, 0x0f, 0x0f, 0x7f]);
  graphics(0, 0);
  peek(0);
  poke(0, 0xff);
  assert.deepEqual(plane(0), [0x01, 0x01, 0x01, 0x01]);
});

test("read mode 0 gives a plane, read mode 1 the pixels of a colour", () => {
  const { poke, peek, graphics, sequencer } = planar();
  const planes = [0b1111_0000, 0b1100_1100, 0b1010_1010, 0b0000_0000];
  planes.forEach((byte, p) => {
    sequencer(2, 1 << p);
    poke(7, byte);
  });
  planes.forEach((byte, p) => {
    graphics(4, p);
    assert.equal(peek(7), byte);
  });
  graphics(5, 0x08);
  graphics(2, 0b0111);
  assert.equal(peek(7), 0b1000_0000);
  graphics(7, 0b0011);
  assert.equal(peek(7), 0b1100_0000, "planes 2 and 3 do not matter");
  graphics(7, 0);
  assert.equal(peek(7), 0xff);
});

test("chain-4 puts consecutive bytes into consecutive planes, and uses every fourth address", () => {
  const { poke, peek, plane, sequencer, memory } = planar();
  sequencer(4, 0x0e);
  poke(0, 1, 2, 3, 4, 5);
  assert.deepEqual(plane(0), [1, 2, 3, 4]);
  assert.deepEqual(plane(4), [5, 0, 0, 0]);
  assert.equal(peek(2), 3);
  memory.write(0xa0008, 4, 0x0d0c0b0a);
  assert.deepEqual(plane(8), [0x0a, 0x0b, 0x0c, 0x0d]);
  assert.equal(memory.read(0xa0008, 4), 0x0d0c0b0a);
  sequencer(2, 0b0101);
  memory.write(0xa0008, 4, 0xffffffff);
  assert.deepEqual(plane(8), [0xff, 0x0b, 0xff, 0x0d], "the map mask counts");
});

test("odd/even puts even bytes into plane 0 and odd ones into plane 1, at even addresses", () => {
  const { poke, peek, plane, sequencer, graphics, memory } = planar();
  sequencer(2, 0x03);
  sequencer(4, 0x02);
  graphics(5, 0x10);
  graphics(6, 0x06);
  poke(0, 0x41, 0x1f, 0x42, 0x2f);
  assert.deepEqual(plane(0), [0x41, 0x1f, 0, 0]);
  assert.deepEqual(plane(2), [0x42, 0x2f, 0, 0]);
  assert.equal(peek(2), 0x42);
  assert.equal(peek(3), 0x2f);
  memory.write(0xa0004, 4, 0x4f444e43);
  assert.deepEqual(
    [plane(4), plane(6)],
    [
      [0x43, 0x4e, 0, 0],
      [0x44, 0x4f, 0, 0],
    ],
  );
  assert.equal(memory.read(0xa0006, 2), 0x4f44);
  assert.equal(memory.read(0xa0000, 4), 0x2f421f41);
  sequencer(2, 0x0d);
  memory.write(0xa0008, 2, 0x2211);
  assert.deepEqual(plane(8), [0x11, 0, 0x11, 0x22]);
  graphics(4, 2);
  assert.equal(memory.read(0xa0008, 2), 0x2211, "planes 2 and 3 by read map select");
});

test("memory map select says where the window is, and what is outside of it floats", () => {
  const { memory, graphics, plane, out } = planar();
  const answers = [0, 1, 2, 3].map((select) => {
    graphics(6, 1 | (select << 2));
    return [0xa0000, 0xaffff, 0xb0000, 0xb7fff, 0xb8000, 0xbffff].map((address) => {
      memory.write(address, 1, 0x55);
      return memory.read(address, 1) === 0x55;
    });
  });
  assert.deepEqual(answers, [
    [true, true, true, true, true, true],
    [true, true, false, false, false, false],
    [false, false, true, true, false, false],
    [false, false, false, false, true, true],
  ]);
  graphics(6, 0x0d);
  memory.write(0xb8010, 1, 0x77);
  assert.deepEqual(plane(0x10), [0x77, 0x77, 0x77, 0x77], "a window begins at address 0 of the planes");
  out(0x3c2, 0x61);
  assert.equal(memory.read(0xb8010, 1), 0xff, "memory is switched off");
});

test("BAR 0 shows planes side by side, and the DISPI registers' banks show BAR 0", () => {
  const { ports, memory, bytes, dispi, poke, peek } = planar();
  for (const [register, value] of [
    [1, 640],
    [2, 480],
    [3, 8],
    [4, 0x41],
    [5, 3],
  ] as const) {
    dispi(register, value);
  }
  poke(0x123, 9, 8, 7);
  assert.deepEqual([...bytes.subarray(0x30123, 0x30126)], [9, 8, 7]);
  memory.write(0xa0200, 4, 0x04030201);
  assert.deepEqual([...bytes.subarray(0x30200, 0x30204)], [1, 2, 3, 4]);
  bytes[0x3ffff] = 0x5a;
  assert.equal(peek(0xffff), 0x5a);
  dispi(5, 0x7f);
  ports.write(0x1ce, 2, 5);
  assert.equal(ports.read(0x1cf, 2), 0x0f, "there are 16 banks in 1 MiB");
});
