/** Decoded instructions as records in linear memory, which the interpreter's handlers read (state.ts, RECORD). */
import type { Form } from "../../isa/instruction.ts";
import type { OperandSpec } from "../../isa/operand.ts";
import type { OperandSize } from "../../isa/semantics.ts";
import type { Decoded } from "../decode/decoder.ts";
import { type BoundOperand, bindOperand } from "../emit/semantics.ts";
import { FPU, fieldAddress, GPR, RECORD, SEGMENT_SIZE, SEGMENTS, XMM, ZERO } from "../state.ts";
import type { Handlers } from "./handlers.ts";

export class RecordWriter {
  readonly #vcpu: number;
  readonly #handlers: Handlers;
  readonly #i32: Int32Array;
  readonly #u16: Uint16Array;
  readonly #i64: BigInt64Array;
  readonly #operands: (readonly BoundOperand[])[] = [];

  constructor(buffer: ArrayBufferLike, vcpu: number, handlers: Handlers) {
    this.#vcpu = vcpu;
    this.#handlers = handlers;
    this.#i32 = new Int32Array(buffer);
    this.#u16 = new Uint16Array(buffer);
    this.#i64 = new BigInt64Array(buffer);
  }

  /** Writes the record at `at` of an instruction `delta` bytes from its block's start. */
  write(at: number, decoded: Decoded, delta: number, context: number, left: number): void {
    const { form, memory, immediate } = decoded;
    const vcpu = this.#vcpu;
    const word = (field: number, value: number) => {
      this.#i32[(at + field) >> 2] = value;
    };
    word(RECORD.handler, this.#handlers.entry(decoded, context));
    this.#u16[(at + RECORD.delta) >> 1] = delta;
    this.#u16[(at + RECORD.nextDelta) >> 1] = delta + decoded.length;
    this.#u16[(at + RECORD.left) >> 1] = left;
    let immediateSeen = false;
    let value = immediate;
    for (const bound of this.#operandsOf(form, memory !== undefined, decoded.operandSize)) {
      const { spec } = bound;
      switch (spec.place) {
        case "reg":
          word(RECORD.reg, this.#register(spec, decoded.reg, bound.width, decoded.rex));
          break;
        case "rm":
          if (!bound.isMemory) word(RECORD.rm, this.#register(spec, decoded.rm, bound.width, decoded.rex));
          break;
        case "st":
          word(RECORD.rm, decoded.rm & 7);
          break;
        case "opcode":
          word(RECORD.rm, this.#register(spec, decoded.opcodeRegister, bound.width, decoded.rex));
          break;
        case "vvvv":
          word(RECORD.vvvv, this.#register(spec, decoded.vvvv, bound.width, true));
          break;
        case "immediate":
          if (!immediateSeen && bound.width < 64) value = BigInt.asUintN(bound.width, immediate);
          immediateSeen = true;
          break;
      }
    }
    this.#i64[(at + RECORD.immediate) >> 3] = value;
    word(RECORD.second, decoded.second);
    word(RECORD.segment, vcpu + SEGMENTS + (memory?.segment ?? decoded.segment) * SEGMENT_SIZE);
    if (memory) {
      const general = (index: number) => vcpu + (index < 0 ? ZERO : GPR + index * 8);
      const base = memory.ripRelative ? fieldAddress(vcpu, "ip") : general(memory.base);
      word(RECORD.rm, base);
      word(RECORD.index, general(memory.index));
      word(RECORD.displacement, memory.displacement + (memory.ripRelative ? delta + decoded.length : 0));
      this.#u16[(at + RECORD.scale) >> 1] = memory.scale;
    }
  }

  /** A form's operands, which are the same for all instructions with this operand size. */
  #operandsOf(form: Form, memory: boolean, size: OperandSize): readonly BoundOperand[] {
    const key = form.id * 8 + (size >> 4) - 1 + (memory ? 4 : 0);
    this.#operands[key] ??= form.operands.map((spec) => bindOperand(spec, memory, size));
    return this.#operands[key];
  }

  /** What a register operand's record field holds: an address, or the number of a special register. */
  #register(spec: OperandSpec, index: number, width: number, rex: boolean): number {
    const vcpu = this.#vcpu;
    switch (spec.file) {
      case "xmm":
        return vcpu + XMM + index * 32;
      case "mmx":
        return vcpu + FPU + (index & 7) * 16;
      case "segment":
        return index & 7;
      case "control":
      case "debug":
        return index;
      default:
        // AH, CH, DH and BH without a REX prefix.
        if (width === 8 && !rex && index >= 4) return vcpu + GPR + (index - 4) * 8 + 1;
        return vcpu + GPR + index * 8;
    }
  }
}
