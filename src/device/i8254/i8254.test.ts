import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualTime, ProbeLine } from "../../machine/testing/rig.ts";
import { oscillator } from "../oscillator/oscillator.ts";
import { I8254, NmiStatus, PIT_HERTZ } from "./i8254.ts";

const CLK = oscillator(PIT_HERTZ);

function rig() {
  const time = new ManualTime();
  const irq0 = new ProbeLine();
  const tones: number[] = [];
  const pit = new I8254({ time, irq0, speaker: (hertz) => tones.push(hertz) });
  const out = (port: number, ...values: number[]) => {
    for (const value of values) pit.writePort(port, 1, value);
  };
  const inb = (port: number) => pit.readPort(port, 1);
  const inw = (port: number) => inb(port) | (inb(port) << 8);
  /** Moves time to the first nanosecond of a tick. */
  const runTo = (tick: number) => time.advance(CLK.timeOf(tick) - time.now());
  irq0.rises = 0;
  return { time, irq0, tones, pit, out, inb, inw, runTo };
}

test("counter 0 in mode 2 gives an edge every count, without drift over an hour", () => {
  const { irq0, out, runTo } = rig();
  out(0x43, 0x34);
  out(0x40, 11932 & 0xff, 11932 >> 8);
  assert.equal(irq0.rises, 0, "programming gives no edge");
  runTo(11932);
  assert.equal(irq0.rises, 0);
  runTo(11933);
  assert.equal(irq0.rises, 1, "the count is loaded one clock after it was written");
  const ticks = 3600 * 100;
  runTo(1 + 11932 * ticks - 1);
  assert.equal(irq0.rises, ticks - 1);
  runTo(1 + 11932 * ticks);
  assert.equal(irq0.rises, ticks);
  assert.equal(irq0.level, true, "the line stays high, so that the request lasts until it is acknowledged");
});

test("counter 0 in mode 3 is a square wave", () => {
  const { irq0, out, runTo } = rig();
  out(0x43, 0x36);
  out(0x40, 0x00, 0x00);
  runTo(1 + 0x8000 - 1);
  assert.equal(irq0.level, true);
  runTo(1 + 0x8000);
  assert.equal(irq0.level, false);
  runTo(1 + 0x10000);
  assert.equal(irq0.level, true);
  assert.equal(irq0.rises, 1);
});

test("counter 0 in mode 0 is one edge at N + 1 clocks, in mode 4 at the end of the strobe", () => {
  const { irq0, out, runTo } = rig();
  out(0x43, 0x30);
  assert.equal(irq0.level, false);
  out(0x40, 0xe8, 0x03);
  runTo(1000);
  assert.equal(irq0.level, false);
  runTo(1001);
  assert.equal(irq0.level, true);
  runTo(500_000);
  assert.equal(irq0.rises, 1);
  out(0x43, 0x38);
  out(0x40, 0xe8, 0x03);
  runTo(501_001);
  assert.equal(irq0.rises, 1);
  runTo(501_002);
  assert.equal(irq0.rises, 2);
  runTo(900_000);
  assert.equal(irq0.rises, 2);
});

test("a timer that runs late gives one edge and keeps the phase", () => {
  const { time, irq0, pit, out, runTo } = rig();
  out(0x43, 0x34);
  out(0x40, 0x00, 0x10);
  // The host stood still for 100 periods: state moves on only at the next access.
  const late = new ManualTime();
  late.advance(CLK.timeOf(1 + 0x1000 * 100 + 7));
  const irq = new ProbeLine();
  const copy = new I8254({ time: late, irq0: irq });
  Object.assign(copy.state, structuredClone(pit.state));
  irq.rises = 0;
  copy.restored();
  late.advance(0);
  assert.equal(irq.rises, 1);
  late.advance(CLK.timeOf(1 + 0x1000 * 101) - late.now());
  assert.equal(irq.rises, 2);
  runTo(1);
  assert.equal(irq0.rises, 0);
  assert.equal(time.now(), CLK.timeOf(1));
});

test("a new count in mode 2 takes over at the end of the present period", () => {
  const { irq0, out, runTo } = rig();
  out(0x43, 0x34);
  out(0x40, 0x00, 0x10);
  runTo(100);
  out(0x40, 0x00, 0x01);
  runTo(0x1000);
  assert.equal(irq0.rises, 0);
  runTo(1 + 0x1000);
  assert.equal(irq0.rises, 1);
  runTo(1 + 0x1000 + 0x100);
  assert.equal(irq0.rises, 2);
});

test("the latch command holds the count until both bytes are read", () => {
  const { out, inb, inw, runTo } = rig();
  out(0x43, 0x34);
  out(0x40, 0x34, 0x12);
  runTo(1 + 0x34);
  out(0x43, 0x00);
  runTo(300);
  out(0x43, 0x00);
  assert.equal(inb(0x40), 0x00);
  assert.equal(inb(0x40), 0x12);
  runTo(301);
  assert.equal(inw(0x40), 0x1234 - 300);
});

test("read-back latches status and count of several counters, status first", () => {
  const { out, inb, inw, runTo } = rig();
  out(0x43, 0x34);
  out(0x40, 0x00, 0x20);
  out(0x43, 0xb0);
  out(0x42, 0x00);
  runTo(0x11);
  out(0x43, 0xc0 | 0x0a);
  assert.equal(inb(0x40), 0xb4, "OUT high, loaded, both bytes, mode 2");
  assert.equal(inw(0x40), 0x1ff0);
  assert.equal(inb(0x42), 0x70, "OUT low, null count, both bytes, mode 0");
  out(0x43, 0xe2);
  assert.equal(inb(0x40), 0xb4, "status only");
  assert.equal(inw(0x40), 0x1ff0, "then the running count");
});

test("counters can be set and read by one byte alone", () => {
  const { out, inb, runTo } = rig();
  out(0x43, 0x14);
  out(0x40, 0x80);
  runTo(1 + 0x10);
  assert.equal(inb(0x40), 0x70);
  assert.equal(inb(0x40), 0x70);
  out(0x43, 0x24);
  out(0x40, 0x80);
  runTo(1 + 0x10 + 1 + 0x101);
  assert.equal(inb(0x40), 0x7e);
});

test("a BCD counter counts decimal digits", () => {
  const { out, inw, runTo, irq0 } = rig();
  out(0x43, 0x35);
  out(0x40, 0x00, 0x10);
  runTo(2);
  assert.equal(inw(0x40), 0x0999);
  runTo(1001);
  assert.equal(irq0.rises, 1);
});

test("counter 2 runs with the gate of port 0x61 and shows its output there", () => {
  const { out, inb, inw, runTo } = rig();
  out(0x61, 0x00);
  out(0x43, 0xb0);
  out(0x42, 0x10, 0x27);
  runTo(5000);
  assert.equal(NmiStatus(inb(0x61)).timerCounter2Out, false);
  assert.equal(inw(0x42), 10_000, "loaded, but not counting");
  out(0x61, 0x01);
  runTo(14_999);
  assert.equal(NmiStatus(inb(0x61)).timerCounter2Out, false);
  runTo(15_000);
  assert.equal(NmiStatus(inb(0x61)).timerCounter2Out, true);
  assert.equal(inb(0x61) & 0xc3, 0x01);
});

test("port 0x61 keeps its low four bits and toggles refresh every 15 microseconds", () => {
  const { time, out, inb } = rig();
  out(0x61, 0xff);
  assert.equal(inb(0x61) & 0xcf, 0x0f);
  let toggles = 0;
  let last = inb(0x61) & 0x10;
  for (let i = 0; i < 1000; i++) {
    time.advance(1000);
    const now = inb(0x61) & 0x10;
    if (now !== last) toggles++;
    last = now;
  }
  assert.ok(toggles >= 65 && toggles <= 67, `${toggles} toggles in a millisecond`);
});

test("the speaker sounds counter 2's square wave while gate and data are on", () => {
  const { out, tones } = rig();
  out(0x43, 0xb6);
  out(0x42, 0xa9, 0x04);
  assert.deepEqual(tones, []);
  out(0x61, 0x03);
  assert.equal(Math.round(tones[0]!), 1000);
  out(0x61, 0x01);
  assert.equal(tones[1], 0);
});

test("a tone follows counts that are written while it sounds, and is silent where OUT stands still", () => {
  const { out, pit } = rig();
  const hertz = () => Math.round(pit.tone);
  out(0x61, 0x03);
  assert.equal(hertz(), 0, "no count was written");
  out(0x43, 0xb6);
  assert.equal(hertz(), 0);
  out(0x42, 0xa9, 0x04);
  assert.equal(hertz(), 1000);
  out(0x42, 0x54, 0x02);
  assert.equal(hertz(), 2002);
  out(0x43, 0xb0);
  out(0x42, 0x54, 0x02);
  assert.equal(hertz(), 0, "mode 0 counts once");
  out(0x43, 0xb6);
  out(0x42, 0x00, 0x00);
  assert.equal(hertz(), 18);
  out(0x61, 0x02);
  assert.equal(hertz(), 0, "the gate is closed");
});

test("port 61h shows the gate, the data bit, and counter 2's output as it goes up and down", () => {
  const { out, inb, time } = rig();
  out(0x61, 0x01);
  out(0x43, 0xb6);
  out(0x42, 0xa8, 0x04);
  time.advance(1000);
  const levels = [];
  for (let half = 0; half < 6; half++) {
    levels.push(inb(0x61) & 0x2f);
    time.advance(CLK.timeOf(0x4a8 / 2));
  }
  assert.deepEqual(levels, [0x21, 0x01, 0x21, 0x01, 0x21, 0x01]);
});

test("a restored timer fires at the same instants", () => {
  const { pit, out, runTo } = rig();
  out(0x43, 0x34);
  out(0x40, 0x00, 0x04);
  runTo(1500);
  const time = new ManualTime();
  time.advance(CLK.timeOf(1500));
  const irq0 = new ProbeLine();
  const copy = new I8254({ time, irq0 });
  Object.assign(copy.state, structuredClone(pit.state));
  irq0.rises = 0;
  copy.restored();
  time.advance(CLK.timeOf(1 + 2 * 0x400) - time.now() - 1);
  assert.equal(irq0.rises, 0);
  time.advance(1);
  assert.equal(irq0.rises, 1);
});

test("a period of one clock is taken as two and does not stop the machine", () => {
  const { time, irq0, out } = rig();
  out(0x43, 0x34);
  out(0x40, 0x01, 0x00);
  time.advance(1_000_000);
  assert.ok(irq0.rises > 590 && irq0.rises < 600);
});
