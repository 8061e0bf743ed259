import assert from "node:assert/strict";
import { test } from "node:test";
import { STALL } from "../usb/usb-device.ts";
import { CompletionCode, EndpointCode, TrbControl, TrbType } from "./layout.ts";
import { DATA, EP0, EP0_RING, EP1_IN, XhciRig } from "./testing/node/xhci-rig.ts";

const { success, shortPacket, stallError, trbError, babbleDetected } = CompletionCode;
const IN = 0x80;

test("a control transfer brings the guest what it asks for, short where there is less", () => {
  const rig = new XhciRig();
  const slot = rig.addressed();
  rig.device.answer = () => Uint8Array.of(1, 2, 3, 4, 5);
  const [data, status] = rig.control(slot, { bmRequestType: IN, bRequest: 6, wValue: 0x100, wLength: 18 });
  assert.deepEqual([data?.code, data?.length, data?.endpoint, data?.slot], [shortPacket, 13, EP0, slot]);
  assert.equal(status?.code, success);
  assert.deepEqual([...rig.memory.bytes.subarray(DATA, DATA + 6)], [1, 2, 3, 4, 5, 0]);
  const { bRequest, wValue, wLength } = rig.device.requests.at(-1)!;
  assert.deepEqual([bRequest, wValue, wLength], [6, 0x100, 18]);
  const whole = rig.control(slot, { bmRequestType: IN, wLength: 3 });
  assert.deepEqual(
    whole.map(({ code }) => code),
    [success],
    "no more than was asked for, and only the status stage asks for an event",
  );
});

test("a control transfer brings the device what the guest sends, in pieces and immediate", () => {
  const rig = new XhciRig();
  const slot = rig.addressed();
  rig.memory.bytes.set([10, 11, 12, 13], DATA);
  const [status] = rig.control(slot, { bRequest: 9, wLength: 4 });
  assert.equal(status?.code, success);
  assert.deepEqual([...rig.device.requests.at(-1)!.data], [10, 11, 12, 13]);
  rig.ep0.put(rig.setup({ bRequest: 9, wLength: 4 }));
  rig.ep0.put({ low: DATA, status: 3, control: TrbControl.pack({ type: TrbType.dataStage, chain: true }) });
  rig.ep0.put({ low: 0x55, status: 1, control: TrbControl.pack({ type: TrbType.normal, idt: true }) });
  rig.doorbell(slot, EP0);
  assert.equal(rig.device.requests.length, 2, "address and the first: it waits for the status stage");
  rig.ep0.put({ control: TrbControl.pack({ type: TrbType.statusStage, directionIn: true, ioc: true }) });
  rig.doorbell(slot, EP0);
  assert.deepEqual([...rig.device.requests.at(-1)!.data], [10, 11, 12, 0x55]);
});

test("a stall halts the endpoint, until it is reset and put behind the transfer", () => {
  const rig = new XhciRig();
  const slot = rig.addressed();
  rig.device.answer = () => STALL;
  const [event, ...others] = rig.control(slot, { bmRequestType: IN, wLength: 8 });
  assert.deepEqual([event?.code, event?.pointer, others.length], [stallError, EP0_RING + 16, 0]);
  assert.equal(rig.endpointState(slot, EP0), EndpointCode.halted);
  rig.device.answer = () => new Uint8Array(0);
  rig.doorbell(slot, EP0);
  assert.equal(rig.take(), undefined, "a halted endpoint does nothing");
  rig.command({ type: TrbType.resetEndpoint, slot, endpoint: EP0 });
  rig.command({ type: TrbType.setTrDequeuePointer, slot, endpoint: EP0 }, rig.ep0.dequeue);
  assert.equal(rig.control(slot, {}).at(-1)?.code, success);
});

test("Event Data TRBs tell what their transfer moved", () => {
  const rig = new XhciRig();
  const slot = rig.addressed();
  rig.device.answer = () => Uint8Array.of(1, 2, 3);
  rig.ep0.put(rig.setup({ bmRequestType: IN, wLength: 8 }));
  const control = TrbControl.pack({ type: TrbType.dataStage, directionIn: true, chain: true });
  rig.ep0.put({ low: DATA, status: 8, control });
  rig.ep0.put({ low: 0xabcd, high: 1, control: TrbControl.pack({ type: TrbType.eventData, ioc: true }) });
  rig.ep0.put({ control: TrbControl.pack({ type: TrbType.statusStage, ioc: true }) });
  rig.doorbell(slot, EP0);
  const [data, status] = rig.takeAll();
  assert.deepEqual([data?.pointer, data?.code, data?.length, (data?.control ?? 0) & 4], [0xabcd, shortPacket, 3, 4]);
  assert.equal(status?.code, success);
});

test("stages out of place and TRBs of other kinds are errors of the ring", () => {
  for (const trb of [
    { control: TrbControl.pack({ type: TrbType.statusStage }) },
    { control: TrbControl.pack({ type: TrbType.dataStage, directionIn: true }), status: 8 },
    { control: TrbControl.pack({ type: TrbType.setupStage }), status: 8 },
    { control: TrbControl.pack({ type: TrbType.setupStage, idt: true }), status: 9 },
    { control: TrbControl.pack({ type: TrbType.enableSlot }) },
    { control: TrbControl.pack({ type: 5 }) },
  ]) {
    const rig = new XhciRig();
    const slot = rig.addressed();
    rig.takeAll();
    rig.ep0.put(trb);
    rig.doorbell(slot, EP0);
    assert.equal(rig.take()?.code, trbError);
    assert.equal(rig.endpointState(slot, EP0), EndpointCode.error);
  }
});

test("an interrupt endpoint waits for its device, and costs nothing meanwhile", () => {
  const rig = new XhciRig();
  const slot = rig.configured();
  const at = rig.askInterrupt(slot);
  rig.askInterrupt(slot, { address: DATA + 8 });
  assert.equal(rig.take(), undefined);
  rig.device.send(Uint8Array.of(7, 8));
  const event = rig.take();
  assert.deepEqual([event?.code, event?.pointer, event?.length, event?.endpoint], [shortPacket, at, 6, EP1_IN]);
  assert.deepEqual([...rig.memory.bytes.subarray(DATA, DATA + 3)], [7, 8, 0]);
  rig.device.send(new Uint8Array(8).fill(9));
  assert.equal(rig.take()?.code, success);
  assert.equal(rig.memory.bytes[DATA + 15], 9);
  rig.device.send(Uint8Array.of(1));
  assert.equal(rig.take(), undefined, "nothing is asked for");
  rig.askInterrupt(slot);
  assert.equal(rig.take()?.code, shortPacket);
});

test("many transfers go around the ring by its link", () => {
  const rig = new XhciRig();
  const slot = rig.configured();
  for (let i = 0; i < 100; i++) {
    const at = rig.askInterrupt(slot);
    rig.device.send(Uint8Array.of(i));
    assert.equal(rig.take()?.pointer, at);
    assert.equal(rig.memory.bytes[DATA], i);
  }
});

test("more than the guest has room for is babble, and a stall halts", () => {
  const rig = new XhciRig();
  const slot = rig.configured();
  rig.askInterrupt(slot, { length: 2 });
  rig.device.send(Uint8Array.of(1, 2, 3));
  assert.equal(rig.take()?.code, babbleDetected);
  assert.equal(rig.endpointState(slot, EP1_IN), EndpointCode.halted);
  rig.command({ type: TrbType.resetEndpoint, slot, endpoint: EP1_IN });
  rig.device.packets.push(STALL);
  rig.doorbell(slot, EP1_IN);
  assert.equal(rig.take()?.code, stallError);
});

test("an event that blocks its interrupt comes without one", () => {
  const rig = new XhciRig();
  const slot = rig.configured();
  rig.takeAll();
  rig.useMessages();
  const before = rig.messages.length;
  rig.askInterrupt(slot, { bei: true });
  rig.device.send(Uint8Array.of(1));
  assert.equal(rig.messages.length, before);
  assert.equal(rig.take()?.code, shortPacket);
});

test("a suspended device is not asked", () => {
  const rig = new XhciRig();
  const slot = rig.configured();
  rig.writePort(1, { lws: true, pls: 3 });
  rig.askInterrupt(slot);
  rig.device.send(Uint8Array.of(1));
  assert.equal(rig.take(), undefined);
  rig.writePort(1, { lws: true, pls: 0 });
  assert.deepEqual(
    rig.takeAll().map(({ type }) => type),
    [TrbType.portStatusChangeEvent, TrbType.transferEvent],
  );
});

test("a ring that leads to itself, and a transfer without an end, come to an end", () => {
  const rig = new XhciRig();
  const slot = rig.configured();
  const view = new DataView(rig.memory.bytes.buffer);
  view.setUint32(EP0_RING, EP0_RING, true);
  view.setUint32(EP0_RING + 12, TrbControl.pack({ type: TrbType.link, cycle: true }), true);
  rig.doorbell(slot, EP0);
  assert.equal(rig.take(), undefined);
  const control = TrbControl.pack({ type: TrbType.normal, chain: true, cycle: true });
  for (let i = 0; i < 1024; i++) view.setUint32(0x2_0000 + i * 16 + 12, control, true);
  rig.command({ type: TrbType.stopEndpoint, slot, endpoint: EP1_IN });
  rig.command({ type: TrbType.setTrDequeuePointer, slot, endpoint: EP1_IN }, 0x2_0001);
  rig.doorbell(slot, EP1_IN);
  assert.equal(rig.take()?.code, trbError);
});
