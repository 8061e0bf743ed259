import assert from "node:assert/strict";
import { test } from "node:test";
import { LARGEST_FRAME } from "../../net/link.ts";
import { needsReset } from "../virtio/testing/guest-driver.ts";
import { FEATURE } from "../virtio/virtio-device.ts";
import { completeChecksum } from "./checksum.ts";
import { ControlClass, HEADER_NEEDS_CSUM, MacCommand, NetConfig, NetHeader } from "./layout.ts";
import {
  ALL,
  command,
  frameTo,
  GROUP,
  HEADER,
  IN,
  OTHER,
  OUT,
  OWN,
  PLAIN,
  RECEIVEQ,
  type Rig,
  rig,
  room,
  rxMode,
  send,
  setTables,
  TRANSMITQ,
  WHOLE,
} from "./testing/net-rig.ts";

test("the configuration tells the address, the link and the MTU", () => {
  const { device } = rig();
  const { offset } = NetConfig;
  assert.deepEqual(
    OWN.map((_, i) => device.readConfig(offset.mac + i, 1)),
    OWN,
  );
  assert.equal(device.readConfig(offset.status, 2), 1);
  assert.equal(device.readConfig(offset.mtu, 2), 1500);
});

test("a frame goes out without its header, however it is cut into buffers", () => {
  for (const cuts of [[], [HEADER], [5], [3, 9, 20, 70], [HEADER, HEADER + 14]]) {
    const r = rig();
    const frame = frameTo(OTHER, 100);
    send(r, frame, undefined, cuts);
    assert.deepEqual(r.peer.heard, [frame]);
    assert.deepEqual(r.queues.transmitq.takeUsed(), [{ head: 0, length: 0 }]);
    assert.deepEqual(r.transport.notifications, [TRANSMITQ]);
  }
});

test("several frames go out in order at one notification, with one interrupt", () => {
  const r = rig();
  const frames = [1, 2, 3].map((seed) => frameTo(OTHER, 60, seed));
  for (const [i, frame] of frames.entries()) {
    r.memory.bytes.set(frame, OUT + 0x100 * i + HEADER);
    r.queues.transmitq.add({ address: OUT + 0x100 * i, length: HEADER + frame.length });
  }
  r.device.notified(TRANSMITQ);
  assert.deepEqual(r.peer.heard, frames);
  assert.deepEqual(r.transport.notifications, [TRANSMITQ]);
});

test("the smallest and the largest frame go out, and what is smaller or larger is used up and counted", () => {
  const r = rig();
  const lengths = [0, 13, 14, 15, LARGEST_FRAME - 1, LARGEST_FRAME, LARGEST_FRAME + 1, LARGEST_FRAME + 4, 30_000];
  for (const length of lengths) send(r, frameTo(OTHER, length));
  assert.deepEqual(
    r.peer.heard.map(({ length }) => length),
    [14, 15, LARGEST_FRAME - 1, LARGEST_FRAME],
  );
  assert.equal(r.queues.transmitq.takeUsed().length, lengths.length);
  assert.equal(r.device.state.device.transmitDrops, 5);
  assert.equal(needsReset(r.device), false);
});

test("a checksum that the driver leaves to the device is in the frame that goes out", () => {
  const r = rig();
  const frame = frameTo(OTHER, 61);
  const expected = frame.slice();
  assert.equal(completeChecksum(expected, 34, 16), true);
  send(r, frame, NetHeader.make({ flags: HEADER_NEEDS_CSUM, csumStart: 34, csumOffset: 16 }));
  assert.deepEqual(r.peer.heard, [expected]);
  assert.notDeepEqual(expected, frame);
});

test("a header that asks for what was not negotiated, or is not in the frame, has the frame dropped", () => {
  const needs = (fields: object) =>
    NetHeader.make({ flags: HEADER_NEEDS_CSUM, csumStart: 34, csumOffset: 6, ...fields });
  const drops = (header: Uint8Array, features = ALL as readonly number[]) => {
    const r = rig({ features });
    send(r, frameTo(OTHER, 60), header);
    assert.equal(r.queues.transmitq.takeUsed().length, 1);
    assert.equal(r.peer.heard.length, 1 - r.device.state.device.transmitDrops);
    return r.device.state.device.transmitDrops;
  };
  assert.equal(drops(needs({})), 0);
  assert.equal(drops(needs({}), PLAIN), 1);
  assert.equal(drops(needs({ csumStart: 52 })), 0);
  assert.equal(drops(needs({ csumStart: 53 })), 1);
  assert.equal(drops(needs({ csumStart: 0xffff, csumOffset: 0xffff })), 1);
  for (const gsoType of [1, 3, 4, 0x81]) assert.equal(drops(NetHeader.make({ gsoType })), 1);
});

test("a transmit request without room for a header asks for a reset", () => {
  const r = rig();
  r.queues.transmitq.add({ address: OUT, length: HEADER - 1 });
  r.device.notified(TRANSMITQ);
  assert.equal(needsReset(r.device), true);
  assert.deepEqual(r.peer.heard, []);
});

test("a frame comes in behind a header that says one buffer, and the used length is that of both", () => {
  for (const features of [PLAIN, WHOLE, ALL]) {
    const r = rig({ features });
    const frame = frameTo(OWN, 77);
    r.memory.bytes.fill(0xaa, IN, IN + 200);
    r.queues.receiveq.add(room(7), room(20, 7), room(173, 27));
    assert.equal(r.port.transmit(frame), true);
    assert.deepEqual(r.queues.receiveq.takeUsed(), [{ head: 0, length: HEADER + 77 }]);
    assert.deepEqual(r.memory.bytes.slice(IN, IN + HEADER), NetHeader.make({ numBuffers: 1 }));
    assert.deepEqual(r.memory.bytes.slice(IN + HEADER, IN + HEADER + 77), frame);
    assert.equal(r.memory.bytes[IN + HEADER + 77], 0xaa);
    assert.deepEqual(r.transport.notifications, [RECEIVEQ]);
  }
});

test("a frame that one buffer does not hold is spread over several where the driver lets it", () => {
  const r = rig();
  const frame = frameTo(OWN, 250);
  for (let i = 0; i < 4; i++) r.queues.receiveq.add(room(60, 0x100 * i), room(40, 0x100 * i + 60));
  assert.equal(r.port.transmit(frame), true);
  assert.deepEqual(r.queues.receiveq.takeUsed(), [
    { head: 0, length: 100 },
    { head: 2, length: 100 },
    { head: 4, length: 62 },
  ]);
  const bytes = [0, 1, 2].flatMap((i) => [...r.memory.bytes.subarray(IN + 0x100 * i, IN + 0x100 * i + 100)]);
  assert.deepEqual(Uint8Array.from(bytes.slice(0, HEADER)), NetHeader.make({ numBuffers: 3 }));
  assert.deepEqual(Uint8Array.from(bytes.slice(HEADER, HEADER + 250)), frame);
  assert.deepEqual(r.transport.notifications, [RECEIVEQ]);
});

test("without that, a frame larger than the next buffer is dropped, and the buffer serves the next frame", () => {
  const r = rig({ features: WHOLE });
  r.memory.bytes.fill(0xaa, IN, IN + 0x200);
  r.queues.receiveq.add(room(HEADER + 99));
  r.queues.receiveq.add(room(2000, 0x100));
  assert.equal(r.port.transmit(frameTo(OWN, 100)), true);
  assert.deepEqual(r.queues.receiveq.takeUsed(), []);
  assert.ok(r.memory.bytes.subarray(IN, IN + 0x200).every((byte) => byte === 0xaa));
  assert.equal(r.device.state.device.receiveDrops, 1);
  assert.equal(r.port.transmit(frameTo(OWN, 99)), true);
  assert.deepEqual(r.queues.receiveq.takeUsed(), [{ head: 0, length: HEADER + 99 }]);
});

test("a frame for a driver without a buffer is refused, and its sender told once there is one", () => {
  const r = rig();
  assert.equal(r.port.transmit(frameTo(OWN, 60)), false);
  assert.equal(r.peer.told, 0);
  r.queues.receiveq.add(room(2000));
  assert.equal(r.peer.told, 0);
  r.device.notified(RECEIVEQ);
  assert.equal(r.peer.told, 1);
  assert.equal(r.port.transmit(frameTo(OWN, 60)), true);
  assert.equal(r.queues.receiveq.takeUsed().length, 1);
  r.device.notified(RECEIVEQ);
  assert.equal(r.peer.told, 1);
});

test("a frame that needs more buffers than there are takes none of them", () => {
  const r = rig({ features: [...ALL, FEATURE.eventIdx] });
  r.memory.bytes.fill(0xaa, IN, IN + 0x400);
  for (let i = 0; i < 2; i++) r.queues.receiveq.add(room(100, 0x100 * i));
  assert.equal(r.port.transmit(frameTo(OWN, 250)), false);
  assert.deepEqual(r.queues.receiveq.takeUsed(), []);
  assert.ok(r.memory.bytes.subarray(IN, IN + 0x400).every((byte) => byte === 0xaa));
  // The driver is asked to notify of the next one.
  assert.equal(r.queues.receiveq.availableEvent, 2);
  r.queues.receiveq.add(room(100, 0x200));
  r.device.notified(RECEIVEQ);
  assert.equal(r.peer.told, 1);
  assert.equal(r.port.transmit(frameTo(OWN, 250)), true);
  assert.deepEqual(
    r.queues.receiveq.takeUsed().map(({ head }) => head),
    [0, 1, 2],
  );
});

test("a frame that a full queue does not hold is dropped, not waited for", () => {
  const r = rig({ size: 4 });
  for (let i = 0; i < 4; i++) r.queues.receiveq.add(room(100, 0x100 * i));
  assert.equal(r.port.transmit(frameTo(OWN, 400)), true);
  assert.equal(r.device.state.device.receiveDrops, 1);
  assert.equal(r.port.transmit(frameTo(OWN, 388)), true);
  assert.equal(r.queues.receiveq.takeUsed().length, 4);
});

test("a sender that was refused is told when the driver resets the device, and when the cable is pulled", () => {
  for (const stop of [(r: Rig) => r.device.writeStatus(0), (r: Rig) => r.device.setLink(false)]) {
    const r = rig();
    assert.equal(r.port.transmit(frameTo(OWN, 60)), false);
    stop(r);
    assert.equal(r.peer.told, 1);
    assert.equal(r.port.transmit(frameTo(OWN, 60)), true);
  }
});

test("a receive buffer that does not hold a header asks for a reset", () => {
  for (const buffer of [room(HEADER - 1), { address: IN, length: 2000 }]) {
    const r = rig();
    r.queues.receiveq.add(buffer);
    assert.equal(r.port.transmit(frameTo(OWN, 60)), true);
    assert.equal(needsReset(r.device), true);
    assert.deepEqual(r.queues.receiveq.takeUsed(), []);
    assert.equal(r.port.transmit(frameTo(OWN, 60)), true);
  }
});

test("frames are lost on a device whose driver is not up, or may not reach memory", () => {
  const down = rig({ up: false });
  assert.equal(down.port.transmit(frameTo(OWN, 60)), true);
  const r = rig();
  r.queues.receiveq.add(room(2000));
  r.transport.dmaAllowed = false;
  assert.equal(r.port.transmit(frameTo(OWN, 60)), true);
  assert.equal(r.queues.receiveq.usedIndex, 0);
});

test("frames from the network of a size that no frame has are dropped", () => {
  const r = rig();
  for (let i = 0; i < 4; i++) r.queues.receiveq.add(room(2000, 0x800 * i));
  for (const length of [0, 13, 14, LARGEST_FRAME, LARGEST_FRAME + 1]) {
    assert.equal(r.port.transmit(frameTo(OWN, length)), true);
  }
  assert.deepEqual(
    r.queues.receiveq.takeUsed().map(({ length }) => length - HEADER),
    [14, LARGEST_FRAME],
  );
  assert.equal(r.device.state.device.receiveDrops, 3);
});

test("a pulled cable carries nothing, and the driver is told of it and of the cable's return", () => {
  const r = rig();
  r.queues.receiveq.add(room(2000));
  const status = () => r.device.readConfig(NetConfig.offset.status, 2);
  r.device.setLink(false);
  r.device.setLink(false);
  assert.equal(r.transport.configChanges, 1);
  assert.equal(status(), 0);
  send(r, frameTo(OTHER, 60));
  assert.equal(r.queues.transmitq.takeUsed().length, 1);
  assert.equal(r.port.transmit(frameTo(OWN, 60)), true);
  assert.deepEqual([r.peer.heard.length, r.queues.receiveq.usedIndex], [0, 0]);
  r.device.setLink(true);
  assert.equal(r.transport.configChanges, 2);
  assert.equal(status(), 1);
  send(r, frameTo(OTHER, 60));
  assert.equal(r.port.transmit(frameTo(OWN, 60)), true);
  assert.deepEqual([r.peer.heard.length, r.queues.receiveq.usedIndex], [1, 1]);
});

test("a device may begin with the cable pulled, and a reset leaves it so", () => {
  const { device } = rig({ linkUp: false });
  device.reset();
  assert.equal(device.readConfig(NetConfig.offset.status, 2), 0);
});

test("a driver that does not want interrupts gets none", () => {
  const r = rig();
  r.queues.receiveq.availableFlags = 1;
  r.queues.transmitq.availableFlags = 1;
  r.queues.receiveq.add(room(2000));
  assert.equal(r.port.transmit(frameTo(OWN, 60)), true);
  send(r, frameTo(OTHER, 60));
  assert.equal(r.queues.receiveq.takeUsed().length, 1);
  assert.deepEqual(r.transport.notifications, []);
});

test("a device that goes on from a snapshot has the driver's queues, filter, address and link", () => {
  const saved = rig();
  rxMode(saved, "promisc", 0);
  setTables(saved, [], [GROUP]);
  command(saved, ControlClass.mac, MacCommand.addrSet, ...OTHER);
  assert.equal(saved.port.transmit(frameTo(OTHER, 60)), false);
  saved.queues.receiveq.add(room(2000));

  const r = rig({ up: false, linkUp: false });
  r.memory.bytes.set(saved.memory.bytes);
  Object.assign(r.device.state, structuredClone(saved.device.state));
  r.device.restored();
  const frame = frameTo(GROUP, 100);
  for (const to of [OWN, [1, 0, 0x5e, 0, 0, 251]]) assert.equal(r.port.transmit(frameTo(to, 60)), true);
  assert.equal(r.port.transmit(frame), true);
  assert.deepEqual(r.memory.bytes.slice(IN + HEADER, IN + HEADER + 100), frame);
  r.device.notified(RECEIVEQ);
  assert.equal(r.peer.told, 1);
  assert.equal(r.device.readConfig(NetConfig.offset.status, 2), 1);
  r.device.writeStatus(0);
  assert.equal(r.device.readConfig(NetConfig.offset.mac, 4), 0x1200_5452);
});

test("two guests on one hub hear each other", () => {
  const one = rig();
  const other = rig({ hub: one.hub, address: OTHER });
  one.queues.receiveq.add(room(2000));
  const frame = frameTo(OWN, 90);
  send(other, frame);
  assert.equal(one.queues.receiveq.takeUsed().length, 1);
  assert.deepEqual(one.memory.bytes.slice(IN + HEADER, IN + HEADER + 90), frame);
  send(one, frame);
  assert.equal(other.queues.receiveq.takeUsed().length, 0);
  assert.equal(other.device.state.device.starved, true);
});

test("an address that is not of six bytes is refused", () => {
  assert.throws(() => rig({ address: OWN.slice(1) }), RangeError);
});
