/** Random instances of a form: what differential and round-trip tests feed on. */

import type { SeededRandom } from "../../bits/testing/seeded-random.ts";
import {
  type AddressOperand,
  type CodeBits,
  EncodeError,
  type EncodeOperand,
  type EncodeOptions,
  encode,
} from "../encode.ts";
import type { Form } from "../instruction.ts";
import { type OperandSpec, resolveWidth } from "../operand.ts";
import { FS, GS, type OperandSize, RBP, RBX, RDI, RSI, RSP } from "../semantics.ts";

export interface RandomEncoding {
  readonly code: Uint8Array;
  readonly operands: readonly EncodeOperand[];
  readonly options: EncodeOptions;
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
  [undefined, undefined],
] as const;

export function randomAddress(random: SeededRandom, bits: CodeBits, addressSize: OperandSize): AddressOperand {
  const segment = random.below(4) === 0 ? random.pick([FS, GS]) : undefined;
  const displacement = random.pick([
    0n,
    BigInt(random.below(128)),
    BigInt(-random.below(128)),
    BigInt(random.next() | 0),
  ]);
  if (addressSize === 16) {
    const [base, index] = random.pick(PAIRS_16);
    return { kind: "memory", segment, base, index, displacement: BigInt.asIntN(16, displacement) };
  }
  if (bits === 64 && random.below(8) === 0) return { kind: "memory", segment, ripRelative: true, displacement };
  const registers = bits === 64 ? 16 : 8;
  const base = random.below(5) === 0 ? undefined : random.below(registers);
  const index = random.below(2) === 0 ? random.below(registers) : undefined;
  if (index === undefined || index === RSP) return { kind: "memory", segment, base, displacement };
  return { kind: "memory", segment, base, index, scale: random.pick([1, 2, 4, 8]), displacement };
}

function randomOperand(random: SeededRandom, spec: OperandSpec, form: Form, options: EncodeOptions): EncodeOperand {
  const { bits, operandSize = bits, addressSize = bits } = options;
  switch (spec.place) {
    case "rm":
      if (spec.memory === "always" || (spec.memory === "either" && random.below(2) === 0)) {
        return randomAddress(random, bits, addressSize);
      }
      break;
    case "moffs":
      return { kind: "memory", displacement: random.bits64(), segment: random.pick([undefined, FS]) };
    case "immediate":
    case "relative":
      return { kind: "immediate", value: BigInt.asIntN(resolveWidth(spec.width, operandSize), random.bits64()) };
    case "far":
      return { kind: "far", selector: random.below(0x10000), offset: random.bits64() };
  }
  if (spec.place === "reg" && form.digit !== undefined) return { kind: "register", number: form.digit };
  // The control and debug registers that there are.
  if (spec.file === "control") return { kind: "register", number: random.pick([0, 2, 3, 4]) };
  if (spec.file === "debug") return { kind: "register", number: random.below(8) };
  const extended = bits === 64 && spec.file !== "mmx" && spec.file !== "st" && spec.file !== "segment";
  const number = random.below(spec.file === "segment" ? 6 : extended ? 16 : 8);
  return { kind: "register", number, high: spec.width === 8 && number >= 4 && number < 8 && random.below(2) === 0 };
}

/** A random instance of `form` in `bits` code, or undefined where what was drawn cannot be encoded. */
export function randomEncoding(random: SeededRandom, form: Form, bits: CodeBits): RandomEncoding | undefined {
  const operandSize = random.pick<OperandSize>(bits === 64 ? [16, 32, 64] : [16, 32]);
  const addressSize = random.pick<OperandSize>(bits === 64 ? [32, 64] : [16, 32]);
  const sized =
    form.operands.length === 0 || form.operands.some(({ width }) => width === "v" || width === "z" || width === "p");
  const wide = form.operands.some(({ width }) => width === "y");
  const size = sized ? operandSize : wide && bits === 64 ? random.pick<OperandSize>([32, 64]) : undefined;
  const inMemory = form.operands.some(({ memory }) => memory !== "never") || form.operands.length === 0;
  const options: EncodeOptions = {
    bits,
    operandSize: form.attributes.has("f64") ? undefined : size,
    addressSize: inMemory ? addressSize : undefined,
  };
  const operands = form.operands.map((spec) => randomOperand(random, spec, form, options));
  try {
    return { code: encode(form, operands, options), operands, options };
  } catch (error) {
    if (error instanceof EncodeError) return undefined;
    throw error;
  }
}
