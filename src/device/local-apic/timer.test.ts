import assert from "node:assert/strict";
import { test } from "node:test";
import { Reg, rig, TSC_HZ } from "./testing/apic-rig.ts";
import { MINIMUM_PERIOD } from "./timer.ts";

const PERIODIC = 0x20000;
const TSC_DEADLINE = 0x40000;
const MASKED = 0x10000;
const BY_1 = 0xb;
const TSC_DEADLINE_MSR = 0x6e0;

/** An APIC whose timer raises vector 40h in `mode`, with the divisor of `divide`. */
function timerRig(mode = 0, divide = BY_1) {
  const all = rig();
  const { cpu } = all;
  cpu.write(Reg.divide, divide);
  cpu.write(Reg.timer, mode | 0x40);
  /** Interrupts taken and ended since the last call: 0 or 1, as IRR keeps one. */
  const taken = () => {
    if (cpu.apic.pendingVector() !== 0x40) return 0;
    cpu.apic.acknowledge();
    cpu.write(Reg.eoi, 0);
    return 1;
  };
  return { ...all, taken };
}

test("a one-shot timer counts down at 1 GHz over the divisor and interrupts once", () => {
  for (const [divide, by] of [
    [0, 2],
    [1, 4],
    [2, 8],
    [3, 16],
    [8, 32],
    [9, 64],
    [10, 128],
    [11, 1],
  ] as const) {
    const { cpu, time, taken } = timerRig(0, divide);
    cpu.write(Reg.initialCount, 1000);
    assert.equal(cpu.read(Reg.currentCount), 1000);
    time.advance(by * 400);
    assert.equal(cpu.read(Reg.currentCount), 600);
    time.advance(by * 600 - 1);
    assert.equal(taken(), 0);
    time.advance(1);
    assert.equal(taken(), 1);
    assert.equal(cpu.read(Reg.currentCount), 0);
    assert.equal(cpu.read(Reg.initialCount), 1000);
    time.advance(1e9);
    assert.equal(taken(), 0);
  }
});

test("a periodic timer starts over from the initial count", () => {
  const { cpu, time, taken } = timerRig(PERIODIC);
  cpu.write(Reg.initialCount, 100_000);
  for (let period = 0; period < 5; period++) {
    time.advance(99_999);
    assert.equal(cpu.read(Reg.currentCount), 1);
    assert.equal(taken(), 0);
    time.advance(1);
    assert.equal(cpu.read(Reg.currentCount), 100_000);
    assert.equal(taken(), 1);
  }
  cpu.write(Reg.initialCount, 0);
  time.advance(1e6);
  assert.equal(taken(), 0);
});

test("a periodic timer keeps its phase when the host is late", () => {
  const { cpu, time } = timerRig(PERIODIC);
  cpu.write(Reg.initialCount, 100_000);
  time.advance(1_030_000);
  assert.equal(cpu.read(Reg.currentCount), 70_000);
  cpu.apic.acknowledge();
  cpu.write(Reg.eoi, 0);
  time.advance(69_999);
  assert.equal(cpu.apic.pendingVector(), -1);
  time.advance(1);
  assert.equal(cpu.apic.pendingVector(), 0x40);
});

test("a period of one nanosecond cannot keep the host busy", () => {
  const { cpu, time } = timerRig(PERIODIC);
  cpu.write(Reg.initialCount, 1);
  let interrupts = 0;
  for (let step = 0; step < 1000; step++) {
    time.advance(1000);
    if (cpu.apic.pendingVector() < 0) continue;
    interrupts++;
    cpu.apic.acknowledge();
    cpu.write(Reg.eoi, 0);
  }
  assert.ok(interrupts > 0 && interrupts <= 1_000_000 / MINIMUM_PERIOD + 1);
});

test("a masked timer runs out without an interrupt, and a masked periodic one goes on", () => {
  const oneShot = timerRig(MASKED);
  oneShot.cpu.write(Reg.initialCount, 1000);
  oneShot.time.advance(2000);
  oneShot.cpu.write(Reg.timer, 0x40);
  oneShot.time.advance(10_000);
  assert.equal(oneShot.taken(), 0);

  const periodic = timerRig(MASKED | PERIODIC);
  periodic.cpu.write(Reg.initialCount, 100_000);
  periodic.time.advance(250_000);
  assert.equal(periodic.cpu.read(Reg.currentCount), 50_000);
  periodic.cpu.write(Reg.timer, PERIODIC | 0x40);
  periodic.time.advance(49_999);
  assert.equal(periodic.taken(), 0);
  periodic.time.advance(1);
  assert.equal(periodic.taken(), 1);
});

test("changing the divisor or between one-shot and periodic goes on from the current count", () => {
  const { cpu, time, taken } = timerRig(PERIODIC);
  cpu.write(Reg.initialCount, 100_000);
  time.advance(130_000);
  assert.equal(taken(), 1);
  cpu.write(Reg.divide, 0);
  assert.equal(cpu.read(Reg.currentCount), 70_000);
  time.advance(20_000);
  assert.equal(cpu.read(Reg.currentCount), 60_000);
  cpu.write(Reg.timer, 0x40);
  assert.equal(cpu.read(Reg.currentCount), 60_000);
  time.advance(119_999);
  assert.equal(taken(), 0);
  time.advance(1);
  assert.equal(taken(), 1);
  assert.equal(cpu.read(Reg.currentCount), 0);
});

test("a TSC deadline interrupts when the counter reaches it, and reads zero from then on", () => {
  const { cpu, time, taken } = timerRig(TSC_DEADLINE);
  time.advance(1000);
  cpu.write(Reg.initialCount, 500);
  assert.equal(cpu.read(Reg.initialCount), 0, "ignored in this mode");
  const deadline = (5000 * TSC_HZ) / 1e9;
  assert.equal(cpu.wrmsr(TSC_DEADLINE_MSR, deadline), true);
  assert.deepEqual(cpu.rdmsr(TSC_DEADLINE_MSR), [deadline, 0]);
  time.advance(3999);
  assert.equal(taken(), 0);
  time.advance(1);
  assert.equal(taken(), 1);
  assert.deepEqual(cpu.rdmsr(TSC_DEADLINE_MSR), [0, 0]);
});

test("a TSC deadline in the past interrupts at once, one of zero disarms", () => {
  const { cpu, time, taken } = timerRig(TSC_DEADLINE);
  time.advance(1000);
  cpu.wrmsr(TSC_DEADLINE_MSR, 1);
  assert.equal(taken(), 1);
  cpu.wrmsr(TSC_DEADLINE_MSR, 1_000_000);
  cpu.wrmsr(TSC_DEADLINE_MSR, 0);
  time.advance(1e9);
  assert.equal(taken(), 0);
  cpu.wrmsr(TSC_DEADLINE_MSR, 0xffffffff, 0xffffffff);
  time.advance(1e9);
  assert.equal(taken(), 0);
});

test("a TSC deadline follows what software writes to the counter", () => {
  const { cpu, time, tsc, taken } = timerRig(TSC_DEADLINE);
  tsc.offset = 10n ** 18n;
  const deadline = 10n ** 18n + 5000n;
  cpu.wrmsr(TSC_DEADLINE_MSR, Number(deadline & 0xffffffffn), Number(deadline >> 32n));
  time.advance(1999);
  assert.equal(taken(), 0);
  time.advance(1);
  assert.equal(taken(), 1);
  tsc.offset = 0n;
  cpu.wrmsr(TSC_DEADLINE_MSR, Number(deadline & 0xffffffffn), Number(deadline >> 32n));
  time.advance(10_000);
  assert.equal(taken(), 0);
  tsc.offset = deadline;
  cpu.apic.tscAdjusted();
  assert.equal(taken(), 1);
});

test("passing between TSC-deadline mode and the others disarms the timer", () => {
  const { cpu, time, taken } = timerRig(TSC_DEADLINE);
  cpu.wrmsr(TSC_DEADLINE_MSR, 100_000);
  cpu.write(Reg.timer, 0x40);
  assert.deepEqual(cpu.rdmsr(TSC_DEADLINE_MSR), [0, 0]);
  cpu.wrmsr(TSC_DEADLINE_MSR, 100_000);
  assert.deepEqual(cpu.rdmsr(TSC_DEADLINE_MSR), [0, 0]);
  cpu.write(Reg.initialCount, 1000);
  cpu.write(Reg.timer, TSC_DEADLINE | 0x40);
  assert.equal(cpu.read(Reg.currentCount), 0);
  time.advance(1e9);
  assert.equal(taken(), 0);
});

test("software-disabling masks the timer, and INIT stops it", () => {
  const { cpu, time } = timerRig(PERIODIC);
  cpu.write(Reg.initialCount, 100_000);
  cpu.write(Reg.svr, 0xff);
  time.advance(200_000);
  assert.equal(cpu.apic.pendingVector(), -1);
  cpu.write(Reg.svr, 0x1ff);
  cpu.write(Reg.timer, PERIODIC | 0x40);
  time.advance(100_000);
  assert.equal(cpu.apic.pendingVector(), 0x40);
  cpu.write(Reg.icrLow, 0x84500);
  assert.deepEqual(cpu.signals, ["init"]);
  assert.equal(cpu.read(Reg.currentCount), 0);
  time.advance(1e6);
  assert.equal(cpu.apic.pendingVector(), -1);
});
