/**
 * Local APIC of one vCPU: xAPIC registers in memory, x2APIC registers as MSRs, interrupt acceptance and
 * priority, interprocessor interrupts, timer.
 * @spec Intel SDM vol. 3, "Advanced Programmable Interrupt Controller (APIC)".
 *
 * Not modelled: writing the xAPIC ID register (ignored), remote read, focus processor checking, the errors of
 * the serial APIC bus, pin polarity (a line's level is "asserted"), what the performance, thermal and CMCI
 * entries are for (they are stored; nothing raises them), trigger mode "level" of an IPI (sent as edge, as
 * Pentium 4 and later do).
 */
import { type GuestPhysical, guestPhysical } from "../../bits/units.ts";
import { type ApicBusAgent, DeliveryMode, type InterruptMessage, Shorthand } from "../../machine/apic-bus.ts";
import type { AccessSize, Device, MemoryDevice, SignalLine, TimeSource } from "../../machine/device.ts";
import { Acceptance, type AcceptanceWiring } from "./acceptance.ts";
import { addressesX2apic, addressesXapic, x2apicLogicalId } from "./destination.ts";
import {
  ApicBase,
  ErrorStatus,
  existsInXapic,
  InterruptCommand,
  LVT_COUNT,
  LVT_WRITABLE,
  Lvt,
  LvtIndex,
  lvtIndexOf,
  Msr,
  Register,
  VERSION,
  X2APIC_REGISTERS,
} from "./registers.ts";
import { blankState, type LocalApicState } from "./state.ts";
import { LocalApicTimer } from "./timer.ts";
import type { NsAtTsc } from "./tsc.ts";

export type { ProcessorSignals } from "./acceptance.ts";

export interface LocalApicConfig {
  /** The initial (x2)APIC ID, 32 bits; an xAPIC shows its low 8. */
  id: number;
  /** Sets the BSP flag of IA32_APIC_BASE. */
  bootProcessor: boolean;
  /** MAXPHYADDR, 32 to 52: what IA32_APIC_BASE may hold. */
  physicalAddressBits: number;
}

export interface LocalApicWiring extends AcceptanceWiring {
  time: TimeSource;
  nsAtTsc: NsAtTsc;
  /** Told where the register page is (undefined: nowhere) at reset, restore and each change. */
  pageMoved?(base: GuestPhysical | undefined): void;
}

const RESET_BASE = 0xfee00000;
/** Bits of the ICR's low half that keep what is written; delivery status (bit 12) always reads "idle". */
const INTERRUPT_COMMAND_WRITABLE = 0xccfff;

export class LocalApic implements Device<LocalApicState>, MemoryDevice, ApicBusAgent {
  readonly state: LocalApicState = blankState();
  /** LINT0 (the 8259s' INTR on a PC) and LINT1 (NMI). */
  readonly lint0: SignalLine = { set: (level) => this.#acceptance.setPin(0, level) };
  readonly lint1: SignalLine = { set: (level) => this.#acceptance.setPin(1, level) };
  readonly #config: LocalApicConfig;
  readonly #wiring: LocalApicWiring;
  readonly #acceptance: Acceptance;
  readonly #timer: LocalApicTimer;

  constructor(config: LocalApicConfig, wiring: LocalApicWiring) {
    this.#config = config;
    this.#wiring = wiring;
    this.#acceptance = new Acceptance(this.state, wiring, () => this.#init());
    this.#timer = new LocalApicTimer({
      state: this.state,
      time: wiring.time,
      nsAtTsc: wiring.nsAtTsc,
      expired: () => this.#acceptance.deliverLocal(LvtIndex.timer),
    });
    wiring.bus.attachLocalApic(this);
    this.reset();
  }

  reset(): void {
    this.state.baseLow =
      (RESET_BASE | ApicBase.pack({ enabled: true, bootProcessor: this.#config.bootProcessor })) >>> 0;
    this.state.baseHigh = 0;
    this.#initialise();
    this.#wiring.pageMoved?.(this.pageBase);
  }

  restored(): void {
    this.#wiring.pageMoved?.(this.pageBase);
    this.#timer.schedule();
    this.#acceptance.update();
  }

  // The processor's side.

  /** The vector of the fixed interrupt to take next, -1 where PPR lets none through. ExtINT is not among them. */
  pendingVector(): number {
    return this.#acceptance.pendingVector();
  }

  /**
   * Takes the interrupt that `intr` announces and returns its vector: an ExtINT's from the 8259s, else the
   * pending fixed one, else (nothing is deliverable any more) the spurious vector.
   */
  acknowledge(): number {
    return this.#acceptance.acknowledge();
  }

  /** CR8: the upper half of TPR, 0 to 15. */
  readCr8(): number {
    return this.state.taskPriority >>> 4;
  }

  writeCr8(priority: number): void {
    this.state.taskPriority = (priority & 0xf) << 4;
    this.#acceptance.update();
  }

  /** Software changed the time-stamp counter: its deadline is at another time now. */
  tscAdjusted(): void {
    this.#timer.schedule();
  }

  /** Physical address of the register page, undefined in x2APIC mode and while globally disabled. */
  get pageBase(): GuestPhysical | undefined {
    if (!this.#acceptance.enabled || this.#x2apic) return undefined;
    return guestPhysical(this.state.baseHigh * 2 ** 32 + ((this.state.baseLow & ~0xfff) >>> 0));
  }

  // MSRs: IA32_APIC_BASE, IA32_TSC_DEADLINE and 800h-8FFh.

  /** Reads an MSR into `target[0]` (low) and `target[1]` (high). Returns false for #GP. */
  readMsr(msr: number, target: Uint32Array): boolean {
    const { state } = this;
    let high = 0;
    let low: number;
    if (msr === Msr.apicBase) {
      low = state.baseLow;
      high = state.baseHigh;
    } else if (msr === Msr.tscDeadline) {
      this.#timer.settle();
      low = state.tscDeadlineLow;
      high = state.tscDeadlineHigh;
    } else {
      const register = msr - Msr.x2apicFirst;
      if (!this.#x2apic || !X2APIC_REGISTERS.get(register)?.readable) return false;
      low = this.#read(register);
      if (register === Register.interruptCommandLow) high = state.interruptCommandHigh;
    }
    target[0] = low;
    target[1] = high;
    return true;
  }

  /** Writes an MSR with unsigned 32-bit halves. Returns false for #GP. */
  writeMsr(msr: number, low: number, high: number): boolean {
    if (msr === Msr.apicBase) return this.#writeBase(low, high);
    if (msr === Msr.tscDeadline) {
      this.#timer.settle();
      this.#timer.writeTscDeadline(low, high);
      return true;
    }
    const register = msr - Msr.x2apicFirst;
    const writable = X2APIC_REGISTERS.get(register)?.writable;
    if (!this.#x2apic || writable === undefined || (low & ~writable) !== 0) return false;
    if (register === Register.interruptCommandLow) this.state.interruptCommandHigh = high;
    else if (high !== 0) return false;
    this.#write(register, low);
    return true;
  }

  // Memory: registers at multiples of 16, 32 bits wide; a part of one can be read but not written.

  readMemory(offset: number, size: AccessSize): number {
    if (this.pageBase === undefined) return 2 ** (8 * size) - 1;
    if ((offset & 0xf) + size > 4) return 0;
    const register = (offset >>> 4) & 0xff;
    if (!existsInXapic(register)) {
      this.#acceptance.raiseError(ErrorStatus.mask.illegalRegister);
      return 0;
    }
    const value = this.#read(register) >>> ((offset & 3) * 8);
    return size === 4 ? value : value & (size === 2 ? 0xffff : 0xff);
  }

  writeMemory(offset: number, size: AccessSize, value: number): void {
    if (this.pageBase === undefined || size !== 4 || (offset & 0xf) !== 0) return;
    const register = (offset >>> 4) & 0xff;
    if (existsInXapic(register)) this.#write(register, value >>> 0);
    else this.#acceptance.raiseError(ErrorStatus.mask.illegalRegister);
  }

  // The APIC bus' side.

  get takesInterrupts(): boolean {
    return this.#acceptance.enabled && this.#acceptance.softwareEnabled;
  }

  get processorPriority(): number {
    return this.#acceptance.processorPriority;
  }

  addressedBy(message: InterruptMessage): boolean {
    if (!this.#acceptance.enabled) return false;
    const { logicalDestination, destinationFormat } = this.state;
    if (this.#x2apic) return addressesX2apic(message, this.#config.id);
    return addressesXapic(message, this.#config.id, logicalDestination, destinationFormat);
  }

  accept({ mode, vector, level }: InterruptMessage): void {
    if (!this.#acceptance.enabled) return;
    switch (mode) {
      case DeliveryMode.fixed:
      case DeliveryMode.lowestPriority:
        this.#acceptance.acceptFixed(vector, level);
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
      case DeliveryMode.startUp:
        this.#wiring.processor.startUp(vector);
        break;
      case DeliveryMode.extInt:
        this.#acceptance.acceptExtInt();
        break;
    }
  }

  /** "Local APIC State After It Receives an INIT-Reset IPI": all but IA32_APIC_BASE and the levels of the pins. */
  #initialise(): void {
    const { state } = this;
    const { baseLow, baseHigh, lint } = state;
    Object.assign(state, blankState(), { baseLow, baseHigh, lint });
    state.destinationFormat = 0xffffffff;
    state.spuriousVector = 0xff;
    state.lvt.fill(Lvt.mask.masked);
    this.#timer.disarm();
    this.#acceptance.update();
  }

  #init(): void {
    this.#initialise();
    this.#wiring.processor.init();
  }

  get #x2apic(): boolean {
    return (this.state.baseLow & ApicBase.mask.x2apic) !== 0;
  }

  /** "x2APIC State Transitions": from xAPIC to x2APIC, from any to disabled, from disabled to xAPIC. */
  #writeBase(low: number, high: number): boolean {
    const { state } = this;
    const addressMask = 2 ** (this.#config.physicalAddressBits - 32) - 1;
    const next = ApicBase(low);
    const now = ApicBase(state.baseLow);
    const reserved = 0xfff & ~(ApicBase.mask.bootProcessor | ApicBase.mask.x2apic | ApicBase.mask.enabled);
    if ((low & reserved) !== 0 || (high & ~addressMask) !== 0) return false;
    if (next.x2apic && !(next.enabled && now.enabled)) return false;
    if (now.x2apic && next.enabled && !next.x2apic) return false;
    const before = this.pageBase;
    state.baseLow = low;
    state.baseHigh = high;
    if (next.enabled !== now.enabled) this.#initialise();
    if (this.pageBase !== before) this.#wiring.pageMoved?.(this.pageBase);
    return true;
  }

  #read(register: number): number {
    const { state } = this;
    const lvt = lvtIndexOf(register);
    if (lvt !== undefined) return state.lvt[lvt]!;
    if (register >= Register.inService && register < Register.errorStatus) {
      const word = register & 7;
      if (register < Register.triggerMode) return state.isr[word]!;
      return register < Register.interruptRequest ? state.tmr[word]! : state.irr[word]!;
    }
    switch (register) {
      case Register.id:
        return this.#x2apic ? this.#config.id : (this.#config.id << 24) >>> 0;
      case Register.version:
        return VERSION;
      case Register.taskPriority:
        return state.taskPriority;
      case Register.processorPriority:
        return this.processorPriority;
      case Register.logicalDestination:
        return this.#x2apic ? x2apicLogicalId(this.#config.id) : state.logicalDestination;
      case Register.destinationFormat:
        return state.destinationFormat;
      case Register.spuriousVector:
        return state.spuriousVector;
      case Register.errorStatus:
        return state.errorStatus;
      case Register.interruptCommandLow:
        return state.interruptCommandLow;
      case Register.interruptCommandHigh:
        return state.interruptCommandHigh;
      case Register.initialCount:
        return state.initialCount;
      case Register.currentCount:
        this.#timer.settle();
        return this.#timer.currentCount();
      case Register.divideConfiguration:
        return state.divideConfiguration;
      default:
        return 0;
    }
  }

  #write(register: number, value: number): void {
    const { state } = this;
    const lvt = lvtIndexOf(register);
    if (lvt !== undefined) {
      this.#writeLvt(lvt, value);
      return;
    }
    switch (register) {
      case Register.taskPriority:
        state.taskPriority = value & 0xff;
        this.#acceptance.update();
        break;
      case Register.eoi:
        this.#acceptance.endOfInterrupt();
        break;
      case Register.logicalDestination:
        state.logicalDestination = (value & 0xff000000) >>> 0;
        break;
      case Register.destinationFormat:
        state.destinationFormat = (value | 0x0fffffff) >>> 0;
        break;
      case Register.spuriousVector:
        state.spuriousVector = value & 0x13ff;
        if (!this.#acceptance.softwareEnabled) {
          this.#timer.settle();
          for (let index = 0; index < LVT_COUNT; index++) this.#writeLvt(index, state.lvt[index]!);
        }
        break;
      case Register.errorStatus:
        state.errorStatus = state.pendingErrors;
        state.pendingErrors = 0;
        break;
      case Register.interruptCommandLow:
        state.interruptCommandLow = value & INTERRUPT_COMMAND_WRITABLE;
        this.#sendIpi();
        break;
      case Register.interruptCommandHigh:
        state.interruptCommandHigh = (value & 0xff000000) >>> 0;
        break;
      case Register.initialCount:
        this.#timer.settle();
        this.#timer.writeInitialCount(value);
        break;
      case Register.divideConfiguration:
        this.#timer.settle();
        this.#timer.writeDivideConfiguration(value);
        break;
      case Register.selfIpi:
        this.#send(Shorthand.self, {
          destination: this.#config.id,
          broadcast: false,
          logical: false,
          mode: DeliveryMode.fixed,
          vector: value & 0xff,
          level: false,
        });
        break;
    }
  }

  #writeLvt(index: number, value: number): void {
    const { state } = this;
    if (index === LvtIndex.timer) this.#timer.settle();
    const timerMode = this.#timer.mode;
    const writable = LVT_WRITABLE[index]!;
    const kept = state.lvt[index]! & Lvt.mask.remoteIrr;
    const masked = this.#acceptance.softwareEnabled ? 0 : Lvt.mask.masked;
    state.lvt[index] = (value & writable) | kept | masked;
    if (index === LvtIndex.timer) this.#timer.modeWritten(timerMode);
    else if (index === LvtIndex.lint0 || index === LvtIndex.lint1) this.#acceptance.serveLevelPin(index);
    this.#acceptance.update();
  }

  #sendIpi(): void {
    const { interruptCommandLow, interruptCommandHigh } = this.state;
    const { vector, deliveryMode: mode, logical, shorthand, ...trigger } = InterruptCommand(interruptCommandLow);
    // The modes that only LVT and redirection entries have are reserved here.
    if (mode === 3 || mode === DeliveryMode.extInt) return;
    // INIT level de-assert only synchronised the arbitration IDs of the serial APIC bus.
    if (mode === DeliveryMode.init && trigger.levelTriggered && !trigger.assert) return;
    const destination = this.#x2apic ? interruptCommandHigh : interruptCommandHigh >>> 24;
    const broadcast = destination === (this.#x2apic ? 0xffffffff : 0xff);
    this.#send(shorthand, { destination, broadcast, logical, mode, vector, level: false });
  }

  #send(shorthand: number, message: InterruptMessage): void {
    const hasVector = message.mode === DeliveryMode.fixed || message.mode === DeliveryMode.lowestPriority;
    if (hasVector && message.vector < 16) this.#acceptance.raiseError(ErrorStatus.mask.sendIllegalVector);
    else this.#wiring.bus.deliverIpi(this, shorthand, message);
  }
}
