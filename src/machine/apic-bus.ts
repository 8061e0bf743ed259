/**
 * The message bus between local APICs, I/O APICs and devices that signal interrupts by message (MSI).
 * @spec Intel SDM vol. 3, "Advanced Programmable Interrupt Controller (APIC)": "Handling Interrupts",
 * "Determining IPI Destination", "Message Signalled Interrupts".
 *
 * Not modelled: interrupt remapping, the arbitration of the serial APIC bus, the error "send accept".
 */
import type { Device } from "./device.ts";

/** The encoding that redirection entries, LVT entries, the ICR and MSI data share. */
export const DeliveryMode = {
  fixed: 0,
  lowestPriority: 1,
  smi: 2,
  nmi: 4,
  init: 5,
  startUp: 6,
  extInt: 7,
} as const;

/** The ICR's destination shorthand. */
export const Shorthand = { none: 0, self: 1, all: 2, others: 3 } as const;

export interface InterruptMessage {
  /** An APIC ID, or with `logical` a message destination address: 8 bits, or 32 from an x2APIC. */
  readonly destination: number;
  /** The destination is all ones in the sender's width: every APIC takes the message. */
  readonly broadcast: boolean;
  readonly logical: boolean;
  /** One of `DeliveryMode`. */
  readonly mode: number;
  /** 0 to 255; the start page for `startUp`. */
  readonly vector: number;
  /** Level triggered: the receiver's EOI goes back to the I/O APICs. */
  readonly level: boolean;
}

/** A local APIC as the bus sees it. */
export interface ApicBusAgent {
  /** Whether the message is for this APIC; false while the APIC is globally disabled. */
  addressedBy(message: InterruptMessage): boolean;
  /** Software enabled: takes fixed interrupts, and part in lowest-priority arbitration. */
  readonly takesInterrupts: boolean;
  /** PPR, 0 to 255. */
  readonly processorPriority: number;
  accept(message: InterruptMessage): void;
}

/** An I/O APIC as the bus sees it. */
export interface EoiListener {
  endOfInterrupt(vector: number): void;
}

/** Where a device's message-signalled interrupts go: a 32-bit memory write. */
export interface MsiTarget {
  /** `address` 0 to 2^52, `data` unsigned 32 bits. */
  send(address: number, data: number): void;
}

export interface ApicBusState {
  /** Which agent took the last lowest-priority interrupt; the next in turn wins a tie. */
  lastArbitrationWinner: number;
}

const MSI_WINDOW = 0xfee00000;
const MSI_WINDOW_LENGTH = 0x100000;

export class ApicBus implements Device<ApicBusState>, MsiTarget {
  readonly state: ApicBusState = { lastArbitrationWinner: 0 };
  readonly #agents: ApicBusAgent[] = [];
  readonly #ioApics: EoiListener[] = [];

  attachLocalApic(agent: ApicBusAgent): void {
    this.#agents.push(agent);
  }

  attachIoApic(ioApic: EoiListener): void {
    this.#ioApics.push(ioApic);
  }

  reset(): void {
    this.state.lastArbitrationWinner = 0;
  }

  /** Delivers to the message's destination. Returns whether any local APIC took it. */
  deliver(message: InterruptMessage): boolean {
    return this.#deliver(message, (agent) => agent.addressedBy(message));
  }

  /** Delivers an IPI of `source` to the destination, or to the one of `Shorthand`. Returns whether anyone took it. */
  deliverIpi(source: ApicBusAgent, shorthand: number, message: InterruptMessage): boolean {
    switch (shorthand) {
      case Shorthand.self:
        return this.#deliver(message, (agent) => agent === source);
      case Shorthand.all:
        return this.deliver({ ...message, broadcast: true });
      case Shorthand.others: {
        const toAll = { ...message, broadcast: true };
        return this.#deliver(toAll, (agent) => agent !== source && agent.addressedBy(toAll));
      }
      default:
        return this.deliver(message);
    }
  }

  /** A memory write in the message window FEExxxxx; others reach no APIC and are dropped. */
  send(address: number, data: number): void {
    if (!(address >= MSI_WINDOW && address < MSI_WINDOW + MSI_WINDOW_LENGTH)) return;
    const level = (data & 0x8000) !== 0;
    const asserted = (data & 0x4000) !== 0;
    if (level && !asserted) return;
    const destination = (address >>> 12) & 0xff;
    const mode = (data >>> 8) & 7;
    const redirectionHint = (address & 8) !== 0;
    this.deliver({
      destination,
      broadcast: destination === 0xff,
      logical: (address & 4) !== 0,
      mode: redirectionHint && mode === DeliveryMode.fixed ? DeliveryMode.lowestPriority : mode,
      vector: data & 0xff,
      level,
    });
  }

  /** A local APIC ended a level-triggered interrupt. */
  endOfInterrupt(vector: number): void {
    for (const ioApic of this.#ioApics) ioApic.endOfInterrupt(vector);
  }

  #deliver(message: InterruptMessage, isDestination: (agent: ApicBusAgent) => boolean): boolean {
    if (message.mode === DeliveryMode.lowestPriority) return this.#arbitrate(message, isDestination);
    const needsEnabled = message.mode === DeliveryMode.fixed || message.mode === DeliveryMode.extInt;
    let accepted = false;
    for (const agent of this.#agents) {
      if (!isDestination(agent) || (needsEnabled && !agent.takesInterrupts)) continue;
      agent.accept(message);
      accepted = true;
    }
    return accepted;
  }

  #arbitrate(message: InterruptMessage, isDestination: (agent: ApicBusAgent) => boolean): boolean {
    const count = this.#agents.length;
    let winner = -1;
    let lowest = 256;
    for (let turn = 1; turn <= count; turn++) {
      const index = (this.state.lastArbitrationWinner + turn) % count;
      const agent = this.#agents[index]!;
      if (!agent.takesInterrupts || !isDestination(agent) || agent.processorPriority >= lowest) continue;
      winner = index;
      lowest = agent.processorPriority;
    }
    if (winner < 0) return false;
    this.state.lastArbitrationWinner = winner;
    this.#agents[winner]!.accept(message);
    return true;
  }
}
