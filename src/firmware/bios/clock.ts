/**
 * Time: the tick of IRQ 0, INT 1Ah, the clock's interrupt, and INT 15h's waits.
 * @spec IBM PC/AT Technical Reference, BIOS listing "TIME_OF_DAY" and "TIMER_INT"; INT 15h AH=83h and 86h
 */
import type { Clock } from "../../machine/device.ts";
import type { BiosCall, Outcome } from "./call.ts";
import { type Ports, readCmos, writeCmos } from "./chips.ts";
import { Bda, TICKS_A_DAY } from "./data-area.ts";

const Cmos = {
  seconds: 0x00,
  minutes: 0x02,
  hours: 0x04,
  day: 0x07,
  month: 0x08,
  year: 0x09,
  a: 0x0a,
  b: 0x0b,
  c: 0x0c,
  century: 0x32,
};
const ALARM = { seconds: 0x01, minutes: 0x03, hours: 0x05 };
const B = { daylight: 0x01, alarm: 0x20, periodic: 0x40, set: 0x80 };
const C = { alarm: 0x20, periodic: 0x40 };
const SLAVE_MASK = 0xa1;
const IRQ8 = 0x01;
const PERIOD_US = 976;
const WAITING = 0x01;
const POSTED = 0x80;

export class ClockService {
  readonly #ports: Ports;
  readonly #clock: Clock;

  constructor(ports: Ports, clock: Clock) {
    this.#ports = ports;
    this.#clock = clock;
  }

  /** Sets the tick count by the clock, as the power-on self test does. */
  install(call: BiosCall): void {
    const [hours, minutes, seconds] = [Cmos.hours, Cmos.minutes, Cmos.seconds].map((at) =>
      fromBcd(readCmos(this.#ports, at)),
    );
    const elapsed = ((hours ?? 0) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0);
    call.setU32(Bda.ticks, Math.floor((elapsed * 1193182) / 65536));
    call.setU8(Bda.midnight, 0);
  }

  /** IRQ 0. */
  tick(call: BiosCall): void {
    const ticks = call.u32(Bda.ticks) + 1;
    call.setU32(Bda.ticks, ticks >= TICKS_A_DAY ? 0 : ticks);
    if (ticks >= TICKS_A_DAY) call.setU8(Bda.midnight, Math.min(call.u8(Bda.midnight) + 1, 255));
    const motor = call.u8(Bda.floppyTimeout);
    if (motor > 0) call.setU8(Bda.floppyTimeout, motor - 1);
  }

  /** IRQ 8: returns whether the alarm is to be told by INT 4Ah. */
  interrupt(call: BiosCall): boolean {
    const flags = readCmos(this.#ports, Cmos.c);
    const enabled = readCmos(this.#ports, Cmos.b);
    if (flags & enabled & C.periodic && call.u8(Bda.waitActive) & WAITING) {
      const left = call.u32(Bda.waitCount) - PERIOD_US;
      call.setU32(Bda.waitCount, Math.max(left, 0));
      if (left <= 0) {
        this.#stop(call);
        const flag = call.u16(Bda.waitFlag + 2) * 16 + call.u16(Bda.waitFlag);
        call.setU8(flag, call.u8(flag) | POSTED);
      }
    }
    return (flags & enabled & C.alarm) !== 0;
  }

  #start(call: BiosCall, flag: number, microseconds: number): void {
    call.setU16(Bda.waitFlag, flag & 0xffff);
    call.setU16(Bda.waitFlag + 2, flag >>> 16);
    call.setU32(Bda.waitCount, microseconds);
    call.setU8(Bda.waitActive, WAITING);
    this.#ports.write(SLAVE_MASK, 1, this.#ports.read(SLAVE_MASK, 1) & ~IRQ8);
    writeCmos(this.#ports, Cmos.b, readCmos(this.#ports, Cmos.b) | B.periodic);
  }

  #stop(call: BiosCall): void {
    call.setU8(Bda.waitActive, 0);
    writeCmos(this.#ports, Cmos.b, readCmos(this.#ports, Cmos.b) & ~B.periodic);
  }

  /** INT 15h AH=83h: a flag is set when time is up. */
  eventWait(call: BiosCall): void {
    if (call.al === 1) this.#stop(call);
    else if (call.u8(Bda.waitActive) & WAITING) {
      call.carry = true;
      call.ah = 0x83;
      return;
    } else this.#start(call, (call.es << 16) | call.bx, call.cx * 65536 + call.dx);
    call.ah = 0;
    call.carry = false;
  }

  /** When the present wait ends, in nanoseconds of guest time; 0 for none. */
  readonly state = { waitUntil: 0 };

  /** INT 15h AH=86h: wait CX:DX microseconds. */
  wait(call: BiosCall): Outcome {
    const microseconds = call.cx * 65536 + call.dx;
    if (this.state.waitUntil === 0) {
      if (call.u8(Bda.waitActive) & WAITING) {
        call.carry = true;
        call.ah = 0x83;
        return undefined;
      }
      this.state.waitUntil = this.#clock.now() + microseconds * 1000;
      // The interrupts of the clock end the halts; the flag that they set is of no use to anybody.
      this.#start(call, (0x40 << 16) | (Bda.waitActive - 0x400), microseconds);
    }
    if (this.#clock.now() < this.state.waitUntil) return "again";
    this.state.waitUntil = 0;
    this.#stop(call);
    call.ah = 0;
    call.carry = false;
    return undefined;
  }

  reset(): void {
    this.state.waitUntil = 0;
  }

  /** INT 1Ah but for PCI. */
  service(call: BiosCall): void {
    const ports = this.#ports;
    call.carry = false;
    switch (call.ah) {
      case 0x00: {
        const ticks = call.u32(Bda.ticks);
        call.cx = ticks >>> 16;
        call.dx = ticks & 0xffff;
        call.al = call.u8(Bda.midnight);
        call.setU8(Bda.midnight, 0);
        return;
      }
      case 0x01:
        call.setU32(Bda.ticks, ((call.cx << 16) | call.dx) >>> 0);
        call.setU8(Bda.midnight, 0);
        call.ah = 0;
        return;
      case 0x02:
        call.ch = readCmos(ports, Cmos.hours);
        call.cl = readCmos(ports, Cmos.minutes);
        call.dh = readCmos(ports, Cmos.seconds);
        call.dl = readCmos(ports, Cmos.b) & B.daylight;
        call.ah = 0;
        return;
      case 0x03: {
        const b = readCmos(ports, Cmos.b);
        writeCmos(ports, Cmos.b, b | B.set);
        writeCmos(ports, Cmos.hours, call.ch);
        writeCmos(ports, Cmos.minutes, call.cl);
        writeCmos(ports, Cmos.seconds, call.dh);
        writeCmos(ports, Cmos.b, (b & ~(B.set | B.daylight)) | (call.dl & B.daylight));
        call.ah = 0;
        return;
      }
      case 0x04:
        call.ch = readCmos(ports, Cmos.century);
        call.cl = readCmos(ports, Cmos.year);
        call.dh = readCmos(ports, Cmos.month);
        call.dl = readCmos(ports, Cmos.day);
        call.ah = 0;
        return;
      case 0x05: {
        const b = readCmos(ports, Cmos.b);
        writeCmos(ports, Cmos.b, b | B.set);
        writeCmos(ports, Cmos.century, call.ch);
        writeCmos(ports, Cmos.year, call.cl);
        writeCmos(ports, Cmos.month, call.dh);
        writeCmos(ports, Cmos.day, call.dl);
        writeCmos(ports, Cmos.b, b & ~B.set);
        call.ah = 0;
        return;
      }
      case 0x06: {
        if (readCmos(ports, Cmos.b) & B.alarm) break;
        writeCmos(ports, ALARM.hours, call.ch);
        writeCmos(ports, ALARM.minutes, call.cl);
        writeCmos(ports, ALARM.seconds, call.dh);
        ports.write(SLAVE_MASK, 1, ports.read(SLAVE_MASK, 1) & ~IRQ8);
        writeCmos(ports, Cmos.b, readCmos(ports, Cmos.b) | B.alarm);
        return;
      }
      case 0x07:
        writeCmos(ports, Cmos.b, readCmos(ports, Cmos.b) & ~B.alarm);
        return;
    }
    call.carry = true;
  }
}

const fromBcd = (value: number) => (value >> 4) * 10 + (value & 0xf);
