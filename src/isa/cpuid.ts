/** What a program asks the processor for: its identity, the time, its number, random bits, an address to watch. */
import { setEdxEax } from "./control.ts";
import { declareFunction } from "./functions.ts";
import { type Feature, type Instruction, instruction } from "./instruction.ts";
import { RAX, RBX, RCX, RDX, type Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";

/** (leaf, subleaf): EAX, EBX, ECX and EDX as four words at `simdResult`. */
const READ_CPUID = declareFunction("readCpuid", { in: "host", params: ["i32", "i32"] });
/** → the time-stamp counter without its offset: a whole number. */
const READ_TSC = declareFunction("readTsc", { in: "host", params: [], result: "f64", pure: true });
/** (bytes) → that many random bytes. */
const RANDOM_BITS = declareFunction("randomBits", { in: "host", params: ["i32"], result: "i64" });

const CR4_TSD = 1 << 2;

export const CPUID = instruction("cpuid", {
  spec: "SDM 2, CPUID",
  forms: ["0F A2"],
  feature: "486",
  untested: "differs from processor to processor",
  meaning(o) {
    o.call(READ_CPUID, o.register(RAX, 32), o.register(RCX, 32));
    const result = o.slot("simdResult");
    [RAX, RBX, RCX, RDX].forEach((register, word) => {
      o.setRegister(register, 32, o.loadState("i32", result, word * 4));
    });
  },
});

/** The counter, where this privilege level may read it. */
function timeStamp(o: Semantics): Value {
  const disabled = o.state("cr4").wrap().and(CR4_TSD).ne(0);
  o.raiseIf(disabled.and(o.state("cpl").ne(0)), "GP", 0);
  return o.call(READ_TSC).op("i64.trunc_sat_f64_s").add(o.state("tscOffset"));
}

export const RDTSC = instruction("rdtsc", {
  spec: "SDM 2, RDTSC",
  forms: ["0F 31"],
  feature: "tsc",
  untested: "reads time",
  meaning(o) {
    setEdxEax(o, timeStamp(o));
  },
});

export const RDTSCP = instruction("rdtscp", {
  spec: "SDM 2, RDTSCP",
  forms: ["0F 01 F9"],
  feature: "rdtscp",
  untested: "reads time",
  meaning(o) {
    setEdxEax(o, timeStamp(o));
    o.setRegister(RCX, 32, o.state("tscAux").wrap());
  },
});

export const RDPID = instruction("rdpid", {
  spec: "SDM 2, RDPID",
  forms: ["F3 0F C7 /7 Rd ; i64", "F3 0F C7 /7 Rq ; o64"],
  feature: "rdpid",
  untested: "reads the processor's number",
  meaning(o, dst) {
    const aux = o.state("tscAux");
    o.put(dst, dst.width === 64 ? aux : aux.wrap());
  },
});

/** There are no performance counters, and so none whose number is valid. */
export const RDPMC = instruction("rdpmc", {
  spec: "SDM 2, RDPMC",
  forms: ["0F 33"],
  feature: "mmx",
  untested: "faults by design",
  meaning(o) {
    o.raise("GP", 0);
  },
});

/** RDRAND and RDSEED: there are always enough random bits. */
const randomInstruction = (name: Feature & string, digit: number): Instruction =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`0F C7 /${digit} Rv`],
    feature: name,
    untested: "gives random bits",
    meaning(o, dst) {
      const value = o.call(RANDOM_BITS, dst.width / 8);
      o.put(dst, dst.width === 64 ? value : value.wrap());
      const zero = o.i32(0);
      o.setFlags({ o: zero, s: zero, z: zero, a: zero, p: zero, c: o.i32(1) });
    },
  });

export const RDRAND = randomInstruction("rdrand", 6);
export const RDSEED = randomInstruction("rdseed", 7);

/** Watches nothing: see MWAIT. */
export const MONITOR = instruction("monitor", {
  spec: "SDM 2, MONITOR",
  forms: ["NP 0F 01 C8"],
  feature: "monitor",
  untested: "for supervisors only",
  meaning(o) {
    o.raiseIf(o.state("cpl"), "UD");
    o.raiseIf(o.register(RCX, 32), "GP", 0);
    o.load(o.sourceSegment, o.register(RAX, o.addressSize).extendU(), 8);
  },
});

/** Never waits, which the manual allows (a "false wake-up"): software looks at what it waits for, and tries again. */
export const MWAIT = instruction("mwait", {
  spec: "SDM 2, MWAIT",
  forms: ["NP 0F 01 C9"],
  feature: "monitor",
  untested: "for supervisors only",
  meaning(o) {
    o.raiseIf(o.state("cpl"), "UD");
    // Bit 0: interrupts end the wait even where they are masked.
    o.raiseIf(o.register(RCX, 32).and(~1), "GP", 0);
  },
});

export const IDENTIFICATION: readonly Instruction[] = [
  CPUID,
  RDTSC,
  RDTSCP,
  RDPID,
  RDPMC,
  RDRAND,
  RDSEED,
  MONITOR,
  MWAIT,
];
