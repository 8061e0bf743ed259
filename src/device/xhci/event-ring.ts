/**
 * The interrupter: a ring of one segment on which the controller puts events, and its interrupt.
 *
 * @spec xHCI 1.2, §4.9.4 "Event Ring Management", §4.17.2 "Interrupt Moderation", §5.5.2
 *
 * Not modelled: the interval of moderation (stored): Event Handler Busy alone keeps interrupts apart.
 */
import { guestPhysical } from "../../bits/units.ts";
import type { GuestMemory } from "../../machine/device.ts";
import { CompletionCode, ERDP_EHB, Iman, Interrupter, TRB_SIZE, TrbType, Usbcmd, Usbsts } from "./layout.ts";
import type { Event, XhciState } from "./state.ts";
import { addressOf } from "./trb-ring.ts";

/** TRBs of a segment. */
const SHORTEST = 16;
const LONGEST = 4096;
/** Events that wait for room: more than one transfer descriptor makes; what a guest provokes beyond that is lost. */
const MOST_WAITING = 512;

const FULL: Event = {
  low: 0,
  high: 0,
  status: CompletionCode.eventRingFull * 2 ** 24,
  control: TrbType.hostControllerEvent << 10,
  interrupts: true,
};

export interface EventRingWiring {
  readonly memory: GuestMemory;
  /** Whether interrupts go by message. */
  usesMessages(): boolean;
  sendMessage(): void;
  drivePin(level: boolean): void;
  /** The ring is not in RAM. */
  systemError(): void;
  /** The guest's pointer is not in the ring. */
  controllerError(): void;
}

export class EventRing {
  readonly #state: XhciState;
  readonly #wiring: EventRingWiring;

  constructor(state: XhciState, wiring: EventRingWiring) {
    this.#state = state;
    this.#wiring = wiring;
  }

  /** There is no room for what was told already. */
  get isBlocked(): boolean {
    return this.#state.eventsWaiting.length > 0;
  }

  post(event: Event): void {
    if (this.#state.eventsWaiting.length < MOST_WAITING) this.#state.eventsWaiting.push(event);
    this.#store();
  }

  read(register: number): number {
    const state = this.#state;
    switch (register) {
      case Interrupter.iman:
        return state.iman;
      case Interrupter.imod:
        return state.imod;
      case Interrupter.erstsz:
        return state.erstsz;
      case Interrupter.erstbaLow:
        return state.erstbaLow;
      case Interrupter.erstbaHigh:
        return state.erstbaHigh;
      case Interrupter.erdpLow:
        return (state.erdpLow | (state.eventHandlerBusy ? ERDP_EHB : 0)) >>> 0;
      case Interrupter.erdpHigh:
        return state.erdpHigh;
      default:
        return 0;
    }
  }

  write(register: number, value: number): void {
    const state = this.#state;
    switch (register) {
      case Interrupter.iman: {
        const { ip, ie } = Iman(value);
        state.iman = Iman.pack({ ip: Iman(state.iman).ip && !ip, ie });
        this.drive();
        break;
      }
      case Interrupter.imod:
        state.imod = value;
        break;
      case Interrupter.erstsz:
        state.erstsz = value & 0xffff;
        break;
      case Interrupter.erstbaLow:
        state.erstbaLow = (value & ~0x3f) >>> 0;
        this.#restart();
        break;
      case Interrupter.erstbaHigh:
        state.erstbaHigh = value;
        this.#restart();
        break;
      case Interrupter.erdpLow:
        state.erdpLow = (value & ~0xf) >>> 0;
        if ((value & ERDP_EHB) !== 0) state.eventHandlerBusy = false;
        this.#taken();
        break;
      case Interrupter.erdpHigh:
        state.erdpHigh = value;
        this.#taken();
        break;
    }
  }

  /** Tells of an interrupt that is pending and let through. */
  drive(): void {
    const state = this.#state;
    const { ip, ie } = Iman(state.iman);
    const asserted = ip && ie && Usbcmd(state.usbcmd).inte;
    if (asserted && this.#wiring.usesMessages()) {
      // With messages, the flag goes when the message has gone.
      state.iman = Iman.with(state.iman, { ip: false });
      this.#wiring.sendMessage();
      this.#wiring.drivePin(false);
    } else this.#wiring.drivePin(asserted);
  }

  #restart(): void {
    this.#state.eventIndex = 0;
    this.#state.eventCycle = 1;
  }

  /** The guest has taken events. */
  #taken(): void {
    const state = this.#state;
    const segment = this.#segment();
    if (segment && this.#dequeueIndex(segment) === state.eventIndex) state.interruptDue = false;
    this.#store();
    this.#tell();
  }

  #segment(): { base: number; size: number } | undefined {
    const { erstsz, erstbaLow, erstbaHigh } = this.#state;
    if (erstsz === 0) return undefined;
    const entry = this.#wiring.memory.view(guestPhysical(addressOf(erstbaLow, erstbaHigh)), TRB_SIZE, "read");
    if (!entry) return undefined;
    const view = new DataView(entry.buffer, entry.byteOffset, TRB_SIZE);
    const size = view.getUint32(8, true) & 0xffff;
    if (size < SHORTEST || size > LONGEST) return undefined;
    return { base: addressOf((view.getUint32(0, true) & ~0x3f) >>> 0, view.getUint32(4, true)), size };
  }

  #dequeueIndex({ base }: { base: number }): number {
    return (addressOf(this.#state.erdpLow, this.#state.erdpHigh) - base) / TRB_SIZE;
  }

  /** Puts what waits on the ring, as far as there is room. */
  #store(): void {
    const state = this.#state;
    if (!Usbcmd(state.usbcmd).rs) return;
    while (state.eventsWaiting.length > 0) {
      const segment = this.#segment();
      if (!segment) {
        this.#wiring.systemError();
        return;
      }
      const dequeue = this.#dequeueIndex(segment);
      if (!(Number.isInteger(dequeue) && dequeue >= 0 && dequeue < segment.size)) {
        this.#wiring.controllerError();
        return;
      }
      const { eventIndex } = state;
      const room = (dequeue - eventIndex - 1 + 2 * segment.size) % segment.size;
      // The last place tells that there is no more.
      const isLast = room === 1;
      if (room === 0 || (isLast && state.eventRingFull)) return;
      state.eventRingFull = isLast;
      const event = isLast ? FULL : state.eventsWaiting.shift()!;
      if (!this.#put(segment, event)) {
        this.#wiring.systemError();
        return;
      }
      if (event.interrupts) state.interruptDue = true;
      this.#tell();
    }
  }

  #put({ base, size }: { base: number; size: number }, event: Event): boolean {
    const state = this.#state;
    const index = state.eventIndex % size;
    const bytes = this.#wiring.memory.view(guestPhysical(base + index * TRB_SIZE), TRB_SIZE, "write");
    if (!bytes) return false;
    const view = new DataView(bytes.buffer, bytes.byteOffset, TRB_SIZE);
    view.setUint32(0, event.low, true);
    view.setUint32(4, event.high, true);
    view.setUint32(8, event.status, true);
    view.setUint32(12, event.control | state.eventCycle, true);
    state.eventIndex = (index + 1) % size;
    if (state.eventIndex === 0) state.eventCycle ^= 1;
    return true;
  }

  /** Asks for an interrupt, unless the guest is still busy with the last. */
  #tell(): void {
    const state = this.#state;
    if (!state.interruptDue || state.eventHandlerBusy) return;
    state.interruptDue = false;
    state.eventHandlerBusy = true;
    state.iman = Iman.with(state.iman, { ip: true });
    state.usbsts = Usbsts.with(state.usbsts, { eint: true });
    this.drive();
  }
}
