/**
 * CPUID. @spec SDM 2A, CPUID, tables 3-8 to 3-20; for leaves 40000000h to 40000010h Linux
 * Documentation/virt/kvm/x86/cpuid.rst
 *
 * The hypervisor names itself KVM, for the sake of KVM's clock, and offers nothing else of it.
 */

import { XSAVE_FEATURES, XSAVE_SIZE } from "../../isa/xsave.ts";
import { PHYSICAL_BITS } from "../mmu/address-translation.ts";
import { RESULT } from "../state.ts";
import type { HostFunctions } from "./host-functions.ts";
import { CR4 } from "./mode.ts";
import type { Cache, CpuFeature, CpuModel } from "./models.ts";
import { MSR } from "./msrs.ts";
import type { SystemContext } from "./system.ts";
import { BUS_KHZ, TSC_KHZ } from "./time.ts";

export interface CpuidResult {
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

/** Where the processor stands among the machine's. */
export interface CpuTopology {
  readonly apicId: number;
  /** Processors of the machine, each a core of its own in one package. */
  readonly processors: number;
}

type FeatureWord = Partial<Record<CpuFeature, number>>;

/** Bit numbers of features, by leaf and register. */
const WORDS = {
  leaf1Ecx: {
    sse3: 0,
    pclmulqdq: 1,
    monitor: 3,
    ssse3: 9,
    cx16: 13,
    pcid: 17,
    sse4_1: 19,
    sse4_2: 20,
    x2apic: 21,
    movbe: 22,
    popcnt: 23,
    tsc_deadline_timer: 24,
    aes: 25,
    xsave: 26,
    rdrand: 30,
    hypervisor: 31,
  },
  leaf1Edx: {
    fpu: 0,
    de: 2,
    pse: 3,
    tsc: 4,
    msr: 5,
    pae: 6,
    mce: 7,
    cx8: 8,
    sep: 11,
    mtrr: 12,
    pge: 13,
    mca: 14,
    cmov: 15,
    pat: 16,
    pse36: 17,
    clflush: 19,
    mmx: 23,
    fxsr: 24,
    sse: 25,
    sse2: 26,
  },
  leaf6Eax: { arat: 2 },
  leaf7Ebx: {
    fsgsbase: 0,
    tsc_adjust: 1,
    bmi1: 3,
    smep: 7,
    bmi2: 8,
    erms: 9,
    invpcid: 10,
    rdseed: 18,
    adx: 19,
    smap: 20,
    clflushopt: 23,
    clwb: 24,
    sha: 29,
  },
  leaf7Ecx: { umip: 2, rdpid: 22 },
  leaf7Edx: { arch_capabilities: 29 },
  xsaveEax: { xsaveopt: 0, xsavec: 1 },
  extended1Ecx: { lahf_lm: 0, abm: 5, prefetchw: 8 },
  extended1Edx: { syscall: 11, nx: 20, pdpe1gb: 26, rdtscp: 27, lm: 29 },
  extended7Edx: { constant_tsc: 8 },
} as const satisfies Record<string, FeatureWord>;

const APIC = 1 << 9;
const OSXSAVE = 1 << 27;
const HTT = 1 << 28;

const HYPERVISOR_BASE = 0x4000_0000;
const HYPERVISOR_TIMING = 0x4000_0010;
const EXTENDED_BASE = 0x8000_0000;
const EXTENDED_LAST = 0x8000_0008;
/** No delays are needed at ports; the clock of the second kind (MSRs 4B564D00h and 01h), which never goes back. */
const KVM_FEATURES = (1 << 1) | (1 << 3) | (1 << 24);

const LINE = 64;
const KIND = { data: 1, instruction: 2, unified: 3 } as const;
/** Associativity as leaf 80000006h has it. */
const ASSOCIATIVITY: Record<number, number> = { 4: 4, 8: 6, 16: 8 };

const NOTHING: CpuidResult = { eax: 0, ebx: 0, ecx: 0, edx: 0 };

/** Four characters as a register holds them. */
function characters(text: string, at: number): number {
  const code = (i: number) => text.charCodeAt(at + i) || 0;
  return code(0) | (code(1) << 8) | (code(2) << 16) | (code(3) << 24);
}

/** Bits that number `count` things. */
const bitsFor = (count: number): number => 32 - Math.clz32(count - 1);

export class Cpuid {
  readonly #cpu: SystemContext;
  readonly #model: CpuModel;
  readonly #topology: CpuTopology;
  readonly #words = new Uint32Array(2);

  constructor(cpu: SystemContext, model: CpuModel, topology: CpuTopology) {
    this.#cpu = cpu;
    this.#model = model;
    this.#topology = topology;
  }

  /** A leaf beyond the last one reads as the last basic one. */
  read(leaf: number, subleaf: number): CpuidResult {
    const { maxLeaf, brand, has } = this.#model;
    if (leaf <= maxLeaf) return this.#basic(leaf, subleaf);
    if (leaf >= HYPERVISOR_BASE && leaf < EXTENDED_BASE && has("hypervisor")) return this.#hypervisor(leaf);
    if (leaf >= EXTENDED_BASE && leaf <= EXTENDED_LAST && brand !== undefined) return this.#extended(leaf, brand);
    return this.#basic(maxLeaf, subleaf);
  }

  #bits(word: FeatureWord): number {
    let value = 0;
    for (const [feature, bit] of Object.entries(word)) {
      if (this.#model.has(feature as CpuFeature)) value |= 1 << bit;
    }
    return value;
  }

  #basic(leaf: number, subleaf: number): CpuidResult {
    const { vendor, maxLeaf, descriptors, caches, has } = this.#model;
    switch (leaf) {
      case 0:
        return { eax: maxLeaf, ebx: characters(vendor, 0), ecx: characters(vendor, 8), edx: characters(vendor, 4) };
      case 1:
        return this.#identity();
      case 2: {
        const [eax, ebx, ecx, edx] = descriptors;
        return { eax, ebx, ecx, edx };
      }
      case 4: {
        const cache = caches[subleaf];
        return cache ? this.#cache(cache) : NOTHING;
      }
      case 6:
        return { ...NOTHING, eax: this.#bits(WORDS.leaf6Eax) };
      case 7:
        if (subleaf !== 0) return NOTHING;
        return {
          eax: 0,
          ebx: this.#bits(WORDS.leaf7Ebx),
          ecx: this.#bits(WORDS.leaf7Ecx),
          edx: this.#bits(WORDS.leaf7Edx),
        };
      case 0xb:
      case 0x1f:
        return this.#level(subleaf);
      case 0xd:
        return has("xsave") ? this.#xsave(subleaf) : NOTHING;
      case 0x15:
        // The counter's frequency is the crystal's, in ECX, times EBX / EAX.
        return { eax: BUS_KHZ / 1000, ebx: TSC_KHZ / 1000, ecx: BUS_KHZ * 1000, edx: 0 };
      case 0x16:
        // Base, maximum and bus frequency in MHz.
        return { eax: TSC_KHZ / 1000, ebx: TSC_KHZ / 1000, ecx: 100, edx: 0 };
      default:
        return NOTHING;
    }
  }

  /** Family, model and stepping as leaf 1's EAX and a reset's EDX have them. */
  get signature(): number {
    const { family, model, stepping } = this.#model;
    return stepping | ((model & 15) << 4) | (family << 8) | ((model >> 4) << 16);
  }

  #identity(): CpuidResult {
    const { has } = this.#model;
    const { apicId, processors } = this.#topology;
    const eax = this.signature;
    const lines = has("clflush") ? LINE / 8 : 0;
    const ebx = (lines << 8) | (processors << 16) | (apicId << 24);
    const xsaves = (this.#cpu.registers.get32("cr4") & CR4.OSXSAVE) !== 0;
    const ecx = this.#bits(WORDS.leaf1Ecx) | (xsaves ? OSXSAVE : 0);
    const edx = this.#bits(WORDS.leaf1Edx) | (this.#apicEnabled() ? APIC : 0) | (processors > 1 ? HTT : 0);
    return { eax, ebx, ecx, edx };
  }

  /** The feature flag goes away while IA32_APIC_BASE turns the local APIC off. */
  #apicEnabled(): boolean {
    const words = this.#words;
    if (!this.#model.has("apic") || !this.#cpu.readMachineMsr(MSR.apicBase, words)) return false;
    return ((words[0] as number) & (1 << 11)) !== 0;
  }

  /** Only the last level is shared. */
  #cache({ level, kind, size, ways }: Cache): CpuidResult {
    const { processors } = this.#topology;
    const sharing = level === 3 ? (1 << bitsFor(processors)) - 1 : 0;
    const cores = (1 << bitsFor(processors)) - 1;
    const sets = (size * 1024) / (ways * LINE);
    const selfInitializing = 1 << 8;
    return {
      eax: KIND[kind] | (level << 5) | selfInitializing | (sharing << 14) | (cores << 26),
      ebx: (LINE - 1) | ((ways - 1) << 22),
      ecx: sets - 1,
      edx: 0,
    };
  }

  /** Topology: one thread a core, and cores in one package. */
  #level(subleaf: number): CpuidResult {
    const { apicId: edx, processors } = this.#topology;
    const number = subleaf & 0xff;
    if (subleaf === 0) return { eax: 0, ebx: 1, ecx: (1 << 8) | number, edx };
    if (subleaf === 1) return { eax: bitsFor(processors), ebx: processors, ecx: (2 << 8) | number, edx };
    return { eax: 0, ebx: 0, ecx: number, edx };
  }

  #xsave(subleaf: number): CpuidResult {
    if (subleaf === 0) return { eax: Number(XSAVE_FEATURES), ebx: XSAVE_SIZE, ecx: XSAVE_SIZE, edx: 0 };
    if (subleaf === 1) return { ...NOTHING, eax: this.#bits(WORDS.xsaveEax), ebx: XSAVE_SIZE };
    return NOTHING;
  }

  #hypervisor(leaf: number): CpuidResult {
    switch (leaf) {
      case HYPERVISOR_BASE: {
        const name = "KVMKVMKVM";
        return { eax: HYPERVISOR_TIMING, ebx: characters(name, 0), ecx: characters(name, 4), edx: characters(name, 8) };
      }
      case HYPERVISOR_BASE + 1:
        return { ...NOTHING, eax: KVM_FEATURES };
      case HYPERVISOR_TIMING:
        return { ...NOTHING, eax: TSC_KHZ, ebx: BUS_KHZ };
      default:
        return NOTHING;
    }
  }

  #extended(leaf: number, brand: string): CpuidResult {
    switch (leaf) {
      case 0x8000_0000:
        return { ...NOTHING, eax: EXTENDED_LAST | 0 };
      case 0x8000_0001:
        return { ...NOTHING, ecx: this.#bits(WORDS.extended1Ecx), edx: this.#bits(WORDS.extended1Edx) };
      case 0x8000_0002:
      case 0x8000_0003:
      case 0x8000_0004: {
        const at = (leaf - 0x8000_0002) * 16;
        const word = (i: number) => characters(brand, at + i * 4);
        return { eax: word(0), ebx: word(1), ecx: word(2), edx: word(3) };
      }
      case 0x8000_0006: {
        const cache = this.#model.caches.find(({ level }) => level === 2);
        if (!cache) return NOTHING;
        return { ...NOTHING, ecx: LINE | ((ASSOCIATIVITY[cache.ways] ?? 0) << 12) | (cache.size << 16) };
      }
      case 0x8000_0007:
        return { ...NOTHING, edx: this.#bits(WORDS.extended7Edx) };
      case 0x8000_0008:
        return { ...NOTHING, eax: PHYSICAL_BITS | (48 << 8) };
      default:
        return NOTHING;
    }
  }
}

export function cpuidFunctions(cpu: SystemContext, cpuid: Cpuid): HostFunctions {
  const { registers } = cpu;
  return {
    readCpuid(leaf, subleaf) {
      const { eax, ebx, ecx, edx } = cpuid.read(leaf >>> 0, subleaf >>> 0);
      registers.i32.set([eax, ebx, ecx, edx], (registers.base + RESULT) >> 2);
    },
  };
}
