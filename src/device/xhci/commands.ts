/**
 * Commands of the command ring.
 *
 * @spec xHCI 1.2, §4.6 "Command Interface", §4.5 "Device Slot Management", §4.8.3 "Endpoint Context State"
 *
 * Not modelled: commands for virtual functions, latency tolerance and bandwidth (they end with TRB Error); endpoints
 * other than control endpoint 0 and interrupt IN (Resource Error), streams (Parameter Error).
 */
import { guestPhysical } from "../../bits/units.ts";
import type { GuestMemory } from "../../machine/device.ts";
import { Request, STALL } from "../usb/usb-device.ts";
import { changeContext, type InputContext, readInputContext, tellEndpoint, tellSlot } from "./contexts.ts";
import {
  CONTEXTS,
  CommandControl,
  CompletionCode,
  Endpoint0,
  Endpoint1,
  EndpointCode,
  EndpointType,
  PORTS,
  SLOTS,
  Slot0,
  Slot1,
  Slot2,
  SlotCode,
  TrbType,
} from "./layout.ts";
import type { Ports } from "./ports.ts";
import type { EndpointState, SlotState, XhciState } from "./state.ts";
import { addressOf, type Trb } from "./trb-ring.ts";

export interface CommandContext {
  readonly state: XhciState;
  readonly memory: GuestMemory;
  readonly ports: Ports;
  /** An endpoint that had something to do is stopped: tells the guest where. */
  stopped(slotId: number, index: number): void;
}

export interface Outcome {
  readonly code: number;
  readonly slotId: number;
}

const { success, trbError, parameterError, contextStateError } = CompletionCode;
const EP0 = 1;
const FIRST_OTHER = 2;
const LARGEST_PACKET = 1024;
/** Bits of the add and drop flags. */
const SLOT_AND_EP0 = 3;

export function runCommand(context: CommandContext, trb: Trb): Outcome {
  const { type, slot: slotId } = CommandControl(trb.control);
  switch (type) {
    case TrbType.noOpCommand:
      return { code: success, slotId: 0 };
    case TrbType.enableSlot:
      return enableSlot(context);
  }
  const command = COMMANDS[type];
  if (!command) return { code: trbError, slotId: 0 };
  const slot = context.state.slots[slotId];
  if (!slot) return { code: CompletionCode.slotNotEnabled, slotId };
  return { code: command(context, trb, slot, slotId), slotId };
}

type SlotCommand = (context: CommandContext, trb: Trb, slot: SlotState, slotId: number) => number;

const COMMANDS: Readonly<Record<number, SlotCommand>> = {
  [TrbType.disableSlot]: disableSlot,
  [TrbType.addressDevice]: addressDevice,
  [TrbType.configureEndpoint]: configureEndpoint,
  [TrbType.evaluateContext]: evaluateContext,
  [TrbType.resetEndpoint]: resetEndpoint,
  [TrbType.stopEndpoint]: stopEndpoint,
  [TrbType.setTrDequeuePointer]: setTrDequeuePointer,
  [TrbType.resetDevice]: resetDevice,
};

/** §4.6.3 */
function enableSlot({ state }: CommandContext): Outcome {
  for (let slotId = 1; slotId <= Math.min(SLOTS, state.config & 0xff); slotId++) {
    if (state.slots[slotId]) continue;
    state.slots[slotId] = { state: SlotCode.enabled, context: 0, port: 0, endpoints: [] };
    return { code: success, slotId };
  }
  return { code: CompletionCode.noSlotsAvailable, slotId: 0 };
}

/** §4.6.4 */
function disableSlot({ state, memory, ports }: CommandContext, _: Trb, slot: SlotState, slotId: number): number {
  dropEndpoints(ports, slot, EP0);
  slot.state = SlotCode.enabled;
  if (slot.context !== 0) tellSlot(memory, slot);
  state.slots[slotId] = undefined;
  return success;
}

/** §4.6.5 */
function addressDevice(context: CommandContext, trb: Trb, slot: SlotState, slotId: number): number {
  const { state, memory, ports } = context;
  const { bsrOrDc: blockSetAddress } = CommandControl(trb.control);
  if (slot.state !== SlotCode.enabled && (blockSetAddress || slot.state !== SlotCode.default)) return contextStateError;
  const input = inputOf(memory, trb);
  if (input?.drop !== 0 || input.add !== SLOT_AND_EP0) return trbError;
  const [slotContext = [], endpoint0 = []] = input.contexts;
  const { rootHubPort: port } = Slot1(slotContext[1]!);
  const { type, maxPacketSize } = Endpoint1(endpoint0[1]!);
  const isHere = port >= 1 && port <= PORTS && Slot0(slotContext[0]!).routeString === 0;
  if (!isHere || type !== EndpointType.control || maxPacketSize < 8) return parameterError;
  if (state.slots.some((other) => other && other !== slot && other.port === port)) return trbError;
  const pointer = outputContext(context, slotId);
  if (pointer === undefined) return parameterError;
  if (!ports.isConnected(port)) return CompletionCode.usbTransactionError;
  if (!blockSetAddress) {
    const setup = { bmRequestType: 0, bRequest: Request.setAddress, wValue: slotId, wIndex: 0, wLength: 0 };
    const answer = ports.device(port)?.control(setup, new Uint8Array(0)) ?? STALL;
    if (answer === STALL) return CompletionCode.usbTransactionError;
  }
  slot.context = pointer;
  slot.port = port;
  slot.state = blockSetAddress ? SlotCode.default : SlotCode.addressed;
  changeContext(memory, slot, 0, () => [...slotContext]);
  tellSlot(memory, slot, blockSetAddress ? 0 : slotId);
  setEndpoint(memory, slot, EP0, endpoint0);
  return success;
}

/** §4.6.6 */
function configureEndpoint({ memory, ports }: CommandContext, trb: Trb, slot: SlotState): number {
  if (slot.state !== SlotCode.addressed && slot.state !== SlotCode.configured) return contextStateError;
  if (CommandControl(trb.control).bsrOrDc) {
    dropAndTell(memory, ports, slot);
    slot.state = SlotCode.addressed;
    tellSlot(memory, slot);
    return success;
  }
  const input = inputOf(memory, trb);
  // Slot and endpoint 0 are neither dropped nor added.
  if (!input || (input.drop & SLOT_AND_EP0) !== 0 || (input.add & SLOT_AND_EP0) !== 1) return trbError;
  for (let index = FIRST_OTHER; index < CONTEXTS; index++) {
    const code = isSet(input.add, index) ? checkEndpoint(index, input.contexts[index]!) : success;
    if (code !== success) return code;
  }
  for (let index = FIRST_OTHER; index < CONTEXTS; index++) {
    if (isSet(input.drop, index)) {
      dropEndpoints(ports, slot, index, index);
      tellEndpoint(memory, slot, index);
    }
    if (isSet(input.add, index)) setEndpoint(memory, slot, index, input.contexts[index]!);
  }
  const { contextEntries } = Slot0(input.contexts[0]![0]!);
  changeContext(memory, slot, 0, (context) => context.with(0, Slot0.with(context[0]!, { contextEntries })));
  slot.state = slot.endpoints.some((endpoint, index) => endpoint && index !== EP0)
    ? SlotCode.configured
    : SlotCode.addressed;
  tellSlot(memory, slot);
  return success;
}

function checkEndpoint(index: number, context: readonly number[]): number {
  const { type, maxPacketSize } = Endpoint1(context[1]!);
  const isIn = (type & 4) !== 0 && type !== EndpointType.control;
  const isUsual = type !== 0 && (type === EndpointType.control || isIn === ((index & 1) === 1));
  const { maxPStreams } = Endpoint0(context[0]!);
  if (!isUsual || maxPacketSize === 0 || maxPacketSize > LARGEST_PACKET || maxPStreams !== 0) return parameterError;
  return type === EndpointType.interruptIn ? success : CompletionCode.resourceError;
}

/** §4.6.7: what a guest learns of a device after it was addressed. */
function evaluateContext({ memory }: CommandContext, trb: Trb, slot: SlotState): number {
  if (slot.state === SlotCode.enabled) return contextStateError;
  const input = inputOf(memory, trb);
  if (input?.drop !== 0 || (input.add & ~SLOT_AND_EP0) !== 0) return trbError;
  if (isSet(input.add, 0)) {
    const [, latency = 0, target = 0] = input.contexts[0]!;
    const { maxExitLatency } = Slot1(latency);
    const { interrupterTarget } = Slot2(target);
    if (interrupterTarget !== 0) return parameterError;
    changeContext(memory, slot, 0, (context) =>
      context
        .with(1, Slot1.with(context[1]!, { maxExitLatency }))
        .with(2, Slot2.with(context[2]!, { interrupterTarget })),
    );
  }
  if (isSet(input.add, EP0)) {
    const { maxPacketSize } = Endpoint1(input.contexts[EP0]![1]!);
    if (maxPacketSize < 8) return parameterError;
    changeContext(memory, slot, EP0, (context) => context.with(1, Endpoint1.with(context[1]!, { maxPacketSize })));
  }
  return success;
}

/** §4.6.8 */
function resetEndpoint({ memory }: CommandContext, trb: Trb, slot: SlotState): number {
  return inState(trb, slot, [EndpointCode.halted], (endpoint, index) => {
    endpoint.state = EndpointCode.stopped;
    tellEndpoint(memory, slot, index);
  });
}

/** §4.6.9 */
function stopEndpoint({ memory, ports, stopped }: CommandContext, trb: Trb, slot: SlotState, slotId: number): number {
  return inState(trb, slot, [EndpointCode.running], (endpoint, index) => {
    if (endpoint.armed) stopped(slotId, index);
    stopAsking(ports, slot, index);
    endpoint.armed = false;
    endpoint.control = undefined;
    endpoint.state = EndpointCode.stopped;
    tellEndpoint(memory, slot, index);
  });
}

/** §4.6.10 */
function setTrDequeuePointer({ memory }: CommandContext, trb: Trb, slot: SlotState): number {
  return inState(trb, slot, [EndpointCode.stopped, EndpointCode.error], (endpoint, index) => {
    endpoint.ring = { dequeue: addressOf((trb.low & ~0xf) >>> 0, trb.high), cycle: trb.low & 1 };
    endpoint.control = undefined;
    endpoint.state = EndpointCode.stopped;
    tellEndpoint(memory, slot, index);
  });
}

/** §4.6.11: the guest has reset the device, by its port. */
function resetDevice({ memory, ports }: CommandContext, _: Trb, slot: SlotState): number {
  if (slot.state !== SlotCode.addressed && slot.state !== SlotCode.configured) return contextStateError;
  dropAndTell(memory, ports, slot);
  slot.state = SlotCode.default;
  changeContext(memory, slot, 0, (context) => context.with(0, Slot0.with(context[0]!, { contextEntries: 1 })));
  tellSlot(memory, slot, 0);
  return success;
}

function inState(
  trb: Trb,
  slot: SlotState,
  states: readonly number[],
  act: (endpoint: EndpointState, index: number) => void,
): number {
  const { endpoint: index } = CommandControl(trb.control);
  if (index === 0) return trbError;
  const endpoint = slot.endpoints[index];
  if (!endpoint) return CompletionCode.endpointNotEnabled;
  if (!states.includes(endpoint.state)) return contextStateError;
  act(endpoint, index);
  return success;
}

const inputOf = (memory: GuestMemory, { low, high }: Trb): InputContext | undefined =>
  readInputContext(memory, addressOf((low & ~0xf) >>> 0, high));

const isSet = (flags: number, index: number): boolean => ((flags >>> index) & 1) === 1;

/** Where the guest wants the device context: an entry of the Device Context Base Address Array (§6.1). */
function outputContext({ state, memory }: CommandContext, slotId: number): number | undefined {
  const entry = addressOf(state.dcbaapLow, state.dcbaapHigh) + slotId * 8;
  const bytes = memory.view(guestPhysical(entry), 8, "read");
  if (!bytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  return addressOf((view.getUint32(0, true) & ~0x3f) >>> 0, view.getUint32(4, true));
}

/** Enables an endpoint as its input context says. */
function setEndpoint(memory: GuestMemory, slot: SlotState, index: number, context: readonly number[]): void {
  const [, dword1 = 0, low = 0, high = 0] = context;
  slot.endpoints[index] = {
    state: EndpointCode.running,
    type: Endpoint1(dword1).type,
    ring: { dequeue: addressOf((low & ~0xf) >>> 0, high), cycle: low & 1 },
    armed: false,
    control: undefined,
  };
  changeContext(memory, slot, index, () => [...context]);
  tellEndpoint(memory, slot, index);
}

function dropEndpoints(ports: Ports, slot: SlotState, first: number, last = CONTEXTS - 1): void {
  for (let index = first; index <= last; index++) {
    if (!slot.endpoints[index]) continue;
    stopAsking(ports, slot, index);
    slot.endpoints[index] = undefined;
  }
}

/** Disables all endpoints but 0. */
function dropAndTell(memory: GuestMemory, ports: Ports, slot: SlotState): void {
  for (let index = FIRST_OTHER; index < CONTEXTS; index++) {
    if (!slot.endpoints[index]) continue;
    dropEndpoints(ports, slot, index, index);
    tellEndpoint(memory, slot, index);
  }
}

function stopAsking(ports: Ports, slot: SlotState, index: number): void {
  if (index !== EP0) ports.device(slot.port)?.stopAsking(index >>> 1);
}
