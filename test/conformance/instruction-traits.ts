/** What the generator must know of single instructions, so that their random operands are not all alike. */
import type { Instruction } from "../../src/isa/instruction.ts";
import { RAX, RBP, RBX, RDI, RSI, RSP } from "../../src/isa/semantics.ts";
import type { Kind } from "./generate/values.ts";

export interface Traits {
  /** Registers that hold addresses without appearing as operands. */
  readonly pointers: readonly number[];
  /** The address has the instruction's address size, not the stack's. */
  readonly addressSized: boolean;
  /** RCX counts. */
  readonly counted: boolean;
  /** A register operand counts bits from a memory operand on. */
  readonly bitOffset: boolean;
  /** What is compared with the destination: AL to RAX, EDX:EAX or RDX:RAX. */
  readonly expects: "accumulator" | "pair" | undefined;
  readonly divides: "unsigned" | "signed" | undefined;
  /** Goes on at an address that a register or memory holds: "operand" or the top of the "stack". */
  readonly jumps: "operand" | "stack" | undefined;
  /** Its 16-bit operand is, or ends with, a selector. */
  readonly selector: boolean;
  /** Reads flags off the stack. */
  readonly popsFlags: boolean;
  /** Its memory operand is an image of state: "mxcsr", "x87 control", an environment or all of it. */
  readonly image: "mxcsr" | "control" | "environment" | "x87" | "fx" | undefined;
}

const POINTERS: readonly (readonly [RegExp, readonly number[]])[] = [
  [/^maskmov/, [RDI]],
  [/^xlat/, [RBX]],
  [/^clzero/, [RAX]],
  [/^(push|pop|call|ret|iret)/, [RSP]],
  [/^(enter|leave)/, [RSP, RBP]],
];

/** As POINTERS, of string instructions; SSE has some of the same name. */
const STRINGS: readonly (readonly [RegExp, readonly number[]])[] = [
  [/^(movs|cmps)/, [RSI, RDI]],
  [/^lods/, [RSI]],
  [/^(stos|scas)/, [RDI]],
];

const IMAGES: Readonly<Record<string, Traits["image"]>> = {
  ldmxcsr: "mxcsr",
  fldcw: "control",
  fldenv: "environment",
  frstor: "x87",
  fxrstor: "fx",
  fxrstor64: "fx",
};

export function traitsOf(instruction: Instruction): Traits {
  const { name, parsed } = instruction;
  const strings = instruction.repeat !== undefined;
  const indirect = parsed.some(({ text }) => text.startsWith("FF /2") || text.startsWith("FF /4"));
  return {
    pointers: (strings ? STRINGS : POINTERS).find(([pattern]) => pattern.test(name))?.[1] ?? [],
    addressSized: strings || /^(maskmov|xlat|clzero)/.test(name),
    counted: strings || name.startsWith("loop") || name.includes("cxz"),
    bitOffset: /^bt[src]?$/.test(name),
    expects: name === "cmpxchg" ? "accumulator" : /^cmpxchg(8|16)b/.test(name) ? "pair" : undefined,
    divides: name === "div" ? "unsigned" : name === "idiv" ? "signed" : undefined,
    jumps: indirect ? "operand" : name === "ret" ? "stack" : undefined,
    selector:
      parsed.some(({ operands }) => operands.some(({ file, text }) => file === "segment" || text === "Mp")) ||
      /^(pop [defgs]s|lar|lsl|verr|verw|arpl)$/.test(name),
    popsFlags: name.startsWith("popf"),
    image: IMAGES[name],
  };
}

/** What the vector operands of an instruction are taken as, most of the time. */
export function kindOf(instruction: Instruction): Kind | undefined {
  const { name, feature } = instruction;
  if (feature === "mmx" || name.startsWith("p")) return "integer";
  if (/^cvtt?(ps|ss)|^(mov.*|.*)[^c](ps|ss)$|^(rcp|rsqrt)/.test(name)) return "single";
  if (/^cvtt?(pd|sd)|[^c](pd|sd)$/.test(name)) return "double";
  return undefined;
}
