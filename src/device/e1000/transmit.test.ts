import assert from "node:assert/strict";
import { test } from "node:test";
import { Ctrl, Icr, Register, Statistic } from "./registers.ts";
import {
  BROADCAST,
  E1000Rig,
  EOP,
  frameTo,
  IC,
  IFCS,
  OTHER,
  RING_SIZE,
  RS,
  TX_BUFFERS,
  VLE,
} from "./testing/e1000-rig.ts";
import { PATIENCE } from "./transmit.ts";

function ready(size?: number): E1000Rig {
  const rig = new E1000Rig();
  rig.startTransmit(size);
  return rig;
}

test("a frame goes out, its descriptor is done, and interrupts tell of both", () => {
  const rig = ready();
  rig.write(Register.ims, Icr.txdw);
  rig.legacy(frameTo(OTHER, 1514));
  rig.send();
  assert.deepEqual(rig.other.heard, [frameTo(OTHER, 1514)]);
  assert.equal(rig.txStatus(0) & 1, 1);
  assert.equal(rig.intx.level, true);
  assert.equal(rig.read(Register.icr), Icr.txdw | Icr.txqe);
  assert.equal(rig.read(Register.tdh), 1);
  assert.deepEqual([rig.read(Statistic.gptc), rig.read(Statistic.ptc64 + 20)], [1, 1]);
});

test("only descriptors with RS are written back", () => {
  const rig = ready();
  rig.legacy(frameTo(OTHER), { command: EOP | IFCS });
  rig.send();
  assert.equal(rig.other.heard.length, 1);
  assert.equal(rig.txStatus(0), 0);
  assert.equal(rig.read(Register.icr), Icr.txqe);
});

test("a frame of several buffers goes out when the last of them is there, around the ring's end", () => {
  const rig = ready(8);
  const frame = frameTo(OTHER, 300);
  for (let round = 0; round < 7; round++) {
    rig.legacy(frame.subarray(0, 20), { command: IFCS | RS });
    rig.data(frame.subarray(20, 21), { command: IFCS });
    rig.send();
    assert.equal(rig.other.heard.length, round);
    rig.legacy(frame.subarray(21));
    rig.send();
    assert.deepEqual(rig.other.heard[round], frame);
  }
});

test("nothing is sent while the transmitter is off, and all of it when it is switched on", () => {
  const rig = ready();
  rig.write(Register.tctl, 0);
  rig.legacy(frameTo(OTHER));
  rig.legacy(frameTo(BROADCAST));
  rig.send();
  assert.equal(rig.other.heard.length, 0);
  rig.write(Register.tctl, 2);
  assert.equal(rig.other.heard.length, 2);
});

test("frames that are too short, too long, or not in RAM are dropped, and their descriptors done", () => {
  const rig = ready();
  rig.legacy(frameTo(OTHER).subarray(0, 13));
  rig.legacy(frameTo(OTHER, 1515));
  rig.data(new Uint8Array(0));
  rig.put([0xf000_0000, 0, (100 | (9 << 24)) >>> 0, 0]);
  rig.put([TX_BUFFERS, 1, (100 | (9 << 24)) >>> 0, 0]);
  rig.legacy(frameTo(OTHER, 14));
  rig.send();
  assert.deepEqual(rig.other.heard, [frameTo(OTHER, 14)]);
  for (let i = 0; i < 6; i++) assert.equal(rig.txStatus(i) & 1, 1);
});

test("a ring that is impossible is left alone", () => {
  for (const [register, value] of [
    [Register.tdlen, 0],
    [Register.tdh, RING_SIZE],
    [Register.tdbal, 0xffff_f000],
    [Register.tdbah, 1],
  ] as const) {
    const rig = ready();
    rig.write(register, value);
    rig.legacy(frameTo(OTHER));
    rig.send();
    assert.equal(rig.other.heard.length, 0);
    assert.equal(rig.read(Register.icr), 0);
  }
  const rig = ready();
  rig.write(Register.tdt, RING_SIZE);
  assert.equal(rig.read(Register.icr), 0);
});

test("a legacy descriptor has a checksum put in from CSS to the frame's end", () => {
  const rig = ready();
  const frame = frameTo(OTHER, 61);
  frame[40] = 0;
  frame[41] = 0;
  rig.legacy(frame, { command: EOP | IFCS | RS | IC, css: 15, cso: 40 });
  rig.send();
  const [sent] = rig.other.heard;
  let sum = 0;
  for (let at = 15; at < 61; at += 2) sum += frame[at]! * 256 + (frame[at + 1] ?? 0);
  const expected = 0xffff - (sum % 0xffff);
  assert.equal(sent![40]! * 256 + sent![41]!, expected);
  sent!.fill(0, 40, 42);
  assert.deepEqual(sent, frame);
});

test("a VLAN tag is put in where the descriptor and CTRL.VME ask for it", () => {
  const rig = ready();
  const frame = frameTo(OTHER, 80);
  rig.legacy(frame, { command: EOP | IFCS | RS | VLE, special: 0x2005 });
  rig.send();
  rig.write(Register.ctrl, Ctrl.mask.vme);
  rig.legacy(frame, { command: EOP | IFCS | RS | VLE, special: 0x2005 });
  rig.legacy(frame);
  rig.send();
  const tagged = Uint8Array.of(...frame.subarray(0, 12), 0x81, 0x00, 0x20, 0x05, ...frame.subarray(12));
  assert.deepEqual(rig.other.heard, [frame, tagged, frame]);
});

test("a frame for which a station has no room is sent when it has, before those behind it", () => {
  const rig = ready();
  rig.other.hasRoom = false;
  rig.legacy(frameTo(OTHER, 60));
  rig.legacy(frameTo(OTHER, 61));
  rig.send();
  assert.equal(rig.other.refusals, 1);
  assert.equal(rig.read(Register.tdh), 0);
  rig.legacy(frameTo(OTHER, 62));
  rig.send();
  assert.equal(rig.other.refusals, 1, "it is not tried again and again");
  rig.other.hasRoom = true;
  rig.otherPort.roomAgain();
  assert.deepEqual(
    rig.other.heard.map(({ length }) => length),
    [60, 61, 62],
  );
  assert.equal(rig.read(Register.icr), Icr.txdw | Icr.txqe);
  rig.time.advance(2 * PATIENCE);
  assert.equal(rig.other.heard.length, 3);
});

test("a station that never has room is waited for once", () => {
  const rig = ready();
  rig.other.hasRoom = false;
  for (let i = 0; i < 5; i++) rig.legacy(frameTo(OTHER, 60 + i));
  rig.send();
  rig.time.advance(PATIENCE - 1);
  assert.equal(rig.read(Register.tdh), 0);
  rig.time.advance(1);
  assert.equal(rig.read(Register.tdh), 5);
  rig.legacy(frameTo(OTHER, 70));
  rig.send();
  assert.equal(rig.read(Register.tdh), 6);
  rig.otherPort.roomAgain();
  rig.legacy(frameTo(OTHER, 71));
  rig.send();
  assert.equal(rig.read(Register.tdh), 6, "once it had room, it is waited for again");
});

test("a long ring is sent in turns, of which none does all", () => {
  const SIZE = 1024;
  const rig = new E1000Rig();
  // The ring is where the receive ring of other tests would be, too.
  rig.startTransmit(SIZE);
  const frame = frameTo(OTHER, 60);
  for (let i = 0; i < SIZE - 1; i++) rig.legacy(frame);
  rig.send();
  assert.equal(rig.other.heard.length, 512);
  rig.time.advance(1e6);
  assert.equal(rig.other.heard.length, SIZE - 1);
  assert.equal(rig.read(Register.tdh), SIZE - 1);
});

test("a snapshot in the middle of a packet goes on with the frame that was not sent", () => {
  const saved = ready();
  saved.other.hasRoom = false;
  saved.legacy(frameTo(OTHER, 90));
  saved.send();
  const rig = new E1000Rig();
  rig.memory.bytes.set(saved.memory.bytes);
  Object.assign(rig.nic.state, structuredClone(saved.nic.state));
  rig.nic.restored();
  assert.equal(rig.other.heard.length, 0);
  rig.time.advance(PATIENCE);
  assert.deepEqual(rig.other.heard, [frameTo(OTHER, 90)]);
});
