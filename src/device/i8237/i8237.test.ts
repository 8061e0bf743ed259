import assert from "node:assert/strict";
import { test } from "node:test";
import type { DmaCycle } from "../../machine/dma.ts";
import { PlainMemory } from "../../machine/testing/rig.ts";
import { I8237Pair } from "./i8237.ts";

/** A device with bytes to give, or with an appetite for some. */
class Peer {
  give: number[] = [];
  wants = 0;
  readonly taken: number[] = [];
  readonly terminals: number[] = [];
  /** Cycles that it was acknowledged in without data. */
  verified = 0;
  acknowledge({ direction, bytes, terminalCount }: DmaCycle): number {
    let moved = 0;
    if (direction === "to-memory") {
      moved = Math.min(bytes.length, this.give.length);
      bytes.set(this.give.splice(0, moved));
    } else {
      moved = Math.min(bytes.length, this.wants);
      this.wants -= moved;
      if (direction === "verify") this.verified += moved;
      else this.taken.push(...bytes.subarray(0, moved));
    }
    if (terminalCount && moved === bytes.length) this.terminals.push(moved);
    return moved;
  }
}

const PAGES: Readonly<Record<number, number>> = { 0: 0x87, 1: 0x83, 2: 0x81, 3: 0x82, 5: 0x8b, 6: 0x89, 7: 0x8a };
const [SINGLE, BLOCK] = [0x40, 0x80];
const [TO_MEMORY, FROM_MEMORY, VERIFY] = [0x04, 0x08, 0x00];
const [AUTO_INIT, DECREMENT] = [0x10, 0x20];

function rig(number = 2) {
  const memory = new PlainMemory(0x10_0000);
  const dma = new I8237Pair({ memory });
  const peer = new Peer();
  const channel = dma.channel(number);
  channel.connect(peer);
  const out = (port: number, value: number) => dma.writePort(port, 1, value);
  const inb = (port: number) => dma.readPort(port, 1);
  const port = (register: number) => (number < 4 ? register : 0xc0 + 2 * register);
  // As a BIOS leaves it: channel 4 cascades.
  out(0xd6, 0xc0);
  out(0xd4, 0x00);
  const program = (mode: number, address: number, count: number) => {
    const unit = number < 4 ? address : address >>> 1;
    out(port(10), 4 | (number & 3));
    out(port(12), 0);
    out(port(11), mode | (number & 3));
    for (const byte of [unit & 0xff, (unit >>> 8) & 0xff]) out(port(2 * (number & 3)), byte);
    out(PAGES[number]!, address >>> 16);
    for (const byte of [(count - 1) & 0xff, (count - 1) >>> 8]) out(port(2 * (number & 3) + 1), byte);
  };
  const unmask = () => out(port(10), number & 3);
  const read16 = (register: number) => {
    out(port(12), 0);
    return inb(port(register)) | (inb(port(register)) << 8);
  };
  return { memory, dma, peer, channel, out, inb, program, unmask, read16, port };
}

test("a device's bytes go to memory once its channel is unmasked, and terminal count ends it", () => {
  const { memory, peer, channel, program, unmask, inb, read16 } = rig();
  program(SINGLE | TO_MEMORY, 0x3_1000, 4);
  peer.give = [1, 2, 3, 4, 5];
  channel.request.set(true);
  assert.equal(inb(8), 0x40, "the request waits");
  assert.equal(memory.bytes[0x3_1000], 0);
  unmask();
  assert.deepEqual([...memory.bytes.subarray(0x3_1000, 0x3_1006)], [1, 2, 3, 4, 0, 0]);
  assert.deepEqual(peer.terminals, [4]);
  assert.equal(inb(15), 0x0f, "the channel is masked again");
  assert.equal(inb(8), 0x44);
  assert.equal(inb(8), 0x40, "reading the status clears terminal count");
  assert.deepEqual([read16(4), read16(5)], [0x1004, 0xffff]);
});

test("a device takes what memory has, in as many portions as it likes", () => {
  const { memory, peer, channel, program, unmask } = rig(1);
  memory.bytes.set([10, 11, 12, 13, 14], 0x2000);
  program(SINGLE | FROM_MEMORY, 0x2000, 5);
  unmask();
  for (const portion of [2, 1, 2]) {
    peer.wants = portion;
    channel.request.set(true);
    channel.request.set(false);
  }
  assert.deepEqual(peer.taken, [10, 11, 12, 13, 14]);
  assert.deepEqual(peer.terminals, [2]);
});

test("addresses wrap within their page, upwards and downwards", () => {
  const up = rig();
  up.program(BLOCK | TO_MEMORY, 0x1_fffe, 4);
  up.unmask();
  up.peer.give = [1, 2, 3, 4];
  up.channel.request.set(true);
  assert.deepEqual([...up.memory.bytes.subarray(0x1_fffe, 0x2_0000)], [1, 2]);
  assert.deepEqual([...up.memory.bytes.subarray(0x1_0000, 0x1_0002)], [3, 4]);
  const down = rig();
  down.program(SINGLE | TO_MEMORY | DECREMENT, 0x1_0001, 4);
  down.unmask();
  down.peer.give = [1, 2, 3, 4];
  down.channel.request.set(true);
  assert.deepEqual([...down.memory.bytes.subarray(0x1_0000, 0x1_0002)], [2, 1]);
  assert.deepEqual([...down.memory.bytes.subarray(0x1_fffe, 0x2_0000)], [4, 3]);
});

test("channels 5 to 7 move words, in pages of 128 KiB", () => {
  const { memory, peer, channel, program, unmask, read16 } = rig(5);
  program(SINGLE | TO_MEMORY, 0x3_0004, 2);
  unmask();
  peer.give = [1, 2, 3, 4];
  channel.request.set(true);
  assert.deepEqual([...memory.bytes.subarray(0x3_0004, 0x3_0008)], [1, 2, 3, 4]);
  assert.equal(read16(2), 0x8004);
});

test("auto-initialisation starts over and leaves the channel unmasked", () => {
  const { memory, peer, channel, program, unmask, inb, read16 } = rig();
  program(SINGLE | TO_MEMORY | AUTO_INIT, 0x4000, 3);
  unmask();
  peer.give = [1, 2, 3, 4];
  channel.request.set(true);
  assert.deepEqual([...memory.bytes.subarray(0x4000, 0x4003)], [4, 2, 3]);
  assert.deepEqual([read16(4), read16(5)], [0x4001, 1]);
  assert.equal(inb(15) & 4, 0);
  assert.deepEqual(peer.terminals, [3]);
});

test("a verify transfer counts and moves nothing", () => {
  const { memory, peer, channel, program, unmask } = rig();
  program(SINGLE | VERIFY, 0x4000, 3);
  unmask();
  peer.wants = 10;
  channel.request.set(true);
  assert.equal(peer.verified, 3);
  assert.deepEqual(peer.terminals, [3]);
  assert.deepEqual([...memory.bytes.subarray(0x4000, 0x4003)], [0, 0, 0]);
});

test("nothing moves while a controller is disabled, or channel 4 does not cascade", () => {
  for (const [port, stop, go] of [
    [0x08, 0x04, 0x00],
    [0xd0, 0x04, 0x00],
    [0xd4, 0x04, 0x00],
    [0xd6, 0x40, 0xc0],
  ] as const) {
    const { memory, peer, channel, program, unmask, out } = rig();
    out(port, stop);
    program(SINGLE | TO_MEMORY, 0x5000, 1);
    unmask();
    peer.give = [7];
    channel.request.set(true);
    assert.equal(memory.bytes[0x5000], 0);
    out(port, go);
    assert.equal(memory.bytes[0x5000], 7);
  }
});

test("a software request runs a channel to terminal count", () => {
  const { memory, out, program, inb } = rig(3);
  const other = rig(3);
  program(BLOCK | TO_MEMORY, 0x6000, 4);
  out(9, 4 | 3);
  assert.equal(inb(8), 0, "a device that has nothing ends the request");
  assert.deepEqual([...memory.bytes.subarray(0x6000, 0x6005)], [0, 0, 0, 0, 0]);
  other.peer.give = [1, 2, 3, 4];
  other.program(BLOCK | TO_MEMORY, 0x6000, 4);
  other.out(9, 4 | 3);
  assert.deepEqual([...other.memory.bytes.subarray(0x6000, 0x6005)], [1, 2, 3, 4, 0]);
  assert.equal(other.inb(8), 0x08);
});

test("the flip-flop chooses the byte; master clear resets it, and masks every channel", () => {
  const { out, inb, dma } = rig();
  out(12, 0);
  out(4, 0x34);
  out(4, 0x12);
  assert.equal(inb(4), 0x34);
  out(13, 0);
  assert.equal(inb(4), 0x34);
  assert.equal(inb(4), 0x12);
  assert.equal(inb(15), 0x0f);
  out(14, 0);
  assert.equal(inb(15), 0);
  out(15, 0x05);
  assert.equal(inb(15), 5);
  assert.equal(dma.readPort(13, 1), 0);
});

test("page registers that belong to no channel keep what is written", () => {
  const { out, inb } = rig();
  for (let port = 0x80; port < 0x90; port++) out(port, port ^ 0xff);
  for (let port = 0x80; port < 0x90; port++) assert.equal(inb(port), port ^ 0xff);
});

test("memory that is no RAM reads as ones and takes nothing", () => {
  const { peer, channel, program, unmask } = rig();
  program(SINGLE | FROM_MEMORY, 0xff_0000, 2);
  unmask();
  peer.wants = 2;
  channel.request.set(true);
  assert.deepEqual(peer.taken, [0xff, 0xff]);
});
