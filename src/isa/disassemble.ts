/** Decoded instructions as text, in the syntax that assemble.ts reads. */
import type { Form } from "./instruction.ts";
import { mnemonic } from "./mnemonic.ts";
import { type OperandSpec, resolveWidth } from "./operand.ts";
import { generalName, SEGMENT_NAMES } from "./register-names.ts";
import { DS, type OperandSize, RBP, RSP, SS } from "./semantics.ts";

/** What the decoder finds out about an instruction, as far as its text needs it. */
export interface DisassemblyInput {
  readonly form: Form;
  readonly length: number;
  readonly operandSize: OperandSize;
  readonly addressSize: OperandSize;
  readonly repeat: "none" | "repe" | "repne";
  readonly lock: boolean;
  readonly reg: number;
  readonly rm: number;
  readonly vvvv: number;
  readonly opcodeRegister: number;
  /** Registers are -1 where absent; the scale is a power of two. */
  readonly memory:
    | {
        readonly segment: number;
        readonly base: number;
        readonly index: number;
        readonly scale: number;
        readonly displacement: number;
        readonly ripRelative: boolean;
      }
    | undefined;
  readonly segment: number;
  readonly rex: boolean;
  /** Sign-extended; a relative operand's distance, a far pointer's or memory operand's offset. */
  readonly immediate: bigint;
  /** ENTER's level, a far pointer's selector. */
  readonly second: number;
}

const SIZE_WORDS: Record<number, string> = {
  8: "byte ptr ",
  16: "word ptr ",
  32: "dword ptr ",
  48: "fword ptr ",
  64: "qword ptr ",
  80: "tbyte ptr ",
  128: "xmmword ptr ",
};

const hex = (value: bigint, width: number) => `0x${BigInt.asUintN(width, value).toString(16)}`;

const signed = (value: number) => (value < 0 ? `-0x${(-value).toString(16)}` : `+0x${value.toString(16)}`);

function address(d: DisassemblyInput, spec: OperandSpec): string {
  const width = resolveWidth(spec.memoryWidth, d.operandSize);
  // JMP and CALL need the word to tell far pointers from near ones.
  const far = spec.width === "p" && d.form.operands.length === 1;
  const size = far ? `far ${SIZE_WORDS[d.operandSize]}` : (SIZE_WORDS[width] ?? "");
  if (spec.place === "moffs" || !d.memory) {
    return `${size}${SEGMENT_NAMES[d.segment]}:[${hex(d.immediate, d.addressSize)}]`;
  }
  const { segment, base, index, scale, displacement, ripRelative } = d.memory;
  const usual = base === RSP || base === RBP ? SS : DS;
  const terms: string[] = [];
  if (ripRelative) terms.push(d.addressSize === 64 ? "rip" : "eip");
  if (base >= 0) terms.push(generalName(base, d.addressSize, true));
  if (index >= 0) terms.push(generalName(index, d.addressSize, true) + (d.addressSize === 16 ? "" : `*${1 << scale}`));
  let text = terms.join("+");
  if (text === "") text = hex(BigInt(displacement), d.addressSize);
  else if (displacement !== 0 || ripRelative) text += signed(displacement);
  const absolute = base < 0 && index < 0 && !ripRelative;
  return `${size}${segment !== usual || absolute ? `${SEGMENT_NAMES[segment]}:` : ""}[${text}]`;
}

function registerName(d: DisassemblyInput, spec: OperandSpec, number: number): string {
  switch (spec.file) {
    case "segment":
      return SEGMENT_NAMES[number] ?? `segment${number}`;
    case "control":
      return `cr${number}`;
    case "debug":
      return `dr${number}`;
    case "xmm":
      return `xmm${number}`;
    case "mmx":
      return `mm${number & 7}`;
    case "st":
      return spec.place === "st" ? `st(${number & 7})` : "st";
    default:
      return generalName(number, resolveWidth(spec.width, d.operandSize), d.rex || spec.place === "fixed");
  }
}

function operandText(d: DisassemblyInput, spec: OperandSpec, secondImmediate: boolean, at: bigint): string {
  switch (spec.place) {
    case "fixed":
      return registerName(d, spec, spec.register);
    case "one":
      return "1";
    case "reg":
      return registerName(d, spec, d.reg);
    case "vvvv":
      return registerName(d, spec, d.vvvv);
    case "opcode":
      return registerName(d, spec, d.opcodeRegister);
    case "st":
      return registerName(d, spec, d.rm);
    case "rm":
      return d.memory ? address(d, spec) : registerName(d, spec, d.rm);
    case "moffs":
      return address(d, spec);
    case "relative":
      return hex(at + BigInt(d.length) + d.immediate, d.operandSize);
    case "far":
      return `${hex(BigInt(d.second), 16)}:${hex(d.immediate, d.operandSize)}`;
    case "immediate": {
      if (secondImmediate) return hex(BigInt(d.second), 8);
      if (!spec.signed && typeof spec.width === "number") return hex(d.immediate, spec.width);
      const first = d.form.operands[0] as OperandSpec;
      const width = first.place === "immediate" ? d.operandSize : resolveWidth(first.width, d.operandSize);
      return hex(d.immediate, width);
    }
  }
}

/** The text of an instruction at `at`, an offset in its code segment. */
export function disassemble(d: DisassemblyInput, at: bigint): string {
  const { form } = d;
  const words: string[] = [];
  if (d.lock) words.push("lock");
  if (form.instruction.repeat && d.repeat !== "none") {
    words.push(form.instruction.repeat === "rep" ? "rep" : d.repeat);
  }
  const shown = form.operands.some(({ place }) => place === "moffs" || (place === "rm" && d.memory));
  if (!shown && d.segment !== DS) words.push(SEGMENT_NAMES[d.segment] as string);
  words.push(mnemonic(form, d.operandSize, d.addressSize));
  let immediates = 0;
  const operands = form.operands.map((spec) => {
    if (spec.place === "immediate") immediates++;
    return operandText(d, spec, spec.place === "immediate" && immediates === 2, at);
  });
  return operands.length > 0 ? `${words.join(" ")} ${operands.join(",")}` : words.join(" ");
}
