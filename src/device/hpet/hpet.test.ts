import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualTime, ProbeLine } from "../../machine/testing/rig.ts";
import { Hpet } from "./hpet.ts";

const GCAP_ID = 0x000;
const GEN_CONF = 0x010;
const GINTR_STA = 0x020;
const MAIN_CNT = 0x0f0;
const conf = (n: number) => 0x100 + 0x20 * n;
const comp = (n: number) => 0x108 + 0x20 * n;

const LEVEL = 0x002;
const ENABLE = 0x004;
const PERIODIC = 0x008;
const VAL_SET = 0x040;
const MODE32 = 0x100;
const route = (input: number) => input << 9;

function rig() {
  const time = new ManualTime();
  const irq0 = new ProbeLine();
  const irq8 = new ProbeLine();
  const inputs = new Map<number, ProbeLine>();
  const wiring = {
    time,
    irq0,
    irq8,
    route: (input: number) => {
      const line = new ProbeLine();
      inputs.set(input, line);
      return line;
    },
  };
  const hpet = new Hpet({ routes: 0x00f0_0000 }, wiring);
  const get = (offset: number) => hpet.readMemory(offset, 4);
  const set = (offset: number, value: number) => hpet.writeMemory(offset, 4, value >>> 0);
  /** Moves time to a tick of 10 ns. */
  const runTo = (tick: number) => time.advance(tick * 10 - time.now());
  return { time, irq0, irq8, hpet, get, set, runTo, inputs, input: (n: number) => inputs.get(n)! };
}

test("capabilities: three 64-bit comparators, legacy replacement, 10 ns, routes", () => {
  const { get, inputs } = rig();
  assert.equal(get(GCAP_ID), 0x8086_a201);
  assert.equal(get(GCAP_ID + 4), 10_000_000);
  for (let n = 0; n < 3; n++) {
    assert.equal(get(conf(n)), 0x30);
    assert.equal(get(conf(n) + 4), 0x00f0_0000);
    assert.deepEqual([get(comp(n)), get(comp(n) + 4)], [0xffff_ffff, 0xffff_ffff]);
  }
  assert.equal(get(0x160), 0, "there is no fourth");
  assert.deepEqual([...inputs.keys()], [20, 21, 22, 23]);
});

test("the main counter counts while enabled and keeps its value while not", () => {
  const { get, set, runTo } = rig();
  runTo(1000);
  assert.equal(get(MAIN_CNT), 0);
  set(GEN_CONF, 1);
  runTo(1500);
  assert.equal(get(MAIN_CNT), 500);
  set(GEN_CONF, 0);
  runTo(9000);
  assert.equal(get(MAIN_CNT), 500);
  set(MAIN_CNT, 0xffff_fff0);
  set(MAIN_CNT + 4, 0x1234_5678);
  set(GEN_CONF, 1);
  runTo(9020);
  assert.deepEqual([get(MAIN_CNT), get(MAIN_CNT + 4)], [4, 0x1234_5679]);
});

test("the counter wraps from 64 bits to zero", () => {
  const { get, set, runTo } = rig();
  set(MAIN_CNT, 0xffff_ffff);
  set(MAIN_CNT + 4, 0xffff_ffff);
  set(GEN_CONF, 1);
  runTo(3);
  assert.deepEqual([get(MAIN_CNT), get(MAIN_CNT + 4)], [2, 0]);
});

test("a one-shot comparator in 32 bits interrupts at its match, and again when the counter comes around", () => {
  const { set, runTo, input } = rig();
  set(conf(2), ENABLE | MODE32 | route(21));
  set(comp(2), 5000);
  set(GEN_CONF, 1);
  runTo(4999);
  assert.equal(input(21).level, false);
  runTo(5000);
  assert.equal(input(21).level, true);
  runTo(2 ** 32 + 4999);
  assert.equal(input(21).rises, 1);
  runTo(2 ** 32 + 5000);
  assert.equal(input(21).rises, 2);
});

test("a one-shot comparator in 64 bits interrupts once, whichever half is written first", () => {
  const { set, runTo, input } = rig();
  set(GEN_CONF, 1);
  set(conf(2), ENABLE | route(20));
  set(comp(2), 7);
  set(comp(2) + 4, 1);
  runTo(2 ** 32 + 6);
  assert.equal(input(20).rises, 0);
  runTo(2 ** 32 + 7);
  assert.equal(input(20).rises, 1);
  runTo(2 ** 33 + 100);
  assert.equal(input(20).rises, 1);
  set(comp(2) + 4, 2);
  set(comp(2), 200);
  runTo(2 ** 33 + 200);
  assert.equal(input(20).rises, 2);
});

test("legacy replacement takes IRQ 0 and IRQ 8 from the 8254 and the clock", () => {
  const { hpet, set, runTo, irq0, irq8 } = rig();
  hpet.pitInput.set(true);
  assert.equal(irq0.level, true);
  hpet.pitInput.set(false);
  set(conf(0), ENABLE | MODE32);
  set(comp(0), 100);
  set(conf(1), ENABLE | MODE32);
  set(comp(1), 200);
  set(GEN_CONF, 3);
  hpet.pitInput.set(true);
  hpet.rtcInput.set(true);
  assert.deepEqual([irq0.level, irq8.level], [false, false]);
  runTo(100);
  assert.deepEqual([irq0.level, irq8.level], [true, false]);
  runTo(200);
  assert.equal(irq8.level, true);
  hpet.rtcInput.set(false);
  set(GEN_CONF, 0);
  assert.deepEqual([irq0.level, irq8.level], [true, false], "the inputs' levels are through again");
});

test("Linux's periodic set-up: accumulator with VAL_SET, then the period", () => {
  const { get, set, runTo, irq0 } = rig();
  set(GEN_CONF, 3);
  runTo(1000);
  const period = 100_000;
  set(conf(0), ENABLE | PERIODIC | VAL_SET | MODE32);
  assert.equal(get(conf(0)) & VAL_SET, VAL_SET);
  set(comp(0), get(MAIN_CNT) + period);
  assert.equal(get(conf(0)) & VAL_SET, 0);
  set(comp(0), period);
  for (let i = 1; i <= 1000; i++) {
    runTo(1000 + i * period - 1);
    assert.equal(irq0.rises, i - 1);
    runTo(1000 + i * period);
    assert.equal(irq0.rises, i);
    assert.equal(get(comp(0)), (1000 + (i + 1) * period) % 2 ** 32);
  }
});

test("a 64-bit accumulator can be written in two halves with one VAL_SET", () => {
  const { get, set } = rig();
  set(conf(0), ENABLE | PERIODIC | VAL_SET);
  set(comp(0), 0x1111);
  set(comp(0) + 4, 0x22);
  set(comp(0), 0x3333);
  set(comp(0) + 4, 0);
  assert.deepEqual([get(comp(0)), get(comp(0) + 4)], [0x1111, 0x22]);
});

test("a level-triggered comparator holds its line until its status bit is cleared", () => {
  const { get, set, runTo, input } = rig();
  set(conf(1), ENABLE | LEVEL | PERIODIC | VAL_SET | MODE32 | route(22));
  set(comp(1), 1000);
  set(GEN_CONF, 1);
  runTo(1000);
  assert.equal(input(22).level, true);
  assert.equal(get(GINTR_STA), 2);
  runTo(5000);
  assert.equal(input(22).rises, 1);
  set(GINTR_STA, 1);
  assert.equal(input(22).level, true);
  set(GINTR_STA, 2);
  assert.equal(input(22).level, false);
  runTo(6000);
  assert.equal(input(22).level, true);
  set(GEN_CONF, 0);
  assert.equal(input(22).level, false, "nothing interrupts while the counter is halted");
});

test("without its enable a level-triggered comparator still sets its status bit, an edge-triggered one nothing", () => {
  const { get, set, runTo, input } = rig();
  set(conf(0), LEVEL | MODE32 | route(20));
  set(comp(0), 100);
  set(conf(1), MODE32 | route(20));
  set(comp(1), 100);
  set(GEN_CONF, 1);
  runTo(200);
  assert.equal(get(GINTR_STA), 1);
  assert.equal(input(20).rises, 0);
});

test("each edge-triggered interrupt is a new edge; disabling the comparator lets the line go", () => {
  const { set, runTo, input } = rig();
  set(conf(0), ENABLE | PERIODIC | VAL_SET | MODE32 | route(23));
  set(comp(0), 2000);
  set(GEN_CONF, 1);
  runTo(20_000);
  assert.equal(input(23).rises, 10);
  assert.equal(input(23).level, true);
  set(conf(0), PERIODIC | MODE32 | route(23));
  assert.equal(input(23).level, false);
});

test("writing the configuration at the match does not give the interrupt twice", () => {
  const { set, runTo, input } = rig();
  set(conf(0), ENABLE | MODE32 | route(20));
  set(comp(0), 100);
  set(GEN_CONF, 1);
  runTo(100);
  set(conf(0), MODE32 | route(20));
  set(conf(0), ENABLE | MODE32 | route(20));
  set(GEN_CONF, 1);
  runTo(101);
  assert.equal(input(20).rises, 1);
});

test("a route that is not offered drives nothing", () => {
  const { set, runTo, inputs } = rig();
  set(conf(0), ENABLE | MODE32 | route(3));
  set(comp(0), 100);
  set(GEN_CONF, 1);
  runTo(100);
  for (const line of inputs.values()) assert.equal(line.rises, 0);
});

test("periods of a tick or of none do not stop the machine", () => {
  const { time, set, input } = rig();
  set(conf(0), ENABLE | PERIODIC | VAL_SET | MODE32 | route(20));
  set(comp(0), 1);
  set(conf(1), ENABLE | PERIODIC | VAL_SET | MODE32 | route(21));
  set(comp(1), 0);
  set(GEN_CONF, 1);
  time.advance(1e8);
  assert.ok(input(20).rises > 9000 && input(20).rises <= 10_001);
  assert.ok(input(21).rises <= 1);
});

test("registers answer narrow reads and ignore narrow writes", () => {
  const { hpet } = rig();
  assert.equal(hpet.readMemory(2, 2), 0x8086);
  assert.equal(hpet.readMemory(1, 1), 0xa2);
  hpet.writeMemory(GEN_CONF, 1, 1);
  assert.equal(hpet.readMemory(GEN_CONF, 4), 0);
});

test("a restored timer interrupts at the same tick and keeps its lines", () => {
  const { hpet, set, runTo } = rig();
  set(conf(0), ENABLE | PERIODIC | VAL_SET | MODE32);
  set(comp(0), 3000);
  set(GEN_CONF, 3);
  runTo(4000);
  const copy = rig();
  copy.runTo(4000);
  Object.assign(copy.hpet.state, structuredClone(hpet.state));
  copy.hpet.restored();
  assert.equal(copy.irq0.level, true);
  copy.runTo(5999);
  assert.equal(copy.irq0.rises, 1);
  copy.runTo(6000);
  assert.equal(copy.irq0.rises, 2);
  copy.hpet.reset();
  assert.equal(copy.irq0.level, false);
  assert.equal(copy.get(GEN_CONF), 0);
});
