/**
 * MC146818 real-time clock with the PC's 256 bytes of battery-backed RAM: index and data at ports 0x70
 * and 0x71, at 0x72 and 0x73 for the extended bank. Bit 7 of port 0x70 masks the NMI. The calendar starts
 * at a wall time given by the host and goes on with guest time.
 *
 * @spec Motorola MC146818A datasheet (ADI-1017); Intel 82371AB (PIIX4) datasheet (290562), §8.6 and §10
 *
 * Not modelled: daylight saving (DSE is stored), the square-wave pin (SQWE is stored), time bases other
 * than 32.768 kHz, how the chip counts on from bytes out of range (they count as the nearest in range).
 * Battery-backed state (time and RAM) outlives `reset`.
 */
import { bits } from "../../bits/fields.ts";
import type { Nanoseconds } from "../../bits/units.ts";
import { nanoseconds } from "../../bits/units.ts";
import type { Device, SignalLine, Timer, TimeSource } from "../../machine/device.ts";
import { ByteWidePorts, FLOATING_BYTE } from "../isa-bus/byte-wide.ts";
import { nextAlarm, readTime, type TimeFormat, TimeRegister, writeTime } from "./calendar.ts";

export const CMOS_INDEX_PORT = 0x70;
export const CMOS_DATA_PORT = 0x71;
export const CMOS_EXTENDED_INDEX_PORT = 0x72;
export const CMOS_EXTENDED_DATA_PORT = 0x73;

const BANK_SIZE = 128;
const NMI_MASK = 0x80;

const REG_A = 0x0a;
const REG_B = 0x0b;
const REG_C = 0x0c;
const REG_D = 0x0d;

export const RegA = bits({ rs: [0, 3], dv: [4, 6], uip: 7 });
export const RegB = bits({ dse: 0, hours24: 1, dm: 2, sqwe: 3, uie: 4, aie: 5, pie: 6, set: 7 });
export const RegC = bits({ uf: 4, af: 5, pf: 6, irqf: 7 });
export const RegD = bits({ vrt: 7 });

/** The interrupt flags of register C stand at the bits of their enables in register B. */
const FLAGS = RegC.mask.uf | RegC.mask.af | RegC.mask.pf;
/** DV 110 and 111 hold the divider in reset. */
const DIVIDER_RESET = 0b110;

const SECOND = 1_000_000_000;
/** UIP rises 244 µs before the update cycle (t_BUC), which takes 1984 µs (t_UC) and ends with the new second. */
const UIP_WINDOW = 244_000 + 1_984_000;
/** The first update after a divider reset comes half a second later. */
const AFTER_DIVIDER_RESET = SECOND / 2;
const BASE_HERTZ = 32_768;
/** Shorter than any event's period, nanoseconds. */
const RETRY = 1000;

const TIME_BYTES: ReadonlySet<number> = new Set([
  TimeRegister.seconds,
  TimeRegister.minutes,
  TimeRegister.hours,
  TimeRegister.dayOfWeek,
  TimeRegister.dayOfMonth,
  TimeRegister.month,
  TimeRegister.year,
  TimeRegister.century,
]);

export interface Mc146818State {
  /** Register and RAM bytes: the bank of port 0x70, then the extended bank. Time bytes are as of the last access. */
  cmos: Uint8Array;
  index: number;
  extendedIndex: number;
  /** Guest time at which the divider chain was at zero: seconds begin at whole seconds from here. */
  dividerStart: number;
  /** The calendar's time at `dividerStart`, in seconds since 1970; without meaning while the time stands still. */
  epoch: number;
  /** Days by which the guest's day of the week differs from the calendar's. */
  weekdayShift: number;
  /** Whole seconds of the divider chain that flags were set for. */
  updatesSeen: number;
  /** Whole periods of the periodic interrupt that flags were set for. */
  periodsSeen: number;
}

export interface Mc146818Config {
  /** Wall time at power-on, seconds since 1970-01-01 UTC (or local time, where the guest expects that). */
  readonly unixSeconds: number;
  /** Up to 256 initial bytes: the first bank from address 0, then the extended bank. Registers A to D and the time are not taken from it. */
  readonly cmos?: Uint8Array;
}

export interface Mc146818Wiring {
  readonly time: TimeSource;
  readonly irq8: SignalLine;
  /** High while the guest masks the NMI (port 0x70, bit 7). */
  readonly nmiMask: SignalLine;
}

export class Mc146818 extends ByteWidePorts implements Device<Mc146818State> {
  readonly state: Mc146818State;
  readonly #time: TimeSource;
  readonly #timer: Timer;
  readonly #irq8: SignalLine;
  readonly #nmiMask: SignalLine;

  constructor(config: Mc146818Config, { time, irq8, nmiMask }: Mc146818Wiring) {
    super();
    this.#time = time;
    this.#irq8 = irq8;
    this.#nmiMask = nmiMask;
    const cmos = new Uint8Array(2 * BANK_SIZE);
    if (config.cmos) cmos.set(config.cmos.subarray(0, cmos.length));
    cmos[REG_A] = RegA.pack({ dv: 0b010, rs: 0b0110 });
    cmos[REG_B] = RegB.pack({ hours24: true });
    cmos[REG_C] = 0;
    cmos[REG_D] = RegD.pack({ vrt: true });
    this.state = {
      cmos,
      index: 0,
      extendedIndex: 0,
      dividerStart: 0,
      epoch: 0,
      weekdayShift: 0,
      updatesSeen: 0,
      periodsSeen: 0,
    };
    this.#timer = time.createTimer("mc146818", () => this.#fire());
    this.setWallTime(config.unixSeconds);
  }

  /** The chip's RESET#: interrupt enables and flags go, time and RAM stay. */
  reset(): void {
    this.#catchUp();
    const { cmos } = this.state;
    cmos[REG_B] = RegB.with(this.#b, { pie: false, aie: false, uie: false, sqwe: false });
    cmos[REG_C] = 0;
    this.state.index = 0;
    this.state.extendedIndex = 0;
    this.#nmiMask.set(false);
    this.#drive();
  }

  restored(): void {
    this.#nmiMask.set((this.state.index & NMI_MASK) !== 0);
    this.#fire();
  }

  /** Sets the calendar, as a host does after its guest was asleep: seconds since 1970, a fraction included. */
  setWallTime(unixSeconds: number): void {
    const { state } = this;
    const whole = Math.floor(unixSeconds);
    state.dividerStart = this.#time.now() - Math.round((unixSeconds - whole) * SECOND);
    state.epoch = whole;
    state.weekdayShift = 0;
    state.updatesSeen = 0;
    state.periodsSeen = this.#periods(this.#time.now());
    writeTime(state.cmos, whole, this.#format, 0);
    this.#drive();
  }

  /** A byte as the guest would find it at `address`, 0 to 255, without the side effects of register C. */
  readCmos(address: number): number {
    this.#catchUp();
    return this.state.cmos[address] ?? 0;
  }

  /** Sets a byte of RAM, as the firmware does; not for the registers and time bytes. */
  writeCmos(address: number, value: number): void {
    if (address > REG_D && address !== TimeRegister.century) this.state.cmos[address] = value;
  }

  protected readByte(port: number): number {
    switch (port) {
      case CMOS_DATA_PORT:
        return this.#read(this.state.index & ~NMI_MASK);
      case CMOS_EXTENDED_INDEX_PORT:
        return this.state.extendedIndex;
      case CMOS_EXTENDED_DATA_PORT:
        return this.state.cmos[BANK_SIZE + this.state.extendedIndex] ?? FLOATING_BYTE;
      default:
        // Port 0x70 is write-only.
        return FLOATING_BYTE;
    }
  }

  protected writeByte(port: number, value: number): void {
    switch (port) {
      case CMOS_INDEX_PORT:
        this.state.index = value;
        this.#nmiMask.set((value & NMI_MASK) !== 0);
        break;
      case CMOS_DATA_PORT:
        this.#write(this.state.index & ~NMI_MASK, value);
        break;
      case CMOS_EXTENDED_INDEX_PORT:
        this.state.extendedIndex = value & ~NMI_MASK;
        break;
      case CMOS_EXTENDED_DATA_PORT:
        this.state.cmos[BANK_SIZE + this.state.extendedIndex] = value;
        break;
    }
  }

  get #a(): number {
    return this.state.cmos[REG_A] ?? 0;
  }

  get #b(): number {
    return this.state.cmos[REG_B] ?? 0;
  }

  get #format(): TimeFormat {
    const { dm, hours24 } = RegB(this.#b);
    return { binary: dm, hours24 };
  }

  get #dividerRuns(): boolean {
    return RegA(this.#a).dv < DIVIDER_RESET;
  }

  /** The calendar goes on: the divider runs and the guest is not setting it. */
  get #updating(): boolean {
    return this.#dividerRuns && (this.#b & RegB.mask.set) === 0;
  }

  /** Nanoseconds of a periodic interrupt, 0 for none ("Periodic Interrupt Rate"). */
  get #period(): number {
    const { rs } = RegA(this.#a);
    if (rs === 0) return 0;
    return (2 ** (rs < 3 ? rs + 6 : rs - 1) * SECOND) / BASE_HERTZ;
  }

  #periods(now: Nanoseconds): number {
    const period = this.#period;
    return period === 0 ? 0 : Math.floor((now - this.state.dividerStart) / period);
  }

  #updates(now: Nanoseconds): number {
    return Math.floor((now - this.state.dividerStart) / SECOND);
  }

  /** Brings time bytes and flags to the present. */
  #catchUp(): void {
    const { state } = this;
    if (!this.#dividerRuns) return;
    const now = this.#time.now();
    let flags = 0;
    const periods = this.#periods(now);
    if (periods > state.periodsSeen) {
      state.periodsSeen = periods;
      flags |= RegC.mask.pf;
    }
    const updates = this.#updates(now);
    if (updates > state.updatesSeen) {
      if (this.#updating) {
        flags |= RegC.mask.uf;
        const alarm = nextAlarm(state.cmos, state.epoch + state.updatesSeen, this.#format);
        if (alarm !== undefined && alarm <= state.epoch + updates) flags |= RegC.mask.af;
        writeTime(state.cmos, state.epoch + updates, this.#format, state.weekdayShift);
      }
      state.updatesSeen = updates;
    }
    if (flags) this.#raise(flags);
  }

  #raise(flags: number): void {
    this.state.cmos[REG_C] = (this.state.cmos[REG_C] ?? 0) | flags;
  }

  /** The calendar goes on from what the time bytes show now. */
  #adoptTime(): void {
    const { state } = this;
    const { unixSeconds, weekdayShift } = readTime(state.cmos, this.#format);
    state.epoch = unixSeconds - state.updatesSeen;
    state.weekdayShift = weekdayShift;
  }

  #read(register: number): number {
    const { cmos } = this.state;
    this.#catchUp();
    switch (register) {
      case REG_A:
        return this.#a | (this.#updateInProgress() ? RegA.mask.uip : 0);
      case REG_C: {
        const flags = (cmos[REG_C] ?? 0) & FLAGS;
        const value = flags & this.#b ? flags | RegC.mask.irqf : flags;
        cmos[REG_C] = 0;
        this.#drive();
        return value;
      }
      default:
        return cmos[register] ?? FLOATING_BYTE;
    }
  }

  #write(register: number, value: number): void {
    this.#catchUp();
    switch (register) {
      case REG_A:
        this.#writeRegA(value & ~RegA.mask.uip);
        break;
      case REG_B:
        this.#writeRegB(value);
        break;
      case REG_C:
      case REG_D:
        return;
      default:
        this.state.cmos[register] = value;
        if (TIME_BYTES.has(register) && this.#updating) this.#adoptTime();
    }
    this.#drive();
  }

  #writeRegA(value: number): void {
    const { state } = this;
    const now = this.#time.now();
    const ran = this.#dividerRuns;
    state.cmos[REG_A] = value;
    if (!ran && this.#dividerRuns) {
      state.dividerStart = now + AFTER_DIVIDER_RESET - SECOND;
      state.updatesSeen = 0;
      if (this.#updating) this.#adoptTime();
    }
    // A period in progress under the old rate is dropped.
    state.periodsSeen = this.#periods(now);
  }

  #writeRegB(value: number): void {
    const { state } = this;
    const updated = this.#updating;
    // SET clears UIE (register B, "SET").
    state.cmos[REG_B] = RegB(value).set ? value & ~RegB.mask.uie : value;
    if (this.#updating) {
      if (updated) writeTime(state.cmos, state.epoch + state.updatesSeen, this.#format, state.weekdayShift);
      else this.#adoptTime();
    }
  }

  #updateInProgress(): boolean {
    if (!this.#updating) return false;
    const intoSecond = (this.#time.now() - this.state.dividerStart) % SECOND;
    return intoSecond >= SECOND - UIP_WINDOW;
  }

  #fire(): void {
    this.#catchUp();
    this.#drive();
  }

  /** Sets the interrupt line; while it is low, arms the timer for the next event that can raise it. */
  #drive(): void {
    const requested = ((this.state.cmos[REG_C] ?? 0) & FLAGS & this.#b) !== 0;
    this.#irq8.set(requested);
    const next = requested ? undefined : this.#nextEvent();
    // Past 2^53 ns a rounded deadline can be early: then it is tried again, not at the same instant for ever.
    if (next === undefined) this.#timer.cancel();
    else this.#timer.arm(nanoseconds(Math.max(Math.ceil(next), this.#time.now() + RETRY)));
  }

  #nextEvent(): number | undefined {
    const { state } = this;
    if (!this.#dividerRuns) return undefined;
    const { pie, aie, uie } = RegB(this.#b);
    let next = Number.POSITIVE_INFINITY;
    const period = this.#period;
    if (pie && period !== 0) next = state.dividerStart + (state.periodsSeen + 1) * period;
    if (this.#updating) {
      if (uie) next = Math.min(next, state.dividerStart + (state.updatesSeen + 1) * SECOND);
      if (aie) {
        const alarm = nextAlarm(state.cmos, state.epoch + state.updatesSeen, this.#format);
        if (alarm !== undefined) next = Math.min(next, state.dividerStart + (alarm - state.epoch) * SECOND);
      }
    }
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }
}
