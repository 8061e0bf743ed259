import assert from "node:assert/strict";
import { test } from "node:test";
import { needsReset } from "../virtio/testing/guest-driver.ts";
import { ControlAck, ControlClass, MacCommand, NetConfig, NetFeature, RxCommand } from "./layout.ts";
import { MAX_TABLE } from "./receive-filter.ts";
import {
  ACK,
  BROADCAST,
  COMMAND,
  CONTROLQ,
  command,
  GROUP,
  le32,
  OTHER,
  OWN,
  PLAIN,
  reaches,
  rig,
  rxMode,
  setTables,
} from "./testing/net-rig.ts";

test("a device that was reset takes frames to anybody, and the driver can turn that off", () => {
  const r = rig();
  assert.deepEqual(
    [OWN, OTHER, GROUP, BROADCAST].map((to) => reaches(r, to)),
    [true, true, true, true],
  );
  assert.equal(rxMode(r, "promisc", 0), ControlAck.ok);
  assert.deepEqual(
    [OWN, OTHER, GROUP, BROADCAST].map((to) => reaches(r, to)),
    [true, false, false, true],
  );
});

test("each receive mode lets in or keeps out its own kind of frames", () => {
  const expected = {
    promisc: [true, true, true, true],
    allmulti: [true, false, true, true],
    alluni: [true, true, false, true],
    nomulti: [true, false, false, true],
    nouni: [false, false, false, true],
    nobcast: [true, false, false, false],
  };
  for (const [mode, reached] of Object.entries(expected) as [keyof typeof RxCommand, boolean[]][]) {
    const r = rig();
    rxMode(r, "promisc", 0);
    assert.equal(rxMode(r, mode, 1), ControlAck.ok);
    assert.deepEqual(
      [OWN, OTHER, GROUP, BROADCAST].map((to) => reaches(r, to)),
      reached,
      mode,
    );
  }
});

test("frames to the addresses in the driver's tables come in, and a new table replaces the old one", () => {
  const r = rig();
  rxMode(r, "promisc", 0);
  assert.equal(setTables(r, [OTHER], [GROUP, [1, 0, 0x5e, 0, 0, 251]]), ControlAck.ok);
  assert.deepEqual(
    [OWN, OTHER, GROUP, [1, 0, 0x5e, 0, 0, 251]].map((to) => reaches(r, to)),
    [true, true, true, true],
  );
  assert.deepEqual(
    [
      [...OTHER.slice(0, 5), 0],
      [1, 0, 0x5e, 0, 0, 252],
    ].map((to) => reaches(r, to)),
    [false, false],
  );
  assert.equal(setTables(r, [], [GROUP]), ControlAck.ok);
  assert.deepEqual(
    [OTHER, GROUP, [1, 0, 0x5e, 0, 0, 251]].map((to) => reaches(r, to)),
    [false, true, false],
  );
});

test("a table of too many addresses lets all of its kind in until the next one", () => {
  const many = (first: number[]) => Array.from({ length: MAX_TABLE + 1 }, (_, i) => [...first, 9, 9, 9, i]);
  const r = rig();
  rxMode(r, "promisc", 0);
  assert.equal(setTables(r, [], many([1, 1])), ControlAck.ok);
  assert.deepEqual(
    [OTHER, GROUP].map((to) => reaches(r, to)),
    [false, true],
  );
  assert.equal(setTables(r, many([2, 2]), []), ControlAck.ok);
  assert.deepEqual(
    [OTHER, GROUP].map((to) => reaches(r, to)),
    [true, false],
  );
  assert.equal(setTables(r, many([2, 2]).slice(1), []), ControlAck.ok);
  assert.deepEqual(
    [OTHER, GROUP, [2, 2, 9, 9, 9, MAX_TABLE]].map((to) => reaches(r, to)),
    [false, false, true],
  );
});

test("the driver can give the device another address, which is in the configuration until a reset", () => {
  const r = rig();
  const address = () => OWN.map((_, i) => r.device.readConfig(NetConfig.offset.mac + i, 1));
  rxMode(r, "promisc", 0);
  assert.equal(command(r, ControlClass.mac, MacCommand.addrSet, ...OTHER), ControlAck.ok);
  assert.deepEqual(address(), OTHER);
  assert.deepEqual(
    [OWN, OTHER].map((to) => reaches(r, to)),
    [false, true],
  );
  r.device.writeStatus(0);
  assert.deepEqual(address(), OWN);
});

test("commands that are cut short, unknown or not negotiated are errors and change nothing", () => {
  const r = rig();
  const before = structuredClone(r.device.state.device);
  const { error } = ControlAck;
  assert.equal(command(r, ControlClass.rx, RxCommand.promisc), error);
  assert.equal(command(r, ControlClass.rx, 6, 1), error);
  assert.equal(command(r, ControlClass.mac, MacCommand.addrSet, ...OTHER.slice(1)), error);
  assert.equal(command(r, ControlClass.mac, MacCommand.tableSet, ...le32(1), ...OTHER), error);
  assert.equal(command(r, ControlClass.mac, MacCommand.tableSet, ...le32(0), ...le32(1), ...GROUP.slice(1)), error);
  assert.equal(command(r, ControlClass.mac, MacCommand.tableSet, ...le32(0xffff_ffff), ...le32(0)), error);
  assert.equal(command(r, ControlClass.mac, 2), error);
  for (const commandClass of [2, 3, 4, 5, 255]) assert.equal(command(r, commandClass, 0, 1, 0), error);
  assert.deepEqual(r.device.state.device, before);
  const few = rig({ features: [...PLAIN, NetFeature.ctrlVq] });
  assert.equal(rxMode(few, "promisc", 0), error);
  assert.equal(rxMode(few, "alluni", 1), error);
  assert.equal(setTables(few, [], []), error);
  assert.equal(command(few, ControlClass.mac, MacCommand.addrSet, ...OTHER), error);
  assert.deepEqual(few.device.state.device, before);
});

test("a command without a header, or without a place for its answer, asks for a reset", () => {
  for (const buffers of [
    [
      { address: COMMAND, length: 1 },
      { address: ACK, length: 1, writable: true },
    ],
    [{ address: COMMAND, length: 3 }],
  ]) {
    const r = rig();
    r.queues.controlq.add(...buffers);
    r.device.notified(CONTROLQ);
    assert.equal(needsReset(r.device), true);
  }
});
