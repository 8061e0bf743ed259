/** What the controller remembers, apart from its PCI function. */
import { IMOD_RESET, PORTS, SLOTS, Usbsts } from "./layout.ts";
import type { Ring } from "./trb-ring.ts";

/** A control transfer between its stages. */
export interface ControlTransfer {
  /** The setup packet's 8 bytes. */
  setup: Uint8Array;
  /** The device's, once the request has run; before that the guest's, with room for all that it means to send. */
  data: Uint8Array;
  /** Bytes of `data` that were moved, from the guest or to it. */
  moved: number;
  ran: boolean;
}

export interface EndpointState {
  /** EndpointCode */
  state: number;
  /** EndpointType */
  type: number;
  ring: Ring;
  /** A doorbell was rung for what is on the ring. */
  armed: boolean;
  control: ControlTransfer | undefined;
}

export interface SlotState {
  /** SlotCode */
  state: number;
  /** Where the guest has the device context. */
  context: number;
  /** Root hub port, from 1; 0 before the device is addressed. */
  port: number;
  /** By device context index, 1 to 31. */
  endpoints: (EndpointState | undefined)[];
}

/** An event TRB on its way, without its cycle bit. */
export interface Event {
  low: number;
  high: number;
  status: number;
  control: number;
  /** It asks for an interrupt. */
  interrupts: boolean;
}

export interface XhciState {
  usbcmd: number;
  usbsts: number;
  dnctrl: number;
  config: number;
  dcbaapLow: number;
  dcbaapHigh: number;
  commandRing: Ring;
  /** Doorbell 0 was rung and the ring not stopped since. */
  commandRingRunning: boolean;
  /** There may be commands on the ring. */
  commandsWaiting: boolean;
  iman: number;
  imod: number;
  erstsz: number;
  erstbaLow: number;
  erstbaHigh: number;
  erdpLow: number;
  erdpHigh: number;
  eventHandlerBusy: boolean;
  /** Interrupt Pending Enable: an event asks for an interrupt that was not told yet. */
  interruptDue: boolean;
  /** Where the next event goes: index in the ring's segment, and cycle bit. */
  eventIndex: number;
  eventCycle: number;
  /** The guest was told that the ring is full. */
  eventRingFull: boolean;
  /** Events for which the ring has no room; nothing new is begun meanwhile. */
  eventsWaiting: Event[];
  portsc: number[];
  /** By slot ID, from 1. */
  slots: (SlotState | undefined)[];
}

export const powerOn = (): XhciState => ({
  usbcmd: 0,
  usbsts: Usbsts.mask.hch,
  dnctrl: 0,
  config: 0,
  dcbaapLow: 0,
  dcbaapHigh: 0,
  commandRing: { dequeue: 0, cycle: 0 },
  commandRingRunning: false,
  commandsWaiting: false,
  iman: 0,
  imod: IMOD_RESET,
  erstsz: 0,
  erstbaLow: 0,
  erstbaHigh: 0,
  erdpLow: 0,
  erdpHigh: 0,
  eventHandlerBusy: false,
  interruptDue: false,
  eventIndex: 0,
  eventCycle: 1,
  eventRingFull: false,
  eventsWaiting: [],
  portsc: new Array<number>(PORTS).fill(0),
  slots: new Array<SlotState | undefined>(SLOTS + 1).fill(undefined),
});
