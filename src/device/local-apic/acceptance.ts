/**
 * How a local APIC accepts interrupts and hands them to its processor: IRR, ISR, TMR and PPR, the LINT pins,
 * the local vector table, errors.
 * @spec Intel SDM vol. 3, "Handling Local Interrupts", "Handling Interrupts".
 */
import { type ApicBus, DeliveryMode } from "../../machine/apic-bus.ts";
import type { SignalLine } from "../../machine/device.ts";
import { ApicBase, ErrorStatus, Lvt, LvtIndex, SpuriousVector } from "./registers.ts";
import type { LocalApicState } from "./state.ts";
import { hasVector, highestVector, setVector } from "./vector-set.ts";

/** What an APIC makes its processor do, apart from maskable interrupts. */
export interface ProcessorSignals {
  nmi(): void;
  smi(): void;
  /** INIT; the APIC has already put itself in its state after INIT. */
  init(): void;
  /** Start-up IPI: a processor that waits for it begins at physical address `vector` * 4096. */
  startUp(vector: number): void;
}

export interface AcceptanceWiring {
  bus: ApicBus;
  /** High while the processor has a maskable interrupt to take. */
  intr: SignalLine;
  processor: ProcessorSignals;
  /** The interrupt-acknowledge cycle on the 8259s; returns their vector. */
  acknowledgeExtInt(): number;
}

/** The upper four bits of a vector or priority: its class. */
const PRIORITY_CLASS = 0xf0;
/** Vectors below are the processor's exceptions; an APIC takes none of them. */
const FIRST_LEGAL_VECTOR = 16;

const LINT_ENTRIES = [LvtIndex.lint0, LvtIndex.lint1] as const;

export class Acceptance {
  readonly #state: LocalApicState;
  readonly #wiring: AcceptanceWiring;
  /** Performs INIT: see `LocalApic.accept`. */
  readonly #init: () => void;

  constructor(state: LocalApicState, wiring: AcceptanceWiring, init: () => void) {
    this.#state = state;
    this.#wiring = wiring;
    this.#init = init;
  }

  get enabled(): boolean {
    return (this.#state.baseLow & ApicBase.mask.enabled) !== 0;
  }

  get softwareEnabled(): boolean {
    return (this.#state.spuriousVector & SpuriousVector.mask.softwareEnabled) !== 0;
  }

  /** PPR: TPR, or the class in service where that is higher. */
  get processorPriority(): number {
    const { taskPriority, isr } = this.#state;
    const inService = Math.max(0, highestVector(isr)) & PRIORITY_CLASS;
    return (taskPriority & PRIORITY_CLASS) >= inService ? taskPriority : inService;
  }

  /** The vector of the fixed interrupt to take next, -1 where PPR lets none through. */
  pendingVector(): number {
    if (!this.enabled) return -1;
    const vector = highestVector(this.#state.irr);
    return vector >= 0 && (vector & PRIORITY_CLASS) > (this.processorPriority & PRIORITY_CLASS) ? vector : -1;
  }

  /** See `LocalApic.acknowledge`. */
  acknowledge(): number {
    const state = this.#state;
    if (this.#extIntPending) {
      state.extIntRequested = false;
      const vector = this.#wiring.acknowledgeExtInt() & 0xff;
      this.update();
      return vector;
    }
    const vector = this.pendingVector();
    if (vector < 0) return SpuriousVector(state.spuriousVector).vector;
    setVector(state.irr, vector, false);
    setVector(state.isr, vector, true);
    this.update();
    return vector;
  }

  acceptFixed(vector: number, level: boolean): void {
    if (vector < FIRST_LEGAL_VECTOR) {
      this.raiseError(ErrorStatus.mask.receivedIllegalVector);
      return;
    }
    setVector(this.#state.irr, vector, true);
    setVector(this.#state.tmr, vector, level);
    this.update();
  }

  acceptExtInt(): void {
    this.#state.extIntRequested = true;
    this.update();
  }

  endOfInterrupt(): void {
    const state = this.#state;
    const vector = highestVector(state.isr);
    if (vector < 0) return;
    setVector(state.isr, vector, false);
    if (hasVector(state.tmr, vector)) {
      for (const index of LINT_ENTRIES) {
        const entry = Lvt(state.lvt[index]!);
        if (entry.remoteIrr && entry.vector === vector) state.lvt[index]! &= ~Lvt.mask.remoteIrr;
        this.serveLevelPin(index);
      }
      if ((state.spuriousVector & SpuriousVector.mask.suppressEoiBroadcast) === 0) {
        this.#wiring.bus.endOfInterrupt(vector);
      }
    }
    this.update();
  }

  /** Records an error (a bit of ESR) and raises the error interrupt when it is a new one. */
  raiseError(error: number): void {
    const state = this.#state;
    if ((state.pendingErrors & error) !== 0) return;
    state.pendingErrors |= error;
    this.deliverLocal(LvtIndex.error);
  }

  /** Raises the interrupt of an LVT entry unless that is masked. */
  deliverLocal(index: number): void {
    const { masked, deliveryMode, vector } = Lvt(this.#state.lvt[index]!);
    if (masked) return;
    switch (deliveryMode) {
      case DeliveryMode.fixed:
        this.acceptFixed(vector, false);
        break;
      case DeliveryMode.smi:
        this.#wiring.processor.smi();
        break;
      case DeliveryMode.nmi:
        this.#wiring.processor.nmi();
        break;
      case DeliveryMode.init:
        this.#init();
        break;
    }
  }

  /** A LINT pin has a new level. While the APIC is globally disabled the pins are INTR and NMI. */
  setPin(pin: 0 | 1, level: boolean): void {
    const { lint } = this.#state;
    if (lint[pin] === level) return;
    lint[pin] = level;
    const index = LINT_ENTRIES[pin];
    if (!this.enabled) {
      if (pin === 1 && level) this.#wiring.processor.nmi();
    } else if (this.#isLevelTriggered(index)) this.serveLevelPin(index);
    else if (level) this.deliverLocal(index);
    this.update();
  }

  /** Delivers a level-triggered pin's interrupt if it is asserted and not already being served. */
  serveLevelPin(index: (typeof LINT_ENTRIES)[number]): void {
    const state = this.#state;
    const { masked, remoteIrr, vector } = Lvt(state.lvt[index]!);
    if (!state.lint[index - LvtIndex.lint0] || masked || remoteIrr || !this.#isLevelTriggered(index)) return;
    state.lvt[index]! |= Lvt.mask.remoteIrr;
    this.acceptFixed(vector, true);
  }

  /** Drives `intr`; called after anything that it depends on has changed. */
  update(): void {
    this.#wiring.intr.set(this.#extIntPending || this.pendingVector() >= 0);
  }

  /** The 8259s have an interrupt that passes through: by a pin in mode ExtINT, or by way of an I/O APIC. */
  get #extIntPending(): boolean {
    const { lint, extIntRequested } = this.#state;
    if (!this.enabled) return lint[0] === true;
    return extIntRequested || this.#passesExtInt(0) || this.#passesExtInt(1);
  }

  #passesExtInt(pin: 0 | 1): boolean {
    if (!this.#state.lint[pin]) return false;
    const { masked, deliveryMode } = Lvt(this.#state.lvt[LINT_ENTRIES[pin]]!);
    return !masked && deliveryMode === DeliveryMode.extInt;
  }

  /** Only mode "fixed" looks at the trigger mode: NMI, SMI and INIT are edges, ExtINT is a level. */
  #isLevelTriggered(index: number): boolean {
    const { deliveryMode, levelTriggered } = Lvt(this.#state.lvt[index]!);
    return deliveryMode === DeliveryMode.fixed && levelTriggered;
  }
}
