/** Decoded instructions as records in linear memory, which the interpreter's handlers read (state.ts, RECORD). */
import type { Form } from "../../isa/instruction.ts";
import type { OperandSpec } from "../../isa/operand.ts";
import type { OperandSize } from "../../isa/semantics.ts";
import type { Decoded } from "../decode/decoder.ts";
import { type BoundOperand, bindOperand } from "../emit/semantics.ts";
import { FPU, fieldAddress, GPR, RECORD, SEGMENT_SIZE, SEGMENTS, XMM, ZERO } from "../state.ts";
import type { Handlers } from "./handlers.ts";

/** Where IP lies in the vCPU's state. */
const IP = fieldAddress(0, "ip");

export class RecordWriter {
  readonly #handlers: Handlers;
  readonly #bytes: Uint8Array;
  readonly #i32: Int32Array;
  readonly #u16: Uint16Array;
  readonly #i64: BigInt64Array;
  readonly #operands: (readonly BoundOperand[])[] = [];

  constructor(buffer: ArrayBufferLike, handlers: Handlers) {
    this.#handlers = handlers;
    this.#bytes = new Uint8Array(buffer);
    this.#i32 = new Int32Array(buffer);
    this.#u16 = new Uint16Array(buffer);
    this.#i64 = new BigInt64Array(buffer);
  }

  /** Writes the record at `at` of an instruction `delta` bytes from its block's start. */
  write(at: number, decoded: Decoded, delta: number, context: number, left: number): void {
    const { form, memory, immediate } = decoded;
    this.#i32[(at + RECORD.handler) >> 2] = this.#handlers.entry(decoded, context);
    const short = (field: number, value: number) => {
      this.#u16[(at + field) >> 1] = value;
    };
    short(RECORD.delta, delta);
    short(RECORD.nextDelta, delta + decoded.length);
    // Before VEX.vvvv, which is in its place.
    short(RECORD.second, decoded.second);
    short(RECORD.segment, SEGMENTS + (memory?.segment ?? decoded.segment) * SEGMENT_SIZE);
    this.#bytes[at + RECORD.left] = left;
    let immediateSeen = false;
    let value = immediate;
    for (const bound of this.#operandsOf(form, memory !== undefined, decoded.operandSize)) {
      const { spec } = bound;
      switch (spec.place) {
        case "reg":
          short(RECORD.reg, this.#register(spec, decoded.reg, bound.width, decoded.rex));
          break;
        case "rm":
          if (!bound.isMemory) short(RECORD.rm, this.#register(spec, decoded.rm, bound.width, decoded.rex));
          break;
        case "st":
          short(RECORD.rm, decoded.rm & 7);
          break;
        case "opcode":
          short(RECORD.rm, this.#register(spec, decoded.opcodeRegister, bound.width, decoded.rex));
          break;
        case "vvvv":
          short(RECORD.vvvv, this.#register(spec, decoded.vvvv, bound.width, true));
          break;
        case "immediate":
          if (!immediateSeen && bound.width < 64) value = BigInt.asUintN(bound.width, immediate);
          immediateSeen = true;
          break;
      }
    }
    this.#i64[(at + RECORD.immediate) >> 3] = value;
    if (memory) {
      const general = (index: number) => (index < 0 ? ZERO : GPR + index * 8);
      short(RECORD.rm, memory.ripRelative ? IP : general(memory.base));
      short(RECORD.index, general(memory.index));
      this.#i32[(at + RECORD.displacement) >> 2] =
        memory.displacement + (memory.ripRelative ? delta + decoded.length : 0);
      this.#bytes[at + RECORD.scale] = memory.scale;
    }
  }

  /** A form's operands, which are the same for all instructions with this operand size. */
  #operandsOf(form: Form, memory: boolean, size: OperandSize): readonly BoundOperand[] {
    const key = form.id * 8 + (size >> 4) - 1 + (memory ? 4 : 0);
    this.#operands[key] ??= form.operands.map((spec) => bindOperand(spec, memory, size));
    return this.#operands[key];
  }

  /** What a register operand's record field holds: a place in the vCPU's state, or the number of a special register. */
  #register(spec: OperandSpec, index: number, width: number, rex: boolean): number {
    switch (spec.file) {
      case "xmm":
        return XMM + index * 32;
      case "mmx":
        return FPU + (index & 7) * 16;
      case "segment":
        return index & 7;
      case "control":
      case "debug":
        return index;
      default:
        // AH, CH, DH and BH without a REX prefix.
        if (width === 8 && !rex && index >= 4) return GPR + (index - 4) * 8 + 1;
        return GPR + index * 8;
    }
  }
}
