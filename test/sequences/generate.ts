/** Random sequences of instructions with branches, loops, calls, faults and changes of their own code. */

import type { SeededRandom } from "../../src/bits/testing/seeded-random.ts";
import { AssemblyError, assemble } from "../../src/isa/assemble.ts";
import { type AddressOperand, type CodeBits, EncodeError, type EncodeOperand, encode } from "../../src/isa/encode.ts";
import { FORMS } from "../../src/isa/index.ts";
import type { Form } from "../../src/isa/instruction.ts";
import { type OperandSpec, resolveWidth } from "../../src/isa/operand.ts";
import { FS, GS, type OperandSize, RBP, RBX, RDI, RSI, RSP } from "../../src/isa/semantics.ts";
import { PLACE, type Regime } from "./regime.ts";

export interface Sequence {
  readonly bytes: Uint8Array;
  /** Distance of the first instruction from the start of the code's place. */
  readonly offset: number;
}

/** What sequences are written for. */
export interface Surroundings {
  readonly bits: CodeBits;
  /** Offsets in their segments of where code and data are. */
  readonly code: number;
  readonly data: number;
  /** Whether code can be written to, and data be read relative to it, without another segment. */
  readonly flat: boolean;
  /** Registers that hold addresses when a sequence starts; instructions may change them. */
  readonly pointers: readonly number[];
  /** Registers that few instructions change: one in so many of those that would. */
  readonly kept: readonly number[];
  readonly spared: number;
  /** One in so many memory operands is in another segment. */
  readonly overridden: number;
  /** Whether operands of 16 bytes in memory are mostly where they must be. */
  readonly aligns: boolean;
  /** Where an operand can be, as the offset in the data segments. */
  dataOffset(random: SeededRandom): number;
  readonly forms: Forms;
}

/** What instructions are drawn from. */
export interface Forms {
  /** Those that can stand anywhere. */
  readonly plain: readonly Form[];
  /** Those of them that are drawn more often. */
  readonly usual: readonly Form[];
  /** Jumps to where registers or memory say, far transfers, interrupts: most end in an exception. */
  readonly wild: readonly Form[];
}

const POINTERS: Record<CodeBits, readonly number[]> = {
  16: [RBX, RBP, RSI, RDI],
  32: [RBX, RBP, RSI, RDI],
  64: [RBX, RBP, RSI, RDI, 12, 13, 14, 15],
};
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
export const CONDITIONS = "o no b ae e ne be a s ns p np l ge le g".split(" ");

/** Instructions whose results or flags say much, and that compilers use: drawn more often than others. */
const USUAL =
  /^(add|or|adc|sbb|and|sub|xor|cmp|test|inc|dec|neg|not|mov|movzx|movsx|movsxd|lea|push|pop|shl|shr|sar|imul|cmovcc|setcc|xchg|bt|bts|btr)$/;

/** Forms that can stand anywhere: no jumps, nothing that asks for ring 0 or for devices. */
function isPlain(form: Form): boolean {
  const { instruction, operands } = form;
  if (instruction.privileged || instruction.ends) return false;
  return !operands.some(({ place, file }) => place === "relative" || place === "far" || file === "control");
}

/** The forms that `suits` takes. */
export function formsThat(suits: (form: Form) => boolean): Forms {
  const all = FORMS.filter(suits);
  const plain = all.filter(isPlain);
  return {
    plain,
    usual: plain.filter(({ instruction }) => USUAL.test(instruction.name.replace(/^(cmov|set).*/, "$1cc"))),
    wild: all.filter((form) => !form.instruction.privileged && !isPlain(form)),
  };
}
const ALL_FORMS = formsThat(() => true);

function surroundingsOf(regime: Regime): Surroundings {
  const { bits } = regime;
  const flat = regime.segments === "flat";
  const pointers = POINTERS[bits];
  return {
    bits,
    flat,
    code: flat ? PLACE.code : 0,
    data: flat ? PLACE.data : 0,
    pointers,
    kept: [RSP, ...pointers],
    spared: 6,
    overridden: 12,
    aligns: false,
    dataOffset: (random) => dataOffset(regime, random),
    forms: ALL_FORMS,
  };
}

/** Where operands can be, as the offset in the data segments. */
function dataOffset(regime: Regime, random: SeededRandom): number {
  const base = regime.segments === "flat" ? PLACE.data : 0;
  const kind = random.below(10);
  if (kind < 6) return base + 16 * random.below(PLACE.dataSize / 16);
  if (kind < 9) return base + random.pick([0x1000, 0x2000]) - random.below(40);
  return base + random.below(PLACE.dataSize + 0x800);
}

/** A value that arithmetic finds interesting. */
export function value(random: SeededRandom): bigint {
  switch (random.below(6)) {
    case 0:
      return BigInt(random.below(20));
    case 1:
      return BigInt.asUintN(64, -BigInt(random.below(20)));
    case 2:
      return 1n << BigInt(random.below(64));
    case 3:
      return BigInt.asUintN(64, (1n << BigInt(random.below(64))) - 1n);
    case 4:
      return BigInt(random.next());
    default:
      return random.bits64();
  }
}

/** General registers at a sequence's start. */
export function startRegisters(regime: Regime, random: SeededRandom): bigint[] {
  const registers = Array.from({ length: 16 }, () => value(random));
  for (const pointer of POINTERS[regime.bits]) registers[pointer] = BigInt(dataOffset(regime, random));
  if (regime.bits === 16) for (const index of [RSI, RDI]) registers[index] = BigInt(random.below(0x300));
  registers[1] = BigInt(random.below(40));
  registers[RSP] = BigInt((regime.segments === "flat" ? PLACE.data : 0) + 0x1800 + 8 * random.below(8));
  return registers;
}

/** Writes instructions of a sequence of `count`, before each of which is a label: at0, at1 and so on. */
export class Writer {
  readonly #surroundings: Surroundings;
  readonly #random: SeededRandom;
  readonly #count: number;

  constructor(surroundings: Surroundings, random: SeededRandom, count: number) {
    this.#surroundings = surroundings;
    this.#random = random;
    this.#count = count;
  }

  lines(): string[] {
    const lines = [`bits ${this.#surroundings.bits}`];
    for (let i = 0; i < this.#count; i++) lines.push(`at${i}:`, this.#line(i));
    lines.push(`at${this.#count}:`, "int3");
    return lines;
  }

  #line(position: number): string {
    const random = this.#random;
    const { forms } = this.#surroundings;
    const kind = random.below(100);
    if (kind < 72) return this.plain(kind < 50 ? forms.usual : forms.plain);
    if (kind < 84) return `j${random.pick(CONDITIONS)} ${this.label(position)}`;
    if (kind < 86) return `loop ${this.label(position)}`;
    if (kind < 87) return this.plain(forms.wild);
    if (kind < 90) return `call ${this.label(position)}`;
    if (kind < 92) return "ret";
    if (kind < 94) return this.indirect(position);
    if (kind < 96) return this.patch(position);
    return this.reload();
  }

  /** Most jumps go forward, so that sequences end. */
  label(position: number): string {
    return this.#random.below(4) === 0 ? this.labelBefore(position) : this.labelAhead(position);
  }

  /** The instruction at `position` itself, or one before it. */
  labelBefore(position: number): string {
    return `at${this.#random.below(position + 1)}`;
  }

  labelAhead(position: number): string {
    return `at${position + 1 + this.#random.below(Math.min(8, this.#count - position))}`;
  }

  /** Name of a register of the code's size. */
  register(number: number): string {
    const name = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"][number] ?? `r${number}`;
    return number > 7 ? name : `${{ 16: "", 32: "e", 64: "r" }[this.#surroundings.bits]}${name}`;
  }

  indirect(position: number): string {
    const random = this.#random;
    const register = this.register(random.below(3));
    return `mov ${register},${this.label(position)}\n ${random.pick(["jmp", "call"])} ${register}`;
  }

  /** Writes a byte of an instruction to come, or of one that ran. */
  patch(position: number): string {
    const random = this.#random;
    const prefix = this.#surroundings.flat ? "" : "fs ";
    return `${prefix}mov byte ptr [${this.label(position)}+${random.below(5)}],${random.below(256)}`;
  }

  reload(): string {
    const { bits, pointers } = this.#surroundings;
    const random = this.#random;
    const register = random.pick(pointers);
    const small = bits === 16 && (register === RSI || register === RDI);
    return `mov ${this.register(register)},${small ? random.below(0x300) : this.#surroundings.dataOffset(random)}`;
  }

  plain(forms: readonly Form[]): string {
    for (let attempt = 0; attempt < 50; attempt++) {
      const code = this.#encode(this.#random.pick(forms));
      if (code) return `db ${[...code].join(",")}`;
    }
    return "nop";
  }

  /** A random instance of `form`, undefined where it has none in this regime. */
  #encode(form: Form): Uint8Array | undefined {
    const random = this.#random;
    const { bits } = this.#surroundings;
    const operandSize = random.pick<OperandSize>(
      bits === 64 ? [32, 64, 64, 16] : bits === 32 ? [32, 32, 16] : [16, 16, 32],
    );
    const sized =
      form.operands.length === 0 ||
      form.operands.some(({ width }) => width === "v" || width === "z" || width === "p" || width === "y");
    const addressSize: OperandSize = bits === 16 && random.below(6) > 0 ? 16 : bits === 16 ? 32 : bits;
    const { instruction } = form;
    try {
      const operands = form.operands.map((spec) => this.#operand(form, spec, operandSize, addressSize));
      return encode(form, operands, {
        bits,
        operandSize: sized && !form.attributes.has("f64") ? operandSize : undefined,
        addressSize: form.operands.some(({ memory }) => memory !== "never") ? addressSize : undefined,
        lock: instruction.lock === true && operands[0]?.kind === "memory" && random.below(8) === 0,
        repeat: instruction.repeat ? random.pick([undefined, "repe", "repne"] as const) : undefined,
      });
    } catch (error) {
      if (error instanceof EncodeError) return undefined;
      throw error;
    }
  }

  #operand(form: Form, spec: OperandSpec, operandSize: OperandSize, addressSize: OperandSize): EncodeOperand {
    const random = this.#random;
    const { bits } = this.#surroundings;
    switch (spec.place) {
      case "rm":
        if (spec.memory === "always" || (spec.memory === "either" && random.below(5) < 2))
          return this.#placed(this.#address(addressSize), spec);
        break;
      case "moffs":
        return { kind: "memory", displacement: BigInt(this.#surroundings.dataOffset(random)) };
      case "immediate":
      case "relative":
        return { kind: "immediate", value: BigInt.asIntN(resolveWidth(spec.width, operandSize), value(random)) };
      case "far":
        return { kind: "far", selector: random.below(0x100), offset: BigInt(random.next()) };
    }
    if (spec.place === "reg" && form.digit !== undefined) return { kind: "register", number: form.digit };
    if (spec.file === "debug" || spec.file === "segment") return { kind: "register", number: random.below(6) };
    const few = bits !== 64 || spec.file === "mmx" || spec.file === "st";
    const number = this.#notStack(random.below(few ? 8 : 16));
    return { kind: "register", number, high: spec.width === 8 && number >= 4 && number < 8 && random.below(2) === 0 };
  }

  /** Most instructions leave the stack pointer and the pointers alone. */
  #notStack(number: number): number {
    const { kept, spared } = this.#surroundings;
    return kept.includes(number) && this.#random.below(spared) > 0 ? this.#random.below(3) : number;
  }

  #placed(address: AddressOperand, { memoryWidth }: OperandSpec): AddressOperand {
    if (!this.#surroundings.aligns || memoryWidth !== 128) return address;
    const { index: _, scale: __, ...rest } = address;
    return { ...rest, displacement: (rest.displacement ?? 0n) & ~15n };
  }

  #address(addressSize: OperandSize): AddressOperand {
    const random = this.#random;
    const { bits, flat, code, data, pointers, overridden } = this.#surroundings;
    const segment = random.below(overridden) === 0 ? random.pick([FS, GS]) : undefined;
    const displacement = BigInt(random.pick([0, 8, 16, random.below(100), -random.below(100)]));
    if (addressSize === 16) {
      const [base, index] = random.pick(PAIRS_16);
      return { kind: "memory", segment, base, index, displacement };
    }
    const kind = random.below(10);
    if (kind === 0) return { kind: "memory", segment, displacement: BigInt(this.#surroundings.dataOffset(random)) };
    if (kind === 1 && bits === 64 && flat) {
      return { kind: "memory", ripRelative: true, displacement: BigInt(data - code + random.below(0x100)) };
    }
    const base = kind === 2 ? RSP : random.pick(pointers);
    if (random.below(6) > 0) return { kind: "memory", segment, base, displacement };
    return { kind: "memory", segment, base, index: 1, scale: random.pick([1, 2, 4, 8]), displacement };
  }
}

/** A sequence of `count` instructions for `regime`, which ends at a breakpoint. */
export function randomSequence(regime: Regime, random: SeededRandom, count: number): Sequence {
  // Some span the two pages.
  const offset = random.below(3) === 0 ? 0x1000 - random.below(count * 4) : 16 * random.below(64);
  const surroundings = surroundingsOf(regime);
  const origin = BigInt(surroundings.code + offset);
  for (;;) {
    const source = new Writer(surroundings, random, count).lines().join("\n");
    try {
      return { bytes: assemble(source, { bits: regime.bits, origin }).bytes, offset };
    } catch (error) {
      // LOOP does not reach every label.
      if (!(error instanceof AssemblyError)) throw error;
    }
  }
}
