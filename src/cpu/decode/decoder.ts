/**
 * From instruction bytes to a form and its operands. @spec SDM 2A chapter 2, "Instruction Format"
 */

import { FORMS } from "../../isa/index.ts";
import type { Feature, Form } from "../../isa/instruction.ts";
import { CS, DS, ES, FS, GS, type OperandSize, RBP, RSP, SS } from "../../isa/semantics.ts";

export const MAX_LENGTH = 15;

export interface DecodeMode {
  readonly long: boolean;
  /** Default operand and address size in legacy and compatibility mode. */
  readonly code32: boolean;
}

/** A memory operand's address: seg:[base + index * 2^scale + displacement]. Registers are -1 where absent. */
export interface MemoryOperand {
  segment: number;
  base: number;
  index: number;
  scale: number;
  displacement: number;
  ripRelative: boolean;
}

export interface Decoded {
  readonly form: Form;
  readonly length: number;
  readonly operandSize: OperandSize;
  readonly addressSize: OperandSize;
  readonly repeat: "none" | "repe" | "repne";
  readonly lock: boolean;
  /** ModR/M fields with REX or VEX extensions; rm is a register number where `memory` is undefined. */
  readonly reg: number;
  readonly rm: number;
  readonly vvvv: number;
  /** Register in the opcode's low bits, extended. */
  readonly opcodeRegister: number;
  readonly memory: MemoryOperand | undefined;
  /** Segment for string sources and memory offsets: DS or the override. */
  readonly segment: number;
  readonly rex: boolean;
  readonly immediate: bigint;
  readonly second: number;
  /** Where in its bytes the immediates begin, and a displacement ends. */
  readonly immediateAt: number;
}

/** Why bytes are no instruction: unknown or forbidden encoding (#UD), too long (#GP), or more bytes are needed. */
export type DecodeFailure = "undefined" | "too-long" | "truncated";

/** Candidates by map and opcode. */
const TABLE: Form[][][] = [0, 1, 2, 3].map(() => Array.from({ length: 256 }, () => []));
for (const form of FORMS) {
  const last = form.opcode + (form.opcodeRegister ? 7 : 0);
  for (let opcode = form.opcode; opcode <= last; opcode++) TABLE[form.map]?.[opcode]?.push(form);
}
// The more specific a form, the earlier it is tried.
const specificity = (form: Form) =>
  (form.modrm !== undefined ? 8 : 0) +
  (form.digit !== undefined ? 4 : 0) +
  (form.prefix && form.prefix !== "NP" ? 2 : 0) +
  (form.rm !== "any" ? 1 : 0);
for (const map of TABLE) for (const forms of map) forms.sort((a, b) => specificity(b) - specificity(a));

/** Whether any of them has a ModR/M byte, by map times 256 and opcode. */
const NEEDS_MODRM = TABLE.flat().map((forms) => forms.some(({ hasModrm }) => hasModrm));

/** What a form's attributes are looked at for, as bits. */
const ATTRIBUTES = ["i64", "o64", "b0", "!f3", "w0", "w1", "o16", "!o16", "o32", "f64", "d64", "sp+"] as const;
const bit = Object.fromEntries(ATTRIBUTES.map((name, i) => [name, 1 << i])) as Record<
  (typeof ATTRIBUTES)[number],
  number
>;
/** By the forms' numbers. */
const RULES = Uint16Array.from(FORMS, ({ attributes }) =>
  ATTRIBUTES.reduce((bits, name) => (attributes.has(name) ? bits | bit[name] : bits), 0),
);

/** Numbers of 8 bits: most immediates are. */
const SMALL = Array.from({ length: 256 }, (_, i) => BigInt(i - 128));

class Bytes {
  readonly #bytes: Uint8Array;
  readonly start: number;
  position: number;
  readonly #end: number;
  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.start = start;
    this.position = start;
    this.#end = end;
  }
  /** The next byte; NaN past the end, which the caller finds by `truncated`. */
  u8(): number {
    return this.position < this.#end ? (this.#bytes[this.position++] as number) : this.#miss();
  }
  truncated = false;
  #miss(): number {
    this.truncated = true;
    return 0;
  }
  /** The next byte without taking it; 0 past the end. */
  peek(): number {
    return this.position < this.#end ? (this.#bytes[this.position] as number) : 0;
  }
  i8(): number {
    return (this.u8() << 24) >> 24;
  }
  u16(): number {
    return this.u8() | (this.u8() << 8);
  }
  i32(): number {
    return this.u16() | (this.u16() << 16);
  }
}

/**
 * Decodes the instruction at `start`. Bytes from `end` on are not looked at: where they would be needed the
 * result is "truncated". `has` tells which features the processor model offers.
 */
export function decode(
  bytes: Uint8Array,
  start: number,
  end: number,
  mode: DecodeMode,
  has: (feature: Feature) => boolean,
): Decoded | DecodeFailure {
  const limit = Math.min(end, start + MAX_LENGTH);
  const input = new Bytes(bytes, start, limit);
  const result = decodeFrom(input, mode, has);
  if (input.truncated) return end >= start + MAX_LENGTH ? "too-long" : "truncated";
  return result;
}

function decodeFrom(input: Bytes, mode: DecodeMode, has: (feature: Feature) => boolean): Decoded | DecodeFailure {
  let operandPrefix = false;
  let addressPrefix = false;
  let lock = false;
  let repeat: "none" | "repe" | "repne" = "none";
  let override = -1;
  let rex = 0;
  let opcode = 0;
  prefixes: for (;;) {
    opcode = input.u8();
    if (input.truncated) return "truncated";
    switch (opcode) {
      case 0x66:
        operandPrefix = true;
        break;
      case 0x67:
        addressPrefix = true;
        break;
      case 0xf0:
        lock = true;
        break;
      case 0xf2:
        repeat = "repne";
        break;
      case 0xf3:
        repeat = "repe";
        break;
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
        if (!mode.long) override = [ES, CS, SS, DS][(opcode - 0x26) >> 3] as number;
        break;
      case 0x64:
        override = FS;
        break;
      case 0x65:
        override = GS;
        break;
      default:
        if (mode.long && (opcode & 0xf0) === 0x40) {
          rex = opcode;
          continue prefixes;
        }
        break prefixes;
    }
    rex = 0; // A REX prefix counts only right before the opcode.
  }

  let map: 0 | 1 | 2 | 3 = 0;
  let vvvv = 0;
  let vex: { l: number; w: number; pp: "NP" | "66" | "F3" | "F2" } | undefined;
  const vexByte = opcode === 0xc4 || opcode === 0xc5;
  if (vexByte && (mode.long || input.peek() >= 0xc0)) {
    if (rex !== 0 || operandPrefix || lock || repeat !== "none") return "undefined";
    const three = opcode === 0xc4;
    const first = input.u8();
    const second = three ? input.u8() : first & 0x7f;
    if (three) {
      const mapNumber = first & 0x1f;
      if (mapNumber < 1 || mapNumber > 3) return "undefined";
      map = mapNumber as 1 | 2 | 3;
    } else {
      map = 1;
    }
    rex =
      (first & 0x80 ? 0 : 4) |
      (three && !(first & 0x40) ? 2 : 0) |
      (three && !(first & 0x20) ? 1 : 0) |
      (three && second & 0x80 ? 8 : 0);
    if (!mode.long) rex &= 8;
    vvvv = (~second >> 3) & 15;
    if (!mode.long) vvvv &= 7;
    vex = {
      l: (second >> 2) & 1,
      w: three ? second >> 7 : 0,
      pp: (["NP", "66", "F3", "F2"] as const)[second & 3] as "NP",
    };
    opcode = input.u8();
  } else if (opcode === 0x0f) {
    opcode = input.u8();
    map = 1;
    if (opcode === 0x38 || opcode === 0x3a) {
      map = opcode === 0x38 ? 2 : 3;
      opcode = input.u8();
    }
  }
  if (input.truncated) return "truncated";

  const candidates = TABLE[map]?.[opcode] as Form[];
  const needsModrm = NEEDS_MODRM[map * 256 + opcode] as boolean;
  const modrm = needsModrm ? input.peek() : 0;
  const wide = (rex & 8) !== 0;
  const prefix = repeat === "repne" ? "F2" : repeat === "repe" ? "F3" : operandPrefix ? "66" : "NP";
  const size: OperandSize = sizeFor(mode, operandPrefix, wide);
  const forbidden =
    (mode.long ? bit.i64 : bit.o64) |
    (rex & 1 ? bit.b0 : 0) |
    (repeat === "repe" ? bit["!f3"] : 0) |
    (wide ? bit.w0 : bit.w1) |
    (size === 16 ? bit["!o16"] : bit.o16) |
    (size === 32 ? 0 : bit.o32);
  let form: Form | undefined;
  for (let i = 0; i < candidates.length && !form; i++) {
    const candidate = candidates[i] as Form;
    if ((candidate.vex !== undefined) !== (vex !== undefined)) continue;
    if (candidate.vex && vex) {
      const { l, w, pp } = candidate.vex;
      if (pp !== vex.pp || (l !== "any" && l !== vex.l) || (w !== "any" && w !== vex.w)) continue;
    }
    if ((RULES[candidate.id] as number) & forbidden) continue;
    if (!vex && candidate.prefix !== undefined && candidate.prefix !== prefix) continue;
    if (candidate.hasModrm) {
      if (candidate.modrm !== undefined && candidate.modrm !== modrm) continue;
      if (candidate.digit !== undefined && candidate.digit !== ((modrm >> 3) & 7)) continue;
      if (candidate.rm === "memory" ? modrm >= 0xc0 : candidate.rm === "register" && modrm < 0xc0) continue;
    }
    const { feature } = candidate.instruction;
    if (feature === undefined || has(feature)) form = candidate;
  }
  if (!form) {
    // A missing ModR/M byte is looked for first: the processor fetches it before it gives up.
    if (needsModrm) input.u8();
    return "undefined";
  }

  const operandSize = operandSizeOf(form, mode, size, wide);
  const addressSize: OperandSize = mode.long ? (addressPrefix ? 32 : 64) : mode.code32 !== addressPrefix ? 32 : 16;
  let reg = 0;
  let rm = 0;
  let memory: MemoryOperand | undefined;
  if (form.hasModrm) {
    input.u8();
    reg = ((modrm >> 3) & 7) | ((rex & 4) << 1);
    if (modrm >= 0xc0) {
      rm = (modrm & 7) | ((rex & 1) << 3);
    } else if (addressSize === 16) {
      memory = address16(input, modrm, override);
    } else {
      memory = address32(input, modrm, rex, override, mode.long);
    }
  }
  if (memory && (RULES[form.id] as number) & bit["sp+"] && memory.base === RSP) memory.displacement += operandSize / 8;
  const immediateAt = input.position - input.start;
  let immediate = 0n;
  let second = 0;
  let seen = false;
  for (const operand of form.operands) {
    switch (operand.place) {
      case "immediate":
      case "relative": {
        const width =
          operand.width === "v"
            ? operandSize
            : operand.width === "z"
              ? Math.min(operandSize, 32)
              : Number(operand.width);
        if (seen) {
          second = input.u8();
          break;
        }
        seen = true;
        if (width === 64) immediate = (BigInt(input.i32()) & 0xffffffffn) | (BigInt(input.i32()) << 32n);
        else if (width === 32) immediate = BigInt(input.i32());
        else if (width === 16) immediate = BigInt((input.u16() << 16) >> 16);
        else immediate = SMALL[input.i8() + 128] as bigint;
        break;
      }
      case "far":
        immediate = BigInt(operandSize === 16 ? input.u16() : input.i32() >>> 0);
        second = input.u16();
        break;
      case "moffs":
        if (addressSize === 64) immediate = (BigInt(input.i32()) & 0xffffffffn) | (BigInt(input.i32()) << 32n);
        else immediate = BigInt(addressSize === 32 ? input.i32() >>> 0 : input.u16());
        break;
    }
  }
  if (form.map === 1 && (form.opcode & 0xfc) === 0x20 && !specialRegisterExists(form.opcode, reg, mode))
    return "undefined";
  // LOCK goes with a memory destination only.
  if (lock && !(form.instruction.lock && memory && form.operands[0]?.place === "rm")) return "undefined";
  return {
    form,
    length: input.position - input.start,
    operandSize,
    addressSize,
    repeat,
    lock,
    reg,
    rm,
    vvvv,
    opcodeRegister: (opcode & 7) | ((rex & 1) << 3),
    memory,
    segment: override >= 0 ? override : DS,
    rex: rex !== 0 && vex === undefined,
    immediate,
    second,
    immediateAt,
  };
}

/** Whether MOV's control or debug register exists: #UD otherwise, which comes before #GP. */
function specialRegisterExists(opcode: number, reg: number, mode: DecodeMode): boolean {
  if (opcode & 1) return reg < 8;
  return reg === 0 || (reg >= 2 && reg <= 4) || (reg === 8 && mode.long);
}

function sizeFor(mode: DecodeMode, prefix: boolean, wide: boolean): OperandSize {
  if (mode.long) return wide ? 64 : prefix ? 16 : 32;
  return mode.code32 !== prefix ? 32 : 16;
}

function operandSizeOf(form: Form, mode: DecodeMode, size: OperandSize, wide: boolean): OperandSize {
  if (mode.long) {
    const rules = RULES[form.id] as number;
    if (rules & bit.f64) return 64;
    if (rules & bit.d64) return size === 16 ? 16 : 64;
  }
  // A mandatory 66 prefix does not make operands 16 bits wide.
  if (form.prefix === "66" && size === 16) return wide ? 64 : 32;
  return size;
}

const BASES_16 = [
  [3, 6],
  [3, 7],
  [RBP, 6],
  [RBP, 7],
  [6, -1],
  [7, -1],
  [RBP, -1],
  [3, -1],
] as const;

function address16(input: Bytes, modrm: number, override: number): MemoryOperand {
  const mod = modrm >> 6;
  const rm = modrm & 7;
  let [base, index] = BASES_16[rm] as readonly [number, number];
  let displacement = 0;
  if (mod === 0 && rm === 6) {
    base = -1;
    displacement = input.u16();
  } else if (mod === 1) {
    displacement = input.i8();
  } else if (mod === 2) {
    displacement = (input.u16() << 16) >> 16;
  }
  const segment = override >= 0 ? override : base === RBP ? SS : DS;
  return { segment, base, index, scale: 0, displacement, ripRelative: false };
}

function address32(input: Bytes, modrm: number, rex: number, override: number, long: boolean): MemoryOperand {
  const mod = modrm >> 6;
  let base = (modrm & 7) | ((rex & 1) << 3);
  let index = -1;
  let scale = 0;
  let ripRelative = false;
  let absent = mod === 0 && (modrm & 7) === 5;
  if ((modrm & 7) === 4) {
    const sib = input.u8();
    scale = sib >> 6;
    index = ((sib >> 3) & 7) | ((rex & 2) << 2);
    if (index === 4) index = -1;
    base = (sib & 7) | ((rex & 1) << 3);
    absent = mod === 0 && (sib & 7) === 5;
  } else if (absent && long) {
    ripRelative = true;
  }
  let displacement = 0;
  if (mod === 1) displacement = input.i8();
  else if (mod === 2 || absent) displacement = input.i32();
  if (absent) base = -1;
  const stack = base === RSP || base === RBP;
  return { segment: override >= 0 ? override : stack ? SS : DS, base, index, scale, displacement, ripRelative };
}
