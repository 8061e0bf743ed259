import assert from "node:assert/strict";
import { test } from "node:test";
import { RESULT } from "../state.ts";
import { Cpuid, cpuidFunctions } from "./cpuid.ts";
import { CPU_MODELS, type CpuModel, cpuModel } from "./models.ts";
import { longCpu } from "./testing/flat-cpu.ts";

function rig(name = "max", topology = { apicId: 0, processors: 1 }) {
  const cpu = longCpu();
  const apicBase = { low: 0xfee0_0900 };
  Object.assign(cpu, {
    readMachineMsr(msr: number, words: Uint32Array) {
      if (msr !== 0x1b) return false;
      words.set([apicBase.low, 0]);
      return true;
    },
  });
  const cpuid = new Cpuid(cpu, cpuModel(name) as CpuModel, topology);
  return { cpu, apicBase, cpuid, read: (leaf: number, subleaf = 0) => cpuid.read(leaf, subleaf) };
}

const text = (...words: number[]) =>
  String.fromCharCode(...words.flatMap((word) => [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff)));

const bit = (word: number, number: number) => (word >>> number) & 1;

test("every model says what it is", () => {
  const identities = CPU_MODELS.map(({ name }) => {
    const { read } = rig(name);
    const { eax, ebx, ecx, edx } = read(0);
    return [name, eax, text(ebx, edx, ecx), read(1).eax.toString(16)];
  });
  assert.deepEqual(identities, [
    ["max", 0x1f, "GenuineIntel", "30661"],
    ["x86-64-v2", 0x1f, "GenuineIntel", "30661"],
    ["i686", 2, "GenuineIntel", "30661"],
    ["pentium", 1, "GenuineIntel", "52c"],
    ["486", 1, "GenuineIntel", "480"],
  ]);
});

test("the feature words of `max` have what it has", () => {
  const { read } = rig();
  const one = read(1);
  assert.equal(one.ecx >>> 0, 0xc7fa_2203 >>> 0);
  assert.equal(one.edx >>> 0, 0x078b_fbfd);
  assert.equal(one.ebx, 0x1_0800);
  const seven = read(7);
  assert.equal(seven.eax, 0);
  assert.equal(seven.ebx >>> 0, 0x219c_078b);
  assert.equal(seven.ecx, 0x40_0004);
  assert.equal(seven.edx, 1 << 29);
  assert.deepEqual(read(7, 1), { eax: 0, ebx: 0, ecx: 0, edx: 0 });
  const extended = read(0x8000_0001);
  assert.equal(extended.ecx, 0x121);
  assert.equal(extended.edx, 0x2c10_0800);
  assert.equal(read(6).eax, 4);
  assert.equal(read(0x8000_0007).edx, 0x100);
});

test("no model announces AVX, FMA or virtualisation", () => {
  for (const { name } of CPU_MODELS) {
    const { read } = rig(name);
    for (const number of [5, 12, 28, 29]) assert.equal(bit(read(1).ecx, number), 0, `${name} 1.ecx.${number}`);
  }
});

test("32-bit models have no long mode and no extended leaves", () => {
  for (const name of ["i686", "pentium", "486"]) {
    const { read } = rig(name);
    const last = read(read(0).eax);
    assert.deepEqual(read(0x8000_0000), last, "the last basic leaf instead");
    assert.deepEqual(read(0x8000_0001), last);
  }
});

test("leaf 1 follows CR4.OSXSAVE and the local APIC's enable bit", () => {
  const { cpu, apicBase, read } = rig();
  assert.equal(bit(read(1).ecx, 27), 0);
  assert.equal(bit(read(1).edx, 9), 1);
  cpu.registers.set64("cr4", 0x4_0020n);
  apicBase.low = 0xfee0_0100;
  assert.equal(bit(read(1).ecx, 27), 1);
  assert.equal(bit(read(1).edx, 9), 0);
});

test("leaf 4 describes four caches and ends", () => {
  const { read } = rig();
  const caches = [0, 1, 2, 3].map((subleaf) => {
    const { eax, ebx, ecx } = read(4, subleaf);
    const size = ((ebx >>> 22) + 1) * ((ebx & 0xfff) + 1) * (ecx + 1);
    return [eax & 31, (eax >> 5) & 7, size / 1024];
  });
  assert.deepEqual(caches, [
    [1, 1, 32],
    [2, 1, 32],
    [3, 2, 1024],
    [3, 3, 16384],
  ]);
  assert.equal(read(4, 4).eax & 31, 0);
});

test("leaves 0Bh and 1Fh have a level of threads, one of cores, and end with the APIC id in EDX", () => {
  const { read } = rig("max", { apicId: 2, processors: 3 });
  for (const leaf of [0xb, 0x1f]) {
    assert.deepEqual(read(leaf, 0), { eax: 0, ebx: 1, ecx: 0x100, edx: 2 });
    assert.deepEqual(read(leaf, 1), { eax: 2, ebx: 3, ecx: 0x201, edx: 2 });
    assert.deepEqual(read(leaf, 2), { eax: 0, ebx: 0, ecx: 2, edx: 2 });
  }
  assert.equal(read(1).ebx, 0x0203_0800);
  assert.equal(bit(read(1).edx, 28), 1);
  assert.equal(read(4, 3).eax >>> 14, 0x3003, "the last cache is shared by up to four");
});

test("leaf 0Dh tells the size of the XSAVE area", () => {
  const { read } = rig();
  assert.deepEqual(read(0xd, 0), { eax: 3, ebx: 576, ecx: 576, edx: 0 });
  assert.deepEqual(read(0xd, 1), { eax: 3, ebx: 576, ecx: 0, edx: 0 });
  assert.deepEqual(read(0xd, 2), { eax: 0, ebx: 0, ecx: 0, edx: 0 });
  assert.deepEqual(rig("x86-64-v2").read(0xd, 0), { eax: 0, ebx: 0, ecx: 0, edx: 0 });
});

test("the frequencies of leaves 15h, 16h and 40000010h agree", () => {
  const { read } = rig();
  const { eax, ebx, ecx } = read(0x15);
  assert.equal((ecx * ebx) / eax, 1e9);
  assert.equal(read(0x16).eax, 1000);
  assert.equal(read(0x4000_0010).eax, 1e6);
  assert.equal(read(0x4000_0010).ebx, 1e6);
});

test("the hypervisor is KVM with its clock and nothing else", () => {
  const { read } = rig();
  const { eax, ebx, ecx, edx } = read(0x4000_0000);
  assert.equal(eax, 0x4000_0010);
  assert.equal(text(ebx, ecx, edx), "KVMKVMKVM\0\0\0");
  assert.deepEqual(read(0x4000_0001), { eax: 0x0100_000a, ebx: 0, ecx: 0, edx: 0 });
  assert.deepEqual(read(0x4000_0100), { eax: 0, ebx: 0, ecx: 0, edx: 0 });
  assert.deepEqual(rig("pentium").read(0x4000_0000), rig("pentium").read(1));
});

test("the brand string is in three leaves", () => {
  const { read } = rig();
  const words = [2, 3, 4].flatMap((leaf) => {
    const { eax, ebx, ecx, edx } = read(0x8000_0000 + leaf);
    return [eax, ebx, ecx, edx];
  });
  assert.match(text(...words), /^Bunkhouse virtual processor\0+$/);
});

test("addresses have 40 physical and 48 linear bits", () => {
  assert.equal(rig().read(0x8000_0008).eax, 0x3028);
  assert.equal(rig().read(0x8000_0000).eax >>> 0, 0x8000_0008);
});

test("the instruction finds its four words in state memory", () => {
  const { cpu, cpuid } = rig();
  cpuidFunctions(cpu, cpuid).readCpuid?.(0x8000_0000 as never, 0 as never);
  const words = cpu.registers.i32.subarray((cpu.registers.base + RESULT) >> 2);
  assert.deepEqual([...words.subarray(0, 4)], [0x8000_0008 | 0, 0, 0, 0]);
});
