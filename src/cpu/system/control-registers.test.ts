import assert from "node:assert/strict";
import { test } from "node:test";
import { ControlRegisters } from "./control-registers.ts";
import { type CpuModel, cpuModel } from "./models.ts";
import { type FlatCpu, faultOf, longCpu, protectedCpu, realCpu } from "./testing/flat-cpu.ts";

const GP = { vector: 13, errorCode: 0 };
const UD = { vector: 6, errorCode: 0 };
const PE = 1;
const PG = 0x8000_0000;
const PAE = 0x20n;
const PCIDE = 0x2_0000n;
const LME = 0x100n;

function controlOf(cpu: FlatCpu, model = "max"): ControlRegisters {
  return new ControlRegisters(cpu, cpuModel(model) as CpuModel);
}

/** A write that faults leaves everything as it was. */
function refused(cpu: FlatCpu, write: () => void, fault = GP): void {
  const before = cpu.snapshot();
  assert.deepEqual(faultOf(write), fault);
  assert.deepEqual(cpu.snapshot(), before);
}

test("a move to CR0 keeps ET set and ignores reserved bits", () => {
  const cpu = realCpu();
  const control = controlOf(cpu);
  control.write(0, 0x6000_0000n);
  assert.equal(control.read(0), 0x6000_0010n);
  control.write(0, 0x1ffa_ffc1n);
  assert.equal(control.read(0), 0x11n);
  assert.equal(cpu.modeChanges, 2);
  assert.equal(cpu.flushes, 0, "protection changed with the second, but nothing is translated");
});

test("translations are forgotten when paging begins, when rights change with it, and when it ends", () => {
  const cpu = protectedCpu();
  const control = controlOf(cpu);
  const write = (value: number) => {
    control.write(0, BigInt(value >>> 0));
    return cpu.flushes;
  };
  const [WP, TS] = [1 << 16, 1 << 3];
  assert.equal(write(PE | WP), 0);
  assert.equal(write(PG | PE | WP), 1);
  assert.equal(write(PG | PE | WP | TS), 1);
  assert.equal(write(PG | PE), 2);
  assert.equal(write(PE), 3);
  assert.equal(write(0), 3);
});

test("paging without protection and write-through without disabled caches raise #GP(0)", () => {
  const cpu = protectedCpu();
  const control = controlOf(cpu);
  refused(cpu, () => control.write(0, BigInt(PG)));
  refused(cpu, () => control.write(0, 0x2000_0001n));
  control.write(0, 0x6000_0001n);
  control.write(0, BigInt(PG | PE) & 0xffff_ffffn);
  assert.equal(control.read(0), 0x8000_0011n);
});

test("control registers that do not exist raise #UD", () => {
  const cpu = longCpu();
  const control = controlOf(cpu);
  for (const number of [1, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15]) {
    refused(cpu, () => control.read(number), UD);
    refused(cpu, () => control.write(number, 0n), UD);
  }
});

test("paging makes IA-32e mode active where EFER.LME is set, and its end makes it inactive", () => {
  const cpu = protectedCpu();
  const { registers } = cpu;
  const control = controlOf(cpu);
  registers.set64("efer", LME);
  refused(cpu, () => control.write(0, BigInt(PG + PE)), GP);
  control.write(4, PAE);
  control.write(0, BigInt(PG + PE));
  assert.equal(registers.get64("efer"), 0x500n);
  refused(cpu, () => control.write(4, 0n));
  control.write(0, 1n);
  assert.equal(registers.get64("efer"), LME);
  control.write(4, 0n);
});

test("IA-32e mode cannot become active with a 64-bit code segment or a 16-bit TSS loaded", () => {
  for (const [segment, attributes] of [
    [1, 0xa09b],
    [7, 0x83],
    [7, 0x81],
  ] as const) {
    const cpu = protectedCpu();
    const { registers } = cpu;
    const control = controlOf(cpu);
    registers.set64("efer", LME);
    control.write(4, PAE);
    registers.setSegment(segment, { selector: 8, base: 0n, limit: 0xffff_ffff, attributes });
    refused(cpu, () => control.write(0, BigInt(PG + PE)));
  }
});

test("paging cannot be turned off in 64-bit mode, nor with PCIDs on", () => {
  const cpu = longCpu();
  const { registers } = cpu;
  const control = controlOf(cpu);
  refused(cpu, () => control.write(0, 1n));
  registers.setSegment(1, { selector: 8, base: 0n, limit: 0xffff_ffff, attributes: 0xc09b });
  control.write(4, PAE | PCIDE);
  refused(cpu, () => control.write(0, 1n));
  control.write(4, PAE);
  control.write(0, 1n);
  assert.equal(registers.get64("efer"), 0x101n);
});

test("the upper halves of CR0 and CR4 must be zero", () => {
  const cpu = longCpu();
  const control = controlOf(cpu);
  refused(cpu, () => control.write(0, 0x1_8000_0001n));
  refused(cpu, () => control.write(4, 0x1_0000_0020n));
});

test("CR3 takes physical addresses of 40 bits, and bit 63 only with PCIDs on, which it never reads back", () => {
  const cpu = longCpu();
  const control = controlOf(cpu);
  control.write(3, 0xff_ffff_f018n);
  assert.equal(control.read(3), 0xff_ffff_f018n);
  assert.equal(cpu.flushes, 1);
  refused(cpu, () => control.write(3, 0x100_0000_0000n));
  refused(cpu, () => control.write(3, 1n << 63n));
  control.write(3, 0n);
  control.write(4, PAE | PCIDE);
  control.write(3, (1n << 63n) | 0x5123n);
  assert.equal(control.read(3), 0x5123n);
});

test("PCIDs can only be turned on in IA-32e mode while CR3 has PCID 0", () => {
  const cpu = longCpu();
  const control = controlOf(cpu);
  control.write(3, 0x1001n);
  refused(cpu, () => control.write(4, PAE | PCIDE));
  control.write(3, 0x1000n);
  control.write(4, PAE | PCIDE);
  const legacy = protectedCpu();
  refused(legacy, () => controlOf(legacy).write(4, PAE | PCIDE));
});

test("CR4 takes the bits whose features the model has, and no others", () => {
  const settable = (model: string) => {
    let mask = 0n;
    for (let bit = 0n; bit < 32n; bit++) {
      const cpu = protectedCpu();
      if (!faultOf(() => controlOf(cpu, model).write(4, 1n << bit))) mask |= 1n << bit;
    }
    return mask;
  };
  assert.equal(settable("486"), 0n);
  assert.equal(settable("pentium"), 0x5cn);
  assert.equal(settable("i686"), 0x7fcn);
  assert.equal(settable("x86-64-v2"), 0x7fcn);
  // PCIDE is refused for the mode here.
  assert.equal(settable("max"), 0x35_0ffcn);
});

test("bits of CR4 that change what translations mean make cached ones go", () => {
  for (const [bit, flushes] of [
    [0x4n, 0],
    [0x200n, 0],
    [0x10n, 1],
    [0x80n, 1],
    [0x10_0000n, 1],
    [0x20_0000n, 1],
  ] as const) {
    const cpu = protectedCpu();
    controlOf(cpu).write(4, bit);
    assert.equal(cpu.flushes, flushes, `bit ${bit.toString(16)}`);
    assert.equal(cpu.modeChanges, 1);
  }
});

test("CR8 is the task priority, of four bits", () => {
  const cpu = longCpu();
  let priority = 9;
  Object.assign(cpu, {
    readCr8: () => priority,
    writeCr8: (value: number) => {
      priority = value;
    },
  });
  const control = controlOf(cpu);
  assert.equal(control.read(8), 9n);
  control.write(8, 15n);
  assert.equal(priority, 15);
  assert.equal(cpu.eventRequests, 1);
  refused(cpu, () => control.write(8, 16n));
});

test("LMSW sets and clears MP, EM and TS, and sets PE but never clears it", () => {
  const cpu = realCpu();
  const control = controlOf(cpu);
  control.loadStatusWord(0xfffe);
  assert.equal(control.read(0), 0x1en);
  control.loadStatusWord(1);
  assert.equal(control.read(0), 0x11n);
  control.loadStatusWord(0);
  assert.equal(control.read(0), 0x11n);
});

test("CLTS clears TS alone", () => {
  const cpu = longCpu();
  const control = controlOf(cpu);
  control.write(0, 0x8000_002bn);
  control.clearTaskSwitched();
  assert.equal(control.read(0), 0x8000_0033n);
});
