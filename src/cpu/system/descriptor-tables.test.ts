import assert from "node:assert/strict";
import { test } from "node:test";
import { LOOK } from "../../isa/descriptor-table.ts";
import { LDTR, TR } from "../state.ts";
import { descriptorTableFunctions } from "./descriptor-tables.ts";
import { ATTRIBUTE, CR4 } from "./mode.ts";
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

const run = (cpu: FlatCpu, name: string, ...args: (number | bigint)[]) =>
  descriptorTableFunctions(cpu)[name]?.(...(args as never[]));

test("LTR makes the TSS busy and refuses one that is", () => {
  const cpu = protectedCpu();
  cpu.describe(GDT, SELECTOR.otherTss, descriptor({ base: 0x5000, limit: 0x67, type: 9, system: true }));
  run(cpu, "loadTask", SELECTOR.otherTss);
  assert.equal(cpu.registers.segmentBase(TR), 0x5000n);
  assert.equal(cpu.registers.attributes(TR), 0x8b);
  assert.equal(cpu.ram.getUint8(GDT + SELECTOR.otherTss + 5), 0x8b);
  assert.deepEqual(
    faultOf(() => run(cpu, "loadTask", SELECTOR.otherTss)),
    {
      vector: 13,
      errorCode: SELECTOR.otherTss,
    },
  );
  assert.deepEqual(
    faultOf(() => run(cpu, "loadTask", 0)),
    { vector: 13, errorCode: 0 },
  );
});

test("LTR in 64-bit mode takes a 16-byte descriptor", () => {
  const cpu = longCpu();
  cpu.describe(GDT, SELECTOR.otherTss, descriptor({ base: 0x5000, limit: 0x67, type: 9, system: true }));
  cpu.ram.setBigUint64(GDT + SELECTOR.otherTss + 8, 0xffff_fe00n, true);
  run(cpu, "loadTask", SELECTOR.otherTss);
  assert.equal(cpu.registers.segmentBase(TR), 0xffff_fe00_0000_5000n);
});

test("LLDT takes a null selector, an LDT, and nothing else", () => {
  const cpu = protectedCpu();
  cpu.describe(GDT, SELECTOR.ldt, descriptor({ base: 0x3000, limit: 0xf, type: 2, system: true }));
  run(cpu, "loadLdt", SELECTOR.ldt);
  assert.equal(cpu.registers.segmentBase(LDTR), 0x3000n);
  assert.equal(run(cpu, "storeLdt"), SELECTOR.ldt);
  assert.deepEqual(
    faultOf(() => run(cpu, "loadLdt", SELECTOR.data0)),
    { vector: 13, errorCode: SELECTOR.data0 },
  );
  run(cpu, "loadLdt", 0);
  assert.ok(cpu.registers.attributes(LDTR) & ATTRIBUTE.unusable);
});

test("UMIP keeps user mode from storing LDTR and TR", () => {
  const cpu = protectedCpu(3);
  cpu.registers.set64("cr4", BigInt(CR4.UMIP));
  for (const name of ["storeLdt", "storeTask"]) {
    assert.deepEqual(
      faultOf(() => run(cpu, name, 0)),
      { vector: 13, errorCode: 0 },
    );
  }
});

test("real mode has no LDTR, TR and segments to ask about", () => {
  const cpu = realCpu();
  for (const name of ["storeLdt", "storeTask", "segmentVisible", "verifySegment", "requireProtected"]) {
    assert.deepEqual(
      faultOf(() => run(cpu, name, 8, 0)),
      { vector: 6, errorCode: 0 },
    );
  }
});

test("LAR and LSL see segments of the same and outer levels, and system segments that they know", () => {
  const cpu = protectedCpu(3);
  const sees = (selector: number, what: number) => run(cpu, "segmentVisible", selector, what) === 1;
  assert.ok(sees(SELECTOR.data3, LOOK.rights));
  assert.ok(!sees(SELECTOR.data0, LOOK.rights));
  assert.ok(!sees(0, LOOK.rights));
  assert.ok(!sees(0xff8, LOOK.rights));
  assert.equal(run(cpu, "segmentRights", SELECTOR.data3), 0xcf_f300);
  assert.equal(run(cpu, "segmentLimit", SELECTOR.data3), -1, "4 GiB less one");
  cpu.describe(GDT, SELECTOR.free, gate({ selector: 8, offset: 0, type: 12, dpl: 3 }));
  assert.ok(sees(SELECTOR.free, LOOK.rights));
  assert.ok(!sees(SELECTOR.free, LOOK.limit));
});

test("VERR and VERW tell what may be read and written", () => {
  const cpu = protectedCpu(3);
  const verify = (selector: number, write: number) => run(cpu, "verifySegment", selector, write);
  assert.deepEqual([verify(SELECTOR.data3, 0), verify(SELECTOR.data3, 1)], [1, 1]);
  assert.deepEqual([verify(SELECTOR.code3, 0), verify(SELECTOR.code3, 1)], [1, 0]);
  assert.deepEqual([verify(SELECTOR.data0, 0), verify(SELECTOR.data0, 1)], [0, 0]);
  assert.deepEqual([verify(SELECTOR.tss, 0), verify(SELECTOR.tss, 1)], [0, 0]);
});
