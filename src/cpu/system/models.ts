/**
 * Processor models: what CPUID says of a processor, and which instructions it has.
 *
 * The family 6 models carry the number of an in-order Atom (Saltwell, 36h): systems know that it does not
 * speculate, and switch on none of the measures against Spectre, Meltdown and their kin, none of which this
 * processor has any use for. For systems that go by IA32_ARCH_CAPABILITIES instead, the 64-bit models
 * deny each of these weaknesses there.
 */
import type { Feature } from "../../isa/instruction.ts";

/** What CPUID announces beside instructions; names are those of Linux's /proc/cpuinfo. */
export type Capability =
  | "de"
  | "pse"
  | "pae"
  | "mce"
  | "apic"
  | "mtrr"
  | "pge"
  | "mca"
  | "pat"
  | "pse36"
  | "nx"
  | "pdpe1gb"
  | "pcid"
  | "x2apic"
  | "tsc_deadline_timer"
  | "tsc_adjust"
  | "hypervisor"
  | "smep"
  | "umip"
  | "erms"
  | "arat"
  | "constant_tsc"
  | "arch_capabilities";

export type CpuFeature = Feature | Capability;

/** @spec SDM 2A, CPUID leaf 04H */
export interface Cache {
  readonly level: 1 | 2 | 3;
  readonly kind: "data" | "instruction" | "unified";
  /** KiB. */
  readonly size: number;
  readonly ways: number;
}

export interface CpuModel {
  readonly name: string;
  /** Twelve characters. */
  readonly vendor: string;
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  /** Up to 47 characters; a model without one has no extended leaves. */
  readonly brand: string | undefined;
  /** Highest basic CPUID leaf. */
  readonly maxLeaf: number;
  readonly caches: readonly Cache[];
  /** Cache and TLB descriptors of leaf 2, in EAX, EBX, ECX, EDX. */
  readonly descriptors: readonly [number, number, number, number];
  has(feature: CpuFeature): boolean;
}

const words = <T extends string>(text: string): readonly T[] => text.trim().split(/\s+/) as T[];

const I486: readonly CpuFeature[] = ["base", "486", "fpu"];
const PENTIUM: readonly CpuFeature[] = [...I486, "pentium", "de", "pse", "tsc", "msr", "mce", "cx8", "apic"];
const I686: readonly CpuFeature[] = [
  ...PENTIUM,
  ...words<CpuFeature>("pae sep mtrr pge mca cmov pat pse36 mmx fxsr sse hypervisor"),
];
const X86_64_V2: readonly CpuFeature[] = [
  ...I686,
  ...words<CpuFeature>(`sse2 sse3 ssse3 sse4_1 sse4_2 popcnt cx16 lahf_lm syscall lm nx rdtscp clflush prefetchw
    x2apic tsc_deadline_timer tsc_adjust constant_tsc arat arch_capabilities`),
];
const MAX: readonly CpuFeature[] = [
  ...X86_64_V2,
  ...words<CpuFeature>(`pclmulqdq aes sha movbe abm bmi1 bmi2 adx rdrand rdseed rdpid fsgsbase smap smep umip pcid
    invpcid pdpe1gb erms xsave xsaveopt xsavec clflushopt clwb`),
];

/** Processors of the 64-bit models, as leaf 4 tells; software sizes its copy loops by them. */
const CACHES: readonly Cache[] = [
  { level: 1, kind: "data", size: 32, ways: 8 },
  { level: 1, kind: "instruction", size: 32, ways: 8 },
  { level: 2, kind: "unified", size: 1024, ways: 16 },
  { level: 3, kind: "unified", size: 16384, ways: 16 },
];

type ModelSpec = Omit<CpuModel, "has"> & { readonly features: readonly CpuFeature[] };

function define({ features, ...rest }: ModelSpec): CpuModel {
  const set = new Set(features);
  return { ...rest, has: (feature) => set.has(feature) };
}

const SALTWELL = { vendor: "GenuineIntel", family: 6, model: 0x36, stepping: 1 } as const;

const x8664 = (name: string, brand: string, features: readonly CpuFeature[]): CpuModel =>
  define({
    ...SALTWELL,
    name,
    brand,
    features,
    maxLeaf: 0x1f,
    caches: CACHES,
    // 64-entry TLBs, 64-byte prefetching; FFh: caches are in leaf 4.
    descriptors: [0x7603_5a01, 0x00f0_b2ff, 0, 0x00ca_0000],
  });

export const CPU_MODELS: readonly CpuModel[] = [
  x8664("max", "Bunkhouse virtual processor", MAX),
  x8664("x86-64-v2", "Bunkhouse virtual processor (x86-64-v2)", X86_64_V2),
  define({
    ...SALTWELL,
    name: "i686",
    brand: undefined,
    features: I686,
    // Windows NT 4 does not start where there are more than three.
    maxLeaf: 2,
    caches: [],
    // 4-way TLBs, 16 KiB first-level caches, 256 KiB second-level cache.
    descriptors: [0x0302_0101, 0, 0, 0x0c04_0882],
  }),
  define({
    name: "pentium",
    vendor: "GenuineIntel",
    family: 5,
    model: 2,
    stepping: 12,
    brand: undefined,
    features: PENTIUM,
    maxLeaf: 1,
    caches: [],
    descriptors: [0, 0, 0, 0],
  }),
  define({
    name: "486",
    vendor: "GenuineIntel",
    family: 4,
    model: 8,
    stepping: 0,
    brand: undefined,
    features: I486,
    maxLeaf: 1,
    caches: [],
    descriptors: [0, 0, 0, 0],
  }),
];

export function cpuModel(name: string): CpuModel | undefined {
  return CPU_MODELS.find((model) => model.name === name);
}
