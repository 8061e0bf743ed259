import assert from "node:assert/strict";
import { test } from "node:test";
import { DeliveryMode, type InterruptMessage } from "../../machine/apic-bus.ts";
import { type ApicUnderTest, Reg, rig } from "./testing/apic-rig.ts";

const SELF = 0x40000;
const ALL = 0x80000;
const OTHERS = 0xc0000;
const MASKED = 0x10000;

const selfIpi = (cpu: ApicUnderTest, vector: number) => cpu.write(Reg.icrLow, SELF | vector);
const levelMessage = (vector: number): InterruptMessage => ({
  destination: 0,
  broadcast: false,
  logical: false,
  mode: DeliveryMode.fixed,
  vector,
  level: true,
});

test("after reset the APIC is software-disabled, masked and at FEE00000h", () => {
  const { cpu } = rig({ ids: [3], raw: true });
  assert.equal(cpu.read(Reg.id), 0x03000000);
  assert.equal(cpu.read(Reg.version), 0x01060014);
  assert.equal(cpu.read(Reg.svr), 0xff);
  assert.equal(cpu.read(Reg.dfr), 0xffffffff);
  assert.equal(cpu.read(Reg.ldr), 0);
  for (const entry of [Reg.timer, Reg.lint0, Reg.lint1, Reg.error, Reg.performance, Reg.thermal, Reg.cmci]) {
    assert.equal(cpu.read(entry), MASKED);
  }
  assert.deepEqual(cpu.rdmsr(0x1b), [0xfee00900, 0]);
  assert.deepEqual(cpu.pages, [0xfee00000]);
});

test("an interrupt goes from IRR to ISR when the processor takes it, and leaves at EOI", () => {
  const { cpu } = rig();
  selfIpi(cpu, 0x51);
  assert.equal(cpu.read(Reg.irr + 0x20), 1 << 17);
  assert.equal(cpu.intr.level, true);
  assert.equal(cpu.apic.acknowledge(), 0x51);
  assert.equal(cpu.read(Reg.irr + 0x20), 0);
  assert.equal(cpu.read(Reg.isr + 0x20), 1 << 17);
  assert.equal(cpu.read(Reg.ppr), 0x50);
  assert.equal(cpu.intr.level, false);
  cpu.write(Reg.eoi, 0);
  assert.equal(cpu.read(Reg.isr + 0x20), 0);
  assert.equal(cpu.read(Reg.ppr), 0);
});

test("only a higher priority class interrupts one in service", () => {
  const { cpu } = rig();
  selfIpi(cpu, 0x51);
  cpu.apic.acknowledge();
  selfIpi(cpu, 0x5f);
  assert.equal(cpu.apic.pendingVector(), -1);
  assert.equal(cpu.intr.level, false);
  selfIpi(cpu, 0x60);
  assert.equal(cpu.apic.acknowledge(), 0x60);
  cpu.write(Reg.eoi, 0);
  assert.equal(cpu.apic.pendingVector(), -1);
  cpu.write(Reg.eoi, 0);
  assert.equal(cpu.apic.acknowledge(), 0x5f);
});

test("TPR holds back its own class and those below, also when written as CR8", () => {
  const { cpu } = rig();
  cpu.write(Reg.tpr, 0x53);
  assert.equal(cpu.read(Reg.ppr), 0x53);
  assert.equal(cpu.apic.readCr8(), 5);
  selfIpi(cpu, 0x5f);
  assert.equal(cpu.intr.level, false);
  cpu.apic.writeCr8(4);
  assert.equal(cpu.read(Reg.tpr), 0x40);
  assert.equal(cpu.intr.level, true);
  cpu.apic.writeCr8(5);
  assert.equal(cpu.intr.level, false);
  assert.equal(cpu.apic.acknowledge(), 0xff, "nothing to take any more: the spurious vector");
  assert.equal(cpu.read(Reg.isr + 0x70), 0, "which is not in service");
});

test("EOI of a level-triggered interrupt reaches the I/O APICs, of an edge it does not", () => {
  const { cpu, bus } = rig();
  const ended: number[] = [];
  bus.attachIoApic({ endOfInterrupt: (vector) => void ended.push(vector) });
  bus.deliver(levelMessage(0x61));
  assert.equal(cpu.read(Reg.tmr + 0x30), 2);
  cpu.apic.acknowledge();
  cpu.write(Reg.eoi, 0);
  assert.deepEqual(ended, [0x61]);
  selfIpi(cpu, 0x61);
  assert.equal(cpu.read(Reg.tmr + 0x30), 0);
  cpu.apic.acknowledge();
  cpu.write(Reg.eoi, 0);
  cpu.write(Reg.eoi, 0);
  assert.deepEqual(ended, [0x61]);
  cpu.write(Reg.svr, 0x11ff);
  bus.deliver(levelMessage(0x62));
  cpu.apic.acknowledge();
  cpu.write(Reg.eoi, 0);
  assert.deepEqual(ended, [0x61], "suppressed by bit 12 of the spurious-vector register");
});

test("a software-disabled APIC takes no new interrupts and keeps the ones it has", () => {
  const { cpu } = rig();
  cpu.write(Reg.lint1, 0x400);
  selfIpi(cpu, 0x40);
  cpu.write(Reg.svr, 0xff);
  assert.equal(cpu.apic.pendingVector(), 0x40);
  assert.equal(cpu.read(Reg.lint1), MASKED | 0x400);
  cpu.write(Reg.lint1, 0x400);
  assert.equal(cpu.read(Reg.lint1), MASKED | 0x400, "the mask cannot be cleared");
  selfIpi(cpu, 0x90);
  assert.equal(cpu.apic.pendingVector(), 0x40);
});

test("LINT0 as ExtINT passes the 8259s' request through and takes the vector from them", () => {
  const { cpu, pic } = rig();
  cpu.write(Reg.lint0, 0x8700);
  cpu.apic.lint0.set(true);
  assert.equal(cpu.intr.level, true);
  assert.equal(cpu.apic.pendingVector(), -1);
  assert.equal(cpu.apic.acknowledge(), 0x30);
  assert.equal(pic.acknowledged, 1);
  assert.equal(cpu.intr.level, true, "it is the 8259s that lower it");
  cpu.apic.lint0.set(false);
  assert.equal(cpu.intr.level, false);
  cpu.write(Reg.lint0, 0x18700);
  cpu.apic.lint0.set(true);
  assert.equal(cpu.intr.level, false);
});

test("an ExtINT message of an I/O APIC takes one vector from the 8259s", () => {
  const { cpu, bus, pic } = rig();
  bus.deliver({ ...levelMessage(0), mode: DeliveryMode.extInt, level: false });
  assert.equal(cpu.intr.level, true);
  assert.equal(cpu.apic.acknowledge(), 0x30);
  assert.equal(pic.acknowledged, 1);
  assert.equal(cpu.intr.level, false);
});

test("LINT1 as NMI gives one NMI for each rising edge", () => {
  const { cpu } = rig();
  cpu.write(Reg.lint1, 0x400);
  cpu.apic.lint1.set(true);
  cpu.apic.lint1.set(true);
  cpu.apic.lint1.set(false);
  cpu.apic.lint1.set(true);
  assert.deepEqual(cpu.signals, ["nmi", "nmi"]);
});

test("a level-triggered fixed LINT0 interrupts again after EOI while it is asserted", () => {
  const { cpu } = rig();
  cpu.write(Reg.lint0, 0x8045);
  cpu.apic.lint0.set(true);
  assert.equal(cpu.read(Reg.lint0), 0xc045, "remote IRR");
  assert.equal(cpu.apic.acknowledge(), 0x45);
  cpu.write(Reg.eoi, 0);
  assert.equal(cpu.apic.acknowledge(), 0x45);
  cpu.apic.lint0.set(false);
  cpu.write(Reg.eoi, 0);
  assert.equal(cpu.read(Reg.lint0), 0x8045);
  assert.equal(cpu.intr.level, false);
});

test("a globally disabled APIC leaves INTR and NMI to its pins and hears no messages", () => {
  const { cpu, pic, bus } = rig();
  assert.equal(cpu.wrmsr(0x1b, 0xfee00100), true);
  assert.equal(cpu.read(Reg.version), 0xffffffff);
  cpu.apic.lint0.set(true);
  cpu.apic.lint1.set(true);
  assert.deepEqual(cpu.signals, ["nmi"]);
  assert.equal(cpu.intr.level, true);
  assert.equal(cpu.apic.acknowledge(), 0x30);
  assert.equal(pic.acknowledged, 1);
  assert.equal(bus.deliver({ ...levelMessage(0x55), broadcast: true }), false);
  cpu.wrmsr(0x1b, 0xfee00900);
  assert.equal(cpu.intr.level, false, "LINT0 is masked in the APIC's reset state");
  assert.equal(cpu.read(Reg.svr), 0xff);
});

test("physical, logical flat and logical cluster destinations pick the right APICs", () => {
  const { apics } = rig({ ids: [0, 1, 2, 3] });
  const [sender] = apics as [ApicUnderTest];
  const reached = (high: number, low: number) => {
    sender.write(Reg.icrHigh, high << 24);
    sender.write(Reg.icrLow, low);
    return apics.flatMap((cpu, index) => {
      if (cpu.apic.pendingVector() < 0) return [];
      cpu.apic.acknowledge();
      cpu.write(Reg.eoi, 0);
      return [index];
    });
  };
  assert.deepEqual(reached(2, 0x31), [2]);
  assert.deepEqual(reached(9, 0x31), []);
  assert.deepEqual(reached(0xff, 0x31), [0, 1, 2, 3]);
  assert.deepEqual(reached(0, SELF | 0x31), [0]);
  assert.deepEqual(reached(0, ALL | 0x31), [0, 1, 2, 3]);
  assert.deepEqual(reached(0, OTHERS | 0x31), [1, 2, 3]);
  apics.forEach((cpu, index) => {
    cpu.write(Reg.ldr, (1 << index) << 24);
  });
  assert.deepEqual(reached(0b1010, 0x831), [1, 3]);
  assert.deepEqual(reached(0xff, 0x831), [0, 1, 2, 3]);
  apics.forEach((cpu, index) => {
    cpu.write(Reg.dfr, 0);
    cpu.write(Reg.ldr, (((index >> 1) << 4) | (1 << (index & 1))) << 24);
  });
  assert.equal(sender.read(Reg.dfr), 0x0fffffff);
  assert.deepEqual(reached(0x12, 0x831), [3]);
  assert.deepEqual(reached(0x13, 0x831), [2, 3]);
  assert.deepEqual(reached(0xf1, 0x831), [0, 2], "cluster 15 is every cluster");
});

test("a lowest-priority interrupt goes to the least busy APIC, in turns where they are equal", () => {
  const { apics } = rig({ ids: [0, 1, 2] });
  const takers: number[] = [];
  const sendLowest = () => {
    apics[0]!.write(Reg.icrHigh, 0xff000000);
    apics[0]!.write(Reg.icrLow, 0x971);
    takers.push(apics.findIndex((cpu) => cpu.read(Reg.irr + 0x30) !== 0));
    for (const cpu of apics) {
      if (cpu.apic.pendingVector() < 0) continue;
      cpu.apic.acknowledge();
      cpu.write(Reg.eoi, 0);
    }
  };
  for (let i = 0; i < 4; i++) sendLowest();
  assert.deepEqual(takers, [1, 2, 0, 1]);
  takers.length = 0;
  apics[0]!.write(Reg.tpr, 0x20);
  apics[1]!.write(Reg.tpr, 0x20);
  sendLowest();
  sendLowest();
  assert.deepEqual(takers, [2, 2]);
});

test("INIT and start-up reach another processor even when its APIC is software-disabled", () => {
  const { apics } = rig({ ids: [0, 1], raw: true });
  const [bsp, ap] = apics as [ApicUnderTest, ApicUnderTest];
  ap.write(Reg.tpr, 0x40);
  bsp.write(Reg.icrHigh, 0x01000000);
  bsp.write(Reg.icrLow, 0xc500);
  bsp.write(Reg.icrLow, 0x8500);
  bsp.write(Reg.icrLow, 0x069f);
  bsp.write(Reg.icrLow, 0x0400);
  assert.deepEqual(ap.signals, ["init", "startup 9f", "nmi"]);
  assert.equal(ap.read(Reg.tpr), 0);
  assert.equal(ap.read(Reg.id), 0x01000000);
  assert.equal(bsp.read(Reg.icrLow), 0x0400);
  assert.deepEqual(bsp.signals, []);
});

test("vectors below 16 are errors that raise the error interrupt, and ESR shows them after it is written", () => {
  const { cpu, bus } = rig();
  cpu.write(Reg.error, 0xe1);
  selfIpi(cpu, 0x0f);
  assert.equal(cpu.apic.acknowledge(), 0xe1);
  cpu.write(Reg.eoi, 0);
  assert.equal(cpu.read(Reg.esr), 0);
  bus.deliver(levelMessage(3));
  cpu.read(0x3f0);
  cpu.write(0x30, 1);
  assert.equal(cpu.read(Reg.esr), 0);
  cpu.write(Reg.esr, 0);
  assert.equal(cpu.read(Reg.esr), 0xe0);
  cpu.write(Reg.esr, 0);
  assert.equal(cpu.read(Reg.esr), 0);
});

test("parts of a register can be read, but only whole ones written", () => {
  const { cpu } = rig({ ids: [0x12] });
  assert.equal(cpu.apic.readMemory(Reg.id + 3, 1), 0x12);
  assert.equal(cpu.apic.readMemory(Reg.version, 2), 0x0014);
  assert.equal(cpu.apic.readMemory(Reg.version + 4, 4), 0);
  cpu.apic.writeMemory(Reg.tpr, 1, 0x40);
  cpu.apic.writeMemory(Reg.tpr + 4, 4, 0x40);
  assert.equal(cpu.read(Reg.tpr), 0);
});

test("the register page follows IA32_APIC_BASE", () => {
  const { cpu } = rig();
  assert.equal(cpu.wrmsr(0x1b, 0xc0001900, 0x12), true);
  assert.equal(cpu.apic.pageBase, 0x12_c0001000);
  assert.equal(cpu.wrmsr(0x1b, 0xfee00900, 0x100), "#GP", "beyond 40 bits");
  assert.equal(cpu.wrmsr(0x1b, 0xfee00901), "#GP");
  assert.deepEqual(cpu.pages, [0xfee00000, 0x12_c0001000]);
});

test("a restored APIC drives its interrupt line and its timer again", () => {
  const first = rig();
  first.cpu.write(Reg.timer, 0x20044);
  first.cpu.write(Reg.divide, 0xb);
  first.cpu.write(Reg.initialCount, 50_000);
  selfIpi(first.cpu, 0x66);
  const second = rig();
  Object.assign(second.cpu.apic.state, structuredClone(first.cpu.apic.state));
  second.cpu.apic.restored();
  assert.equal(second.cpu.intr.level, true);
  assert.equal(second.cpu.apic.acknowledge(), 0x66);
  second.cpu.write(Reg.eoi, 0);
  second.time.advance(50_000);
  assert.equal(second.cpu.apic.acknowledge(), 0x44);
});
