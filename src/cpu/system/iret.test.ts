import assert from "node:assert/strict";
import { test } from "node:test";
import { CS, DS, ES, FS, GS, RSP, SS } from "../../isa/semantics.ts";
import { deliver } from "./interrupts.ts";
import { interruptReturn } from "./iret.ts";
import { ATTRIBUTE, FLAG } from "./mode.ts";
import {
  descriptor,
  type FlatCpu,
  faultOf,
  GDT,
  gate,
  IDT,
  longCpu,
  protectedCpu,
  realCpu,
  SELECTOR,
} from "./testing/flat-cpu.ts";

/** Puts doublewords at ESP, the first on top. */
function frame32(cpu: FlatCpu, ...values: number[]): void {
  values.forEach((value, index) => {
    cpu.ram.setUint32(Number(cpu.registers.gpr(RSP)) + index * 4, value, true);
  });
}
function frame64(cpu: FlatCpu, ...values: (number | bigint)[]): void {
  values.forEach((value, index) => {
    cpu.ram.setBigUint64(Number(cpu.registers.gpr(RSP)) + index * 8, BigInt(value), true);
  });
}

test("a 16-bit IRET in real mode takes IP, CS and FLAGS, IOPL too", () => {
  const cpu = realCpu();
  [0x4567, 0x2000, 0x7ed7].forEach((value, index) => {
    cpu.ram.setUint16(0x8000 + index * 2, value, true);
  });
  assert.equal(interruptReturn(cpu, 16, 0n), 0x4567n);
  assert.equal(cpu.registers.segmentBase(CS), 0x2_0000n);
  assert.equal(cpu.registers.gpr(RSP), 0x8006n);
  assert.equal(cpu.registers.eflags, 0x7ed7);
});

test("IRETD in the kernel stays on its stack and loads all flags but VM", () => {
  const cpu = protectedCpu();
  frame32(cpu, 0x1234, SELECTOR.code0, FLAG.IF | FLAG.IOPL | FLAG.ID | FLAG.AC | FLAG.CF | 2);
  assert.equal(interruptReturn(cpu, 32, 0n), 0x1234n);
  assert.equal(cpu.registers.gpr(RSP), 0x800cn);
  assert.equal(cpu.registers.eflags, FLAG.IF | FLAG.IOPL | FLAG.ID | FLAG.AC | FLAG.CF | 2);
});

test("IRETD to user mode takes SS and ESP and clears segments of the kernel", () => {
  const cpu = protectedCpu();
  cpu.registers.setSegment(FS, { selector: SELECTOR.data3, base: 0n, limit: 0xffff_ffff, attributes: 0xc0f3 });
  frame32(cpu, 0x1234, SELECTOR.code3, FLAG.IF | 2, 0x6000, SELECTOR.data3);
  assert.equal(interruptReturn(cpu, 32, 0n), 0x1234n);
  assert.equal(cpu.registers.get32("cpl"), 3);
  assert.equal(cpu.registers.selector(CS), SELECTOR.code3);
  assert.equal(cpu.registers.selector(SS), SELECTOR.data3);
  assert.equal(cpu.registers.gpr(RSP), 0x6000n);
  for (const index of [DS, ES, GS]) assert.ok(cpu.registers.attributes(index) & ATTRIBUTE.unusable);
  assert.equal(cpu.registers.selector(FS), SELECTOR.data3);
  assert.ok(cpu.modeChanges > 0);
});

test("IRETD in user mode changes neither IOPL nor, above it, IF", () => {
  const cpu = protectedCpu(3);
  cpu.registers.eflags = FLAG.IF | 2;
  frame32(cpu, 0, SELECTOR.code3, FLAG.IOPL | FLAG.ZF | FLAG.VIP | 2);
  interruptReturn(cpu, 32, 0n);
  assert.equal(cpu.registers.eflags, FLAG.IF | FLAG.ZF | 2);
});

test("IRETD to an inner level, to data or to a null selector is refused", () => {
  const cpu = protectedCpu(3);
  const before = cpu.snapshot();
  const into = (selector: number) => {
    frame32(cpu, 0, selector, 2, 0x6000, SELECTOR.data3);
    return faultOf(() => interruptReturn(cpu, 32, 0n));
  };
  assert.deepEqual(into(SELECTOR.code0), { vector: 13, errorCode: SELECTOR.code0 });
  assert.deepEqual(into(SELECTOR.data3), { vector: 13, errorCode: SELECTOR.data3 & ~3 });
  assert.deepEqual(into(0), { vector: 13, errorCode: 0 });
  cpu.describe(GDT, SELECTOR.free, descriptor({ type: 0xa, dpl: 3, present: false }));
  assert.deepEqual(into(SELECTOR.free | 3), { vector: 11, errorCode: SELECTOR.free });
  assert.deepEqual(cpu.snapshot(), before);
});

test("IRETD to user mode with a stack of the wrong level is refused and changes nothing", () => {
  const cpu = protectedCpu();
  const before = cpu.snapshot();
  frame32(cpu, 0, SELECTOR.code3, 2, 0x6000, SELECTOR.data0);
  assert.deepEqual(
    faultOf(() => interruptReturn(cpu, 32, 0n)),
    { vector: 13, errorCode: SELECTOR.data0 },
  );
  frame32(cpu, 0, SELECTOR.code3, 2, 0x6000, 0);
  assert.deepEqual(
    faultOf(() => interruptReturn(cpu, 32, 0n)),
    { vector: 13, errorCode: 0 },
  );
  assert.deepEqual(cpu.snapshot(), before);
});

test("IRETD with VM set enters virtual-8086 mode, and an interrupt comes back to where it was", () => {
  const cpu = protectedCpu();
  const flags = FLAG.VM | FLAG.IF | FLAG.IOPL | 2;
  frame32(cpu, 0x100, 0x2000, flags, 0x1_fffe, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000);
  assert.equal(interruptReturn(cpu, 32, 0n), 0x100n);
  const { registers } = cpu;
  assert.deepEqual(
    [ES, CS, SS, DS, FS, GS].map((index) => registers.selector(index)),
    [0x4000, 0x2000, 0x3000, 0x5000, 0x6000, 0x7000],
  );
  assert.equal(registers.segmentBase(CS), 0x2_0000n);
  assert.equal(registers.gpr(RSP), 0x1_fffen);
  assert.equal(registers.eflags, flags);
  assert.equal(registers.get32("cpl"), 3);

  cpu.describe(IDT, 0x20 * 8, gate({ selector: SELECTOR.code0, offset: 0x900, type: 14 }));
  deliver(cpu, { vector: 0x20, kind: "external", returnIp: 0x105n });
  assert.equal(interruptReturn(cpu, 32, 0n), 0x105n);
  assert.equal(registers.selector(GS), 0x7000);
  assert.equal(registers.gpr(RSP), 0x1_fffen);
});

test("IRET in virtual-8086 mode needs IOPL 3 and leaves IOPL and VM alone", () => {
  const cpu = protectedCpu(3);
  for (let index = 0; index < 6; index++) {
    cpu.registers.setSegment(index, { selector: 0, base: 0n, limit: 0xffff, attributes: 0xf3 });
  }
  cpu.registers.eflags = FLAG.VM | 2;
  assert.deepEqual(
    faultOf(() => interruptReturn(cpu, 16, 0n)),
    { vector: 13, errorCode: 0 },
  );
  cpu.registers.eflags = FLAG.VM | FLAG.IOPL | 2;
  [0x10, 0x20, FLAG.CF].forEach((value, index) => {
    cpu.ram.setUint16(0x8000 + index * 2, value, true);
  });
  assert.equal(interruptReturn(cpu, 16, 0n), 0x10n);
  assert.equal(cpu.registers.eflags, FLAG.VM | FLAG.IOPL | FLAG.CF | 2);
});

test("a 64-bit interrupt from user mode and IRETQ come back to the same state", () => {
  const cpu = longCpu(3);
  cpu.ram.setBigUint64(IDT + 0x20 * 16, gate({ selector: SELECTOR.code0, offset: 0x1000, type: 14 }), true);
  cpu.registers.eflags = FLAG.IF | FLAG.ZF | 2;
  cpu.registers.setSegmentBase(FS, 0x7fff_1234_5678n);
  const before = cpu.snapshot();
  deliver(cpu, { vector: 0x20, kind: "external", returnIp: 0x7fff_0000_1000n });
  assert.equal(interruptReturn(cpu, 64, 0n), 0x7fff_0000_1000n);
  cpu.registers.set64("ip", 0n);
  // Flags are kept unevaluated in more than one way: compare them, then the rest.
  assert.equal(cpu.registers.eflags, FLAG.IF | FLAG.ZF | 2);
  cpu.registers.eflags = FLAG.IF | FLAG.ZF | 2;
  assert.deepEqual(cpu.snapshot(), before);
});

test("IRETQ to user mode keeps the bases of FS and GS though it takes the segments away", () => {
  const cpu = longCpu();
  cpu.registers.setSegmentBase(GS, 0xffff_8880_0000_0000n);
  frame64(cpu, 0x40_0000n, SELECTOR.code3, 2, 0x7fff_ffff_0000n, SELECTOR.data3);
  interruptReturn(cpu, 64, 0n);
  assert.equal(cpu.registers.selector(GS), 0);
  assert.equal(cpu.registers.segmentBase(GS), 0xffff_8880_0000_0000n);
  assert.equal(cpu.registers.gpr(RSP), 0x7fff_ffff_0000n);
  assert.equal(cpu.registers.get32("cpl"), 3);
});

test("IRETQ within the kernel takes a null SS", () => {
  const cpu = longCpu();
  frame64(cpu, 0x40_0000n, SELECTOR.code0, 2, 0x9999n, 0);
  assert.equal(interruptReturn(cpu, 64, 0n), 0x40_0000n);
  assert.equal(cpu.registers.selector(SS), 0);
  assert.equal(cpu.registers.gpr(RSP), 0x9999n);
});

test("IRETQ to an address that is not canonical is refused", () => {
  const cpu = longCpu();
  const before = cpu.snapshot();
  frame64(cpu, 0x8000_0000_0000n, SELECTOR.code3, 2, 0, SELECTOR.data3);
  assert.deepEqual(
    faultOf(() => interruptReturn(cpu, 64, 0n)),
    { vector: 13, errorCode: 0 },
  );
  assert.deepEqual(cpu.snapshot(), before);
});

test("IRETQ to compatibility mode loads ESP, and with a 16-bit stack segment only SP", () => {
  const cpu = longCpu();
  cpu.describe(GDT, 0x50, descriptor({ type: 0xb, dpl: 3, limit: 0xf_ffff, big: true, pages: true }));
  frame64(cpu, 0x1234, 0x53, 2, 0x1_2345_6789n, SELECTOR.data3);
  assert.equal(interruptReturn(cpu, 64, 0n), 0x1234n);
  assert.equal(cpu.registers.gpr(RSP), 0x2345_6789n);
  const other = longCpu();
  other.describe(GDT, 0x50, descriptor({ type: 0xb, dpl: 3, limit: 0xf_ffff, big: true, pages: true }));
  other.describe(GDT, 0x58, descriptor({ type: 3, dpl: 3 }));
  frame64(other, 0x1234, 0x53, 2, 0x1_2345_6789n, 0x5b);
  interruptReturn(other, 64, 0n);
  assert.equal(other.registers.gpr(RSP), 0x6789n, "the kernel's upper bits stay");
});

test("IRET with NT set in IA-32e mode is a general protection fault", () => {
  const cpu = longCpu();
  cpu.registers.eflags = FLAG.NT | 2;
  assert.deepEqual(
    faultOf(() => interruptReturn(cpu, 64, 0n)),
    { vector: 13, errorCode: 0 },
  );
});

test("an interrupt that waited is looked at when IRET turns interrupts on", () => {
  const cpu = longCpu();
  frame64(cpu, 0, SELECTOR.code0, FLAG.IF | 2, 0x8000, SELECTOR.data0);
  interruptReturn(cpu, 64, 0n);
  assert.equal(cpu.eventRequests, 0);
  cpu.registers.eflags = 2;
  cpu.registers.setGpr(RSP, 0x8000n);
  cpu.pending = true;
  interruptReturn(cpu, 64, 0n);
  assert.equal(cpu.eventRequests, 1);
});
