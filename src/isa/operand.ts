/**
 * Operand notation of forms. @spec SDM 2D, appendix A.2 ("Key to Abbreviations")
 *
 * Addressing letter and width:
 *   E general register or memory (ModR/M rm)    G general register (ModR/M reg)
 *   R general register (rm, never memory)       M memory (rm, never a register)
 *   Z general register (opcode low bits)        I immediate, sI sign-extended byte immediate
 *   B general register (VEX.vvvv)
 *   J relative offset   A far pointer           O memory at an absolute offset
 *   S segment register (reg)  C control register (reg)  D debug register (reg)
 *   V XMM (reg)   W XMM or memory (rm)   U XMM (rm)   P MMX (reg)   Q MMX or memory (rm)   N MMX (rm)
 *   RdMb, RdMw: a 32-bit register, or 8 or 16 bits of memory
 * Widths: b 8, w 16, d 32, q 64, t 80, dq 128, ss 32, sd 64, ps and pd 128,
 *   v operand size, y 32 or 64, z 16 or 32, p far pointer of the operand size, none: no size
 * Registers by name: AL CL DX rAX (operand size) ST0 STi 1
 */
export interface OperandSpec {
  readonly text: string;
  readonly place:
    | "rm"
    | "reg"
    | "opcode"
    | "vvvv"
    | "fixed"
    | "immediate"
    | "relative"
    | "far"
    | "moffs"
    | "st"
    | "one";
  readonly file: "general" | "xmm" | "mmx" | "segment" | "control" | "debug" | "st" | "none";
  /** Bits, or how they follow from the operand size. */
  readonly width: number | "v" | "y" | "z" | "p";
  /** Width of the memory access where it differs from the register's. */
  readonly memoryWidth: number | "v" | "y" | "z" | "p";
  readonly memory: "always" | "never" | "either";
  /** Register number of a fixed register. */
  readonly register: number;
  /** Sign-extended byte immediate. */
  readonly signed: boolean;
}

const WIDTHS: Record<string, number | "v" | "y" | "z" | "p"> = {
  "": 0,
  b: 8,
  w: 16,
  d: 32,
  q: 64,
  t: 80,
  dq: 128,
  ss: 32,
  sd: 64,
  ps: 128,
  pd: 128,
  v: "v",
  y: "y",
  z: "z",
  p: "p",
};

const LETTERS: Record<string, Pick<OperandSpec, "place" | "file" | "memory">> = {
  E: { place: "rm", file: "general", memory: "either" },
  R: { place: "rm", file: "general", memory: "never" },
  M: { place: "rm", file: "none", memory: "always" },
  G: { place: "reg", file: "general", memory: "never" },
  Z: { place: "opcode", file: "general", memory: "never" },
  B: { place: "vvvv", file: "general", memory: "never" },
  I: { place: "immediate", file: "none", memory: "never" },
  J: { place: "relative", file: "none", memory: "never" },
  A: { place: "far", file: "none", memory: "never" },
  O: { place: "moffs", file: "none", memory: "always" },
  S: { place: "reg", file: "segment", memory: "never" },
  C: { place: "reg", file: "control", memory: "never" },
  D: { place: "reg", file: "debug", memory: "never" },
  V: { place: "reg", file: "xmm", memory: "never" },
  W: { place: "rm", file: "xmm", memory: "either" },
  U: { place: "rm", file: "xmm", memory: "never" },
  P: { place: "reg", file: "mmx", memory: "never" },
  Q: { place: "rm", file: "mmx", memory: "either" },
  N: { place: "rm", file: "mmx", memory: "never" },
};

const FIXED: Record<string, { register: number; width: number | "v"; file?: "st"; place?: "st" | "one" }> = {
  AL: { register: 0, width: 8 },
  AX: { register: 0, width: 16 },
  EAX: { register: 0, width: 32 },
  CL: { register: 1, width: 8 },
  DX: { register: 2, width: 16 },
  rAX: { register: 0, width: "v" },
  ST0: { register: 0, width: 80, file: "st" },
  STi: { register: 0, width: 80, file: "st", place: "st" },
  "1": { register: 0, width: 8, place: "one" },
};

export function parseOperand(text: string): OperandSpec {
  const fixed = FIXED[text];
  if (fixed) {
    const { register, width, file = "general", place = "fixed" } = fixed;
    return { text, place, file, width, memoryWidth: width, memory: "never", register, signed: false };
  }
  const plain = { text, register: -1, signed: false };
  const mixed = /^R([dy])M([bwdq])$/.exec(text);
  if (mixed) {
    const width = WIDTHS[mixed[1] as string] as number;
    const memoryWidth = WIDTHS[mixed[2] as string] as number;
    return { ...plain, place: "rm", file: "general", memory: "either", width, memoryWidth };
  }
  if (text === "sIb") {
    return { ...plain, place: "immediate", file: "none", memory: "never", width: 8, memoryWidth: 8, signed: true };
  }
  const letter = LETTERS[text[0] as string];
  const width = WIDTHS[text.slice(1)];
  if (!letter || width === undefined) throw new Error(`operand notation ${text} is unknown`);
  return { ...plain, ...letter, width, memoryWidth: width };
}

/** Bits of an operand of width `width` at operand size `size`. */
export function resolveWidth(width: OperandSpec["width"], size: 16 | 32 | 64): number {
  switch (width) {
    case "v":
      return size;
    case "y":
      return size === 64 ? 64 : 32;
    case "z":
      return size === 16 ? 16 : 32;
    case "p":
      return size + 16;
    default:
      return width;
  }
}
