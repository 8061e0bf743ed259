import assert from "node:assert/strict";
import { test } from "node:test";
import { CS, DS, ES, FS, SS } from "../../isa/semantics.ts";
import { LDTR, SHADOW } from "../state.ts";
import { ATTRIBUTE, FLAG } from "./mode.ts";
import { loadSegment, segmentFunctions } from "./segments.ts";
import { descriptor, faultOf, GDT, LDT, longCpu, protectedCpu, realCpu, SELECTOR } from "./testing/flat-cpu.ts";

test("a selector in real mode is a paragraph and keeps the limit that protected mode left", () => {
  const cpu = realCpu();
  cpu.registers.setSegment(DS, { selector: 8, base: 0n, limit: 0xffff_ffff, attributes: 0xc093 });
  loadSegment(cpu, DS, 0x1234);
  assert.equal(cpu.registers.selector(DS), 0x1234);
  assert.equal(cpu.registers.segmentBase(DS), 0x1_2340n);
  assert.equal(cpu.registers.limit(DS), 0xffff_ffff);
});

test("a selector in virtual-8086 mode is a paragraph of 64 KiB", () => {
  const cpu = protectedCpu(3);
  cpu.registers.eflags = FLAG.VM | 2;
  loadSegment(cpu, DS, 0x1234);
  assert.equal(cpu.registers.segmentBase(DS), 0x1_2340n);
  assert.equal(cpu.registers.limit(DS), 0xffff);
  assert.equal(cpu.registers.attributes(DS), 0xf3);
});

test("a data segment is loaded with base, limit and rights, and marked accessed in its table", () => {
  const cpu = protectedCpu();
  cpu.describe(GDT, SELECTOR.free, descriptor({ base: 0x1234_5678, limit: 0xabcd, type: 2, dpl: 3, big: true }));
  loadSegment(cpu, DS, SELECTOR.free | 3);
  assert.equal(cpu.registers.selector(DS), SELECTOR.free | 3);
  assert.equal(cpu.registers.segmentBase(DS), 0x1234_5678n);
  assert.equal(cpu.registers.limit(DS), 0xabcd);
  assert.equal(cpu.registers.attributes(DS), 0x40f3);
  assert.equal(cpu.ram.getUint8(GDT + SELECTOR.free + 5), 0xf3);
  assert.ok(cpu.modeChanges > 0);
});

test("a page-granular limit counts 4 KiB pages", () => {
  const cpu = protectedCpu();
  cpu.describe(GDT, SELECTOR.free, descriptor({ limit: 1, type: 3, pages: true }));
  loadSegment(cpu, DS, SELECTOR.free);
  assert.equal(cpu.registers.limit(DS), 0x1fff);
});

test("the local descriptor table has segments of its own", () => {
  const cpu = protectedCpu();
  cpu.registers.setSegment(LDTR, { selector: SELECTOR.ldt, base: BigInt(LDT), limit: 0xf, attributes: 0x82 });
  cpu.describe(LDT, 8, descriptor({ base: 0x777, type: 3 }));
  loadSegment(cpu, FS, 0xc);
  assert.equal(cpu.registers.segmentBase(FS), 0x777n);
  assert.deepEqual(
    faultOf(() => loadSegment(cpu, FS, 0x14)),
    { vector: 13, errorCode: 0x14 },
  );
  cpu.registers.setSegment(LDTR, { selector: 0, base: BigInt(LDT), limit: 0xf, attributes: ATTRIBUTE.unusable });
  assert.deepEqual(
    faultOf(() => loadSegment(cpu, FS, 0xc)),
    { vector: 13, errorCode: 0xc },
  );
});

test("segments that a program may not have are refused with their selector", () => {
  const cpu = protectedCpu(3);
  const load = (index: number, selector: number) => faultOf(() => loadSegment(cpu, index, selector));
  assert.deepEqual(load(DS, SELECTOR.data0), { vector: 13, errorCode: SELECTOR.data0 }, "inner privilege level");
  assert.deepEqual(load(DS, 0x103), { vector: 13, errorCode: 0x100 }, "beyond the table");
  cpu.describe(GDT, SELECTOR.free, descriptor({ type: 8, dpl: 3 }));
  assert.deepEqual(load(DS, SELECTOR.free | 3), { vector: 13, errorCode: SELECTOR.free }, "execute-only");
  cpu.describe(GDT, SELECTOR.free, descriptor({ type: 2, dpl: 3, present: false }));
  assert.deepEqual(load(DS, SELECTOR.free | 3), { vector: 11, errorCode: SELECTOR.free }, "not present");
  assert.deepEqual(load(DS, SELECTOR.tss | 3), { vector: 13, errorCode: SELECTOR.tss }, "a system segment");
  cpu.describe(GDT, SELECTOR.free, descriptor({ type: 0xe, dpl: 0 }));
  assert.equal(load(DS, SELECTOR.free | 3), undefined, "readable conforming code");
});

test("SS takes writable data of the present privilege level only, and never null below 64-bit mode", () => {
  const cpu = protectedCpu(3);
  const load = (selector: number) => faultOf(() => loadSegment(cpu, SS, selector));
  assert.equal(load(SELECTOR.data3), undefined);
  assert.deepEqual(load(0), { vector: 13, errorCode: 0 });
  assert.deepEqual(load(SELECTOR.data3 & ~3), { vector: 13, errorCode: SELECTOR.data3 & ~3 });
  assert.deepEqual(load(SELECTOR.code3), { vector: 13, errorCode: SELECTOR.code3 & ~3 });
  cpu.describe(GDT, SELECTOR.free, descriptor({ type: 2, dpl: 3, present: false }));
  assert.deepEqual(load(SELECTOR.free | 3), { vector: 12, errorCode: SELECTOR.free });
});

test("64-bit kernel code may have a null SS, user code may not", () => {
  const cpu = longCpu();
  loadSegment(cpu, SS, 0);
  assert.equal(cpu.registers.selector(SS), 0);
  assert.deepEqual(
    faultOf(() => loadSegment(longCpu(3), SS, 3)),
    { vector: 13, errorCode: 0 },
  );
});

test("a null selector in a data segment makes it unusable", () => {
  const cpu = protectedCpu();
  loadSegment(cpu, ES, 3);
  assert.equal(cpu.registers.selector(ES), 3);
  assert.ok(cpu.registers.attributes(ES) & ATTRIBUTE.unusable);
});

test("MOV to CS is an invalid opcode", () => {
  const cpu = protectedCpu();
  assert.deepEqual(
    faultOf(() => loadSegment(cpu, CS, SELECTOR.code0)),
    { vector: 6, errorCode: 0 },
  );
});

test("MOV to SS holds off interrupts for one instruction", () => {
  const cpu = protectedCpu();
  segmentFunctions(cpu).loadStackSegment?.(...([SELECTOR.data0] as never[]));
  assert.equal(cpu.registers.get32("shadow"), SHADOW.debugTraps);
  assert.ok(cpu.eventRequests > 0);
});
