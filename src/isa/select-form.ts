/** Choice of an instruction's form and sizes for the operands of a line of assembly: the shortest that fits. */
import { AssemblyError, type Lookup, type MemoryReference, type ParsedOperand } from "./assembly-syntax.ts";
import { type CodeBits, defaultOperandSize, EncodeError, type EncodeOperand, encode } from "./encode.ts";
import { INSTRUCTIONS } from "./index.ts";
import type { Form } from "./instruction.ts";
import { spellings } from "./mnemonic.ts";
import { type OperandSpec, resolveWidth } from "./operand.ts";
import type { OperandSize } from "./semantics.ts";

/** A line of assembly without its label. */
export interface Statement {
  readonly mnemonic: string;
  readonly operands: readonly ParsedOperand[];
  readonly lock: boolean;
  readonly repeat: "repe" | "repne" | undefined;
  readonly segment: number | undefined;
  readonly operandSize: OperandSize | undefined;
  readonly addressSize: OperandSize | undefined;
}

/** Where the instruction lies, and what symbols are worth. */
export interface Place {
  readonly bits: CodeBits;
  readonly address: bigint;
  readonly lookup: Lookup;
  /** Shorter encodings are passed over, so that lengths settle. */
  readonly minimum: number;
}

/** A name stands for these forms; it may also fix the operand or the address size. */
interface Meaning {
  readonly form: Form;
  readonly operandSize: OperandSize | undefined;
  readonly addressSize: OperandSize | undefined;
}

const CONDITION_ALIASES: Record<string, string> = {
  c: "b",
  nae: "b",
  nc: "ae",
  nb: "ae",
  z: "e",
  nz: "ne",
  na: "be",
  nbe: "a",
  pe: "p",
  po: "np",
  nge: "l",
  nl: "ge",
  ng: "le",
  nle: "g",
};
const ALIASES: Record<string, string> = {
  sal: "shl",
  loopz: "loope",
  loopnz: "loopne",
  xlat: "xlatb",
  retn: "ret",
  wait: "fwait",
  movabs: "mov",
};
/** Names whose operands may be written in either order. */
const COMMUTATIVE = new Set(["xchg", "test"]);

let names: Map<string, Meaning[]> | undefined;

function meanings(name: string): readonly Meaning[] {
  if (!names) {
    names = new Map();
    for (const instruction of INSTRUCTIONS) {
      for (const form of instruction.parsed) {
        for (const { name: spelling, operandSize, addressSize } of spellings(form)) {
          const list = names.get(spelling) ?? [];
          names.set(spelling, list);
          list.push({ form, operandSize, addressSize });
        }
      }
    }
  }
  const conditional = /^(j|set|cmov)(.+)$/.exec(name);
  const condition = conditional && CONDITION_ALIASES[conditional[2] as string];
  const canonical = ALIASES[name] ?? (condition ? `${conditional[1]}${condition}` : name);
  return names.get(canonical) ?? [];
}

/** Whether `name` is an instruction's. */
export const isMnemonic = (name: string): boolean => meanings(name).length > 0;

/** Whether `value` is what the low `stored` bits, sign-extended to `width`, give. */
function fits(value: bigint, stored: number, width: number): boolean {
  return BigInt.asUintN(width, BigInt.asIntN(stored, value)) === BigInt.asUintN(width, value) && inRange(value, width);
}
const inRange = (value: bigint, width: number) => value >= -(1n << BigInt(width - 1)) && value < 1n << BigInt(width);

interface Fit {
  readonly place: Place;
  readonly operandSize: OperandSize;
  /** Width of the instruction's first operand. */
  readonly width: number;
  /** It is the only operand. */
  readonly alone: boolean;
}

/** Whether `operand` can be what `spec` asks for. */
function accepts(spec: OperandSpec, operand: ParsedOperand, { place, operandSize, width, alone }: Fit): boolean {
  switch (operand.kind) {
    case "register": {
      const { file, number, width: bits } = operand.register;
      if (spec.file !== file || spec.memory === "always" || spec.place === "one") return false;
      if (spec.place === "fixed" && spec.register !== number) return false;
      return file !== "general" || resolveWidth(spec.width, operandSize) === bits;
    }
    case "memory": {
      if ((spec.place !== "rm" && spec.place !== "moffs") || spec.memory === "never") return false;
      // JMP and CALL tell far pointers apart by the word; LES and its kin have no others.
      const pointer = spec.memoryWidth === "p";
      if (operand.far ? !pointer : pointer && alone) return false;
      if (operand.size === undefined || spec.memoryWidth === 0) return true;
      return operand.size === (operand.far ? operandSize : resolveWidth(spec.memoryWidth, operandSize));
    }
    case "immediate": {
      if (spec.place === "relative") return !operand.short || spec.width === 8;
      const value = operand.value.evaluate(place.lookup);
      if (spec.place === "one") return value === 1n && !operand.value.symbolic;
      if (spec.place !== "immediate") return false;
      const stored = resolveWidth(spec.width, operandSize);
      if (operand.size !== undefined && operand.size !== stored && operand.size !== width) return false;
      if (spec.signed && operand.value.symbolic) return false;
      return fits(value, stored, spec.signed || typeof spec.width === "string" ? width : stored);
    }
    case "far":
      return spec.place === "far";
  }
}

function concrete(operand: ParsedOperand, spec: OperandSpec, place: Place, next: bigint): EncodeOperand {
  switch (operand.kind) {
    case "register":
      return { kind: "register", number: operand.register.number, high: operand.register.high };
    case "memory": {
      const { base, index, scale, segment, relative, displacement } = operand;
      const value = displacement?.evaluate(place.lookup) ?? 0n;
      const wide = displacement?.symbolic ?? false;
      const ripRelative = relative !== undefined;
      const distance = relative === "target" ? value - next : value;
      return { kind: "memory", base, index, scale, segment, ripRelative, displacement: distance, wide };
    }
    case "immediate": {
      const value = operand.value.evaluate(place.lookup);
      return { kind: "immediate", value: spec.place === "relative" ? value - next : value };
    }
    case "far":
      return {
        kind: "far",
        selector: Number(operand.selector.evaluate(place.lookup)),
        offset: operand.offset.evaluate(place.lookup),
      };
  }
}

interface Candidate {
  readonly code: Uint8Array;
  /** Width of an operand in memory whose size is not given. */
  readonly unsized: number | undefined;
}

/** The encoding of `statement` by `meaning` with operands of `operandSize`, if it has one. */
function tryForm(
  statement: Statement,
  meaning: Meaning,
  operandSize: OperandSize,
  place: Place,
): Candidate | undefined {
  const { form } = meaning;
  const { operands } = statement;
  if (form.operands.length !== operands.length) return undefined;
  const first = form.operands[0];
  const width = first && first.place !== "immediate" ? resolveWidth(first.width, operandSize) : operandSize;
  const fit: Fit = { place, operandSize, width, alone: operands.length === 1 };
  const all = operands.every((operand, i) => accepts(form.operands[i] as OperandSpec, operand, fit));
  if (!all) return undefined;
  const memory = operands.find((operand): operand is MemoryReference => operand.kind === "memory");
  const options = {
    bits: place.bits,
    operandSize,
    addressSize: statement.addressSize ?? meaning.addressSize ?? memory?.addressSize,
    lock: statement.lock,
    repeat: statement.repeat,
    segment: statement.segment,
  };
  const encoded = (next: bigint) =>
    encode(
      form,
      operands.map((operand, i) => concrete(operand, form.operands[i] as OperandSpec, place, next)),
      options,
    );
  try {
    // Distances count from the end, which the length decides: encode twice.
    const next = place.address + BigInt(encoded(place.address).length);
    const relative = form.operands.findIndex((spec) => spec.place === "relative");
    if (relative >= 0) {
      const operand = concrete(
        operands[relative] as ParsedOperand,
        form.operands[relative] as OperandSpec,
        place,
        next,
      );
      const distance = BigInt.asIntN(operandSize, operand.kind === "immediate" ? operand.value : 0n);
      const stored = resolveWidth((form.operands[relative] as OperandSpec).width, operandSize);
      if (BigInt.asIntN(stored, distance) !== distance) return undefined;
    }
    const code = encoded(next);
    const spec = memory && form.operands[operands.indexOf(memory)];
    const unsized = spec && memory.size === undefined ? resolveWidth(spec.memoryWidth, operandSize) : undefined;
    return code.length >= place.minimum ? { code, unsized } : undefined;
  } catch (error) {
    if (error instanceof EncodeError) return undefined;
    throw error;
  }
}

/**
 * The bytes of `statement`; throws AssemblyError where no form takes its operands. Another operand size than the
 * code's own is taken only where an operand or the name asks for it.
 */
export function selectForm(statement: Statement, place: Place): Uint8Array {
  const orders = COMMUTATIVE.has(statement.mnemonic)
    ? [statement, { ...statement, operands: statement.operands.toReversed() }]
    : [statement];
  const candidates = (pick: (standard: OperandSize) => readonly OperandSize[]): Candidate[] =>
    meanings(statement.mnemonic)
      .flatMap((meaning) => {
        const fixed = statement.operandSize ?? meaning.operandSize;
        const sizes = fixed ? [fixed] : pick(defaultOperandSize(meaning.form, place.bits));
        return orders.flatMap((order) => sizes.map((size) => tryForm(order, meaning, size, place)));
      })
      .filter((candidate) => candidate !== undefined);
  let found = candidates((standard) => [standard]);
  if (found.length === 0) found = candidates(() => [16, 32, 64]);
  const widths = new Set(found.map(({ unsized }) => unsized).filter((width) => width !== undefined));
  if (widths.size > 1) throw new AssemblyError("the operand in memory needs a size (byte, word, dword, ...)");
  const first = found[0];
  if (!first) throw new AssemblyError(`no form of ${statement.mnemonic} takes these operands`);
  return found.reduce((best, { code }) => (code.length < best.length ? code : best), first.code);
}
