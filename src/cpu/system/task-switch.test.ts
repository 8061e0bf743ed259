import assert from "node:assert/strict";
import { test } from "node:test";
import { CS, DS, ES, FS, GS, RSP, SS } from "../../isa/semantics.ts";
import { LDTR, TR } from "../state.ts";
import { farTransferFunctions } from "./far-transfer.ts";
import { deliver } from "./interrupts.ts";
import { interruptReturn } from "./iret.ts";
import { FLAG } from "./mode.ts";
import { TaskFault } from "./task-switch.ts";
import { descriptor, type FlatCpu, faultOf, GDT, gate, IDT, protectedCpu, SELECTOR, TSS } from "./testing/flat-cpu.ts";

const OTHER = 0x5000;
type Far = (selector: number, offset: bigint, operandSize: number, nextIp: bigint) => bigint;
const jump = (cpu: FlatCpu) => farTransferFunctions(cpu).farJump as unknown as Far;
const call = (cpu: FlatCpu) => farTransferFunctions(cpu).farCall as unknown as Far;

/** A second task: EIP 0x7777, registers 0x100 and up, kernel segments, ESP 0xb000. */
function twoTasks(cpl: 0 | 3 = 0): FlatCpu {
  const cpu = protectedCpu(cpl);
  cpu.describe(GDT, SELECTOR.otherTss, descriptor({ base: OTHER, limit: 0x67, type: 9, system: true, dpl: cpl }));
  const { ram } = cpu;
  ram.setUint32(OTHER + 0x20, 0x7777, true);
  ram.setUint32(OTHER + 0x24, FLAG.ZF | 2, true);
  for (let index = 0; index < 8; index++) ram.setUint32(OTHER + 0x28 + index * 4, 0x100 + index, true);
  ram.setUint32(OTHER + 0x38, 0xb000, true);
  [SELECTOR.data0, SELECTOR.code0, SELECTOR.data0, SELECTOR.data0, 0, SELECTOR.data0].forEach((selector, index) => {
    ram.setUint16(OTHER + 0x48 + index * 4, selector, true);
  });
  return cpu;
}

const typeOf = (cpu: FlatCpu, selector: number) => cpu.ram.getUint8(GDT + selector + 5) & 0xf;

test("a jump to a TSS saves the old task and loads the new one", () => {
  const cpu = twoTasks();
  const { registers } = cpu;
  for (let index = 0; index < 8; index++) if (index !== RSP) registers.setGpr32(index, 0xabc0 + index);
  registers.eflags = FLAG.IF | 2;
  assert.equal(jump(cpu)(SELECTOR.otherTss, 0n, 32, 0x1234n), 0x7777n);

  assert.deepEqual(cpu.words(TSS + 0x20, 2, 4), [0x1234, FLAG.IF | 2]);
  assert.deepEqual(cpu.words(TSS + 0x28, 8, 4), [0xabc0, 0xabc1, 0xabc2, 0xabc3, 0x8000, 0xabc5, 0xabc6, 0xabc7]);
  assert.deepEqual(cpu.words(TSS + 0x48, 6, 4), [0x10, 0x08, 0x10, 0x10, 0x10, 0x10]);
  assert.equal(typeOf(cpu, SELECTOR.tss), 9, "the old task is no longer busy");
  assert.equal(typeOf(cpu, SELECTOR.otherTss), 11);

  assert.equal(registers.selector(TR), SELECTOR.otherTss);
  assert.equal(registers.segmentBase(TR), BigInt(OTHER));
  assert.equal(registers.gpr(0), 0x100n);
  assert.equal(registers.gpr(RSP), 0xb000n);
  assert.equal(registers.eflags, FLAG.ZF | 2);
  assert.deepEqual(
    [ES, CS, SS, DS, FS, GS].map((index) => registers.selector(index)),
    [0x10, 0x08, 0x10, 0x10, 0, 0x10],
  );
  assert.equal(registers.get64("cr0") & 8n, 8n, "CR0.TS is set");
});

test("a call to a TSS nests the task, and IRET goes back", () => {
  const cpu = twoTasks();
  call(cpu)(SELECTOR.otherTss, 0n, 32, 0x1234n);
  assert.equal(cpu.ram.getUint16(OTHER, true), SELECTOR.tss);
  assert.equal(cpu.registers.eflags, FLAG.NT | FLAG.ZF | 2);
  assert.equal(typeOf(cpu, SELECTOR.tss), 11, "both tasks are busy");
  assert.equal(typeOf(cpu, SELECTOR.otherTss), 11);

  assert.equal(interruptReturn(cpu, 32, 0x7780n), 0x1234n);
  assert.equal(cpu.registers.selector(TR), SELECTOR.tss);
  assert.equal(cpu.registers.gpr(RSP), 0x8000n);
  assert.equal(typeOf(cpu, SELECTOR.otherTss), 9);
  assert.deepEqual(cpu.words(OTHER + 0x20, 2, 4), [0x7780, FLAG.ZF | 2], "NT is clear in the saved flags");
});

test("an exception through a task gate pushes its error code on the new task's stack", () => {
  const cpu = twoTasks();
  cpu.describe(IDT, 8 * 8, gate({ selector: SELECTOR.otherTss, offset: 0, type: 5 }));
  deliver(cpu, { vector: 8, errorCode: 0, kind: "exception", returnIp: 0x1234n });
  assert.equal(cpu.registers.get64("ip"), 0x7777n);
  assert.equal(cpu.registers.gpr(RSP), 0xaffcn);
  assert.equal(cpu.ram.getUint32(0xaffc, true), 0);
  assert.equal(cpu.ram.getUint32(TSS + 0x20, true), 0x1234);
});

test("a jump through a task gate checks the gate's privilege, not the TSS's", () => {
  const cpu = twoTasks(3);
  cpu.describe(GDT, SELECTOR.otherTss, descriptor({ base: OTHER, limit: 0x67, type: 9, system: true }));
  assert.deepEqual(
    faultOf(() => jump(cpu)(SELECTOR.otherTss, 0n, 32, 0n)),
    {
      vector: 13,
      errorCode: SELECTOR.otherTss,
    },
  );
  cpu.describe(GDT, SELECTOR.free, gate({ selector: SELECTOR.otherTss, offset: 0, type: 5, dpl: 3 }));
  assert.equal(jump(cpu)(SELECTOR.free | 3, 0n, 32, 0n), 0x7777n);
  assert.equal(cpu.registers.get32("cpl"), 0);
});

test("a busy, short or absent TSS is refused and nothing has changed", () => {
  const cpu = twoTasks();
  const before = cpu.snapshot();
  const attempt = (fields: object) => {
    cpu.describe(GDT, SELECTOR.otherTss, descriptor({ base: OTHER, limit: 0x67, type: 9, system: true, ...fields }));
    return faultOf(() => jump(cpu)(SELECTOR.otherTss, 0n, 32, 0n));
  };
  assert.deepEqual(attempt({ type: 11 }), { vector: 13, errorCode: SELECTOR.otherTss });
  assert.deepEqual(attempt({ present: false }), { vector: 11, errorCode: SELECTOR.otherTss });
  assert.deepEqual(attempt({ limit: 0x66 }), { vector: 10, errorCode: SELECTOR.otherTss });
  assert.deepEqual(cpu.snapshot(), before);
  assert.equal(typeOf(cpu, SELECTOR.tss), 11);
});

test("IRET to a task that is not busy is an invalid TSS fault", () => {
  const cpu = twoTasks();
  cpu.registers.eflags = FLAG.NT | 2;
  cpu.ram.setUint16(TSS, SELECTOR.otherTss, true);
  assert.deepEqual(
    faultOf(() => interruptReturn(cpu, 32, 0n)),
    { vector: 10, errorCode: SELECTOR.otherTss },
  );
});

test("a bad segment of the new task faults in that task", () => {
  const cpu = twoTasks();
  cpu.ram.setUint16(OTHER + 0x54, SELECTOR.code3, true);
  cpu.describe(GDT, SELECTOR.code3, descriptor({ type: 8, dpl: 3 }));
  assert.throws(
    () => jump(cpu)(SELECTOR.otherTss, 0n, 32, 0n),
    (fault) => fault instanceof TaskFault && fault.vector === 10 && fault.errorCode === (SELECTOR.code3 & ~3),
  );
  assert.equal(cpu.registers.get64("ip"), 0x7777n);
  assert.equal(cpu.registers.selector(TR), SELECTOR.otherTss);
  assert.equal(cpu.registers.gpr(RSP), 0xb000n);
});

test("a task switch loads LDTR, and CR3 with paging", () => {
  const cpu = twoTasks();
  cpu.describe(GDT, SELECTOR.ldt, descriptor({ base: 0x3000, limit: 0xf, type: 2, system: true }));
  cpu.ram.setUint16(OTHER + 0x60, SELECTOR.ldt, true);
  cpu.ram.setUint32(OTHER + 0x1c, 0x6000, true);
  cpu.registers.set64("cr0", 0x8000_0001n);
  jump(cpu)(SELECTOR.otherTss, 0n, 32, 0n);
  assert.equal(cpu.registers.selector(LDTR), SELECTOR.ldt);
  assert.equal(cpu.registers.segmentBase(LDTR), 0x3000n);
  assert.equal(cpu.registers.get64("cr3"), 0x6000n);
  assert.equal(cpu.flushes, 1);
});

test("a task with VM set in its flags starts in virtual-8086 mode", () => {
  const cpu = twoTasks();
  cpu.ram.setUint32(OTHER + 0x24, FLAG.VM | 2, true);
  jump(cpu)(SELECTOR.otherTss, 0n, 32, 0n);
  assert.equal(cpu.registers.get32("cpl"), 3);
  assert.equal(cpu.registers.segmentBase(CS), BigInt(SELECTOR.code0 << 4));
});

test("a 16-bit TSS holds words", () => {
  const cpu = twoTasks();
  cpu.describe(GDT, SELECTOR.otherTss, descriptor({ base: OTHER, limit: 0x2b, type: 1, system: true }));
  const words = [0x7777, FLAG.CF | 2, 1, 2, 3, 4, 0xb000, 6, 7, 8, 0x10, 0x08, 0x10, 0x10, 0];
  words.forEach((word, index) => {
    cpu.ram.setUint16(OTHER + 0x0e + index * 2, word, true);
  });
  assert.equal(call(cpu)(SELECTOR.otherTss, 0n, 32, 0x1234n), 0x7777n);
  assert.equal(cpu.registers.gpr32(3) & 0xffff, 4);
  assert.equal(cpu.registers.selector(SS), 0x10);
  assert.equal(cpu.registers.eflags, FLAG.NT | FLAG.CF | 2);
  interruptReturn(cpu, 16, 0x7000n);
  assert.equal(cpu.ram.getUint16(OTHER + 0x0e, true), 0x7000);
  assert.equal(cpu.registers.selector(TR), SELECTOR.tss);
});
