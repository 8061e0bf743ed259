import assert from "node:assert/strict";
import { test } from "node:test";
import { ApicBus, type InterruptMessage } from "../../machine/apic-bus.ts";
import { IoApic } from "./io-apic.ts";

const MASKED = 0x10000;
const LEVEL = 0x8000;
const REMOTE_IRR = 0x4000;

/** An I/O APIC and a local APIC with ID 1 that keeps what it is sent. */
function rig() {
  const bus = new ApicBus();
  const sent: InterruptMessage[] = [];
  bus.attachLocalApic({
    addressedBy: ({ destination, broadcast }) => broadcast || destination === 1,
    takesInterrupts: true,
    processorPriority: 0,
    accept: (message) => void sent.push(message),
  });
  const ioApic = new IoApic({ bus });
  const read = (index: number) => {
    ioApic.writeMemory(0x00, 4, index);
    return ioApic.readMemory(0x10, 4);
  };
  const write = (index: number, value: number) => {
    ioApic.writeMemory(0x00, 4, index);
    ioApic.writeMemory(0x10, 4, value >>> 0);
  };
  const entry = (pin: number, low: number, high = 0x01000000) => {
    write(0x11 + pin * 2, high);
    write(0x10 + pin * 2, low);
  };
  const vectors = () => sent.splice(0).map(({ vector }) => vector);
  return { bus, ioApic, sent, read, write, entry, vectors };
}

test("after reset there are 24 masked pins, version 20h and ID 0", () => {
  const { read } = rig();
  assert.equal(read(0), 0);
  assert.equal(read(1), 0x00170020);
  assert.equal(read(2), 0);
  for (let pin = 0; pin < 24; pin++) {
    assert.equal(read(0x10 + pin * 2), MASKED);
    assert.equal(read(0x11 + pin * 2), 0);
  }
  assert.equal(read(0x40), 0);
});

test("the ID and the entries keep their writable bits only", () => {
  const { read, write } = rig();
  write(0, 0xffffffff);
  assert.equal(read(0), 0x0f000000);
  assert.equal(read(2), 0x0f000000);
  write(1, 0xffffffff);
  assert.equal(read(1), 0x00170020);
  write(0x13, 0xffffffff);
  write(0x12, 0xffffffff);
  assert.equal(read(0x13), 0xff000000);
  assert.equal(read(0x12), 0x1afff);
});

test("the index register is a byte, and the data register is 32 bits wide", () => {
  const { ioApic, read } = rig();
  ioApic.writeMemory(0, 1, 0x10);
  assert.equal(ioApic.readMemory(0, 4), 0x10);
  ioApic.writeMemory(0x10, 1, 0);
  assert.equal(read(0x10), MASKED);
  assert.equal(ioApic.readMemory(0x10, 2), 0);
  assert.equal(ioApic.readMemory(0x11, 1), 0);
});

test("an edge sends one message with what the entry says", () => {
  const { ioApic, entry, sent } = rig();
  entry(4, 0x0934, 0x01000000);
  ioApic.pins[4]!.set(true);
  ioApic.pins[4]!.set(true);
  assert.deepEqual(sent, [{ destination: 1, broadcast: false, logical: true, mode: 1, vector: 0x34, level: false }]);
  ioApic.pins[4]!.set(false);
  ioApic.pins[4]!.set(true);
  assert.equal(sent.length, 2);
});

test("an edge on a masked pin is lost", () => {
  const { ioApic, entry, vectors } = rig();
  entry(4, MASKED | 0x34);
  ioApic.pins[4]!.set(true);
  entry(4, 0x34);
  assert.deepEqual(vectors(), []);
});

test("a level sends again after EOI while it is asserted", () => {
  const { bus, ioApic, entry, read, sent, vectors } = rig();
  entry(11, LEVEL | 0x5b);
  ioApic.pins[11]!.set(true);
  assert.equal(read(0x26), LEVEL | REMOTE_IRR | 0x5b);
  assert.equal(sent[0]!.level, true);
  assert.deepEqual(vectors(), [0x5b]);
  ioApic.pins[11]!.set(false);
  ioApic.pins[11]!.set(true);
  assert.deepEqual(vectors(), [], "it is being served");
  bus.endOfInterrupt(0x5a);
  assert.deepEqual(vectors(), []);
  bus.endOfInterrupt(0x5b);
  assert.deepEqual(vectors(), [0x5b]);
  ioApic.pins[11]!.set(false);
  bus.endOfInterrupt(0x5b);
  assert.deepEqual(vectors(), []);
  assert.equal(read(0x26), LEVEL | 0x5b);
});

test("a level that is asserted while its pin is masked is sent when the mask goes", () => {
  const { ioApic, entry, write, vectors } = rig();
  entry(11, MASKED | LEVEL | 0x5b);
  ioApic.pins[11]!.set(true);
  assert.deepEqual(vectors(), []);
  write(0x26, LEVEL | 0x5b);
  assert.deepEqual(vectors(), [0x5b]);
  write(0x26, LEVEL | 0x5b);
  assert.deepEqual(vectors(), [], "remote IRR stays over a write");
});

test("the EOI register ends an interrupt that no local APIC broadcast", () => {
  const { ioApic, entry, read } = rig();
  entry(11, LEVEL | 0x5b);
  ioApic.pins[11]!.set(true);
  ioApic.pins[11]!.set(false);
  ioApic.writeMemory(0x40, 4, 0x5b);
  assert.equal(read(0x26), LEVEL | 0x5b);
});

test("a passage through edge mode clears remote IRR", () => {
  const { ioApic, entry, write, read } = rig();
  entry(11, LEVEL | 0x5b);
  ioApic.pins[11]!.set(true);
  ioApic.pins[11]!.set(false);
  write(0x26, MASKED | 0x5b);
  write(0x26, MASKED | LEVEL | 0x5b);
  assert.equal(read(0x26), MASKED | LEVEL | 0x5b);
});

test("a level that nobody takes is not being served", () => {
  const { ioApic, entry, read, vectors } = rig();
  entry(11, LEVEL | 0x5b, 0x07000000);
  ioApic.pins[11]!.set(true);
  assert.equal(read(0x26), LEVEL | 0x5b);
  entry(11, LEVEL | 0x5b, 0x01000000);
  assert.deepEqual(vectors(), [0x5b]);
});

test("ExtINT and NMI are edges even in level mode", () => {
  const { ioApic, entry, read, sent } = rig();
  entry(0, LEVEL | 0x700);
  ioApic.pins[0]!.set(true);
  entry(1, LEVEL | 0x400);
  ioApic.pins[1]!.set(true);
  assert.deepEqual(
    sent.map(({ mode, level }) => [mode, level]),
    [
      [7, false],
      [4, false],
    ],
  );
  assert.equal(read(0x10), LEVEL | 0x700);
});
