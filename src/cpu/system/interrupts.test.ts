import assert from "node:assert/strict";
import { test } from "node:test";
import { CS, DS, FS, RSP, SS } from "../../isa/semantics.ts";
import { combine, deliver, type InterruptEvent } from "./interrupts.ts";
import { FLAG } from "./mode.ts";
import {
  descriptor,
  faultOf,
  GDT,
  gate,
  IDT,
  longCpu,
  protectedCpu,
  realCpu,
  SELECTOR,
  TSS,
} from "./testing/flat-cpu.ts";

const external = (vector: number): InterruptEvent => ({ vector, kind: "external", returnIp: 0x1234n });

test("a real-mode interrupt pushes FLAGS, CS and IP and goes through the vector table with interrupts off", () => {
  const cpu = realCpu();
  cpu.registers.eflags = FLAG.IF | FLAG.TF | FLAG.CF | 2;
  cpu.ram.setUint32(0x21 * 4, 0xf000_e987, true);
  deliver(cpu, external(0x21));
  assert.deepEqual(cpu.words(0x7ffa, 3, 2), [0x1234, 0x100, FLAG.IF | FLAG.TF | FLAG.CF | 2]);
  assert.equal(cpu.registers.gpr(RSP), 0x7ffan);
  assert.equal(cpu.registers.selector(CS), 0xf000);
  assert.equal(cpu.registers.segmentBase(CS), 0xf_0000n);
  assert.equal(cpu.registers.get64("ip"), 0xe987n);
  assert.equal(cpu.registers.eflags, FLAG.CF | 2);
});

test("a real-mode vector beyond the table's limit is a general protection fault", () => {
  const cpu = realCpu();
  cpu.registers.set32("idtLimit", 0x83);
  const before = cpu.snapshot();
  assert.deepEqual(
    faultOf(() => deliver(cpu, external(0x21))),
    { vector: 13, errorCode: 0 },
  );
  assert.deepEqual(cpu.snapshot(), before);
});

test("an interrupt gate at the same privilege level pushes EFLAGS, CS, EIP and the error code on the same stack", () => {
  const cpu = protectedCpu();
  cpu.describe(IDT, 13 * 8, gate({ selector: SELECTOR.code0, offset: 0x12_3456, type: 14 }));
  cpu.registers.eflags = FLAG.IF | FLAG.NT | FLAG.ZF | 2;
  deliver(cpu, { vector: 13, errorCode: 0x18, kind: "exception", returnIp: 0x500n });
  const flags = FLAG.IF | FLAG.NT | FLAG.ZF | FLAG.RF | 2;
  assert.deepEqual(cpu.words(0x7ff0, 4, 4), [0x18, 0x500, SELECTOR.code0, flags]);
  assert.equal(cpu.registers.gpr(RSP), 0x7ff0n);
  assert.equal(cpu.registers.get64("ip"), 0x12_3456n);
  assert.equal(cpu.registers.eflags, FLAG.ZF | 2);
});

test("a trap gate leaves interrupts on", () => {
  const cpu = protectedCpu();
  cpu.describe(IDT, 0x80 * 8, gate({ selector: SELECTOR.code0, offset: 0x100, type: 15 }));
  cpu.registers.eflags = FLAG.IF | FLAG.TF | 2;
  deliver(cpu, { vector: 0x80, kind: "software", returnIp: 0x500n });
  assert.equal(cpu.registers.eflags, FLAG.IF | 2);
});

test("an interrupt from user mode switches to the stack of the TSS and pushes SS and ESP first", () => {
  const cpu = protectedCpu(3);
  cpu.describe(IDT, 0x80 * 8, gate({ selector: SELECTOR.code0, offset: 0x100, type: 14, dpl: 3 }));
  deliver(cpu, { vector: 0x80, kind: "software", returnIp: 0x500n });
  assert.deepEqual(cpu.words(0x8fec, 5, 4), [0x500, SELECTOR.code3, 2, 0x8000, SELECTOR.data3]);
  assert.equal(cpu.registers.gpr(RSP), 0x8fecn);
  assert.equal(cpu.registers.selector(SS), SELECTOR.data0);
  assert.equal(cpu.registers.selector(CS), SELECTOR.code0);
  assert.equal(cpu.registers.get32("cpl"), 0);
  assert.ok(cpu.modeChanges > 0);
  assert.ok(cpu.supervisorAccesses.includes(0x8ffc), "the frame is written with the inner level's rights");
});

test("a 16-bit interrupt gate pushes words", () => {
  const cpu = protectedCpu(3);
  cpu.describe(IDT, 8 * 0x30, gate({ selector: SELECTOR.code0, offset: 0x9_0100, type: 6, dpl: 3 }));
  deliver(cpu, external(0x30));
  assert.deepEqual(cpu.words(0x8ff6, 5, 2), [0x1234, SELECTOR.code3, 2, 0x8000, SELECTOR.data3]);
  assert.equal(cpu.registers.get64("ip"), 0x100n);
});

test("INT n through a gate of a more privileged level is refused, an external interrupt is not", () => {
  const cpu = protectedCpu(3);
  cpu.describe(IDT, 0x80 * 8, gate({ selector: SELECTOR.code0, offset: 0x100, type: 14 }));
  const software = { vector: 0x80, kind: "software", returnIp: 0n } as const;
  assert.deepEqual(
    faultOf(() => deliver(cpu, software)),
    { vector: 13, errorCode: 0x402 },
  );
  deliver(cpu, external(0x80));
  assert.equal(cpu.registers.get32("cpl"), 0);
});

test("error codes of faulting deliveries name the gate or the selector and carry EXT for external events", () => {
  const cpu = protectedCpu();
  const before = cpu.snapshot();
  assert.deepEqual(
    faultOf(() => deliver(cpu, external(0x21))),
    { vector: 13, errorCode: 0x21 * 8 + 3 },
  );
  cpu.describe(IDT, 0x21 * 8, gate({ selector: SELECTOR.code0, offset: 0, type: 14, present: false }));
  assert.deepEqual(
    faultOf(() => deliver(cpu, external(0x21))),
    { vector: 11, errorCode: 0x21 * 8 + 3 },
  );
  cpu.describe(IDT, 0x21 * 8, gate({ selector: 0, offset: 0, type: 14 }));
  assert.deepEqual(
    faultOf(() => deliver(cpu, external(0x21))),
    { vector: 13, errorCode: 1 },
  );
  cpu.describe(IDT, 0x21 * 8, gate({ selector: SELECTOR.data0, offset: 0, type: 14 }));
  assert.deepEqual(
    faultOf(() => deliver(cpu, external(0x21))),
    { vector: 13, errorCode: SELECTOR.data0 | 1 },
  );
  cpu.describe(GDT, SELECTOR.free, descriptor({ type: 0xa, present: false }));
  cpu.describe(IDT, 0x21 * 8, gate({ selector: SELECTOR.free, offset: 0, type: 14 }));
  const software = { vector: 0x21, kind: "software", returnIp: 0n } as const;
  assert.deepEqual(
    faultOf(() => deliver(cpu, software)),
    { vector: 11, errorCode: SELECTOR.free },
  );
  assert.deepEqual(cpu.snapshot(), before);
});

test("a bad stack segment in the TSS is an invalid TSS fault that names it", () => {
  const cpu = protectedCpu(3);
  cpu.describe(IDT, 0x21 * 8, gate({ selector: SELECTOR.code0, offset: 0, type: 14 }));
  cpu.ram.setUint16(TSS + 8, SELECTOR.data3, true);
  assert.deepEqual(
    faultOf(() => deliver(cpu, external(0x21))),
    { vector: 10, errorCode: (SELECTOR.data3 & ~3) | 1 },
  );
  cpu.ram.setUint16(TSS + 8, 0, true);
  assert.deepEqual(
    faultOf(() => deliver(cpu, external(0x21))),
    { vector: 10, errorCode: 1 },
  );
  cpu.registers.setSegment(7, { selector: SELECTOR.tss, base: BigInt(TSS), limit: 8, attributes: 0x8b });
  assert.deepEqual(
    faultOf(() => deliver(cpu, external(0x21))),
    { vector: 10, errorCode: SELECTOR.tss | 1 },
  );
});

test("a page fault while the frame is pushed leaves the registers alone", () => {
  const cpu = protectedCpu(3);
  cpu.describe(IDT, 0x21 * 8, gate({ selector: SELECTOR.code0, offset: 0, type: 14 }));
  cpu.absent.add(8);
  const before = cpu.snapshot();
  assert.deepEqual(
    faultOf(() => deliver(cpu, external(0x21))),
    { vector: 14, errorCode: 0 },
  );
  assert.deepEqual(cpu.snapshot(), before);
});

test("an interrupt in virtual-8086 mode saves and clears the data segments and leaves that mode", () => {
  const cpu = protectedCpu(3);
  for (let index = 0; index < 6; index++) {
    const selector = 0x200 + index;
    cpu.registers.setSegment(index, { selector, base: BigInt(selector << 4), limit: 0xffff, attributes: 0xf3 });
  }
  cpu.registers.eflags = FLAG.VM | FLAG.IF | 2;
  cpu.describe(IDT, 0x20 * 8, gate({ selector: SELECTOR.code0, offset: 0x100, type: 14 }));
  deliver(cpu, external(0x20));
  assert.deepEqual(cpu.words(0x9000 - 36, 9, 4), [
    0x1234,
    0x201,
    FLAG.VM | FLAG.IF | 2,
    0x8000,
    0x202,
    0x200,
    0x203,
    0x204,
    0x205,
  ]);
  assert.equal(cpu.registers.eflags, 2);
  assert.equal(cpu.registers.selector(DS), 0);
  assert.equal(cpu.registers.selector(FS), 0);
  assert.equal(cpu.registers.selector(SS), SELECTOR.data0);
  assert.equal(cpu.registers.get32("cpl"), 0);
});

test("INT n in virtual-8086 mode with IOPL below 3 is a general protection fault", () => {
  const cpu = protectedCpu(3);
  cpu.registers.eflags = FLAG.VM | 2;
  cpu.describe(IDT, 0x80 * 8, gate({ selector: SELECTOR.code0, offset: 0x100, type: 14, dpl: 3 }));
  const software = { vector: 0x80, kind: "software", returnIp: 0n } as const;
  assert.deepEqual(
    faultOf(() => deliver(cpu, software)),
    { vector: 13, errorCode: 0 },
  );
  cpu.registers.eflags = FLAG.VM | FLAG.IOPL | 2;
  deliver(cpu, software);
  assert.equal(cpu.registers.get32("cpl"), 0);
});

/** A 64-bit interrupt gate for `vector` to 0xffff8000_00100000 + vector. */
function longGate(
  cpu: ReturnType<typeof longCpu>,
  vector: number,
  options: { dpl?: number; ist?: number } = {},
): bigint {
  const { dpl = 0, ist = 0 } = options;
  const at = IDT + vector * 16;
  const offset = 0x10_0000 + vector;
  cpu.ram.setBigUint64(at, gate({ selector: SELECTOR.code0, offset, type: 14, dpl, count: ist }), true);
  cpu.ram.setBigUint64(at + 8, 0xffff_8000n, true);
  return 0xffff_8000_0000_0000n + BigInt(offset);
}

test("a 64-bit interrupt from user mode pushes five quadwords on RSP0 and loads a null SS", () => {
  const cpu = longCpu(3);
  const handler = longGate(cpu, 14);
  cpu.registers.setGpr(RSP, 0x8003n);
  cpu.registers.eflags = FLAG.IF | 2;
  deliver(cpu, { vector: 14, errorCode: 6, kind: "exception", returnIp: 0x40_0000n });
  const flags = BigInt(FLAG.IF | FLAG.RF | 2);
  assert.deepEqual(cpu.quads(0x9000 - 48, 6), [
    6n,
    0x40_0000n,
    BigInt(SELECTOR.code3),
    flags,
    0x8003n,
    BigInt(SELECTOR.data3),
  ]);
  assert.equal(cpu.registers.gpr(RSP), 0x9000n - 48n);
  assert.equal(cpu.registers.get64("ip"), handler);
  assert.equal(cpu.registers.selector(SS), 0);
  assert.equal(cpu.registers.get32("cpl"), 0);
  assert.equal(cpu.registers.eflags, 2);
});

test("a 64-bit interrupt within the kernel stays on its stack, aligned to 16 bytes", () => {
  const cpu = longCpu();
  longGate(cpu, 0x20);
  cpu.registers.setGpr(RSP, 0x7ff9n);
  deliver(cpu, external(0x20));
  assert.equal(cpu.registers.gpr(RSP), 0x7ff0n - 40n);
  assert.deepEqual(cpu.quads(0x7ff0 - 40, 5), [0x1234n, 8n, 2n, 0x7ff9n, 0x10n]);
  assert.equal(cpu.registers.selector(SS), SELECTOR.data0);
});

test("a gate with an interrupt stack uses it even within the kernel", () => {
  const cpu = longCpu();
  longGate(cpu, 2, { ist: 1 });
  deliver(cpu, external(2));
  assert.equal(cpu.registers.gpr(RSP), 0xa000n - 40n);
  assert.equal(cpu.registers.selector(SS), SELECTOR.data0);
});

test("a 64-bit gate to a segment that is not 64-bit code, or to no canonical offset, is refused", () => {
  const cpu = longCpu(3);
  longGate(cpu, 0x20);
  cpu.ram.setBigUint64(IDT + 0x20 * 16 + 8, 0x8000n, true);
  assert.deepEqual(
    faultOf(() => deliver(cpu, external(0x20))),
    { vector: 13, errorCode: 1 },
  );
  cpu.describe(GDT, SELECTOR.code0, descriptor({ type: 0xb, big: true }));
  assert.deepEqual(
    faultOf(() => deliver(cpu, external(0x20))),
    { vector: 13, errorCode: SELECTOR.code0 | 1 },
  );
  assert.deepEqual(
    faultOf(() => deliver(cpu, external(0xff))),
    { vector: 13, errorCode: 0xff * 8 + 3 },
  );
});

test("two exceptions combine as benign, contributory and page faults do", () => {
  assert.equal(combine(undefined, 13), "serial");
  assert.equal(combine(1, 13), "serial");
  assert.equal(combine(13, 1), "serial");
  assert.equal(combine(13, 14), "serial");
  assert.equal(combine(13, 11), "double");
  assert.equal(combine(14, 14), "double");
  assert.equal(combine(14, 10), "double");
  assert.equal(combine(14, 6), "serial");
  assert.equal(combine(8, 14), "shutdown");
  assert.equal(combine(8, 13), "shutdown");
});

test("an NMI holds off further ones, an interrupt with its vector does not", () => {
  const cpu = longCpu();
  longGate(cpu, 2);
  deliver(cpu, { vector: 2, kind: "software", returnIp: 0n });
  assert.equal(cpu.registers.get32("nmiBlocked"), 0);
  deliver(cpu, external(2));
  assert.equal(cpu.registers.get32("nmiBlocked"), 1);
});
