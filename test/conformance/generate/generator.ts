/** Random tests of a form: operands, their encoding, and a state in which they mean something. */
import {
  defaultOperandSize,
  EncodeError,
  type EncodeOperand,
  type EncodeOptions,
  encode,
} from "../../../src/isa/encode.ts";
import type { Form } from "../../../src/isa/instruction.ts";
import { type OperandSpec, resolveWidth } from "../../../src/isa/operand.ts";
import { CS, ES, GS, type OperandSize, RBX, RCX, RDI, RSP } from "../../../src/isa/semantics.ts";
import { kindOf, type Traits, traitsOf } from "../instruction-traits.ts";
import { type Bits, PLACE, segmentBase } from "../record.ts";
import { type Address, address, target } from "./address.ts";
import { seed } from "./seed.ts";
import { TestCase } from "./test-case.ts";
import { integer, type Kind, type Random } from "./values.ts";

const KINDS: readonly Kind[] = ["integer", "single", "double"];
const PLACEHOLDER: EncodeOperand = { kind: "memory", displacement: 0n, ripRelative: true };

export class Generator {
  readonly bits: Bits;
  readonly random: Random;
  readonly #test: TestCase;
  readonly #prefixes: boolean;

  /** With `prefixes`, instructions get some that they do not ask for. */
  constructor(bits: Bits, random: Random, prefixes = false) {
    this.#prefixes = prefixes;
    this.bits = bits;
    this.random = random;
    this.#test = new TestCase(bits, random);
  }

  /** Operand sizes that the form can be encoded with. */
  operandSizes(form: Form): OperandSize[] {
    const { bits } = this;
    if (form.attributes.has("o16")) return [16];
    const sized =
      form.operands.length === 0
        ? form.prefix === undefined && form.modrm === undefined
        : form.operands.some(({ width }) => typeof width === "string");
    const standard = defaultOperandSize(form, bits);
    const all: OperandSize[] = sized ? (bits === 64 ? [16, 32, 64] : [16, 32]) : [standard];
    // The size that takes an operand size prefix, which mandatory prefixes leave no room for.
    const prefixed = bits === 16 ? 32 : 16;
    const narrow =
      form.operands.length === 0 || form.operands.some(({ width }) => width === "v" || width === "z" || width === "p");
    return all.filter((size) => {
      if (size === prefixed && (!narrow || form.prefix === "66" || form.prefix === "NP")) return false;
      try {
        this.#encodeOnce(form, size);
        return true;
      } catch (error) {
        if (error instanceof EncodeError) return false;
        throw error;
      }
    });
  }

  /** Throws EncodeError where the form cannot be encoded with this operand size. */
  #encodeOnce(form: Form, operandSize: OperandSize): void {
    const operands = form.operands.map((spec): EncodeOperand | undefined => {
      if (spec.place === "rm" && spec.memory !== "never") return { kind: "memory", base: RBX };
      if (spec.place === "moffs") return { kind: "memory", displacement: 0n };
      if (spec.place === "immediate" || spec.place === "relative") return { kind: "immediate", value: 0n };
      if (spec.place === "far") return { kind: "far", selector: 0, offset: 0n };
      return { kind: "register", number: spec.place === "reg" ? (form.digit ?? 1) : 1 };
    }) as EncodeOperand[];
    encode(form, operands, { bits: this.bits, operandSize });
  }

  /** Writes a random test of `form` to `record`; `sizes` are its operandSizes. */
  generate(form: Form, sizes: readonly OperandSize[], record: DataView): void {
    for (let attempt = 0; attempt < 100; attempt++) {
      try {
        new TestMaker(this.#test, form, this.random.pick(sizes)).make(record);
        if (this.#prefixes && takesPrefixes(form)) this.#test.addPrefixes();
        return;
      } catch (error) {
        if (!(error instanceof EncodeError)) throw error;
      }
    }
    throw new Error(`${form.instruction.name} (${form.text}): no operands found that can be encoded`);
  }
}

/**
 * Whether prefixes can be added: not where they would leave some of an immediate to be run as an instruction, nor to
 * a relative jump, which could shift into itself. AMD processors cut 64-bit jumps to 16 bits; F2 and F3 make MOVNTPS an
 * instruction that we do not have. String instructions have overrides already.
 */
function takesPrefixes(form: Form): boolean {
  if (form.attributes.has("f64") || (form.map === 1 && form.opcode === 0x2b) || form.instruction.repeat) return false;
  return form.operands.every(
    ({ place, width }) => place !== "relative" && (place !== "immediate" || typeof width === "number"),
  );
}

/** One test in the making. */
class TestMaker {
  readonly #test: TestCase;
  readonly #form: Form;
  readonly #traits: Traits;
  readonly #operandSize: OperandSize;
  readonly #addressSize: OperandSize;
  /** Linear address of the instruction. */
  readonly #code: number;
  /** Segment override for addresses that are no operands. */
  readonly #segment: number | undefined;
  #address: Address | undefined;

  constructor(test: TestCase, form: Form, operandSize: OperandSize) {
    const { random, bits } = test;
    this.#test = test;
    this.#form = form;
    this.#traits = traitsOf(form.instruction);
    this.#operandSize = operandSize;
    // In 32-bit code 16-bit addresses do not reach the window: only LEA can use them.
    const other = bits === 32 && form.instruction.name === "lea" ? 16 : 32;
    this.#addressSize = random.chance(10) ? other : bits;
    const override = this.#traits.addressSized && random.chance(10) ? random.below(6) : undefined;
    // Narrow addresses do not reach the window from there.
    const unreachable = (override === GS && this.#addressSize < bits) || (override === CS && bits === 16);
    this.#segment = unreachable ? undefined : override;
    const across = random.chance(4);
    this.#code = PLACE.code + (across ? 0x1000 - random.below(15) : 0x800 + random.below(64));
  }

  make(record: DataView): void {
    const test = this.#test;
    const { random } = test;
    const { instruction } = this.#form;
    const usual = kindOf(instruction);
    const kind = usual && random.chance(80) ? usual : random.pick(KINDS);
    test.begin(record, kind, instruction.unit === "x87" || instruction.unit === "x87-nowait");
    this.#setPointers();
    const operands = this.#form.operands.map((spec) => this.#operand(spec));
    const options = this.#options(operands);
    const length = encode(this.#form, this.#placeMemory(operands, PLACEHOLDER), options).length;
    const next = BigInt(this.#code + length) - segmentBase(test.bits, CS);
    const bytes = encode(this.#form, this.#finish(operands, next), options);
    test.setInstruction(this.#code, bytes);
    seed(test, {
      form: this.#form,
      traits: this.#traits,
      operandSize: this.#operandSize,
      addressSize: this.#addressSize,
      operands,
      address: this.#address,
      next,
    });
  }

  /** Registers that hold addresses, and counts. */
  #setPointers(): void {
    const test = this.#test;
    const { random, bits } = test;
    const { pointers, addressSized, counted } = this.#traits;
    // How much of a pointer counts: an address's size or the stack's.
    const size = addressSized ? this.#addressSize : bits;
    const narrow = size < test.registerBits;
    // Which of two accesses faults first is not defined: one at most does.
    const wild = random.below(pointers.length || 1);
    for (const [i, register] of pointers.entries()) {
      const linear = target(random, bits, 16, random.chance(50), narrow, i !== wild);
      // String destinations are in ES, whatever the override.
      const destination = register === RDI && !this.#form.instruction.name.startsWith("maskmov");
      const offset = linear - segmentBase(bits, destination ? ES : this.#segment);
      if (narrow) test.setGprLow(register, size, offset);
      else test.setGpr(register, offset);
    }
    if (counted) {
      const count = random.chance(95) ? BigInt(random.below(12)) : integer(random) >> BigInt(random.below(60));
      if (this.#addressSize < test.registerBits) test.setGprLow(RCX, this.#addressSize, count);
      else test.setGpr(RCX, count);
    }
  }

  #options(operands: readonly (EncodeOperand | "memory" | undefined)[]): EncodeOptions {
    const { random, bits } = this.#test;
    const { instruction } = this.#form;
    const lockable = instruction.lock && operands[0] === "memory";
    return {
      bits,
      operandSize: this.#operandSize,
      addressSize: this.#addressSize,
      // Where LOCK is not allowed it is #UD; AMD processors take it as part of MOV's CR number.
      lock: !instruction.privileged && random.chance(lockable ? 20 : 1),
      repeat: instruction.repeat ? random.pick([undefined, "repe", "repne"] as const) : undefined,
      segment: this.#segment,
    };
  }

  #operand(spec: OperandSpec): EncodeOperand | "memory" | undefined {
    const { random, bits } = this.#test;
    const general = bits === 64 ? 16 : 8;
    switch (spec.place) {
      case "fixed":
      case "one":
        return undefined;
      case "moffs":
        return "memory";
      case "rm":
        if (spec.memory === "always" || (spec.memory === "either" && random.chance(50))) return "memory";
        return this.#register(spec, spec.file === "mmx" ? 8 : general);
      case "st":
        return { kind: "register", number: random.below(8) };
      case "reg":
        if (this.#form.digit !== undefined) return { kind: "register", number: this.#form.digit };
        return this.#register(spec, spec.file === "mmx" ? 8 : general);
      case "opcode":
      case "vvvv":
        return this.#register(spec, general);
      case "immediate":
        return { kind: "immediate", value: this.#immediate(spec) };
      case "relative":
        // Filled in when the next instruction's address is known.
        return { kind: "immediate", value: 0n };
      case "far":
        return { kind: "far", selector: random.below(0x1_0000), offset: BigInt(random.next()) };
    }
  }

  #register(spec: OperandSpec, count: number): EncodeOperand {
    const { random, bits } = this.#test;
    const number = random.below(count);
    if (spec.file !== "general" || resolveWidth(spec.width, this.#operandSize) !== 8)
      return { kind: "register", number };
    const high = number >= 4 && number < 8 && (bits === 32 || random.chance(50));
    return { kind: "register", number, high };
  }

  #immediate(spec: OperandSpec): bigint {
    const { random } = this.#test;
    if (spec.text === "Iw") return BigInt(random.chance(80) ? random.below(64) : random.below(0x1_0000));
    return integer(random);
  }

  #placeMemory(operands: readonly (EncodeOperand | "memory" | undefined)[], memory: EncodeOperand): EncodeOperand[] {
    // moffs takes no registers.
    const placed = this.#absolute ? { kind: "memory" as const, displacement: 0n } : memory;
    const legacy = this.#test.bits !== 64 ? { kind: "memory" as const, displacement: 0n } : placed;
    return operands.map((operand) => (operand === "memory" ? legacy : operand)) as EncodeOperand[];
  }

  get #absolute(): boolean {
    return this.#form.operands.some(({ place }) => place === "moffs");
  }

  /** The operands with addresses and distances filled in. */
  #finish(operands: readonly (EncodeOperand | "memory" | undefined)[], next: bigint): EncodeOperand[] {
    return operands.map((operand, i) => {
      const spec = this.#form.operands[i] as OperandSpec;
      if (spec.place === "relative") return { kind: "immediate", value: this.#distance(spec, next) };
      if (operand !== "memory") return operand;
      const width = resolveWidth(spec.memoryWidth, this.#operandSize);
      this.#address = address(this.#test, {
        addressSize: this.#addressSize,
        size: width === 0 ? imageSize(this.#form) : width / 8,
        aligned: width === 128 || width === 0,
        next,
        stackBonus: this.#form.attributes.has("sp+") ? BigInt(this.#operandSize / 8) : 0n,
        usesStack: this.#traits.pointers.includes(RSP),
        excluded: this.#traits.bitOffset ? bitNumber(operands) : undefined,
        absolute: this.#absolute,
      });
      return this.#address.operand;
    }) as EncodeOperand[];
  }

  /** A jump's distance: not into itself. */
  #distance(spec: OperandSpec, next: bigint): bigint {
    const { random, bits } = this.#test;
    const width = resolveWidth(spec.width, this.#operandSize);
    const base = segmentBase(bits, CS);
    const start = BigInt(this.#code) - base;
    for (;;) {
      const place = PLACE.code + random.below(PLACE.codeSize - 16);
      const nowhere = bits === 16 ? PLACE.code + random.below(0x1_1000) : nowhereToJump(random);
      const far = BigInt(random.chance(25) ? nowhere : place) - base;
      const distance = width === 32 ? far - next : BigInt.asIntN(width, BigInt(random.next()));
      const to = BigInt.asUintN(this.#operandSize, next + distance);
      if (to < start || to >= next) return distance;
    }
  }
}

/** An address that no code is near. */
const nowhereToJump = (random: Random): number => 0x7400_0000 + random.below(0x400_0000);

/** The register that holds a bit's number. */
function bitNumber(operands: readonly (EncodeOperand | "memory" | undefined)[]): number | undefined {
  const number = operands[1];
  return typeof number === "object" && number.kind === "register" ? number.number : undefined;
}

/** Bytes that an operand without a width may reach over. */
function imageSize(form: Form): number {
  return form.instruction.name.startsWith("fx") || form.instruction.name.startsWith("x") ? 512 : 112;
}
