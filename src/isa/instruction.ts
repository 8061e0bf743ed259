/**
 * The definition of an instruction: its encodings, its meaning, and what tests and documents need to know.
 * Everything else about an instruction is derived from this one object.
 *
 * A form is a line in the manner of the manual's opcode tables:
 *
 *     "[prefix] [0F [38|3A]] opcode[+] [/r | /digit | modrm-byte] [operands] [; attributes]"
 *     "VEX.L[.pp].map[.W] opcode [/r | /digit] [operands] [; attributes]"
 *
 * prefix is NP, 66, F3 or F2 where the instruction tells prefixes apart; `+` takes the register from the
 * opcode's low three bits; a ModR/M byte given in hex (as in "0F 01 D0") must match exactly. Of several forms
 * that match, the one that asks for more (a prefix, an exact opcode, `b0`) is meant. A VEX encoding gives L (LZ or
 * L0, L1, LIG for either), pp (66, F3 or F2; none: NP), map (0F, 0F38, 0F3A) and W (W0, W1; none: either).
 * Operands follow SDM 2D appendix A ("Ev", "Gb", "Iz", "Wdq", ...; operand.ts lists them).
 * Attributes: `i64` invalid in 64-bit mode, `o64` only there, `d64` operand size 64 by default there,
 * `f64` always 64 there, `w0`/`w1` REX.W clear or set, `a16`... none, `o16`/`o32`/`!o16` operand size 16, 32, or not 16,
 * `b0` REX.B clear, `!f3` not with an F3 prefix, `sp+` a memory operand's base RSP is taken after the pop (POP Ev).
 */
import { type OperandSpec, parseOperand } from "./operand.ts";
import type { Operand, Semantics } from "./semantics.ts";

/** What CPUID announces an instruction with; "base" is there on every processor. */
export type Feature =
  | "base"
  | "486"
  | "pentium"
  | "fpu"
  | "tsc"
  | "msr"
  | "cx8"
  | "sep"
  | "cmov"
  | "mmx"
  | "fxsr"
  | "sse"
  | "sse2"
  | "sse3"
  | "ssse3"
  | "sse4_1"
  | "sse4_2"
  | "popcnt"
  | "cx16"
  | "movbe"
  | "abm"
  | "bmi1"
  | "bmi2"
  | "adx"
  | "aes"
  | "pclmulqdq"
  | "sha"
  | "lm"
  | "syscall"
  | "lahf_lm"
  | "rdtscp"
  | "fsgsbase"
  | "smap"
  | "invpcid"
  | "xsave"
  | "xsaveopt"
  | "xsavec"
  | "rdrand"
  | "rdseed"
  | "monitor"
  | "clflush"
  | "clflushopt"
  | "clwb"
  | "prefetchw"
  | "rdpid";

export type MandatoryPrefix = "NP" | "66" | "F3" | "F2";

/** Fields of a VEX prefix. @spec SDM 2A, 2.3.5 */
export interface VexEncoding {
  readonly l: 0 | 1 | "any";
  readonly pp: MandatoryPrefix;
  readonly w: 0 | 1 | "any";
}

export interface Form {
  readonly text: string;
  readonly instruction: Instruction;
  /** Position among all forms of the set; the registry fills it in. */
  id: number;
  /** 0 one-byte, 1 0F, 2 0F 38, 3 0F 3A. */
  readonly map: 0 | 1 | 2 | 3;
  readonly prefix: MandatoryPrefix | undefined;
  /** Set for an encoding with a VEX prefix, whose `pp` is also given as `prefix`. */
  readonly vex?: VexEncoding;
  readonly opcode: number;
  readonly opcodeRegister: boolean;
  readonly hasModrm: boolean;
  /** Required ModR/M reg field. */
  readonly digit: number | undefined;
  /** Required whole ModR/M byte. */
  readonly modrm: number | undefined;
  /** What the ModR/M rm field must be. */
  readonly rm: "memory" | "register" | "any";
  readonly operands: readonly OperandSpec[];
  readonly attributes: ReadonlySet<string>;
}

export interface InstructionSpec {
  /** The manual's section. */
  readonly spec: string;
  readonly forms: readonly string[];
  readonly feature?: Feature;
  /** Takes the LOCK prefix with a memory destination; "implicit" is locked there without it, too (XCHG). */
  readonly lock?: true | "implicit";
  /** Takes REP prefixes: "rep" (MOVS, STOS, ...), "repe" (CMPS, SCAS: F3 repe, F2 repne). */
  readonly repeat?: "rep" | "repe";
  /** #GP(0) unless CPL is 0. */
  readonly privileged?: true;
  /** The last instruction of a block: jumps, and what changes how code is decoded or run. */
  readonly ends?: true;
  /** Pushes the address of the next instruction before it jumps, or jumps to what it pops. */
  readonly flow?: "call" | "return";
  /**
   * Checks CR0.EM/TS first: "x87" and "mmx" also pending exceptions, "sse" also CR4.OSFXSR; "wait" is FWAIT. An "mmx"
   * instruction leaves TOP 0 and all x87 registers marked as used, "emms" all marked empty.
   */
  readonly unit?: "x87" | "x87-nowait" | "mmx" | "emms" | "sse" | "wait";
  /** Flags left undefined, for tests: letters of "oszapc". */
  readonly undefined?: string;
  /** Why user-mode differential tests leave it out (it reads time, faults by design, ...). */
  readonly untested?: string;
  meaning(o: Semantics, ...operands: Operand[]): void;
}

export interface Instruction extends InstructionSpec {
  /** Assembler name; names per operand size are joined by "|" ("cbw|cwde|cdqe"). */
  readonly name: string;
  readonly parsed: readonly Form[];
}

const OPCODE = /^([0-9A-F]{2})(\+?)$/;
const VEX = /^VEX\.(LZ|L0|L1|LIG)(?:\.(NP|66|F3|F2))?\.(0F|0F38|0F3A)(?:\.(W0|W1|WIG))?$/;

function parseVex(word: string): { vex: VexEncoding; map: Form["map"] } | undefined {
  const match = VEX.exec(word);
  if (!match) return undefined;
  const [, l, pp = "NP", map, w = "WIG"] = match;
  return {
    vex: {
      l: l === "LIG" ? "any" : l === "L1" ? 1 : 0,
      pp: pp as MandatoryPrefix,
      w: w === "WIG" ? "any" : w === "W1" ? 1 : 0,
    },
    map: map === "0F" ? 1 : map === "0F38" ? 2 : 3,
  };
}

function parseForm(text: string, instruction: Instruction): Form {
  const [encoding = "", attributes = ""] = text.split(";");
  const words = encoding.trim().split(/\s+/);
  const fail = (why: string): never => {
    throw new Error(`${instruction.name}: form "${text}": ${why}`);
  };
  let prefix: Form["prefix"];
  const first = words[0];
  if (first === "NP" || first === "66" || first === "F3" || first === "F2") {
    prefix = first;
    words.shift();
  }
  const vex = parseVex(first ?? "");
  let map: Form["map"] = vex?.map ?? 0;
  if (vex) {
    prefix = vex.vex.pp;
    words.shift();
  } else if (words[0] === "0F" && words[1] !== undefined && OPCODE.test(words[1])) {
    words.shift();
    const second: string | undefined = words[0];
    map = second === "38" ? 2 : second === "3A" ? 3 : 1;
    // "0F 38" alone would be an opcode of map 1; none is defined there.
    if (map !== 1) words.shift();
  }
  const match = OPCODE.exec(words.shift() ?? "") ?? fail("no opcode");
  let digit: number | undefined;
  let modrm: number | undefined;
  let hasModrm = false;
  const next = words[0];
  if (next?.startsWith("/")) {
    words.shift();
    hasModrm = true;
    if (next !== "/r") digit = Number(next.slice(1));
  } else if (next !== undefined && /^[0-9A-F]{2}$/.test(next)) {
    words.shift();
    hasModrm = true;
    modrm = Number.parseInt(next, 16);
  }
  const operands = words.join("").split(",").filter(Boolean).map(parseOperand);
  let rm: Form["rm"] = "any";
  for (const operand of operands) {
    if (operand.place !== "rm" && operand.place !== "st") continue;
    if (operand.place === "st" || operand.memory === "never") rm = "register";
    else if (operand.memory === "always") rm = "memory";
  }
  if (modrm !== undefined) rm = modrm >= 0xc0 ? "register" : "memory";
  return {
    text,
    instruction,
    id: -1,
    map,
    prefix,
    ...(vex ? { vex: vex.vex } : {}),
    opcode: Number.parseInt(match[1] as string, 16),
    opcodeRegister: match[2] === "+",
    hasModrm,
    digit,
    modrm,
    rm,
    operands,
    attributes: new Set(attributes.split(/\s+/).filter(Boolean)),
  };
}

/** Defines an instruction and checks its forms. */
export function instruction(name: string, spec: InstructionSpec): Instruction {
  const parsed: Form[] = [];
  const result: Instruction = { name, ...spec, parsed };
  for (const text of spec.forms) parsed.push(parseForm(text, result));
  return result;
}

/** Whether a form is a near jump or call to where a register or memory says. */
export function isIndirect({ instruction, operands }: Form): boolean {
  const isNear = instruction.name === "jmp" || instruction.name === "call";
  return isNear && operands[0]?.place === "rm" && operands[0].file === "general";
}

/** Whether a form is a near jump, on a condition or not, to a distance from itself. */
export function isDirectJump({ instruction, operands }: Form): boolean {
  return operands[0]?.place === "relative" && instruction.flow !== "call";
}

/** One instruction for each condition code, with its forms' opcodes counted up: Jcc, SETcc, CMOVcc. */
export const CONDITIONS = [
  "o",
  "no",
  "b",
  "ae",
  "e",
  "ne",
  "be",
  "a",
  "s",
  "ns",
  "p",
  "np",
  "l",
  "ge",
  "le",
  "g",
] as const;

export function perCondition(
  name: string,
  spec: (code: number, opcode: (first: number) => string) => InstructionSpec,
): Instruction[] {
  return CONDITIONS.map((condition, code) => {
    const opcode = (first: number) => (first + code).toString(16).toUpperCase().padStart(2, "0");
    return instruction(name + condition, spec(code, opcode));
  });
}
