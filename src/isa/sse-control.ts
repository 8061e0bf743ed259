/** MXCSR, EMMS, fences and prefetches. */
import { type Feature, type Instruction, instruction } from "./instruction.ts";

/** Bits of MXCSR that there are: no misaligned-access bit 17. */
const MXCSR_MASK = 0xffff;

const LDMXCSR = instruction("ldmxcsr", {
  spec: "SDM 2, LDMXCSR",
  forms: ["NP 0F AE /2 Md"],
  feature: "sse",
  unit: "sse",
  meaning(o, src) {
    const value = o.get(src);
    o.raiseIf(value.and(~MXCSR_MASK), "GP", 0);
    o.setState("mxcsr", value);
  },
});

const STMXCSR = instruction("stmxcsr", {
  spec: "SDM 2, STMXCSR",
  forms: ["NP 0F AE /3 Md"],
  feature: "sse",
  unit: "sse",
  meaning: (o, dst) => o.put(dst, o.state("mxcsr")),
});

/** All registers are marked empty; the values stay. */
const EMMS = instruction("emms", {
  spec: "SDM 2, EMMS",
  forms: ["NP 0F 77"],
  feature: "mmx",
  unit: "emms",
  meaning() {},
});

/** An instruction that changes nothing a program can see: guest memory is accessed in program order anyway. */
function hint(name: string, feature: Feature, ...forms: string[]): Instruction {
  return instruction(name, { spec: `SDM 2, ${name.toUpperCase()}`, forms, feature, meaning() {} });
}

export const SSE_CONTROL: readonly Instruction[] = [
  LDMXCSR,
  STMXCSR,
  EMMS,
  hint("sfence", "sse", "NP 0F AE /7 Rd"),
  hint("lfence", "sse2", "NP 0F AE /5 Rd"),
  hint("mfence", "sse2", "NP 0F AE /6 Rd"),
  hint("prefetchnta", "sse", "0F 18 /0 Mb"),
  hint("prefetcht0", "sse", "0F 18 /1 Mb"),
  hint("prefetcht1", "sse", "0F 18 /2 Mb"),
  hint("prefetcht2", "sse", "0F 18 /3 Mb"),
  // The rest of this row of opcodes is kept for hints and does nothing.
  hint("nop", "base", ...[4, 5, 6, 7].map((digit) => `0F 18 /${digit} Ev`)),
  hint("nop", "base", ...[0, 1, 2, 3].map((digit) => `0F 18 /${digit} Rv`)),
  // The other encodings of 0F 0D are kept for more prefetches and act as this one.
  hint("prefetch", "prefetchw", ...[0, 2, 3, 4, 5, 6, 7].map((digit) => `0F 0D /${digit} Mb`)),
  hint("prefetchw", "prefetchw", "0F 0D /1 Mb"),
];
