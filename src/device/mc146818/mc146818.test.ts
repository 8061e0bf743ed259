import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualTime, ProbeLine } from "../../machine/testing/rig.ts";
import { Mc146818 } from "./mc146818.ts";

const SECOND = 1e9;
const START = Date.UTC(2024, 1, 28, 23, 59, 50) / 1000;

function rig({ unixSeconds = START, cmos = new Uint8Array(0) } = {}) {
  const time = new ManualTime();
  const irq8 = new ProbeLine();
  const nmiMask = new ProbeLine();
  const rtc = new Mc146818({ unixSeconds, cmos }, { time, irq8, nmiMask });
  const get = (register: number) => {
    rtc.writePort(0x70, 1, register);
    return rtc.readPort(0x71, 1);
  };
  const set = (register: number, value: number) => {
    rtc.writePort(0x70, 1, register);
    rtc.writePort(0x71, 1, value);
  };
  /** century, year, month, day, weekday, hours, minutes, seconds as hexadecimal digits */
  const clock = () => [0x32, 9, 8, 7, 6, 4, 2, 0].map((r) => get(r).toString(16).padStart(2, "0")).join(" ");
  return { time, irq8, nmiMask, rtc, get, set, clock };
}

test("the clock starts at the wall time and goes on with guest time, over a leap day", () => {
  const { time, clock } = rig();
  assert.equal(clock(), "20 24 02 28 04 23 59 50");
  time.advance(10 * SECOND - 1);
  assert.equal(clock(), "20 24 02 28 04 23 59 59");
  time.advance(1);
  assert.equal(clock(), "20 24 02 29 05 00 00 00");
  time.advance(86_400 * SECOND);
  assert.equal(clock(), "20 24 03 01 06 00 00 00");
});

test("a fraction of the wall time's second shifts the first update", () => {
  const { time, get } = rig({ unixSeconds: START + 0.75 });
  assert.equal(get(0), 0x50);
  time.advance(0.25 * SECOND);
  assert.equal(get(0), 0x51);
});

test("register B chooses binary bytes and 12 hours", () => {
  const { set, clock } = rig();
  set(0x0b, 0x06);
  assert.equal(clock(), "14 18 02 1c 04 17 3b 32");
  set(0x0b, 0x00);
  assert.equal(clock(), "20 24 02 28 04 91 59 50");
});

test("a guest sets the time as Linux does: SET, divider reset, bytes, release; the next second comes after 500 ms", () => {
  const { time, get, set, clock } = rig();
  time.advance(0.3 * SECOND);
  set(0x0b, 0x82);
  set(0x0a, 0x76);
  for (const [register, value] of Object.entries({ 9: 0x31, 8: 0x12, 7: 0x31, 4: 0x23, 2: 0x59, 0: 0x58, 50: 0x19 })) {
    set(Number(register), value);
  }
  time.advance(5 * SECOND);
  assert.equal(get(0), 0x58, "the time stands still");
  set(0x0b, 0x02);
  set(0x0a, 0x26);
  time.advance(0.5 * SECOND - 1);
  assert.equal(get(0), 0x58);
  time.advance(1);
  assert.equal(get(0), 0x59);
  time.advance(SECOND);
  assert.equal(clock().slice(0, 11), "19 32 01 01");
});

test("SET stops updates without moving the divider, and clears UIE", () => {
  const { time, get, set } = rig();
  time.advance(0.9 * SECOND);
  set(0x0b, 0x92);
  assert.equal(get(0x0b), 0x82);
  time.advance(10 * SECOND);
  assert.equal(get(0), 0x50);
  assert.equal(get(0x0a) & 0x80, 0);
  set(0x0b, 0x02);
  time.advance(0.1 * SECOND);
  assert.equal(get(0), 0x51);
});

test("a byte written while the clock runs changes that byte only", () => {
  const { set, clock } = rig();
  set(4, 0x07);
  set(6, 0x02);
  assert.equal(clock(), "20 24 02 28 02 07 59 50");
});

test("UIP is set for the last 2228 microseconds of a second", () => {
  const { time, get } = rig();
  time.advance(SECOND - 2_228_001);
  assert.equal(get(0x0a), 0x26);
  time.advance(1);
  assert.equal(get(0x0a), 0xa6);
  time.advance(2_227_999);
  assert.equal(get(0x0a), 0xa6);
  assert.equal(get(0), 0x50);
  time.advance(1);
  assert.equal(get(0x0a), 0x26);
  assert.equal(get(0), 0x51);
});

test("the periodic interrupt comes at exactly 1024 Hz while register C is read", () => {
  const { time, irq8, get, set } = rig();
  set(0x0b, 0x42);
  let served = 0;
  for (let i = 0; i < 100_000; i++) {
    time.advance(100_000);
    if (irq8.level) {
      assert.equal(get(0x0c) & 0xc0, 0xc0);
      assert.equal(irq8.level, false);
      served++;
    }
  }
  assert.equal(served, 10 * 1024);
});

test("an interrupt holds the line until register C is read", () => {
  const { time, irq8, get, set } = rig();
  set(0x0a, 0x23);
  set(0x0b, 0x42);
  time.advance(SECOND);
  assert.equal(irq8.level, true);
  assert.equal(irq8.rises, 1);
  assert.equal(get(0x0c), 0xd0, "IRQF, PF and, not enabled, UF");
  assert.equal(irq8.level, false);
  assert.equal(get(0x0c), 0);
  time.advance(122_071);
  assert.equal(irq8.level, true);
});

test("flags are set without their enables, and enabling one that is set interrupts at once", () => {
  const { time, irq8, get, set } = rig();
  time.advance(SECOND);
  assert.equal(irq8.level, false);
  set(0x0b, 0x12);
  assert.equal(irq8.level, true);
  assert.equal(get(0x0c) & 0x90, 0x90);
});

test("the update-ended interrupt comes with each new second", () => {
  const { time, irq8, get, set } = rig();
  set(0x0b, 0x12);
  for (let second = 1; second <= 5; second++) {
    time.advance(SECOND - 1);
    assert.equal(irq8.level, false);
    time.advance(1);
    assert.equal(irq8.level, true);
    assert.equal(get(0x0c), 0xd0);
  }
});

test("the alarm interrupt comes at its second, don't-care bytes matching all", () => {
  const { time, irq8, get, set } = rig();
  set(5, 0x00);
  set(3, 0x00);
  set(1, 0x05);
  set(0x0b, 0x22);
  time.advance(15 * SECOND - 1);
  assert.equal(irq8.level, false);
  time.advance(1);
  assert.equal(irq8.level, true);
  assert.equal(get(0x0c) & 0xa0, 0xa0);
  set(5, 0xff);
  set(3, 0xff);
  time.advance(60 * SECOND);
  assert.equal(irq8.level, true);
  get(0x0c);
  time.advance(59 * SECOND);
  assert.equal(irq8.level, false);
  time.advance(SECOND);
  assert.equal(irq8.level, true);
});

test("no periodic, update or alarm event comes while the divider is held in reset", () => {
  const { time, irq8, set } = rig();
  set(0x0a, 0x66);
  set(1, 0xff);
  set(3, 0xff);
  set(5, 0xff);
  set(0x0b, 0x72);
  time.advance(10 * SECOND);
  assert.equal(irq8.rises, 0);
});

test("RAM in both banks starts as configured and keeps what is written", () => {
  const cmos = new Uint8Array(256);
  cmos[0x10] = 0x40;
  cmos[0x0b] = 0xff;
  cmos[0x80 + 5] = 0x77;
  const { rtc, get, set } = rig({ cmos });
  assert.equal(get(0x10), 0x40);
  assert.equal(get(0x0b), 0x02, "registers are the chip's");
  set(0x7f, 0x5a);
  assert.equal(get(0x7f), 0x5a);
  rtc.writePort(0x72, 1, 5);
  assert.equal(rtc.readPort(0x73, 1), 0x77);
  rtc.writePort(0x73, 1, 0x12);
  assert.equal(rtc.readCmos(0x85), 0x12);
  rtc.writePort(0x72, 1, 0xff);
  rtc.writePort(0x73, 1, 0x34);
  assert.equal(rtc.readCmos(0xff), 0x34);
});

test("registers C and D are read-only, D shows that battery and RAM are good", () => {
  const { get, set } = rig();
  set(0x0d, 0x00);
  set(0x0c, 0xff);
  assert.equal(get(0x0d), 0x80);
  assert.equal(get(0x0c), 0);
});

test("bit 7 of port 0x70 masks the NMI and is not part of the index", () => {
  const { rtc, nmiMask, get } = rig();
  rtc.writePort(0x70, 1, 0x8d);
  assert.equal(nmiMask.level, true);
  assert.equal(rtc.readPort(0x71, 1), 0x80);
  get(0x0d);
  assert.equal(nmiMask.level, false);
});

test("reset disables interrupts and keeps time and RAM", () => {
  const { rtc, time, irq8, get, set, clock } = rig();
  set(0x0f, 0x05);
  set(0x0b, 0x12);
  time.advance(SECOND);
  assert.equal(irq8.level, true);
  rtc.reset();
  assert.equal(irq8.level, false);
  assert.equal(get(0x0b), 0x02);
  assert.equal(get(0x0f), 0x05);
  assert.equal(clock(), "20 24 02 28 04 23 59 51");
});

test("a restored clock interrupts at the same instant", () => {
  const { rtc, set } = rig();
  set(0x0b, 0x12);
  const time = new ManualTime();
  time.advance(0.4 * SECOND);
  const irq8 = new ProbeLine();
  const copy = new Mc146818({ unixSeconds: 0 }, { time, irq8, nmiMask: new ProbeLine() });
  Object.assign(copy.state, structuredClone(rtc.state));
  copy.restored();
  time.advance(0.6 * SECOND - 1);
  assert.equal(irq8.level, false);
  time.advance(1);
  assert.equal(irq8.level, true);
  copy.writePort(0x70, 1, 9);
  assert.equal(copy.readPort(0x71, 1), 0x24);
});
