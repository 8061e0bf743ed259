import assert from "node:assert/strict";
import { test } from "node:test";
import { makeEthernet } from "../../../net/wire/ethernet.ts";
import { FILTER } from "./station.ts";
import { mac, networkRig, OWN_MAC, PEER_MAC } from "./testing/rig.ts";

const TO_ALL = mac("ff:ff:ff:ff:ff:ff");
const GROUP = mac("01:00:5e:00:00:01");
const OTHER = mac("02:00:00:00:00:09");

const frame = (destination: Uint8Array, source = PEER_MAC) =>
  makeEthernet({ destination, source, type: 0x88b5, payload: Uint8Array.of(1) });

test("a program gets the frames that its filter lets through", () => {
  const { stack, peer, time } = networkRig();
  const heard = (filter: number, groups: Uint8Array[] = []) => {
    stack.station.open(filter);
    stack.station.state.groups = groups;
    for (const destination of [OWN_MAC, TO_ALL, GROUP, OTHER]) peer.sendFrame(frame(destination));
    time.advance(1e6);
    return stack.station.state.passed.map((each) => each.subarray(0, 6));
  };
  assert.deepEqual(heard(FILTER.directed), [OWN_MAC]);
  assert.deepEqual(heard(FILTER.broadcast), [TO_ALL]);
  assert.deepEqual(heard(FILTER.directed, [GROUP]), [OWN_MAC, GROUP]);
  assert.deepEqual(heard(FILTER.promiscuous), [OWN_MAC, TO_ALL, GROUP, OTHER]);
  assert.deepEqual(heard(0), []);
});

test("frames that nobody takes do not pile up, and no sender is kept waiting", () => {
  const { stack } = networkRig();
  stack.station.open(FILTER.directed);
  for (let i = 0; i < 5000; i++) assert.equal(stack.station.receive(frame(OWN_MAC)), true);
  assert.equal(stack.station.state.passed.length, 256);
  assert.equal(stack.station.state.lost, 5000 - 256);
});

test("when a driver of the guest's sends through the card, the BIOS does not listen any more", () => {
  const { stack, hub, peer, time } = networkRig();
  const card = hub.connect({ receive: () => true });
  card.transmit(frame(TO_ALL, OWN_MAC));
  assert.equal(stack.station.state.listens, false);
  peer.sendFrame(frame(OWN_MAC));
  time.advance(1e6);
  assert.equal(stack.station.state.received, 0);
});

test("frames that are waited for by the BIOS's own protocols do not go to the program", () => {
  const { stack, peer, time } = networkRig();
  stack.station.open(FILTER.directed);
  stack.operations.run(
    (function* () {
      yield 5e6;
    })(),
    () => {},
  );
  peer.sendFrame(frame(OWN_MAC));
  time.advance(1e6);
  assert.equal(stack.station.state.passed.length, 0);
  time.advance(9e6);
  peer.sendFrame(frame(OWN_MAC));
  time.advance(1e6);
  assert.equal(stack.station.state.passed.length, 1);
});
