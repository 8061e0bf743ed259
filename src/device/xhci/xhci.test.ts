import assert from "node:assert/strict";
import { test } from "node:test";
import { Area, CompletionCode, Interrupter, LinkState, Operational, TrbType, Usbsts } from "./layout.ts";
import { DATA, EVENT_RING, EVENTS, XhciRig } from "./testing/node/xhci-rig.ts";

const NO_OP = { type: TrbType.noOpCommand };

test("the capability registers tell of ports, slots, and where the other registers are", () => {
  const rig = new XhciRig();
  const { xhci } = rig;
  const read32 = (offset: number) => rig.read32(offset);
  assert.equal(xhci.readMemory(0, 1), 0x20);
  assert.equal(xhci.readMemory(2, 2), 0x0120);
  assert.equal(read32(0x04), 0x0400_0108);
  assert.equal(read32(0x14), 0x2000);
  assert.equal(read32(0x18), 0x1000);
  const protocols: number[][] = [];
  for (let at = (read32(0x10) >>> 16) * 4; ; ) {
    const header = read32(at);
    assert.equal(header & 0xff, 2);
    assert.equal(read32(at + 4), 0x2042_5355);
    protocols.push([header >>> 24, read32(at + 8) & 0xff, (read32(at + 8) >>> 8) & 0xff]);
    const next = (header >>> 8) & 0xff;
    if (next === 0) break;
    at += next * 4;
  }
  assert.deepEqual(protocols, [
    [2, 1, 2],
    [3, 3, 2],
  ]);
  assert.equal(xhci.pci.readConfig(8, 4) >>> 8, 0x0c_03_30);
  assert.equal(xhci.pci.readConfig(0x60, 1), 0x30);
});

test("a device is told of when the controller starts, and its port enabled by a reset", () => {
  const rig = new XhciRig();
  assert.equal(rig.usbsts, Usbsts.pack({ hch: true }));
  const resets = rig.device.resets;
  rig.start();
  assert.equal(Usbsts(rig.usbsts).hch, false);
  assert.equal(Usbsts(rig.usbsts).pcd, true);
  const [event, ...others] = rig.takeAll();
  assert.deepEqual(
    [event?.type, event?.code, event?.pointer, others.length],
    [TrbType.portStatusChangeEvent, CompletionCode.success, 1 << 24, 0],
  );
  const { ccs, ped, csc, pls, speed } = rig.portsc(1);
  assert.deepEqual(
    { ccs, ped, csc, pls, speed },
    { ccs: true, ped: false, csc: true, pls: LinkState.polling, speed: 1 },
  );
  assert.deepEqual(
    [2, 3, 4].map((port) => rig.portsc(port).ccs),
    [false, false, false],
  );

  rig.writePort(1, { csc: true });
  assert.equal(rig.portsc(1).csc, false);
  rig.writePort(1, { pr: true });
  assert.equal(rig.device.resets, resets + 2, "one by HCRST, one by the port");
  assert.deepEqual(
    [rig.portsc(1).ped, rig.portsc(1).pr, rig.portsc(1).prc, rig.portsc(1).pls],
    [true, false, true, LinkState.u0],
  );
  assert.equal(rig.take()?.pointer, 1 << 24);
  rig.writePort(2, { pr: true });
  assert.equal(rig.take(), undefined, "nothing is reset on an empty port");
  rig.writePort(1, { ped: true });
  assert.equal(rig.portsc(1).ped, false);
});

test("a port is suspended and resumed, and only the end of the resume is told", () => {
  const rig = new XhciRig();
  rig.start();
  rig.writePort(1, { pr: true });
  rig.writePort(1, { csc: true, prc: true });
  rig.takeAll();
  for (const pls of [LinkState.u3, LinkState.resume]) {
    rig.writePort(1, { lws: true, pls });
    assert.equal(rig.portsc(1).pls, pls);
    assert.equal(rig.take(), undefined);
  }
  rig.writePort(1, { lws: true, pls: LinkState.u0 });
  assert.deepEqual([rig.portsc(1).pls, rig.portsc(1).plc], [LinkState.u0, true]);
  assert.equal(rig.take()?.type, TrbType.portStatusChangeEvent);
});

test("no more than one interrupt is asked for until the handler says that it is done", () => {
  const rig = new XhciRig();
  rig.start();
  rig.acknowledge();
  rig.takeAll();
  rig.interrupter(Interrupter.iman, 3);
  assert.equal(rig.intx.level, false);
  const noOp = () => {
    rig.commands.put({ control: NO_OP.type << 10 });
    rig.doorbell(0, 0);
  };
  noOp();
  assert.equal(rig.intx.level, true);
  assert.equal(Usbsts(rig.usbsts).eint, true);
  rig.interrupter(Interrupter.iman, 3);
  assert.equal(rig.intx.level, false);
  noOp();
  assert.equal(rig.intx.level, false, "the handler is busy");
  rig.take({ tell: false });
  rig.acknowledge();
  assert.equal(rig.intx.level, true, "there is another event");
  rig.interrupter(Interrupter.iman, 3);
  rig.takeAll();
  assert.equal(rig.intx.level, false);

  rig.interrupter(Interrupter.iman, 0);
  noOp();
  assert.equal(rig.intx.level, false);
  rig.interrupter(Interrupter.iman, 2);
  assert.equal(rig.intx.level, true, "what was pending when it was let through");
});

test("interrupts go by message where the guest has turned that on", () => {
  const rig = new XhciRig();
  rig.useMessages();
  rig.start();
  assert.deepEqual(rig.messages, [[0xfee0_0000, 0x41]]);
  rig.command(NO_OP);
  assert.equal(rig.messages.length, 2);
  assert.equal(rig.intx.level, false);
  assert.equal(rig.read32(Area.interrupter0) & 1, 0, "the flag went with the message");
});

test("a full event ring is told of, and what waits comes when there is room", () => {
  const rig = new XhciRig();
  rig.start();
  rig.takeAll();
  for (let i = 0; i < EVENTS + 4; i++) {
    rig.commands.put({ control: NO_OP.type << 10 });
    rig.doorbell(0, 0);
  }
  const codes: number[] = [];
  const taken: number[] = [];
  for (let i = 0; i < EVENTS - 1; i++) {
    const event = rig.take({ tell: false })!;
    taken.push(event.pointer);
    codes.push(event.type === TrbType.hostControllerEvent ? event.code : 0);
  }
  assert.deepEqual(codes, [...new Array(EVENTS - 2).fill(0), CompletionCode.eventRingFull]);
  assert.equal(rig.take({ tell: false }), undefined);
  rig.acknowledge();
  const rest = rig.takeAll();
  assert.equal(rest.length, 6);
  assert.equal(new Set([...taken.slice(0, -1), ...rest.map(({ pointer }) => pointer)]).size, EVENTS - 1);
});

test("what was asked for before the controller stood still is answered when it goes on", () => {
  const rig = new XhciRig();
  const slot = rig.configured();
  rig.askInterrupt(slot);
  rig.operational(Operational.usbcmd, 0);
  assert.equal(Usbsts(rig.usbsts).hch, true);
  rig.device.send(Uint8Array.of(5));
  assert.equal(rig.memory.bytes[DATA], 0);
  rig.operational(Operational.usbcmd, 5);
  assert.equal(rig.memory.bytes[DATA], 5);
});

test("pointers that lead to no RAM stop the controller, until it is reset", () => {
  const rig = new XhciRig();
  rig.start();
  rig.operational(Operational.crcrLow, 0x7000_0001);
  rig.doorbell(0, 0);
  assert.deepEqual([Usbsts(rig.usbsts).hse, Usbsts(rig.usbsts).hch], [true, true]);
  rig.start();
  assert.equal(Usbsts(rig.usbsts).hse, false);
  rig.interrupter(Interrupter.erdpLow, EVENT_RING - 0x100);
  rig.commands.put({ control: NO_OP.type << 10 });
  rig.doorbell(0, 0);
  assert.deepEqual([Usbsts(rig.usbsts).hce, Usbsts(rig.usbsts).hch], [true, true]);
  rig.start();
  assert.equal(rig.command(NO_OP).code, CompletionCode.success);
});

test("without bus mastering nothing is read or written", () => {
  const rig = new XhciRig();
  rig.start();
  rig.takeAll();
  rig.xhci.pci.writeConfig(4, 2, 2);
  const before = rig.memory.bytes.slice();
  rig.commands.put({ control: NO_OP.type << 10 });
  rig.doorbell(0, 0);
  assert.deepEqual(
    rig.memory.bytes.subarray(EVENT_RING, EVENT_RING + 256),
    before.subarray(EVENT_RING, EVENT_RING + 256),
  );
});

test("the microframe index counts guest time while the controller runs", () => {
  const rig = new XhciRig();
  rig.time.advance(10 * 125_000);
  assert.equal(rig.read32(Area.runtime), 0);
  rig.start();
  assert.equal(rig.read32(Area.runtime), 10);
  rig.time.advance(0x4000 * 125_000);
  assert.equal(rig.read32(Area.runtime), 10);
});

test("a controller that goes on from a snapshot answers what was asked before", () => {
  const saved = new XhciRig();
  const slot = saved.configured();
  saved.askInterrupt(slot);
  const rig = new XhciRig();
  rig.memory.bytes.set(saved.memory.bytes);
  Object.assign(rig.xhci.state, structuredClone(saved.xhci.state));
  rig.xhci.restored();
  rig.device.send(Uint8Array.of(1, 2, 3));
  assert.deepEqual([...rig.memory.bytes.subarray(DATA, DATA + 3)], [1, 2, 3]);
});
