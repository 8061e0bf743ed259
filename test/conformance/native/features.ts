/** What the host's processor can do, by CPUID executed natively. @spec SDM 2A, CPUID; AMD APM 3, appendix E */
import type { Feature } from "../../../src/isa/instruction.ts";
import { FIELD, PLACE, SELECTORS_BEFORE } from "../record.ts";
import type { NativeProcessor } from "./native-processor.ts";

interface CpuidResult {
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

function cpuid(native: NativeProcessor, leaf: number, subleaf: number): CpuidResult {
  const before = new DataView(native.input.buffer, native.input.byteOffset);
  native.input.fill(0, 0, FIELD.memory);
  before.setBigUint64(FIELD.gpr, BigInt(leaf), true);
  before.setBigUint64(FIELD.gpr + 8, BigInt(subleaf), true);
  before.setBigUint64(FIELD.rip, BigInt(PLACE.code), true);
  before.setUint32(FIELD.code, PLACE.code, true);
  before.setBigUint64(FIELD.rflags, 0x202n, true);
  SELECTORS_BEFORE[64].forEach((selector, i) => {
    before.setUint16(FIELD.selectors + 2 * i, selector, true);
  });
  native.input.fill(0xcc, FIELD.bytes, FIELD.bytes + 16);
  native.input.set([0x0f, 0xa2], FIELD.bytes);
  native.run(1);
  const after = new DataView(native.output.buffer, native.output.byteOffset);
  const register = (index: number) => after.getUint32(FIELD.gpr + 8 * index, true);
  return { eax: register(0), ecx: register(1), edx: register(2), ebx: register(3) };
}

type Bit = readonly [leaf: number, subleaf: number, register: "ebx" | "ecx" | "edx" | "eax", bit: number];

const BASIC = 1;
const EXTENDED = 7;
const AMD = 0x8000_0001;
const XSAVE = 0xd;

const BITS: Readonly<Partial<Record<Feature, Bit>>> = {
  fpu: [BASIC, 0, "edx", 0],
  tsc: [BASIC, 0, "edx", 4],
  msr: [BASIC, 0, "edx", 5],
  cx8: [BASIC, 0, "edx", 8],
  sep: [BASIC, 0, "edx", 11],
  cmov: [BASIC, 0, "edx", 15],
  clflush: [BASIC, 0, "edx", 19],
  mmx: [BASIC, 0, "edx", 23],
  fxsr: [BASIC, 0, "edx", 24],
  sse: [BASIC, 0, "edx", 25],
  sse2: [BASIC, 0, "edx", 26],
  sse3: [BASIC, 0, "ecx", 0],
  pclmulqdq: [BASIC, 0, "ecx", 1],
  monitor: [BASIC, 0, "ecx", 3],
  ssse3: [BASIC, 0, "ecx", 9],
  cx16: [BASIC, 0, "ecx", 13],
  sse4_1: [BASIC, 0, "ecx", 19],
  sse4_2: [BASIC, 0, "ecx", 20],
  movbe: [BASIC, 0, "ecx", 22],
  popcnt: [BASIC, 0, "ecx", 23],
  aes: [BASIC, 0, "ecx", 25],
  xsave: [BASIC, 0, "ecx", 27],
  rdrand: [BASIC, 0, "ecx", 30],
  fsgsbase: [EXTENDED, 0, "ebx", 0],
  bmi1: [EXTENDED, 0, "ebx", 3],
  bmi2: [EXTENDED, 0, "ebx", 8],
  invpcid: [EXTENDED, 0, "ebx", 10],
  rdseed: [EXTENDED, 0, "ebx", 18],
  adx: [EXTENDED, 0, "ebx", 19],
  smap: [EXTENDED, 0, "ebx", 20],
  clflushopt: [EXTENDED, 0, "ebx", 23],
  clwb: [EXTENDED, 0, "ebx", 24],
  sha: [EXTENDED, 0, "ebx", 29],
  rdpid: [EXTENDED, 0, "ecx", 22],
  lahf_lm: [AMD, 0, "ecx", 0],
  abm: [AMD, 0, "ecx", 5],
  prefetchw: [AMD, 0, "ecx", 8],
  syscall: [AMD, 0, "edx", 11],
  rdtscp: [AMD, 0, "edx", 27],
  lm: [AMD, 0, "edx", 29],
  xsaveopt: [XSAVE, 1, "eax", 0],
  xsavec: [XSAVE, 1, "eax", 1],
};

export type Vendor = "intel" | "amd" | "other";

export interface HostIdentity {
  readonly vendor: Vendor;
  /** Whether an instruction of this feature can be executed. */
  has(feature: Feature): boolean;
}

export function identifyHost(native: NativeProcessor): HostIdentity {
  const { ebx } = cpuid(native, 0, 0);
  const known = new Map<Feature, boolean>();
  return {
    // "Genu", "Auth" and "Hygo", the first letters of the vendors' names.
    vendor: ebx === 0x756e_6547 ? "intel" : ebx === 0x6874_7541 || ebx === 0x6f67_7948 ? "amd" : "other",
    has(feature) {
      const bit = BITS[feature];
      if (!bit) return true;
      let present = known.get(feature);
      if (present === undefined) {
        const [leaf, subleaf, register, number] = bit;
        const supported = cpuid(native, leaf & 0x8000_0000, 0).eax >>> 0 >= leaf;
        present = supported && ((cpuid(native, leaf, subleaf)[register] >>> number) & 1) === 1;
        known.set(feature, present);
      }
      return present;
    },
  };
}
