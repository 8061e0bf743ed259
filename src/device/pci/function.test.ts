import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize } from "../../machine/device.ts";
import { ProbeLine } from "../../machine/testing/rig.ts";
import { PciFunction, type PciFunctionConfig } from "./function.ts";
import { rig, Scratch } from "./testing/pci-rig.ts";

const IDENTITY = {
  vendor: 0x1af4,
  device: 0x1042,
  revision: 1,
  classCode: 0x010203,
  subsystemVendor: 0x1af4,
  subsystem: 0x1100,
};
const SLOT = 5;
const BAR0 = 0x10;
const IO = 1;
const MEMORY = 2;
const MASTER = 4;
const INTX_DISABLE = 0x400;

/** A function in slot 5 of a board, with its registers by offset. */
function functionRig(config: Partial<PciFunctionConfig> = {}) {
  const board = rig();
  const intx = new ProbeLine();
  const written: [number, AccessSize][] = [];
  const pci = new PciFunction(
    { name: "test", identity: IDENTITY, interruptPin: 1, ...config },
    {
      ...board.buses,
      intx,
      msi: board.msi,
      configWritten: (offset, size) => void written.push([offset, size]),
    },
  );
  board.bus.attach(SLOT, 0, pci);
  const read = (offset: number, size: AccessSize = 4) => board.read(SLOT, 0, offset, size);
  const write = (offset: number, size: AccessSize, value: number) => board.write(SLOT, 0, offset, size, value);
  const command = (value: number) => write(4, 2, value);
  return { ...board, pci, intx, written, read, write, command };
}

test("the header shows the identity and ignores writes to it", () => {
  const { read, write } = functionRig({ multifunction: true });
  for (let offset = 0; offset < 0x40; offset += 4) write(offset, 4, 0xffffffff);
  assert.equal(read(0x00), 0x10421af4);
  assert.equal(read(0x08), 0x01020301);
  assert.equal(read(0x0c), 0x0080ffff);
  assert.equal(read(0x2c), 0x11001af4);
  assert.equal(read(0x3c), 0x000001ff);
  assert.equal(read(0x04, 2), 0x0547);
  assert.equal(read(0x06, 2), 0);
  assert.equal(read(0x10), 0);
  assert.equal(read(0x30), 0);
  assert.equal(read(0x34), 0);
});

test("a BAR written with ones reads back its size and type", () => {
  const { read, write } = functionRig({
    bars: [
      { kind: "io", index: 0, size: 32, device: new Scratch(32) },
      { kind: "memory", width: 32, index: 1, size: 0x1000, device: new Scratch(0x1000) },
      { kind: "memory", width: 64, prefetchable: true, index: 2, size: 2 ** 34 },
      { kind: "memory", width: 64, index: 4, size: 0x4000, device: new Scratch(0x4000) },
    ],
  });
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((bar) => read(BAR0 + bar * 4)),
    [1, 0, 0xc, 0, 4, 0],
  );
  for (let bar = 0; bar < 6; bar++) write(BAR0 + bar * 4, 4, 0xffffffff);
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((bar) => read(BAR0 + bar * 4)),
    [0xffffffe1, 0xfffff000, 0x0000000c, 0xfffffffc, 0xffffc004, 0xffffffff],
  );
});

test("a BAR's range is on its bus while the command register enables its space", () => {
  const io = new Scratch(16);
  const mmio = new Scratch(0x1000);
  const { ports, memory, write, command } = functionRig({
    bars: [
      { kind: "io", index: 0, size: 16, device: io },
      { kind: "memory", width: 64, index: 2, size: 0x1000, device: mmio },
    ],
  });
  write(BAR0, 4, 0xc000);
  write(BAR0 + 8, 4, 0xe0000000);
  write(BAR0 + 12, 4, 3);
  assert.equal(ports.read(0xc004, 1), 0xff);
  command(IO);
  ports.write(0xc004, 2, 0x1234);
  assert.equal(io.readMemory(4, 2), 0x1234);
  assert.equal(memory.read(0x3_e0000000, 4), 0xffffffff);
  command(MEMORY);
  assert.equal(ports.read(0xc004, 1), 0xff);
  memory.write(0x3_e0000ffc, 4, 0x89abcdef);
  assert.equal(mmio.readMemory(0xffc, 4), 0x89abcdef);
  write(BAR0 + 12, 4, 0);
  assert.equal(memory.read(0x3_e0000ffc, 4), 0xffffffff);
  assert.equal(memory.read(0xe0000ffc, 4), 0x89abcdef, "moved while it is decoded");
});

test("a BAR is decoded neither at zero nor at the top of its space", () => {
  const places: (number | undefined)[] = [];
  const { memory, ports, write, command } = functionRig({
    bars: [
      { kind: "memory", width: 32, index: 0, size: 0x100000, placed: (base) => void places.push(base) },
      { kind: "io", index: 1, size: 4, device: new Scratch(4) },
      { kind: "memory", width: 64, index: 2, size: 0x1000, device: new Scratch(0x1000) },
    ],
  });
  command(IO | MEMORY);
  for (const bar of [0, 1, 2, 3]) write(BAR0 + bar * 4, 4, 0xffffffff);
  assert.deepEqual(places, []);
  assert.deepEqual(memory.ranges(), []);
  assert.ok(!ports.ranges().some(({ name }) => name === "test"));
  write(BAR0, 4, 0xfe000000);
  write(BAR0, 4, 0);
  assert.deepEqual(places, [0xfe000000, undefined]);
});

test("overlapping BARs leave the place to the first, and it comes back to the second", () => {
  const first = new Scratch(0x1000);
  const second = new Scratch(0x1000);
  first.bytes.fill(1);
  second.bytes.fill(2);
  const { memory, write, command } = functionRig({
    bars: [
      { kind: "memory", width: 32, index: 0, size: 0x1000, device: first },
      { kind: "memory", width: 32, index: 1, size: 0x1000, device: second },
    ],
  });
  command(MEMORY);
  write(BAR0, 4, 0xe0000000);
  write(BAR0 + 4, 4, 0xe0000000);
  assert.equal(memory.read(0xe0000000, 1), 1);
  write(BAR0, 4, 0xe0001000);
  assert.equal(memory.read(0xe0000000, 1), 2);
  assert.equal(memory.read(0xe0001000, 1), 1);
});

test("the expansion ROM is at its BAR while that is enabled", () => {
  const rom = new Uint8Array(3000).fill(0x90);
  rom.set([0x55, 0xaa]);
  const { memory, read, write, command } = functionRig({ rom });
  write(0x30, 4, 0xfffff800);
  assert.equal(read(0x30), 0xfffff000);
  write(0x30, 4, 0xfeb00001);
  assert.equal(memory.read(0xfeb00000, 2), 0xffff);
  command(MEMORY);
  assert.equal(memory.read(0xfeb00000, 2), 0xaa55);
  memory.write(0xfeb00000, 2, 0);
  assert.equal(memory.read(0xfeb00000, 4), 0x9090aa55);
  assert.equal(memory.read(0xfeb00ffc, 4), 0xffffffff);
  write(0x30, 4, 0xfeb00000);
  assert.equal(memory.read(0xfeb00000, 2), 0xffff);
});

test("capabilities form a list that ends, with the bits that they let software write", () => {
  const { pci, read, write, written } = functionRig({
    capabilities: [
      { id: 9, body: Uint8Array.of(5, 1, 2, 3), writable: Uint8Array.of(0, 0xf0) },
      { id: 1, body: new Uint8Array(6) },
    ],
    bars: [{ kind: "memory", width: 32, index: 1, size: 0x1000 }],
    msix: { bar: 1, vectors: 3, tableOffset: 0, pendingOffset: 0x800 },
    msiVectors: 4,
  });
  assert.equal(read(6, 2) & 0x10, 0x10);
  const ids: number[] = [];
  for (let at = read(0x34, 1); at !== 0; at = read(at + 1, 1)) ids.push(read(at, 1));
  assert.deepEqual(ids, [9, 1, 0x11, 5]);
  assert.deepEqual(pci.capabilityOffsets, [0x40, 0x48]);
  write(0x42, 4, 0xffffffff);
  assert.equal(read(0x42, 2), 0xf105);
  assert.deepEqual(written, [
    [0x42, 1],
    [0x43, 1],
  ]);
});

test("the interrupt pin follows the device, status shows it, and the disable bit holds it back", () => {
  const { pci, intx, read, command } = functionRig();
  pci.interrupt.set(true);
  assert.equal(intx.level, true);
  assert.equal(read(6, 2) & 8, 8);
  command(INTX_DISABLE);
  assert.equal(intx.level, false);
  assert.equal(read(6, 2) & 8, 8);
  command(0);
  assert.equal(intx.level, true);
  pci.interrupt.set(false);
  assert.equal(intx.level, false);
  assert.equal(read(6, 2) & 8, 0);
});

test("MSI sends as many messages as are enabled, holds masked ones, and replaces the pin", () => {
  const { pci, intx, messages, read, write, command } = functionRig({ msiVectors: 8 });
  const cap = 0x40;
  assert.equal(read(cap + 2, 2), 0x0186);
  assert.equal(pci.signal(0), false);
  write(cap + 4, 4, 0xfee01003);
  write(cap + 8, 4, 0);
  write(cap + 12, 2, 0x4047);
  write(cap + 2, 2, 0x0021);
  pci.interrupt.set(true);
  assert.equal(intx.level, false);
  assert.equal(pci.signal(1), true);
  assert.deepEqual(messages, [], "not without bus mastering");
  command(MASTER);
  for (const vector of [0, 3, 5]) pci.signal(vector);
  assert.deepEqual(messages.splice(0), [
    [0xfee01000, 0x4044],
    [0xfee01000, 0x4047],
    [0xfee01000, 0x4045],
  ]);
  write(cap + 16, 4, 0xffffffff);
  assert.equal(read(cap + 16), 0xff);
  pci.signal(2);
  pci.signal(2);
  assert.deepEqual(messages, []);
  assert.equal(read(cap + 20), 4);
  write(cap + 16, 4, 0);
  assert.deepEqual(messages, [[0xfee01000, 0x4046]]);
  assert.equal(read(cap + 20), 0);
});

test("MSI-X sends each vector's own message and keeps masked ones pending", () => {
  const registers = new Scratch(0x2000);
  const { pci, messages, memory, read, write, command } = functionRig({
    bars: [{ kind: "memory", width: 32, index: 1, size: 0x2000, device: registers }],
    msix: { bar: 1, vectors: 3, tableOffset: 0x1000, pendingOffset: 0x1800 },
  });
  const base = 0xfeb00000;
  const cap = 0x40;
  assert.equal(read(cap + 2, 2), 2);
  assert.equal(read(cap + 4), 0x1001);
  assert.equal(read(cap + 8), 0x1801);
  write(BAR0 + 4, 4, base);
  command(MEMORY | MASTER);
  const entry = (vector: number, at: number) => base + 0x1000 + vector * 16 + at;
  assert.equal(memory.read(entry(2, 12), 4), 1, "masked at reset");
  for (const vector of [0, 1, 2]) {
    memory.write(entry(vector, 0), 4, 0xfee00003 + vector * 0x1000);
    memory.write64(entry(vector, 8), 0x41 + vector, 0);
  }
  assert.equal(pci.signal(0), false);
  write(cap + 2, 2, 0x8000);
  pci.signal(0);
  pci.signal(2);
  pci.signal(3);
  assert.deepEqual(messages.splice(0), [
    [0xfee00000, 0x41],
    [0xfee02000, 0x43],
  ]);
  memory.write(entry(1, 12), 4, 0xffffffff);
  assert.equal(memory.read(entry(1, 12), 4), 1);
  pci.signal(1);
  assert.equal(memory.read(base + 0x1800, 4), 2);
  memory.write(base + 0x1800, 4, 0);
  assert.equal(memory.read(base + 0x1800, 4), 2, "pending bits are read-only");
  memory.write(entry(1, 12), 1, 0);
  assert.deepEqual(messages.splice(0), [[0xfee01000, 0x42]]);
  write(cap + 2, 2, 0xc000);
  pci.signal(0);
  pci.signal(2);
  assert.deepEqual(messages, []);
  write(cap + 2, 2, 0x8000);
  assert.deepEqual(messages.splice(0), [
    [0xfee00000, 0x41],
    [0xfee02000, 0x43],
  ]);
  memory.write(base + 0x10, 4, 0x12345678);
  assert.equal(registers.readMemory(0x10, 4), 0x12345678, "the rest of the BAR is the device's");
});

test("reset takes the ranges off the buses and clears the header", () => {
  const { pci, memory, read, write, command } = functionRig({
    bars: [{ kind: "memory", width: 32, index: 0, size: 0x1000, device: new Scratch(0x1000) }],
  });
  write(BAR0, 4, 0xfeb00000);
  command(MEMORY);
  assert.equal(memory.ranges().length, 1);
  pci.reset();
  assert.equal(memory.ranges().length, 0);
  assert.equal(read(BAR0), 0);
  assert.equal(read(4, 2), 0);
});

test("a restored function decodes its BARs and drives its pin again", () => {
  const bars = () => [{ kind: "memory", width: 32, index: 0, size: 0x1000, device: new Scratch(0x1000) }] as const;
  const first = functionRig({ bars: bars() });
  first.write(BAR0, 4, 0xfeb00000);
  first.command(MEMORY);
  first.pci.interrupt.set(true);
  const second = functionRig({ bars: bars() });
  Object.assign(second.pci.state, structuredClone(first.pci.state));
  second.pci.restored();
  assert.equal(second.memory.ranges()[0]!.start, 0xfeb00000);
  assert.equal(second.intx.level, true);
});

test("a description that fits no configuration space is the board's mistake", () => {
  const bar = { kind: "io", index: 0, device: new Scratch(0) } as const;
  assert.throws(() => functionRig({ bars: [{ ...bar, size: 3 }] }), RangeError);
  assert.throws(() => functionRig({ bars: [{ ...bar, size: 512 }] }), RangeError);
  assert.throws(() => functionRig({ capabilities: [{ id: 9, body: new Uint8Array(250) }] }), RangeError);
  const msix = { bar: 0, vectors: 1, tableOffset: 0, pendingOffset: 0x800 };
  assert.throws(() => functionRig({ msix }), RangeError);
});
