/** Random tests of the integer instructions in 16-bit and 32-bit code. */

import type { SeededRandom } from "../../../bits/testing/seeded-random.ts";
import { type AddressOperand, EncodeError, type EncodeOperand, encode } from "../../../isa/encode.ts";
import type { Form } from "../../../isa/instruction.ts";
import { resolveWidth } from "../../../isa/operand.ts";
import { type OperandSize, RBP, RBX, RCX, RDI, RSI, RSP } from "../../../isa/semantics.ts";
import { CODE, COMPARED_FLAGS, DATA, FIELD, MEMORY_SIZE, RECORD_SIZE } from "./record.ts";

/** MOV ECX (or CX) to jump over. */
const SKIPPED = { 16: [0xb9, 0x11, 0x22], 32: [0xb9, 0x11, 0x22, 0x33, 0x44] } as const;
const SPECIAL = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] as const;
const BASES_16 = [[RBX, RSI], [RBX, RDI], [RBP, RSI], [RBP, RDI], [RSI], [RDI], [RBP], [RBX]] as const;

type LegacyBits = 16 | 32;

class Builder {
  readonly record = new DataView(new ArrayBuffer(RECORD_SIZE));
  readonly #random: SeededRandom;
  readonly #form: Form;
  readonly #bits: LegacyBits;
  readonly #operandSize: OperandSize;
  readonly #addressSize: OperandSize;
  /** Registers that addresses are made from. */
  readonly #anchors = new Set<number>();

  constructor(random: SeededRandom, form: Form, bits: LegacyBits) {
    this.#random = random;
    this.#form = form;
    this.#bits = bits;
    this.#operandSize = random.pick([16, 32]);
    this.#addressSize = random.pick([16, 32]);
    // 16-bit addresses of flat segments reach no memory.
    if (bits === 32) this.#addressSize = 32;
  }

  #value(): number {
    const random = this.#random;
    switch (random.below(5)) {
      case 0:
        return random.pick(SPECIAL);
      case 1:
        return random.next() >>> random.below(32);
      default:
        return random.next();
    }
  }

  gpr(index: number): number {
    return this.record.getUint32(FIELD.gpr + 4 * index, true);
  }
  setGpr(index: number, value: number): void {
    this.record.setUint32(FIELD.gpr + 4 * index, value, true);
  }

  /** An offset near the middle of the memory, or now and then near its end. */
  #offset(): number {
    const middle = this.#random.below(16) === 0 && this.#bits === 16 ? MEMORY_SIZE - 8 : MEMORY_SIZE / 2;
    return (this.#bits === 16 ? 0 : DATA) + middle + this.#random.below(64) - 32;
  }

  /** Makes a register hold an offset; beyond the address size it may hold anything. */
  #anchor(index: number, offset: number): void {
    this.#anchors.add(index);
    this.setGpr(index, this.#addressSize === 16 ? (this.#random.next() << 16) | (offset & 0xffff) : offset);
  }

  #address(): AddressOperand {
    const random = this.#random;
    if (random.below(5) === 0) return { kind: "memory", displacement: BigInt(this.#offset()) };
    const displacement = BigInt(random.below(32) - 16);
    const small = random.below(32) - 16;
    if (this.#addressSize === 16) {
      const [base, index] = random.pick(BASES_16);
      this.#anchor(base, this.#offset());
      if (index !== undefined) this.#anchor(index, small);
      return { kind: "memory", base, index, displacement };
    }
    const base = random.below(8);
    if (base !== RSP || !this.#anchors.has(RSP)) this.#anchor(base, this.#offset());
    const index = random.below(8);
    if (random.below(2) === 0 || index === RSP || this.#anchors.has(index))
      return { kind: "memory", base, displacement };
    this.#anchor(index, small);
    return { kind: "memory", base, index, scale: random.pick([1, 2, 4]), displacement };
  }

  #immediate(width: number): bigint {
    const { name } = this.#form.instruction;
    if (name === "enter") return BigInt(width === 16 ? this.#random.below(64) : this.#random.pick([0, 1, 2, 3, 33]));
    if (name === "ret") return BigInt(this.#random.below(64));
    return BigInt.asIntN(width, BigInt(this.#value()));
  }

  #operands(): EncodeOperand[] {
    const random = this.#random;
    return this.#form.operands.map((spec) => {
      switch (spec.place) {
        case "rm":
          if (spec.memory === "always" || (spec.memory === "either" && random.below(2) === 0)) return this.#address();
          break;
        case "moffs":
          return { kind: "memory", displacement: BigInt(this.#offset()) };
        case "immediate":
          return { kind: "immediate", value: this.#immediate(resolveWidth(spec.width, this.#operandSize)) };
        case "relative":
          return { kind: "immediate", value: BigInt(SKIPPED[this.#bits].length) };
      }
      const number = random.below(8);
      return { kind: "register", number, high: spec.width === 8 && number >= 4 };
    });
  }

  /** Registers and memory that the instruction takes its stack, its strings or its target from. */
  #prepare(): void {
    const { name } = this.#form.instruction;
    const random = this.#random;
    for (let i = 0; i < 8; i++) this.setGpr(i, this.#value());
    for (let i = FIELD.memory; i < RECORD_SIZE; i += 4) this.record.setUint32(i, this.#value(), true);
    this.record.setUint32(FIELD.flags, 0x202 | (random.next() & COMPARED_FLAGS & ~0x400), true);
    if (/^(push|pop|enter|leave|call|ret)/.test(name)) {
      const high = this.#bits === 16 ? random.next() << 16 : 0;
      this.setGpr(RSP, high | this.#offset());
      this.#anchors.add(RSP);
      if (/enter|leave/.test(name)) this.setGpr(RBP, high | this.#offset());
    }
    if (name === "xlatb") this.#anchor(RBX, this.#offset() - 128);
    if (this.#form.instruction.repeat) {
      this.#anchor(RSI, this.#offset());
      this.#anchor(RDI, this.#offset());
      this.#anchor(RCX, random.below(20));
      if (random.below(2) === 0) new Uint8Array(this.record.buffer, FIELD.memory).fill(random.below(256));
      this.record.setUint32(FIELD.flags, this.record.getUint32(FIELD.flags, true) | random.pick([0, 0x400]), true);
    }
    if (/^(loop|jcxz)/.test(name) && random.below(2) === 0) this.setGpr(RCX, random.below(3));
  }

  /** Where jumps go: behind the instruction that they skip. */
  #aim(operands: readonly EncodeOperand[], target: number): void {
    const place = (offset: number) => {
      const at = offset - (this.#bits === 16 ? 0 : DATA);
      if (at >= 0 && at <= MEMORY_SIZE - 4) this.record.setUint32(FIELD.memory + at, target, true);
    };
    const { name } = this.#form.instruction;
    if (name === "ret") place(this.#bits === 16 ? this.gpr(RSP) & 0xffff : this.gpr(RSP));
    const [operand] = operands;
    if ((name !== "jmp" && name !== "call") || !operand) return;
    if (operand.kind === "register" && operand.number !== RSP) this.setGpr(operand.number, target);
    if (operand.kind === "memory") {
      const { base, index, scale = 1, displacement = 0n } = operand;
      const sum =
        Number(displacement) +
        (base === undefined ? 0 : this.gpr(base)) +
        (index === undefined ? 0 : this.gpr(index) * scale);
      place(this.#addressSize === 16 ? sum & 0xffff : sum >>> 0);
    }
  }

  /** The record, or undefined where what was drawn cannot be encoded. */
  build(): DataView | undefined {
    const { instruction } = this.#form;
    const random = this.#random;
    this.#prepare();
    const operands = this.#operands();
    const [destination, source] = operands;
    if (/^bt[src]?$/.test(instruction.name) && destination?.kind === "memory" && source?.kind === "register") {
      if (this.#anchors.has(source.number)) return undefined;
      this.setGpr(source.number, random.below(2000) - 1000);
    }
    const sized =
      this.#form.operands.length === 0 || this.#form.operands.some(({ width }) => typeof width === "string");
    const jumps = /^(j|call|ret|loop)/.test(instruction.name);
    let code: Uint8Array;
    try {
      code = encode(this.#form, operands, {
        bits: this.#bits,
        operandSize: sized || jumps ? this.#operandSize : undefined,
        addressSize: this.#addressSize,
        repeat: instruction.repeat && random.pick([undefined, "repe", "repne"]),
        lock: instruction.lock === true && destination?.kind === "memory" && random.below(4) === 0,
      });
    } catch (error) {
      if (error instanceof EncodeError) return undefined;
      throw error;
    }
    const skipped = jumps ? SKIPPED[this.#bits] : [];
    const length = code.length + skipped.length;
    if (jumps) this.#aim(operands, (this.#bits === 16 ? 0 : CODE) + length);
    new Uint8Array(this.record.buffer).set([...code, ...skipped], FIELD.code);
    this.record.setUint32(FIELD.bits, this.#bits, true);
    this.record.setUint32(FIELD.length, length, true);
    return this.record;
  }
}

/** A random test of `form`, or undefined where what was drawn cannot be encoded. */
export function legacyCase(random: SeededRandom, form: Form, bits: LegacyBits): DataView | undefined {
  return new Builder(random, form, bits).build();
}
