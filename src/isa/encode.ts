/**
 * From a form and concrete operands to instruction bytes: the decoder's reverse, for tests and tools.
 * @spec SDM 2A chapter 2, "Instruction Format"
 */
import type { Form } from "./instruction.ts";
import { type OperandSpec, resolveWidth } from "./operand.ts";
import { CS, DS, ES, FS, GS, type OperandSize, RBP, RBX, RDI, RSI, RSP, SS } from "./semantics.ts";

/** Default size of code: a mode's name in assemblers. */
export type CodeBits = 16 | 32 | 64;

export interface RegisterOperand {
  readonly kind: "register";
  readonly number: number;
  /** AH, CH, DH, BH (numbers 4–7), which no REX prefix may accompany; 8-bit SPL to DIL need one. */
  readonly high?: boolean;
}
/** seg:[base + index * scale + displacement] */
export interface AddressOperand {
  readonly kind: "memory";
  readonly base?: number | undefined;
  readonly index?: number | undefined;
  readonly scale?: 1 | 2 | 4 | 8;
  readonly displacement?: bigint;
  /** The displacement counts from the next instruction (64-bit mode). */
  readonly ripRelative?: boolean;
  /** The displacement takes its full size even where a byte, or nothing, would do. */
  readonly wide?: boolean;
  /** Segment override, written even where it is the default. */
  readonly segment?: number | undefined;
}
/** An immediate; of a relative operand, the distance from the next instruction. */
export interface ImmediateOperand {
  readonly kind: "immediate";
  readonly value: bigint;
}
export interface FarOperand {
  readonly kind: "far";
  readonly selector: number;
  readonly offset: bigint;
}
export type EncodeOperand = RegisterOperand | AddressOperand | ImmediateOperand | FarOperand;

export interface EncodeOptions {
  readonly bits: CodeBits;
  /** Operand size; the form's default in the mode where absent. */
  readonly operandSize?: OperandSize | undefined;
  readonly addressSize?: OperandSize | undefined;
  readonly lock?: boolean;
  readonly repeat?: "repe" | "repne" | undefined;
  /** Segment override of an instruction without a memory operand (string instructions, XLAT). */
  readonly segment?: number | undefined;
}

/** Operands and form do not go together; the message says why. */
export class EncodeError extends Error {}

function fail(form: Form, why: string): never {
  throw new EncodeError(`${form.instruction.name} (${form.text}): ${why}`);
}

const SEGMENT_PREFIX: Record<number, number> = {
  [ES]: 0x26,
  [CS]: 0x2e,
  [SS]: 0x36,
  [DS]: 0x3e,
  [FS]: 0x64,
  [GS]: 0x65,
};
const MANDATORY = { NP: undefined, "66": 0x66, F3: 0xf3, F2: 0xf2 } as const;

/** The form's operand size in `bits` code where no prefix changes it. */
export function defaultOperandSize(form: Form, bits: CodeBits): OperandSize {
  if (bits !== 64) return bits;
  const { attributes } = form;
  return attributes.has("d64") || attributes.has("f64") || attributes.has("w1") ? 64 : 32;
}

/** Little-endian bytes of the low `width` bits of `value`. */
export function littleEndian(value: bigint, width: number): number[] {
  return Array.from({ length: width / 8 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

/** Fields that a ModR/M operand gives: the byte without its reg field, what follows, and bits of REX. */
interface Addressing {
  readonly modrm: number;
  readonly tail: readonly number[];
  readonly x: number;
  readonly b: number;
}

const PAIRS_16 = [
  [RBX, RSI],
  [RBX, RDI],
  [RBP, RSI],
  [RBP, RDI],
  [RSI, undefined],
  [RDI, undefined],
  [RBP, undefined],
  [RBX, undefined],
] as const;

function address16(form: Form, operand: AddressOperand): Addressing {
  const { base, index, displacement = 0n, wide = false } = operand;
  if (base === undefined && index === undefined)
    return { modrm: 0x06, tail: littleEndian(displacement, 16), x: 0, b: 0 };
  const rm = PAIRS_16.findIndex(
    ([first, second]) => (first === base && second === index) || (first === index && second === base),
  );
  if (rm < 0) fail(form, "no such 16-bit address");
  const value = BigInt.asIntN(16, displacement);
  if (value === 0n && rm !== 6 && !wide) return { modrm: rm, tail: [], x: 0, b: 0 };
  const short = !wide && value >= -128n && value < 128n;
  return { modrm: (short ? 0x40 : 0x80) | rm, tail: littleEndian(value, short ? 8 : 16), x: 0, b: 0 };
}

function address32(form: Form, operand: AddressOperand, bits: CodeBits, addressSize: OperandSize): Addressing {
  const { base, index, scale = 1, displacement = 0n, ripRelative = false, wide = false } = operand;
  if (ripRelative) return { modrm: 0x05, tail: littleEndian(displacement, 32), x: 0, b: 0 };
  if (index === RSP) fail(form, "RSP is no index");
  const value = BigInt.asIntN(addressSize, displacement);
  if (value < -0x80000000n || value > 0x7fffffffn) fail(form, "displacement is beyond 32 bits");
  const scaleBits = Math.log2(scale) << 6;
  const x = (index ?? 0) >> 3;
  if (base === undefined) {
    const tail = littleEndian(value, 32);
    if (index === undefined && bits !== 64) return { modrm: 0x05, tail, x: 0, b: 0 };
    return { modrm: 0x04, tail: [scaleBits | (((index ?? RSP) & 7) << 3) | 5, ...tail], x, b: 0 };
  }
  const b = base >> 3;
  const low = base & 7;
  const sib = index !== undefined || low === RSP ? [scaleBits | (((index ?? RSP) & 7) << 3) | low] : [];
  const rm = sib.length > 0 ? 4 : low;
  if (value === 0n && low !== RBP && !wide) return { modrm: rm, tail: sib, x, b };
  const short = !wide && value >= -128n && value < 128n;
  return { modrm: (short ? 0x40 : 0x80) | rm, tail: [...sib, ...littleEndian(value, short ? 8 : 32)], x, b };
}

/** Everything that operands contribute to the encoding. */
interface Fields {
  reg: number;
  opcodeRegister: number;
  vvvv: number;
  addressing: Addressing;
  memory: AddressOperand | undefined;
  immediates: number[];
  /** A REX prefix is needed for, or forbidden by, an 8-bit register. */
  rexNeeded: boolean;
  rexForbidden: boolean;
}

function register(form: Form, operand: EncodeOperand): RegisterOperand {
  if (operand.kind !== "register") fail(form, "a register is expected");
  return operand;
}

function placeOperand(form: Form, spec: OperandSpec, operand: EncodeOperand, fields: Fields, sizes: Sizes): void {
  const { bits, operandSize, addressSize } = sizes;
  if (operand.kind === "register" && spec.file === "general" && resolveWidth(spec.width, operandSize) === 8) {
    if (operand.high) fields.rexForbidden = true;
    else if (operand.number >= 4) fields.rexNeeded = true;
  }
  switch (spec.place) {
    case "fixed":
    case "one":
      break;
    case "reg":
      fields.reg = register(form, operand).number;
      if (form.digit !== undefined && form.digit !== fields.reg) fail(form, "the form is for another register");
      break;
    case "vvvv":
      fields.vvvv = register(form, operand).number;
      break;
    case "opcode":
      fields.opcodeRegister = register(form, operand).number;
      break;
    case "st":
      fields.addressing = { modrm: 0xc0 | register(form, operand).number, tail: [], x: 0, b: 0 };
      break;
    case "rm":
      if (operand.kind === "memory") {
        if (spec.memory === "never") fail(form, "memory is not allowed");
        fields.memory = operand;
        fields.addressing = addressSize === 16 ? address16(form, operand) : address32(form, operand, bits, addressSize);
      } else {
        if (spec.memory === "always") fail(form, "memory is expected");
        const { number } = register(form, operand);
        fields.addressing = { modrm: 0xc0 | (number & 7), tail: [], x: 0, b: number >> 3 };
      }
      break;
    case "moffs":
      if (operand.kind !== "memory") fail(form, "memory is expected");
      if (operand.base !== undefined || operand.index !== undefined)
        fail(form, "an address without registers is expected");
      fields.memory = operand;
      fields.immediates.push(...littleEndian(operand.displacement ?? 0n, addressSize));
      break;
    case "immediate":
    case "relative":
      if (operand.kind !== "immediate") fail(form, "an immediate is expected");
      fields.immediates.push(...littleEndian(operand.value, resolveWidth(spec.width, operandSize)));
      break;
    case "far":
      if (operand.kind !== "far") fail(form, "a far pointer is expected");
      fields.immediates.push(...littleEndian(operand.offset, operandSize));
      fields.immediates.push(...littleEndian(BigInt(operand.selector), 16));
      break;
  }
}

interface Sizes {
  readonly bits: CodeBits;
  readonly operandSize: OperandSize;
  readonly addressSize: OperandSize;
}

/** Whether a 66 prefix and REX.W are needed for the operand size. */
function sizePrefixes(form: Form, { bits, operandSize }: Sizes): { operandPrefix: boolean; w: boolean } {
  const standard = defaultOperandSize(form, bits);
  if (operandSize === standard) return { operandPrefix: false, w: form.attributes.has("w1") };
  if (bits !== 64) {
    if (operandSize === 64) fail(form, "64-bit operands need 64-bit mode");
    return { operandPrefix: true, w: false };
  }
  if (operandSize === 16 && !form.attributes.has("f64")) return { operandPrefix: true, w: false };
  if (operandSize === 64) return { operandPrefix: false, w: true };
  return fail(form, `operands have no ${operandSize} bits here`);
}

/** The instruction's bytes; throws EncodeError where form, mode and operands do not go together. */
export function encode(form: Form, operands: readonly EncodeOperand[], options: EncodeOptions): Uint8Array {
  const { bits, operandSize = defaultOperandSize(form, bits), addressSize = bits } = options;
  const { attributes } = form;
  const sizes: Sizes = { bits, operandSize, addressSize };
  if (bits === 64 ? attributes.has("i64") : attributes.has("o64")) fail(form, `not in ${bits}-bit code`);
  if (bits === 64 ? addressSize === 16 : addressSize === 64) fail(form, "no such address size in this mode");
  if (attributes.has("o16") && operandSize !== 16) fail(form, "for 16-bit operands only");
  if (attributes.has("o32") && operandSize !== 32) fail(form, "for 32-bit operands only");
  if (attributes.has("!o16") && operandSize === 16) fail(form, "not for 16-bit operands");
  const fields: Fields = {
    reg: form.digit ?? 0,
    opcodeRegister: 0,
    vvvv: 0,
    addressing: { modrm: 0xc0, tail: [], x: 0, b: 0 },
    memory: undefined,
    immediates: [],
    rexNeeded: false,
    rexForbidden: false,
  };
  form.operands.forEach((spec, i) => {
    const operand = operands[i] ?? (spec.place === "fixed" || spec.place === "one" ? NOTHING : undefined);
    placeOperand(form, spec, operand ?? fail(form, "an operand is missing"), fields, sizes);
  });
  const { operandPrefix, w } = sizePrefixes(form, sizes);
  if (operandPrefix && form.prefix === "NP") fail(form, "no operand size prefix is allowed");
  // The register that is exchanged with itself without REX.B is NOP.
  if (form.map === 0 && form.opcode === 0x90 && form.opcodeRegister && fields.opcodeRegister === 0) {
    fail(form, "this encoding is NOP");
  }

  const r = fields.reg >> 3;
  const { x, modrm } = fields.addressing;
  const b = fields.addressing.b | (fields.opcodeRegister >> 3);
  const code: number[] = [];
  const segment = fields.memory?.segment ?? options.segment;
  if (segment !== undefined) code.push(SEGMENT_PREFIX[segment] as number);
  if (addressSize !== bits) code.push(0x67);
  if (operandPrefix && form.prefix !== "66" && !form.vex) code.push(0x66);
  if (options.lock) code.push(0xf0);
  if (options.repeat) code.push(options.repeat === "repe" ? 0xf3 : 0xf2);
  if (form.vex) {
    code.push(...vexPrefix(form, { r, x, b, w, vvvv: fields.vvvv }));
  } else {
    const mandatory = form.prefix && MANDATORY[form.prefix];
    if (mandatory) code.push(mandatory);
    const rex = (w ? 8 : 0) | (r << 2) | (x << 1) | b;
    if (rex !== 0 || fields.rexNeeded) {
      if (bits !== 64) fail(form, "registers 8 to 15, SPL to DIL and 64-bit operands need 64-bit mode");
      if (fields.rexForbidden) fail(form, "AH, BH, CH and DH do not go with a REX prefix");
      code.push(0x40 | rex);
    }
    if (form.map > 0) code.push(0x0f);
    if (form.map === 2) code.push(0x38);
    if (form.map === 3) code.push(0x3a);
  }
  code.push(form.opcode | (fields.opcodeRegister & 7));
  if (form.modrm !== undefined) code.push(form.modrm);
  else if (form.hasModrm) code.push(modrm | ((fields.reg & 7) << 3), ...fields.addressing.tail);
  code.push(...fields.immediates);
  if (code.length > 15) fail(form, "longer than 15 bytes");
  return Uint8Array.from(code);
}

/** Stands for operands that the encoding does not show. */
const NOTHING: ImmediateOperand = { kind: "immediate", value: 0n };

/** The two-byte VEX prefix where it suffices. @spec SDM 2A, 2.3.5 */
function vexPrefix(form: Form, bits: { r: number; x: number; b: number; w: boolean; vvvv: number }): number[] {
  const { l = 0, w = 0, pp = "NP" } = form.vex ?? {};
  const wide = bits.w || w === 1;
  const last = ((~bits.vvvv & 15) << 3) | (l === 1 ? 4 : 0) | ["NP", "66", "F3", "F2"].indexOf(pp);
  if (form.map === 1 && bits.x === 0 && bits.b === 0 && !wide) return [0xc5, (bits.r ? 0 : 0x80) | last];
  const first = (bits.r ? 0 : 0x80) | (bits.x ? 0 : 0x40) | (bits.b ? 0 : 0x20) | form.map;
  return [0xc4, first, (wide ? 0x80 : 0) | last];
}
