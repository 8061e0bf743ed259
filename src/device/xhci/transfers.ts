/**
 * Transfers: control transfers on endpoint 0, and packets of interrupt IN endpoints.
 *
 * @spec xHCI 1.2, §4.10 "USB Transfers", §4.11.2 "Transfer TRBs", §4.11.5.2 "Event Data TRB", §6.4.2.1 "Transfer Event TRB"
 *
 * An interrupt transfer ends with its first packet. Not modelled: events of Link TRBs.
 */
import { guestPhysical } from "../../bits/units.ts";
import type { GuestMemory } from "../../machine/device.ts";
import { DEVICE_TO_HOST, Setup, STALL, type Stall, type UsbDevice } from "../usb/usb-device.ts";
import { tellEndpoint } from "./contexts.ts";
import type { EventRing } from "./event-ring.ts";
import { CompletionCode, EndpointCode, EndpointType, TRANSFER_LENGTH, TrbControl, TrbType } from "./layout.ts";
import type { Ports } from "./ports.ts";
import type { EndpointState, SlotState, XhciState } from "./state.ts";
import { addressOf, type Budget, LONGEST_TD, NO_RAM, peekTd, type Trb, typeOf } from "./trb-ring.ts";

export interface TransferContext {
  readonly state: XhciState;
  readonly memory: GuestMemory;
  readonly ports: Ports;
  readonly events: EventRing;
  /** What the guest named is no RAM. */
  systemError(): void;
}

const SETUP_SIZE = 8;
const { success, shortPacket, trbError } = CompletionCode;
const NOTHING = new Uint8Array(0);

/** How a transfer descriptor came out: bytes moved, an error, or nothing yet. */
type Result = { readonly moved: number } | { readonly code: number } | "not yet" | "no RAM";

/** Does what is on an endpoint's ring, as far as the device goes along. */
export function serviceEndpoint(context: TransferContext, slotId: number, index: number, budget: Budget): void {
  const { memory, events } = context;
  const slot = context.state.slots[slotId];
  const endpoint = slot?.endpoints[index];
  if (!slot || !endpoint) return;
  const place = { slot, slotId, endpoint, index };
  while (endpoint.armed && endpoint.state === EndpointCode.running && !events.isBlocked) {
    const td = peekTd(endpoint.ring, memory, budget);
    if (td === NO_RAM) {
      context.systemError();
      return;
    }
    if (td === undefined) {
      endpoint.armed = false;
      return;
    }
    const { trbs, after } = td;
    const result = trbs.length > LONGEST_TD ? { code: trbError } : runTd(context, place, trbs);
    if (result === "not yet") return;
    if (result === NO_RAM) {
      context.systemError();
      return;
    }
    if ("code" in result) halt(context, place, trbs[0]!, result.code);
    else {
      endpoint.ring = after;
      tellResult(context, place, trbs, result.moved);
    }
  }
}

/** Tells where an endpoint stands that is being stopped with something to do (§4.6.9). */
export function tellStopped({ state, memory, events }: TransferContext, slotId: number, index: number): void {
  const endpoint = state.slots[slotId]?.endpoints[index];
  const td = endpoint && peekTd(endpoint.ring, memory, { left: LONGEST_TD });
  if (td === undefined || td === NO_RAM) return;
  const [trb] = td.trbs;
  if (trb) postEvent(events, { slotId, index }, trb, CompletionCode.stopped, trb.status & TRANSFER_LENGTH);
}

interface Place {
  readonly slot: SlotState;
  readonly slotId: number;
  readonly endpoint: EndpointState;
  readonly index: number;
}

function runTd(context: TransferContext, place: Place, trbs: readonly Trb[]): Result {
  const { slot, endpoint, index } = place;
  const device = context.ports.device(slot.port);
  const isControl = endpoint.type === EndpointType.control;
  if (!isControl && trbs.every((trb) => typeOf(trb) === TrbType.noOp)) return { moved: 0 };
  // A suspended device is asked again when it has something to say.
  if (!device) return isControl ? { code: CompletionCode.usbTransactionError } : "not yet";
  return isControl
    ? controlStage(context.memory, endpoint, device, trbs)
    : interruptIn(context.memory, device, index >>> 1, trbs);
}

function interruptIn(memory: GuestMemory, device: UsbDevice, number: number, trbs: readonly Trb[]): Result {
  if (!trbs.every((trb) => isPlain(trb, TrbType.normal))) return { code: trbError };
  const packet = device.interruptIn(number);
  if (packet === undefined) return "not yet";
  if (packet === STALL) return { code: CompletionCode.stallError };
  if (packet.length > lengthOf(trbs)) return { code: CompletionCode.babbleDetected };
  return store(memory, trbs, packet);
}

function controlStage(memory: GuestMemory, endpoint: EndpointState, device: UsbDevice, trbs: readonly Trb[]): Result {
  const [first] = trbs as [Trb, ...Trb[]];
  const type = typeOf(first);
  if (type === TrbType.setupStage) return setupStage(endpoint, trbs);
  if (type === TrbType.noOp && trbs.length === 1) return { moved: 0 };
  const { control } = endpoint;
  if (!control || (type !== TrbType.dataStage && type !== TrbType.statusStage)) return { code: trbError };
  const rest = trbs.slice(1);
  if (type === TrbType.statusStage) {
    if (!rest.every((trb) => typeOf(trb) === TrbType.eventData)) return { code: trbError };
    if (!control.ran && run(device, control) === STALL) return { code: CompletionCode.stallError };
    endpoint.control = undefined;
    return { moved: 0 };
  }
  const { directionIn } = TrbControl(first.control);
  const isIn = (control.setup[0]! & DEVICE_TO_HOST) !== 0;
  if (directionIn !== isIn || !rest.every((trb) => isPlain(trb, TrbType.normal))) return { code: trbError };
  if (!isIn) return gather(memory, control, trbs);
  if (!control.ran && run(device, control) === STALL) return { code: CompletionCode.stallError };
  const given = control.data.subarray(control.moved, control.moved + lengthOf(trbs));
  control.moved += given.length;
  return store(memory, trbs, given);
}

function setupStage(endpoint: EndpointState, trbs: readonly Trb[]): Result {
  const [{ low, high, status, control }] = trbs as [Trb];
  if (trbs.length > 1 || !TrbControl(control).idt || (status & TRANSFER_LENGTH) !== SETUP_SIZE) {
    return { code: trbError };
  }
  const setup = immediateBytes(low, high);
  const data = (setup[0]! & DEVICE_TO_HOST) === 0 ? new Uint8Array(Setup.at(setup).wLength) : NOTHING;
  endpoint.control = { setup, data, moved: 0, ran: false };
  return { moved: 0 };
}

/** Has the device answer; what is more than was asked for is not taken. */
function run(device: UsbDevice, control: NonNullable<EndpointState["control"]>): Stall | undefined {
  const { bmRequestType, bRequest, wValue, wIndex, wLength } = Setup.at(control.setup);
  const answer = device.control(
    { bmRequestType, bRequest, wValue, wIndex, wLength },
    control.data.subarray(0, control.moved),
  );
  if (answer === STALL) return STALL;
  control.ran = true;
  control.data = answer.slice(0, wLength);
  control.moved = 0;
  return undefined;
}

/** Takes what the guest sends, up to the length that its request tells. */
function gather(memory: GuestMemory, control: NonNullable<EndpointState["control"]>, trbs: readonly Trb[]): Result {
  let moved = 0;
  for (const { low, high, status, control: flags } of trbs) {
    const { type, idt } = TrbControl(flags);
    const length = type === TrbType.eventData ? 0 : status & TRANSFER_LENGTH;
    const room = control.data.length - control.moved;
    if (control.ran || length > room || (idt && length > SETUP_SIZE)) return { code: trbError };
    const bytes = idt
      ? immediateBytes(low, high).subarray(0, length)
      : memory.view(guestPhysical(addressOf(low, high)), length, "read");
    if (!bytes) return NO_RAM;
    control.data.set(bytes, control.moved);
    control.moved += length;
    moved += length;
  }
  return { moved };
}

/** Puts bytes where the TRBs say, one after the other. */
function store(memory: GuestMemory, trbs: readonly Trb[], bytes: Uint8Array): Result {
  let at = 0;
  for (const { low, high, status, control } of trbs) {
    const { type, idt } = TrbControl(control);
    if (type === TrbType.eventData) continue;
    const length = Math.min(status & TRANSFER_LENGTH, bytes.length - at);
    if (length === 0) continue;
    if (idt) return { code: trbError };
    const target = memory.view(guestPhysical(addressOf(low, high)), length, "write");
    if (!target) return NO_RAM;
    target.set(bytes.subarray(at, at + length));
    at += length;
  }
  return { moved: at };
}

const isPlain = (trb: Trb, type: number): boolean => typeOf(trb) === type || typeOf(trb) === TrbType.eventData;

const dataLength = (trb: Trb): number => (CARRIES_DATA.has(typeOf(trb)) ? trb.status & TRANSFER_LENGTH : 0);
const CARRIES_DATA = new Set<number>([TrbType.normal, TrbType.dataStage]);

const lengthOf = (trbs: readonly Trb[]): number => trbs.reduce((sum, trb) => sum + dataLength(trb), 0);

function immediateBytes(low: number, high: number): Uint8Array {
  const bytes = new Uint8Array(SETUP_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, low, true);
  view.setUint32(4, high, true);
  return bytes;
}

/** Events of a transfer descriptor that was done (§4.10.1): where the guest asks for them, and where it ended short. */
function tellResult({ events }: TransferContext, place: Place, trbs: readonly Trb[], moved: number): void {
  let left = moved;
  /** Event Data Transfer Length Accumulator. */
  let edtla = 0;
  let isShort = false;
  let isTold = false;
  for (const trb of trbs) {
    const { type, ioc, isp } = TrbControl(trb.control);
    if (type === TrbType.eventData) {
      if (ioc) postEvent(events, place, trb, isShort ? shortPacket : success, edtla);
      edtla = 0;
      continue;
    }
    const length = dataLength(trb);
    const here = Math.min(left, length);
    left -= here;
    edtla += here;
    const endsHere: boolean = !isShort && here < length;
    isShort ||= endsHere;
    if (isTold || !(ioc || (endsHere && isp))) continue;
    postEvent(events, place, trb, isShort ? shortPacket : success, length - here);
    isTold = isShort;
  }
}

/** An endpoint stops with an error: halted, or where the guest's TRBs are wrong, in error (§4.8.3). */
function halt({ memory, events }: TransferContext, place: Place, trb: Trb, code: number): void {
  const { slot, endpoint, index } = place;
  endpoint.state = code === trbError ? EndpointCode.error : EndpointCode.halted;
  endpoint.armed = false;
  endpoint.control = undefined;
  tellEndpoint(memory, slot, index);
  postEvent(events, place, trb, code, dataLength(trb));
}

/** `length` is what was not moved, or with Event Data TRBs what was. */
function postEvent(
  events: EventRing,
  { slotId, index }: Pick<Place, "slotId" | "index">,
  trb: Trb,
  code: number,
  length: number,
): void {
  const { type, bei } = TrbControl(trb.control);
  const isEventData = type === TrbType.eventData;
  const pointer = isEventData ? trb : { low: trb.address % 2 ** 32, high: Math.floor(trb.address / 2 ** 32) };
  const blocks = bei && (isEventData || type === TrbType.normal);
  events.post({
    low: pointer.low,
    high: pointer.high,
    status: ((length & 0xff_ffff) | (code << 24)) >>> 0,
    control: ((TrbType.transferEvent << 10) | (isEventData ? EVENT_DATA : 0) | (index << 16) | (slotId << 24)) >>> 0,
    interrupts: !blocks,
  });
}

/** Flag of a Transfer Event that is an Event Data TRB's. */
const EVENT_DATA = 4;
