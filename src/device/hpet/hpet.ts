/**
 * High precision event timer: a 64-bit main counter at 100 MHz and three comparators, each 32 or 64 bits
 * wide, one-shot or periodic. In legacy replacement comparators 0 and 1 take the place of the 8254 and the
 * real-time clock on IRQ 0 and IRQ 8: those two reach the interrupt controllers through this device.
 *
 * @spec Intel IA-PC HPET (High Precision Event Timers) Specification 1.0a, §2.3 "Register Definitions"
 *
 * Not modelled: front side bus (message) interrupts, whose capability bits are zero; accesses other than of
 * 4 aligned bytes (writes are ignored). An edge-triggered interrupt leaves its line high until the comparator's
 * next one, so that an 8259 keeps the request. Periods under 10 µs give their interrupts 10 µs apart or more.
 */
import { bits } from "../../bits/fields.ts";
import { nanoseconds } from "../../bits/units.ts";
import type { AccessSize, Device, MemoryDevice, SignalLine, Timer, TimeSource } from "../../machine/device.ts";
import {
  advance,
  COMPARATOR_COUNT,
  type ComparatorState,
  type CounterState,
  counterHighAt,
  counterLowAt,
  NEVER,
  nextMatch,
  powerOnComparator,
  TimerConfig,
} from "./comparator.ts";

/** Bytes of the register block, and where a PC has it. */
export const HPET_SIZE = 0x400;
export const HPET_ADDRESS = 0xfed0_0000;
/** COUNTER_CLK_PERIOD, femtoseconds. */
export const HPET_CLOCK_PERIOD_FS = 10_000_000;
const NS_PER_TICK = 10;

const GCAP_ID = 0x000;
const GEN_CONF = 0x010;
const GINTR_STA = 0x020;
const MAIN_CNT = 0x0f0;
const TIMER_BLOCK = 0x100;
const TIMER_STRIDE = 0x20;
const TN_CONF = 0x00;
const TN_COMP = 0x08;

const GcapId = bits({ revId: [0, 7], numTimCap: [8, 12], countSizeCap: 13, legRtCap: 15, vendorId: [16, 31] });
const GCAP_ID_LOW = GcapId.pack({
  revId: 1,
  numTimCap: COMPARATOR_COUNT - 1,
  countSizeCap: true,
  legRtCap: true,
  vendorId: 0x8086,
});

export const GenConf = bits({ enableCnf: 0, legRtCnf: 1 });

/** Tn_CONF bits that can be written: not the capabilities, nor FSB_EN. */
const CONF_WRITABLE =
  TimerConfig.mask.intTypeCnf |
  TimerConfig.mask.intEnbCnf |
  TimerConfig.mask.typeCnf |
  TimerConfig.mask.valSetCnf |
  TimerConfig.mask.mode32Cnf |
  TimerConfig.mask.intRouteCnf;
const CONF_CAPABILITIES = TimerConfig.pack({ perIntCap: true, sizeCap: true });

export interface HpetState {
  counter: CounterState;
  genConf: number;
  gintrSta: number;
  comparators: ComparatorState[];
  /** Levels at the inputs from the 8254 and the real-time clock. */
  pitLevel: boolean;
  rtcLevel: boolean;
}

export interface HpetConfig {
  /** Tn_INT_ROUTE_CAP of all comparators: a bit for each I/O APIC input that they may drive. */
  readonly routes: number;
}

export interface HpetWiring {
  readonly time: TimeSource;
  /** I/O APIC inputs by number, 0 to 31; only those of `HpetConfig.routes` are asked for. */
  readonly route: (input: number) => SignalLine;
  /** IRQ 0 (I/O APIC input 2) and IRQ 8, behind the switch of legacy replacement. */
  readonly irq0: SignalLine;
  readonly irq8: SignalLine;
}

const powerOn = () => ({
  counter: { low: 0, high: 0, since: 0, running: false },
  genConf: 0,
  gintrSta: 0,
  comparators: Array.from({ length: COMPARATOR_COUNT }, powerOnComparator),
});

export class Hpet implements Device<HpetState>, MemoryDevice {
  readonly state: HpetState = { ...powerOn(), pitLevel: false, rtcLevel: false };
  /** For the 8254's counter 0 and the real-time clock: passed on to IRQ 0 and IRQ 8 outside legacy replacement. */
  readonly pitInput: SignalLine = { set: (level) => this.#setInput("pitLevel", level) };
  readonly rtcInput: SignalLine = { set: (level) => this.#setInput("rtcLevel", level) };
  readonly #time: TimeSource;
  readonly #timers: Timer[];
  readonly #routeMask: number;
  readonly #routes: { bit: number; line: SignalLine }[] = [];
  readonly #irq0: SignalLine;
  readonly #irq8: SignalLine;

  constructor({ routes }: HpetConfig, { time, route, irq0, irq8 }: HpetWiring) {
    this.#time = time;
    this.#irq0 = irq0;
    this.#irq8 = irq8;
    this.#routeMask = routes >>> 0;
    for (let input = 0; input < 32; input++) {
      if ((routes >>> input) & 1) this.#routes.push({ bit: 1 << input, line: route(input) });
    }
    this.#timers = this.state.comparators.map((_, n) => time.createTimer(`hpet ${n}`, () => this.#fire(n)));
  }

  reset(): void {
    Object.assign(this.state, powerOn());
    this.#armAll();
    this.#drive();
  }

  restored(): void {
    this.#armAll();
    this.#drive();
  }

  readMemory(offset: number, size: AccessSize): number {
    const value = this.#read(offset & ~3);
    if (size === 4) return value;
    const part = value >>> (8 * (offset & 3));
    return size === 1 ? part & 0xff : part & 0xffff;
  }

  writeMemory(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || offset & 3) return;
    for (let n = 0; n < COMPARATOR_COUNT; n++) this.#catchUp(n);
    switch (offset) {
      case GEN_CONF:
        this.#writeGenConf(value);
        break;
      case GINTR_STA:
        this.state.gintrSta &= ~value;
        break;
      case MAIN_CNT:
      case MAIN_CNT + 4:
        this.#writeCounter(offset, value);
        break;
      default:
        this.#writeTimer(offset, value);
    }
    this.#drive();
  }

  #setInput(name: "pitLevel" | "rtcLevel", level: boolean): void {
    this.state[name] = level;
    if (this.#legacy) return;
    (name === "pitLevel" ? this.#irq0 : this.#irq8).set(level);
  }

  get #legacy(): boolean {
    return (this.state.genConf & GenConf.mask.legRtCnf) !== 0;
  }

  #tick(): number {
    return Math.floor(this.#time.now() / NS_PER_TICK);
  }

  #read(offset: number): number {
    const { state } = this;
    switch (offset) {
      case MAIN_CNT:
        return counterLowAt(state.counter, this.#tick());
      case MAIN_CNT + 4:
        return counterHighAt(state.counter, this.#tick());
      case GCAP_ID:
        return GCAP_ID_LOW;
      case GCAP_ID + 4:
        return HPET_CLOCK_PERIOD_FS;
      case GEN_CONF:
        return state.genConf;
      case GINTR_STA:
        for (let n = 0; n < COMPARATOR_COUNT; n++) this.#catchUp(n);
        return state.gintrSta;
      default:
        return this.#readTimer(offset);
    }
  }

  #readTimer(offset: number): number {
    const n = Math.floor((offset - TIMER_BLOCK) / TIMER_STRIDE);
    const comparator = this.state.comparators[n];
    if (!comparator) return 0;
    switch (offset - TIMER_BLOCK - n * TIMER_STRIDE) {
      case TN_CONF:
        return comparator.config | CONF_CAPABILITIES;
      case TN_CONF + 4:
        return this.#routeMask;
      case TN_COMP:
        this.#catchUp(n);
        return comparator.low;
      case TN_COMP + 4:
        this.#catchUp(n);
        return TimerConfig(comparator.config).mode32Cnf ? 0 : comparator.high;
      default:
        return 0;
    }
  }

  #writeGenConf(value: number): void {
    const { state } = this;
    const tick = this.#tick();
    const { enableCnf, legRtCnf } = GenConf(value);
    state.genConf = GenConf.pack({ enableCnf, legRtCnf });
    if (enableCnf === state.counter.running) return;
    const low = counterLowAt(state.counter, tick);
    const high = counterHighAt(state.counter, tick);
    state.counter = { low, high, since: tick, running: enableCnf };
    this.#matchAll();
  }

  #writeCounter(offset: number, value: number): void {
    const { state } = this;
    const tick = this.#tick();
    const low = offset === MAIN_CNT ? value : counterLowAt(state.counter, tick);
    const high = offset === MAIN_CNT ? counterHighAt(state.counter, tick) : value;
    state.counter = { low, high, since: tick, running: state.counter.running };
    this.#matchAll();
  }

  #writeTimer(offset: number, value: number): void {
    const n = Math.floor((offset - TIMER_BLOCK) / TIMER_STRIDE);
    const comparator = this.state.comparators[n];
    if (!comparator) return;
    switch (offset - TIMER_BLOCK - n * TIMER_STRIDE) {
      case TN_CONF:
        this.#writeConfig(n, comparator, value);
        break;
      case TN_COMP:
        this.#writeComparatorLow(n, comparator, value);
        break;
      case TN_COMP + 4:
        this.#writeComparatorHigh(n, comparator, value);
        break;
    }
  }

  #writeConfig(n: number, comparator: ComparatorState, value: number): void {
    const { typeCnf, mode32Cnf, intTypeCnf, intEnbCnf } = TimerConfig(value);
    const resized = TimerConfig(comparator.config).mode32Cnf !== mode32Cnf;
    comparator.config = value & CONF_WRITABLE;
    // VAL_SET is for periodic comparators.
    if (!typeCnf) comparator.config &= ~TimerConfig.mask.valSetCnf;
    if (mode32Cnf) comparator.high = comparator.periodHigh = 0;
    comparator.accumulatorOpen = false;
    if (intTypeCnf || !intEnbCnf) comparator.edge = false;
    // Only a change of size moves the match: one that was had is not had again.
    if (resized) this.#match(n);
    else this.#arm(n);
  }

  /**
   * In periodic mode a write sets the period; with VAL_SET it sets the accumulator too, and VAL_SET goes.
   * The high half that follows belongs to the same write.
   */
  #writeComparatorLow(n: number, comparator: ComparatorState, value: number): void {
    const { typeCnf, valSetCnf } = TimerConfig(comparator.config);
    comparator.accumulatorOpen = valSetCnf;
    comparator.config &= ~TimerConfig.mask.valSetCnf;
    if (typeCnf) comparator.periodLow = value;
    if (typeCnf && !valSetCnf) return;
    comparator.low = value;
    this.#match(n);
  }

  #writeComparatorHigh(n: number, comparator: ComparatorState, value: number): void {
    const { typeCnf, mode32Cnf, valSetCnf } = TimerConfig(comparator.config);
    if (mode32Cnf) return;
    const accumulator = valSetCnf || comparator.accumulatorOpen;
    comparator.accumulatorOpen = false;
    comparator.config &= ~TimerConfig.mask.valSetCnf;
    if (typeCnf) comparator.periodHigh = value;
    if (typeCnf && !accumulator) return;
    comparator.high = value;
    this.#match(n);
  }

  #matchAll(): void {
    for (let n = 0; n < COMPARATOR_COUNT; n++) this.#match(n);
  }

  /** Works out when comparator `n` meets the counter next. */
  #match(n: number): void {
    const comparator = this.state.comparators[n];
    if (!comparator) return;
    comparator.fireAt = nextMatch(comparator, this.state.counter, this.#tick());
    this.#arm(n);
  }

  #armAll(): void {
    for (let n = 0; n < COMPARATOR_COUNT; n++) this.#arm(n);
  }

  /** Arms the host's timer where somebody can notice: an interrupt, or a status bit of a level-triggered one. */
  #arm(n: number): void {
    const comparator = this.state.comparators[n];
    const timer = this.#timers[n];
    if (!comparator || !timer) return;
    const { intEnbCnf, intTypeCnf } = TimerConfig(comparator.config);
    const { fireAt } = comparator;
    if (fireAt === NEVER || !(intEnbCnf || intTypeCnf)) timer.cancel();
    else timer.arm(nanoseconds(fireAt * NS_PER_TICK));
  }

  #catchUp(n: number): void {
    const fireAt = this.state.comparators[n]?.fireAt ?? NEVER;
    if (fireAt !== NEVER && this.#tick() >= fireAt) this.#fire(n);
  }

  /** Comparator `n` has met the counter: matches that are overdue count as one. */
  #fire(n: number): void {
    const comparator = this.state.comparators[n];
    if (!comparator || comparator.fireAt === NEVER) return;
    const tick = Math.max(comparator.fireAt, this.#tick());
    const { intTypeCnf, intEnbCnf } = TimerConfig(comparator.config);
    advance(comparator, tick);
    this.#arm(n);
    if (intTypeCnf) {
      this.state.gintrSta |= 1 << n;
    } else if (intEnbCnf) {
      comparator.edge = false;
      this.#drive();
      comparator.edge = true;
    }
    this.#drive();
  }

  /** Sets every line that this device can drive. */
  #drive(): void {
    const { comparators, gintrSta, counter, pitLevel, rtcLevel } = this.state;
    const legacy = this.#legacy;
    const levels = [pitLevel, rtcLevel];
    let routed = 0;
    for (const [n, comparator] of comparators.entries()) {
      const { intEnbCnf, intTypeCnf, intRouteCnf } = TimerConfig(comparator.config);
      const asked = intTypeCnf ? (gintrSta & (1 << n)) !== 0 : comparator.edge;
      const level = counter.running && intEnbCnf && asked;
      if (legacy && n < levels.length) levels[n] = level;
      else if (level) routed |= 1 << intRouteCnf;
    }
    this.#irq0.set(levels[0] ?? false);
    this.#irq8.set(levels[1] ?? false);
    for (const { bit, line } of this.#routes) line.set((routed & bit) !== 0);
  }
}
