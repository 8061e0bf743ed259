import assert from "node:assert/strict";
import { test } from "node:test";
import { CS, DS, RSP, SS } from "../../isa/semantics.ts";
import { farReturn, farTransferFunctions } from "./far-transfer.ts";
import { ATTRIBUTE } from "./mode.ts";
import {
  descriptor,
  type FlatCpu,
  faultOf,
  GDT,
  gate,
  longCpu,
  protectedCpu,
  realCpu,
  SELECTOR,
} from "./testing/flat-cpu.ts";

type Far = (selector: number, offset: bigint, operandSize: number, nextIp: bigint) => bigint;
const jump = (cpu: FlatCpu) => farTransferFunctions(cpu).farJump as unknown as Far;
const call = (cpu: FlatCpu) => farTransferFunctions(cpu).farCall as unknown as Far;

test("a far jump in real mode loads CS with a paragraph", () => {
  const cpu = realCpu();
  assert.equal(jump(cpu)(0xf000, 0xfff0n, 16, 0n), 0xfff0n);
  assert.equal(cpu.registers.segmentBase(CS), 0xf_0000n);
  assert.deepEqual(
    faultOf(() => jump(cpu)(0xf000, 0x1_0000n, 32, 0n)),
    { vector: 13, errorCode: 0 },
  );
});

test("a far call and return in real mode push and pop CS and IP", () => {
  const cpu = realCpu();
  assert.equal(call(cpu)(0x3000, 0x10n, 16, 0x105n), 0x10n);
  assert.deepEqual(cpu.words(0x7ffc, 2, 2), [0x105, 0x100]);
  assert.equal(farReturn(cpu, 16, 4), 0x105n);
  assert.equal(cpu.registers.selector(CS), 0x100);
  assert.equal(cpu.registers.gpr(RSP), 0x8004n);
});

test("a far jump in protected mode keeps the privilege level in CS", () => {
  const cpu = protectedCpu(3);
  cpu.describe(GDT, SELECTOR.free, descriptor({ type: 0xc, limit: 0xffff }));
  assert.equal(jump(cpu)(SELECTOR.free, 0x10n, 32, 0n), 0x10n);
  assert.equal(cpu.registers.selector(CS), SELECTOR.free | 3, "conforming code runs at the caller's level");
  assert.equal(cpu.registers.get32("cpl"), 3);
  assert.equal(cpu.ram.getUint8(GDT + SELECTOR.free + 5) & 1, 1);
});

test("far jumps to inner code, to data, beyond the limit and to absent code are refused", () => {
  const cpu = protectedCpu(3);
  const before = cpu.snapshot();
  const to = (selector: number, offset = 0n) => faultOf(() => jump(cpu)(selector, offset, 32, 0n));
  assert.deepEqual(to(SELECTOR.code0), { vector: 13, errorCode: SELECTOR.code0 });
  assert.deepEqual(to(SELECTOR.data3), { vector: 13, errorCode: SELECTOR.data3 & ~3 });
  assert.deepEqual(to(0), { vector: 13, errorCode: 0 });
  cpu.describe(GDT, SELECTOR.free, descriptor({ type: 0xa, dpl: 3 }));
  assert.deepEqual(to(SELECTOR.free | 3, 0x1_0000n), { vector: 13, errorCode: 0 });
  cpu.describe(GDT, SELECTOR.free, descriptor({ type: 0xa, dpl: 3, present: false }));
  assert.deepEqual(to(SELECTOR.free | 3), { vector: 11, errorCode: SELECTOR.free });
  assert.deepEqual(cpu.snapshot(), before);
});

test("a call gate to inner code switches stacks and copies the parameters", () => {
  const cpu = protectedCpu(3);
  cpu.describe(GDT, SELECTOR.free, gate({ selector: SELECTOR.code0, offset: 0x4_5678, type: 12, dpl: 3, count: 2 }));
  cpu.ram.setUint32(0x8000, 0xaaaa, true);
  cpu.ram.setUint32(0x8004, 0xbbbb, true);
  assert.equal(call(cpu)(SELECTOR.free | 3, 0x9999n, 32, 0x505n), 0x4_5678n);
  assert.deepEqual(cpu.words(0x9000 - 24, 6, 4), [0x505, SELECTOR.code3, 0xaaaa, 0xbbbb, 0x8000, SELECTOR.data3]);
  assert.equal(cpu.registers.gpr(RSP), 0x9000n - 24n);
  assert.equal(cpu.registers.selector(SS), SELECTOR.data0);
  assert.equal(cpu.registers.get32("cpl"), 0);

  assert.equal(farReturn(cpu, 32, 8), 0x505n);
  assert.equal(cpu.registers.get32("cpl"), 3);
  assert.equal(cpu.registers.gpr(RSP), 0x8008n, "the parameters are gone from the outer stack");
  assert.equal(cpu.registers.selector(SS), SELECTOR.data3);
  assert.equal(cpu.registers.selector(DS), SELECTOR.data3, "segments of the outer level stay");
});

test("a 16-bit call gate pushes words", () => {
  const cpu = protectedCpu(3);
  cpu.describe(GDT, SELECTOR.free, gate({ selector: SELECTOR.code0, offset: 0x5678, type: 4, dpl: 3, count: 1 }));
  cpu.ram.setUint16(0x8000, 0xaaaa, true);
  call(cpu)(SELECTOR.free | 3, 0n, 32, 0x505n);
  assert.deepEqual(cpu.words(0x9000 - 10, 5, 2), [0x505, SELECTOR.code3, 0xaaaa, 0x8000, SELECTOR.data3]);
});

test("a gate that the caller's level may not use, or a jump through one to inner code, is refused", () => {
  const cpu = protectedCpu(3);
  cpu.describe(GDT, SELECTOR.free, gate({ selector: SELECTOR.code0, offset: 0, type: 12 }));
  assert.deepEqual(
    faultOf(() => call(cpu)(SELECTOR.free, 0n, 32, 0n)),
    { vector: 13, errorCode: SELECTOR.free },
  );
  cpu.describe(GDT, SELECTOR.free, gate({ selector: SELECTOR.code0, offset: 0, type: 12, dpl: 3 }));
  assert.deepEqual(
    faultOf(() => jump(cpu)(SELECTOR.free, 0n, 32, 0n)),
    { vector: 13, errorCode: SELECTOR.code0 },
  );
  cpu.describe(GDT, SELECTOR.free, gate({ selector: SELECTOR.code0, offset: 0, type: 12, dpl: 3, present: false }));
  assert.deepEqual(
    faultOf(() => call(cpu)(SELECTOR.free, 0n, 32, 0n)),
    { vector: 11, errorCode: SELECTOR.free },
  );
});

test("a far return to user mode clears segments of the kernel", () => {
  const cpu = protectedCpu();
  [0x1234, SELECTOR.code3, 0x6000, SELECTOR.data3].forEach((value, index) => {
    cpu.ram.setUint32(0x8000 + index * 4, value, true);
  });
  assert.equal(farReturn(cpu, 32, 0), 0x1234n);
  assert.equal(cpu.registers.gpr(RSP), 0x6000n);
  assert.ok(cpu.registers.attributes(DS) & ATTRIBUTE.unusable);
});

test("a far return to an inner level is refused", () => {
  const cpu = protectedCpu(3);
  cpu.ram.setUint32(0x8004, SELECTOR.code0, true);
  assert.deepEqual(
    faultOf(() => farReturn(cpu, 32, 0)),
    { vector: 13, errorCode: SELECTOR.code0 },
  );
});

test("a far jump enters 64-bit mode from compatibility mode, with base 0 and limit 4 GiB", () => {
  const cpu = longCpu();
  cpu.registers.setSegment(CS, { selector: 0x50, base: 0n, limit: 0xffff_ffff, attributes: 0xc09b });
  cpu.describe(GDT, SELECTOR.code0, descriptor({ base: 0x1000, limit: 0, type: 0xb, long: true }));
  jump(cpu)(SELECTOR.code0, 0x12_3456n, 32, 0n);
  assert.equal(cpu.registers.segmentBase(CS), 0n);
  assert.equal(cpu.registers.limit(CS), 0xffff_ffff);
  assert.ok(cpu.registers.attributes(CS) & ATTRIBUTE.long);
});

test("code with both L and D set, 16-bit gates and task state segments are refused in IA-32e mode", () => {
  const cpu = longCpu();
  cpu.describe(GDT, SELECTOR.free, descriptor({ type: 0xb, long: true, big: true }));
  assert.deepEqual(
    faultOf(() => jump(cpu)(SELECTOR.free, 0n, 32, 0n)),
    { vector: 13, errorCode: SELECTOR.free },
  );
  for (const type of [1, 4, 5, 9]) {
    cpu.describe(GDT, SELECTOR.free, descriptor({ type, system: true }));
    assert.deepEqual(
      faultOf(() => jump(cpu)(SELECTOR.free, 0n, 32, 0n)),
      { vector: 13, errorCode: SELECTOR.free },
    );
  }
});

test("a 64-bit call gate from user mode pushes SS, RSP, CS and RIP on RSP0, and RETF goes back", () => {
  const cpu = longCpu(3);
  cpu.describe(GDT, SELECTOR.free, gate({ selector: SELECTOR.code0, offset: 0x1000, type: 12, dpl: 3 }));
  cpu.ram.setBigUint64(GDT + SELECTOR.free + 8, 0xffff_8000n, true);
  assert.equal(call(cpu)(SELECTOR.free, 0n, 32, 0x40_0005n), 0xffff_8000_0000_1000n);
  assert.deepEqual(cpu.quads(0x9000 - 32, 4), [0x40_0005n, BigInt(SELECTOR.code3), 0x8000n, BigInt(SELECTOR.data3)]);
  assert.equal(cpu.registers.selector(SS), 0);
  assert.equal(farReturn(cpu, 64, 0), 0x40_0005n);
  assert.equal(cpu.registers.gpr(RSP), 0x8000n);
  assert.equal(cpu.registers.get32("cpl"), 3);
});

test("a far call in 64-bit mode pushes operands of its size", () => {
  const cpu = longCpu();
  call(cpu)(SELECTOR.code0, 0x1000n, 64, 0x1_0000_0007n);
  assert.deepEqual(cpu.quads(0x8000 - 16, 2), [0x1_0000_0007n, BigInt(SELECTOR.code0)]);
});
