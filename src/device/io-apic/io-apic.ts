/**
 * I/O APIC with 24 pins, mapped at FEC00000h on a PC.
 * @spec Intel 82093AA datasheet (290566), §3; version 20h with the EOI register of the Intel ICH2 datasheet
 * (290687).
 *
 * A pin's level is "asserted": the polarity bit is stored and not looked at.
 *
 * Not modelled: the arbitration of the serial APIC bus (the arbitration ID follows the ID), delivery status
 * (a message is delivered at once, so that it always reads "idle"), the ICH2's IRQ pin assertion register.
 */
import { type ApicBus, DeliveryMode, type EoiListener } from "../../machine/apic-bus.ts";
import type { AccessSize, Device, MemoryDevice, SignalLine } from "../../machine/device.ts";
import {
  ID_WRITABLE,
  PIN_COUNT,
  REDIRECTION_WRITABLE_HIGH,
  REDIRECTION_WRITABLE_LOW,
  Redirection,
  Register,
  VERSION,
  Window,
} from "./registers.ts";

/** Bytes that the device takes in memory. */
export const IO_APIC_LENGTH = 0x1000;

export interface IoApicState {
  index: number;
  id: number;
  /** Halves of the redirection entries, by pin. */
  redirectionLow: Uint32Array;
  redirectionHigh: Uint32Array;
  /** Levels of the pins, pin 0 in bit 0. */
  levels: number;
}

export interface IoApicWiring {
  bus: ApicBus;
}

export class IoApic implements Device<IoApicState>, MemoryDevice, EoiListener {
  readonly state: IoApicState = {
    index: 0,
    id: 0,
    redirectionLow: new Uint32Array(PIN_COUNT).fill(Redirection.mask.masked),
    redirectionHigh: new Uint32Array(PIN_COUNT),
    levels: 0,
  };
  /** The interrupt inputs, 0 to 23. */
  readonly pins: readonly SignalLine[] = Array.from({ length: PIN_COUNT }, (_, pin) => ({
    set: (level: boolean) => this.#setPin(pin, level),
  }));
  readonly #bus: ApicBus;

  constructor({ bus }: IoApicWiring) {
    this.#bus = bus;
    bus.attachIoApic(this);
  }

  reset(): void {
    // The devices still drive the pins: the levels are theirs.
    this.state.index = 0;
    this.state.id = 0;
    this.state.redirectionLow.fill(Redirection.mask.masked);
    this.state.redirectionHigh.fill(0);
  }

  readMemory(offset: number, size: AccessSize): number {
    let value = 0;
    if (offset === Window.index) value = this.state.index;
    else if (offset === Window.data) value = this.#read();
    return size === 4 ? value : value & (size === 2 ? 0xffff : 0xff);
  }

  writeMemory(offset: number, size: AccessSize, value: number): void {
    if (offset === Window.index) this.state.index = value & 0xff;
    else if (offset === Window.data && size === 4) this.#write(value >>> 0);
    else if (offset === Window.eoi) this.endOfInterrupt(value & 0xff);
  }

  /** A local APIC, or software by the EOI register, ended the level-triggered interrupt `vector`. */
  endOfInterrupt(vector: number): void {
    const { redirectionLow } = this.state;
    for (let pin = 0; pin < PIN_COUNT; pin++) {
      const entry = redirectionLow[pin]!;
      if ((entry & Redirection.mask.vector) !== vector || (entry & Redirection.mask.remoteIrr) === 0) continue;
      redirectionLow[pin] = entry & ~Redirection.mask.remoteIrr;
      this.#serveLevel(pin);
    }
  }

  #read(): number {
    const { index, id, redirectionLow, redirectionHigh } = this.state;
    switch (index) {
      case Register.id:
      case Register.arbitration:
        return id;
      case Register.version:
        return VERSION;
    }
    const half = index - Register.redirection;
    if (half < 0 || half >= PIN_COUNT * 2) return 0;
    return (half & 1 ? redirectionHigh : redirectionLow)[half >>> 1]!;
  }

  #write(value: number): void {
    const { state } = this;
    if (state.index === Register.id) state.id = value & ID_WRITABLE;
    const half = state.index - Register.redirection;
    if (half < 0 || half >= PIN_COUNT * 2) return;
    const pin = half >>> 1;
    if (half & 1) {
      state.redirectionHigh[pin] = value & REDIRECTION_WRITABLE_HIGH;
      return;
    }
    // Remote IRR means nothing for an edge; software that lost an EOI clears it by a passage through "edge".
    const kept = value & Redirection.mask.levelTriggered ? state.redirectionLow[pin]! & Redirection.mask.remoteIrr : 0;
    state.redirectionLow[pin] = (value & REDIRECTION_WRITABLE_LOW) | kept;
    this.#serveLevel(pin);
  }

  #setPin(pin: number, level: boolean): void {
    const { state } = this;
    const bit = 1 << pin;
    if (((state.levels & bit) !== 0) === level) return;
    state.levels ^= bit;
    if (!level) return;
    const { masked } = Redirection(state.redirectionLow[pin]!);
    // An edge on a masked pin is lost (§3.2.4, "Interrupt Mask").
    if (this.#isLevelTriggered(pin)) this.#serveLevel(pin);
    else if (!masked) this.#send(pin, false);
  }

  /** Sends the message of a level-triggered pin that is asserted, open, and not already being served. */
  #serveLevel(pin: number): void {
    const { state } = this;
    const { masked, remoteIrr } = Redirection(state.redirectionLow[pin]!);
    if ((state.levels & (1 << pin)) === 0 || masked || remoteIrr || !this.#isLevelTriggered(pin)) return;
    // Set first: the receiver may end the interrupt before the message returns. Nobody there: nobody will end it.
    state.redirectionLow[pin]! |= Redirection.mask.remoteIrr;
    if (!this.#send(pin, true)) state.redirectionLow[pin]! &= ~Redirection.mask.remoteIrr;
  }

  #send(pin: number, level: boolean): boolean {
    const { redirectionLow, redirectionHigh } = this.state;
    const { vector, deliveryMode: mode, logical } = Redirection(redirectionLow[pin]!);
    const destination = redirectionHigh[pin]! >>> 24;
    return this.#bus.deliver({ destination, broadcast: destination === 0xff, logical, mode, vector, level });
  }

  /** NMI, SMI, INIT and ExtINT are edges whatever the trigger mode says (§3.2.4, "Delivery Mode"). */
  #isLevelTriggered(pin: number): boolean {
    const { levelTriggered, deliveryMode } = Redirection(this.state.redirectionLow[pin]!);
    return levelTriggered && (deliveryMode === DeliveryMode.fixed || deliveryMode === DeliveryMode.lowestPriority);
  }
}
