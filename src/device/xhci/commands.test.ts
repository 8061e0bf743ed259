import assert from "node:assert/strict";
import { test } from "node:test";
import { CompletionCode, Crcr, EndpointCode, Operational, SlotCode, TrbType } from "./layout.ts";
import { COMMAND_RING, EP0, EP1_IN, INPUT_CONTEXT, XhciRig } from "./testing/node/xhci-rig.ts";

const {
  success,
  usbTransactionError,
  trbError,
  resourceError,
  noSlotsAvailable,
  slotNotEnabled,
  endpointNotEnabled,
  parameterError,
  contextStateError,
} = CompletionCode;
const SET_ADDRESS = 5;

/** State in a slot's output context. */
const slotState = (rig: XhciRig, slot: number) => rig.output(slot, 0, 3) >>> 27;

test("slots are given out, up to the number that the guest enabled, and taken back", () => {
  const rig = new XhciRig();
  rig.start();
  rig.operational(Operational.config, 2);
  const enable = () => rig.command({ type: TrbType.enableSlot });
  assert.deepEqual(enable(), { code: success, slot: 1 });
  assert.deepEqual(enable(), { code: success, slot: 2 });
  assert.equal(enable().code, noSlotsAvailable);
  assert.equal(rig.command({ type: TrbType.disableSlot, slot: 1 }).code, success);
  assert.equal(rig.command({ type: TrbType.disableSlot, slot: 1 }).code, slotNotEnabled);
  assert.deepEqual(enable(), { code: success, slot: 1 });
});

test("a device gets its address at once, or when the guest is ready for that", () => {
  const rig = new XhciRig();
  rig.start();
  const { slot } = rig.command({ type: TrbType.enableSlot });
  const address = (bsrOrDc: boolean, port = 1) =>
    rig.command({ type: TrbType.addressDevice, slot, bsrOrDc }, rig.addressInput(port)).code;
  assert.equal(address(false), usbTransactionError, "the port was not reset");
  rig.writePort(1, { pr: true });
  assert.equal(address(false, 2), usbTransactionError, "nothing there");
  assert.equal(address(false, 9), parameterError);
  assert.equal(address(true), success);
  assert.deepEqual([slotState(rig, slot), rig.device.requests.length], [SlotCode.default, 0]);
  assert.equal(rig.endpointState(slot, EP0), EndpointCode.running);
  assert.equal(address(true), contextStateError);
  assert.equal(address(false), success);
  assert.deepEqual([slotState(rig, slot), rig.output(slot, 0, 3) & 0xff], [SlotCode.addressed, slot]);
  assert.deepEqual(
    rig.device.requests.map(({ bRequest, wValue }) => [bRequest, wValue]),
    [[SET_ADDRESS, slot]],
  );
  assert.equal(address(false), contextStateError);
  const other = rig.command({ type: TrbType.enableSlot }).slot;
  assert.equal(rig.command({ type: TrbType.addressDevice, slot: other }, rig.addressInput()).code, trbError);
});

test("interrupt IN endpoints are enabled and disabled, other kinds refused", () => {
  const rig = new XhciRig();
  const slot = rig.addressed();
  const configure = (input: number) => rig.command({ type: TrbType.configureEndpoint, slot }, input).code;
  for (const [type, code] of [
    [0, parameterError],
    [1, parameterError],
    [3, parameterError],
    [4, resourceError],
    [5, resourceError],
    [6, resourceError],
  ] as const) {
    assert.equal(configure(rig.configureInput(type)), code, `type ${type}`);
    assert.equal(rig.endpointState(slot, EP1_IN), EndpointCode.disabled);
  }
  assert.equal(slotState(rig, slot), SlotCode.addressed);
  assert.equal(configure(rig.configureInput()), success);
  assert.deepEqual(
    [slotState(rig, slot), rig.endpointState(slot, EP1_IN)],
    [SlotCode.configured, EndpointCode.running],
  );
  assert.equal(configure(rig.input(1, { 0: [1 << 27] }, 1 << EP1_IN)), success);
  assert.deepEqual(
    [slotState(rig, slot), rig.endpointState(slot, EP1_IN)],
    [SlotCode.addressed, EndpointCode.disabled],
  );
  configure(rig.configureInput());
  assert.equal(rig.command({ type: TrbType.configureEndpoint, slot, bsrOrDc: true }).code, success);
  assert.deepEqual(
    [slotState(rig, slot), rig.endpointState(slot, EP1_IN)],
    [SlotCode.addressed, EndpointCode.disabled],
  );
  assert.equal(configure(rig.input(3, {})), trbError, "endpoint 0 is not added");
  assert.equal(configure(0x7fff_fff0), trbError, "no RAM");
});

test("an endpoint is stopped where it stands, put elsewhere, and goes on by its doorbell", () => {
  const rig = new XhciRig();
  const slot = rig.configured();
  const first = rig.askInterrupt(slot);
  assert.equal(rig.device.asked, true);
  const command = (type: number, low = 0, endpoint = EP1_IN) => rig.command({ type, slot, endpoint }, low).code;
  assert.equal(command(TrbType.resetEndpoint), contextStateError);
  assert.equal(command(TrbType.setTrDequeuePointer, first), contextStateError);
  assert.equal(command(TrbType.stopEndpoint, 0, 5), endpointNotEnabled);
  rig.commands.put({ control: (TrbType.stopEndpoint << 10) | (EP1_IN << 16) | (slot << 24) });
  rig.doorbell(0, 0);
  const [stopped, done] = rig.takeAll();
  assert.deepEqual(
    [stopped?.type, stopped?.code, stopped?.pointer],
    [TrbType.transferEvent, CompletionCode.stopped, first],
  );
  assert.equal(done?.code, success);
  assert.equal(rig.device.asked, false);
  assert.equal(rig.endpointState(slot, EP1_IN), EndpointCode.stopped);
  assert.equal(rig.output(slot, EP1_IN, 2), first | 1);
  assert.equal(command(TrbType.stopEndpoint), contextStateError);
  const next = rig.interrupts.dequeue;
  assert.equal(command(TrbType.setTrDequeuePointer, next), success);
  assert.equal(rig.output(slot, EP1_IN, 2), next);
  const second = rig.askInterrupt(slot);
  assert.equal(rig.endpointState(slot, EP1_IN), EndpointCode.running);
  rig.device.send(Uint8Array.of(1));
  assert.equal(rig.take()?.pointer, second);
});

test("a reset device is in the default state, with endpoint 0 alone", () => {
  const rig = new XhciRig();
  const slot = rig.configured();
  const reset = () => rig.command({ type: TrbType.resetDevice, slot }).code;
  assert.equal(reset(), success);
  assert.deepEqual([slotState(rig, slot), rig.output(slot, 0, 3) & 0xff], [SlotCode.default, 0]);
  assert.equal(rig.endpointState(slot, EP1_IN), EndpointCode.disabled);
  assert.equal(rig.endpointState(slot, EP0), EndpointCode.running);
  assert.equal(reset(), contextStateError);
});

test("what a guest learns of endpoint 0 is evaluated", () => {
  const rig = new XhciRig();
  const slot = rig.addressed();
  const evaluate = (maxPacket: number) =>
    rig.command({ type: TrbType.evaluateContext, slot }, rig.input(2, { [EP0]: [0, (4 << 3) | (maxPacket << 16)] }))
      .code;
  assert.equal(evaluate(64), success);
  assert.equal(rig.output(slot, EP0, 1) >>> 16, 64);
  assert.equal(evaluate(0), parameterError);
  assert.equal(rig.command({ type: TrbType.evaluateContext, slot }, rig.input(4, {})).code, trbError);
});

test("unknown commands are refused, and those for slots that are not enabled", () => {
  const rig = new XhciRig();
  rig.start();
  for (const type of [0, 1, 18, 22, 24, 63]) assert.equal(rig.command({ type }).code, trbError, `type ${type}`);
  for (let type = 10; type <= 17; type++) {
    assert.equal(rig.command({ type, slot: 3, endpoint: 1 }, INPUT_CONTEXT).code, slotNotEnabled, `type ${type}`);
  }
});

test("the command ring is stopped on demand, and can be moved then", () => {
  const rig = new XhciRig();
  rig.start();
  rig.takeAll();
  rig.command({ type: TrbType.noOpCommand });
  const crcr = () => Crcr(rig.read32(0x20 + Operational.crcrLow));
  assert.equal(crcr().crr, true);
  rig.operational(Operational.crcrLow, Crcr.pack({ ca: true }));
  const [event] = rig.takeAll();
  assert.deepEqual([event?.code, event?.pointer], [CompletionCode.commandRingStopped, COMMAND_RING + 16]);
  assert.equal(crcr().crr, false);
  assert.equal(rig.command({ type: TrbType.noOpCommand }).code, success, "it goes on where it stood");
});
