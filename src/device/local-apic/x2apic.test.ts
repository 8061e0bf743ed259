import assert from "node:assert/strict";
import { test } from "node:test";
import { type ApicUnderTest, Reg, rig } from "./testing/apic-rig.ts";

const X2APIC = 0xfee00c00;
const BSP = 0x100;

/** APICs in x2APIC mode, software-enabled. */
function x2rig(ids: number[]) {
  const all = rig({ ids });
  all.apics.forEach((cpu, index) => {
    assert.equal(cpu.wrmsr(0x1b, index === 0 ? X2APIC | BSP : X2APIC), true);
  });
  return all;
}

test("the APIC enters x2APIC mode from xAPIC mode only, and leaves it only by being disabled", () => {
  const { cpu } = rig();
  assert.equal(cpu.wrmsr(0x1b, 0xfee00500), "#GP", "x2APIC without enable");
  assert.equal(cpu.wrmsr(0x1b, 0xfee00100), true);
  assert.equal(cpu.wrmsr(0x1b, 0xfee00d00), "#GP", "from disabled");
  assert.equal(cpu.wrmsr(0x1b, 0xfee00900), true);
  assert.equal(cpu.rdmsr(0x802), "#GP", "the MSRs belong to x2APIC mode");
  assert.equal(cpu.wrmsr(0x1b, 0xfee00d00), true);
  assert.equal(cpu.apic.pageBase, undefined);
  assert.equal(cpu.read(Reg.version), 0xffffffff);
  assert.equal(cpu.wrmsr(0x1b, 0xfee00900), "#GP", "straight back");
  assert.equal(cpu.wrmsr(0x1b, 0xfee00100), true);
  assert.equal(cpu.wrmsr(0x1b, 0xfee00900), true);
  assert.deepEqual(cpu.pages, [0xfee00000, undefined, 0xfee00000, undefined, 0xfee00000]);
});

test("x2APIC mode keeps the state and shows 32-bit IDs", () => {
  const { cpu } = rig({ ids: [0x12345] });
  cpu.write(Reg.tpr, 0x30);
  assert.equal(cpu.read(Reg.id), 0x45000000);
  cpu.wrmsr(0x1b, X2APIC | BSP);
  assert.deepEqual(cpu.rdmsr(0x808), [0x30, 0]);
  assert.deepEqual(cpu.rdmsr(0x802), [0x12345, 0]);
  assert.deepEqual(cpu.rdmsr(0x80d), [0x12340020, 0]);
  assert.deepEqual(cpu.rdmsr(0x803), [0x01060014, 0]);
});

test("reserved registers and bits, wrong directions and high halves are general protection faults", () => {
  const { cpu } = x2rig([0]);
  for (const msr of [0x800, 0x80b, 0x80e, 0x809, 0x80c, 0x831, 0x83f, 0x8ff]) assert.equal(cpu.rdmsr(msr), "#GP");
  for (const msr of [0x802, 0x803, 0x80a, 0x80d, 0x80e, 0x810, 0x820, 0x831, 0x839, 0x8ff]) {
    assert.equal(cpu.wrmsr(msr, 0), "#GP");
  }
  assert.equal(cpu.wrmsr(0x80b, 1), "#GP");
  assert.equal(cpu.wrmsr(0x828, 1), "#GP");
  assert.equal(cpu.wrmsr(0x808, 0x100), "#GP");
  assert.equal(cpu.wrmsr(0x808, 0, 1), "#GP");
  assert.equal(cpu.wrmsr(0x832, 0x80000), "#GP");
  assert.equal(cpu.wrmsr(0x83f, 0x100), "#GP");
  assert.equal(cpu.wrmsr(0x835, 0xd700), true, "read-only bits may be written back");
  assert.deepEqual(cpu.rdmsr(0x835), [0x8700, 0]);
});

test("self-IPI and EOI work by MSR", () => {
  const { cpu } = x2rig([5]);
  assert.equal(cpu.wrmsr(0x83f, 0x77), true);
  assert.deepEqual(cpu.rdmsr(0x823), [1 << 0x17, 0]);
  assert.equal(cpu.apic.acknowledge(), 0x77);
  assert.deepEqual(cpu.rdmsr(0x80a), [0x70, 0]);
  assert.equal(cpu.wrmsr(0x80b, 0), true);
  assert.deepEqual(cpu.rdmsr(0x813), [0, 0]);
});

test("one 64-bit write of ICR sends to a 32-bit destination", () => {
  const { apics } = x2rig([0, 0x105, 0x106, 0x10203]);
  const [sender] = apics as [ApicUnderTest];
  const reached = (high: number, low: number) => {
    assert.equal(sender.wrmsr(0x830, low, high), true);
    return apics.flatMap((cpu, index) => (cpu.apic.acknowledge() === (low & 0xff) ? [index] : []));
  };
  const end = () => {
    for (const cpu of apics) cpu.wrmsr(0x80b, 0);
  };
  assert.deepEqual(reached(0x10203, 0x41), [3]);
  end();
  assert.deepEqual(sender.rdmsr(0x830), [0x41, 0x10203]);
  assert.deepEqual(reached(0xffffffff, 0x42), [0, 1, 2, 3]);
  end();
  assert.deepEqual(reached(0xff, 0x43), [], "all ones of 8 bits is no broadcast here");
  assert.deepEqual(reached(0x00100060, 0x844), [1, 2], "cluster 10h, bits 5 and 6");
  end();
  assert.deepEqual(reached(0x10200008, 0x845), [3], "cluster 1020h, bit 3");
  end();
  assert.deepEqual(reached(0x10210008, 0x846), []);
});

test("an x2APIC starts a processor that is still in xAPIC mode", () => {
  const { apics } = rig({ ids: [0, 1] });
  const [bsp, ap] = apics as [ApicUnderTest, ApicUnderTest];
  bsp.wrmsr(0x1b, X2APIC | BSP);
  bsp.wrmsr(0x830, 0x4500, 1);
  bsp.wrmsr(0x830, 0x4608, 1);
  assert.deepEqual(ap.signals, ["init", "startup 8"]);
});

test("a device's message reaches an x2APIC by its low ID, by broadcast and by cluster 0", () => {
  const { apics, bus } = x2rig([0, 1, 0x101]);
  const reached = () =>
    apics.flatMap((cpu, index) => {
      if (cpu.apic.acknowledge() === 0xff) return [];
      cpu.wrmsr(0x80b, 0);
      return [index];
    });
  bus.send(0xfee01000, 0x51);
  assert.deepEqual(reached(), [1]);
  bus.send(0xfeeff000, 0x51);
  assert.deepEqual(reached(), [0, 1, 2]);
  bus.send(0xfee03004, 0x51);
  assert.deepEqual(reached(), [0, 1]);
});
