import assert from "node:assert/strict";
import { test } from "node:test";
import { type CpuModel, cpuModel } from "./models.ts";
import { ModelSpecificRegisters, MSR } from "./msrs.ts";
import { type FlatCpu, faultOf, longCpu, protectedCpu } from "./testing/flat-cpu.ts";

const GP = { vector: 13, errorCode: 0 };
const KVM_CLOCK = 0x4b56_4d01;

function rig(cpu: FlatCpu = longCpu(), model = "max") {
  const machine = new Map<number, bigint>();
  const time = { value: 0n };
  Object.assign(cpu, {
    tsc: () => Number(time.value),
    readMachineMsr(msr: number, words: Uint32Array) {
      const value = machine.get(msr);
      if (value === undefined) return false;
      words.set([Number(value & 0xffff_ffffn), Number(value >> 32n)]);
      return true;
    },
    writeMachineMsr(msr: number, low: number, high: number) {
      if (!machine.has(msr)) return false;
      machine.set(msr, (BigInt(high) << 32n) | BigInt(low));
      return true;
    },
  });
  const msrs = new ModelSpecificRegisters(cpu, cpuModel(model) as CpuModel);
  const refused = (action: () => void) => assert.deepEqual(faultOf(action), GP);
  return { cpu, machine, time, msrs, refused };
}

test("registers that do not exist raise #GP(0)", () => {
  const { msrs, refused } = rig();
  for (const msr of [0x2, 0x48, 0x49, 0x480, 0xc001_0015, 0xffff_ffff, MSR.apicBase]) {
    refused(() => msrs.read(msr));
    refused(() => msrs.write(msr, 0n));
  }
});

test("the machine's registers are read and written whole", () => {
  const { msrs, machine } = rig();
  machine.set(KVM_CLOCK, 0n);
  machine.set(MSR.apicBase, 0xfee0_0900n);
  msrs.write(KVM_CLOCK, 0x1234_5678_9abc_def1n);
  assert.equal(msrs.read(KVM_CLOCK), 0x1234_5678_9abc_def1n);
  assert.equal(msrs.read(MSR.apicBase), 0xfee0_0900n);
});

test("a model without a feature does not show the machine's registers of it", () => {
  const { msrs, machine, refused } = rig(protectedCpu(), "pentium");
  for (const msr of [KVM_CLOCK, MSR.tscDeadline, MSR.x2apicFirst + 2]) {
    machine.set(msr, 1n);
    refused(() => msrs.read(msr));
    refused(() => msrs.write(msr, 0n));
  }
  for (const msr of [MSR.efer, MSR.lstar, MSR.pat, MSR.mtrrCap, MSR.sysenterCs, MSR.archCapabilities]) {
    refused(() => msrs.read(msr));
  }
});

test("EFER takes SCE, LME and NXE; LME not while paging is on, and LMA not at all", () => {
  const { msrs, refused, cpu } = rig(protectedCpu());
  msrs.write(MSR.efer, 0xd01n);
  assert.equal(msrs.read(MSR.efer), 0x901n);
  refused(() => msrs.write(MSR.efer, 0x2n));
  refused(() => msrs.write(MSR.efer, 0x1000n));
  assert.equal(cpu.flushes, 1);
  assert.equal(cpu.modeChanges, 1);
  const long = rig(longCpu());
  assert.equal(long.msrs.read(MSR.efer), 0x501n);
  long.refused(() => long.msrs.write(MSR.efer, 0x1n));
  long.msrs.write(MSR.efer, 0x100n);
  assert.equal(long.msrs.read(MSR.efer), 0x500n);
});

test("addresses in registers must be canonical", () => {
  const { msrs, refused } = rig();
  const { lstar, cstar, fsBase, gsBase, kernelGsBase, sysenterEsp, sysenterEip } = MSR;
  for (const msr of [lstar, cstar, fsBase, gsBase, kernelGsBase, sysenterEsp, sysenterEip]) {
    msrs.write(msr, 0xffff_8000_0000_0000n);
    assert.equal(msrs.read(msr), 0xffff_8000_0000_0000n);
    refused(() => msrs.write(msr, 0x8000_0000_0000n));
  }
});

test("the bases of FS and GS are those of the segment registers", () => {
  const { msrs, cpu } = rig();
  msrs.write(MSR.fsBase, 0x1000n);
  msrs.write(MSR.gsBase, 0xffff_8800_0000_0000n);
  assert.equal(cpu.registers.segmentBase(4), 0x1000n);
  assert.equal(cpu.registers.segmentBase(5), 0xffff_8800_0000_0000n);
});

test("a written time-stamp counter counts on, and its offset is in IA32_TSC_ADJUST", () => {
  const { msrs, time, machine } = rig();
  machine.set(MSR.tscDeadline, 500n);
  time.value = 1000n;
  assert.equal(msrs.read(MSR.tsc), 1000n);
  msrs.write(MSR.tsc, 100n);
  time.value = 1010n;
  assert.equal(msrs.read(MSR.tsc), 110n);
  assert.equal(msrs.read(MSR.tscAdjust), BigInt.asUintN(64, -900n));
  msrs.write(MSR.tscAdjust, 5n);
  assert.equal(msrs.read(MSR.tsc), 1015n);
  assert.equal(machine.get(MSR.tscDeadline), 500n);
});

test("TSC_AUX has 32 bits", () => {
  const { msrs, refused } = rig();
  msrs.write(MSR.tscAux, 0xffff_ffffn);
  refused(() => msrs.write(MSR.tscAux, 0x1_0000_0000n));
  assert.equal(msrs.read(MSR.tscAux), 0xffff_ffffn);
});

test("PAT takes memory types only", () => {
  const { msrs, refused } = rig();
  msrs.write(MSR.pat, 0x0007_0406_0107_0506n);
  refused(() => msrs.write(MSR.pat, 0x0007_0406_0207_0506n));
  refused(() => msrs.write(MSR.pat, 0x0800_0000_0000_0000n));
  assert.equal(msrs.read(MSR.pat), 0x0007_0406_0107_0506n);
});

test("memory type ranges are kept where they are valid", () => {
  const { msrs, refused } = rig();
  assert.equal(msrs.read(MSR.mtrrCap), 0x508n);
  msrs.write(MSR.mtrrDefType, 0xc06n);
  assert.equal(msrs.read(MSR.mtrrDefType), 0xc06n);
  for (const value of [0xc02n, 0x1000n, 0x100n]) refused(() => msrs.write(MSR.mtrrDefType, value));
  msrs.write(0x20e, 0xff_c000_0006n);
  msrs.write(0x20f, 0xff_c000_0800n);
  assert.equal(msrs.read(0x20e), 0xff_c000_0006n);
  refused(() => msrs.write(0x20e, 0x100_0000_0006n));
  refused(() => msrs.write(0x20e, 0x103n));
  refused(() => msrs.write(0x20f, 0x400n));
  refused(() => msrs.read(0x210));
  for (const msr of [0x250, 0x258, 0x259, 0x268, 0x26f]) {
    msrs.write(msr, 0x0601_0405_0606_0606n);
    assert.equal(msrs.read(msr), 0x0601_0405_0606_0606n);
    refused(() => msrs.write(msr, 0x0700_0000_0000_0000n));
  }
  msrs.reset();
  assert.equal(msrs.read(0x250), 0n);
  assert.equal(msrs.read(MSR.mtrrDefType), 0n);
});

test("reading the microcode revision works as the manual asks: write 0, then read the upper half", () => {
  const { msrs } = rig();
  msrs.write(MSR.biosSignature, 0n);
  assert.equal(msrs.read(MSR.biosSignature), 1n << 32n);
});

test("what identifies the processor cannot be written", () => {
  const { msrs, refused } = rig();
  const { featureControl, mtrrCap, mcgCap, archCapabilities, platformInfo } = MSR;
  for (const msr of [featureControl, mtrrCap, mcgCap, archCapabilities, platformInfo]) {
    refused(() => msrs.write(msr, msrs.read(msr)));
  }
  refused(() => msrs.read(MSR.biosUpdateTrigger));
  msrs.write(MSR.biosUpdateTrigger, 0n);
});

test("MISC_ENABLE lets fast strings be turned off and nothing else be changed", () => {
  const { msrs } = rig();
  msrs.write(MSR.miscEnable, 0xffff_ffff_ffff_ffffn);
  assert.equal(msrs.read(MSR.miscEnable), 0x1801n);
  msrs.write(MSR.miscEnable, 0n);
  assert.equal(msrs.read(MSR.miscEnable), 0x1800n);
});

test("the processor denies the weaknesses that systems would work around", () => {
  const { msrs } = rig();
  const denied = msrs.read(MSR.archCapabilities);
  // RDCL_NO, SSB_NO, MDS_NO, TAA_NO, BHI_NO, RFDS_NO, ITS_NO
  for (const bit of [0n, 4n, 5n, 8n, 20n, 27n, 62n]) assert.equal((denied >> bit) & 1n, 1n, `bit ${bit}`);
  // IBRS_ALL, RSBA, TSX_CTRL: no such controls.
  assert.equal(denied & 0x86n, 0n);
});
