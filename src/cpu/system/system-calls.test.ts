import assert from "node:assert/strict";
import { test } from "node:test";
import { CS, RSP, SS } from "../../isa/semantics.ts";
import { FLAG } from "./mode.ts";
import { systemCallFunctions } from "./system-calls.ts";
import { type FlatCpu, faultOf, longCpu, protectedCpu, SELECTOR } from "./testing/flat-cpu.ts";

const run = (cpu: FlatCpu, name: string, ...args: number[]) =>
  systemCallFunctions(cpu)[name]?.(...(args as never[])) as bigint;

const segment = ({ registers }: FlatCpu, index: number) => ({
  selector: registers.selector(index),
  base: registers.segmentBase(index),
  limit: registers.limit(index),
  attributes: registers.attributes(index),
});
const flat = (selector: number, attributes: number) => ({ selector, base: 0n, limit: 0xffff_ffff, attributes });

test("SYSCALL loads flat kernel segments from STAR and masks flags by FMASK", () => {
  const cpu = longCpu(3);
  cpu.registers.set64("star", 0x0023_0010_0000_0000n);
  cpu.registers.set64("sfmask", BigInt(FLAG.IF | FLAG.TF | FLAG.DF));
  cpu.registers.eflags = FLAG.IF | FLAG.DF | FLAG.CF | 2;
  run(cpu, "enterSystemCall");
  assert.deepEqual(segment(cpu, CS), flat(0x10, 0xa09b));
  assert.deepEqual(segment(cpu, SS), flat(0x18, 0xc093));
  assert.equal(cpu.registers.get32("cpl"), 0);
  assert.equal(cpu.registers.eflags, FLAG.CF | 2);
  assert.ok(cpu.modeChanges > 0);
});

test("SYSRET goes to 64-bit or to compatibility mode by its operand size", () => {
  const cpu = longCpu();
  cpu.registers.set64("star", 0x0023_0010_0000_0000n);
  run(cpu, "leaveSystemCall", FLAG.IF | FLAG.RF | FLAG.VM | FLAG.ZF, 64);
  assert.deepEqual(segment(cpu, CS), flat(0x33, 0xa0fb));
  assert.deepEqual(segment(cpu, SS), flat(0x2b, 0xc0f3));
  assert.equal(cpu.registers.eflags, FLAG.IF | FLAG.ZF | 2, "RF and VM are cleared");
  const other = longCpu();
  other.registers.set64("star", 0x0023_0010_0000_0000n);
  run(other, "leaveSystemCall", 2, 32);
  assert.deepEqual(segment(other, CS), flat(0x23, 0xc0fb));
  assert.deepEqual(segment(other, SS), flat(0x2b, 0xc0f3));
});

test("SYSENTER and SYSEXIT take segments from IA32_SYSENTER_CS", () => {
  const cpu = protectedCpu(3);
  cpu.registers.set64("sysenterCs", 0x60n);
  cpu.registers.set64("sysenterEsp", 0x9000n);
  cpu.registers.set64("sysenterEip", 0xc010_0000n);
  cpu.registers.eflags = FLAG.IF | 2;
  assert.equal(run(cpu, "sysenter"), 0xc010_0000n);
  assert.deepEqual(segment(cpu, CS), flat(0x60, 0xc09b));
  assert.deepEqual(segment(cpu, SS), flat(0x68, 0xc093));
  assert.equal(cpu.registers.gpr(RSP), 0x9000n);
  assert.equal(cpu.registers.eflags, 2);
  cpu.registers.setGpr(1, 0x7000n);
  cpu.registers.setGpr(2, 0x40_0000n);
  assert.equal(run(cpu, "sysexit", 32), 0x40_0000n);
  assert.deepEqual(segment(cpu, CS), flat(0x73, 0xc0fb));
  assert.deepEqual(segment(cpu, SS), flat(0x7b, 0xc0f3));
  assert.equal(cpu.registers.gpr(RSP), 0x7000n);
});

test("SYSENTER without a code segment, and SYSEXIT to no canonical address, are refused", () => {
  const cpu = longCpu();
  cpu.registers.set64("sysenterCs", 3n);
  assert.deepEqual(
    faultOf(() => run(cpu, "sysenter")),
    { vector: 13, errorCode: 0 },
  );
  cpu.registers.set64("sysenterCs", BigInt(SELECTOR.code0));
  cpu.registers.setGpr(2, 0x8000_0000_0000n);
  assert.deepEqual(
    faultOf(() => run(cpu, "sysexit", 64)),
    { vector: 13, errorCode: 0 },
  );
});
