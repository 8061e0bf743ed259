/** Decoded instructions as records in linear memory, which the interpreter's handlers read (state.ts, RECORD). */
import { type Form, isDirectJump } from "../../isa/instruction.ts";
import type { OperandSpec } from "../../isa/operand.ts";
import type { OperandSize } from "../../isa/semantics.ts";
import type { Decoded } from "../decode/decoder.ts";
import { type BoundOperand, bindOperand } from "../emit/semantics.ts";
import { FIND } from "../emit/table-entries.ts";
import { FPU, fieldAddress, GPR, LINK, RECORD, SEGMENT_SIZE, SEGMENTS, XMM, ZERO } from "../state.ts";
import type { Handlers } from "./handlers.ts";

/** Where IP lies in the vCPU's state. */
const IP = fieldAddress(0, "ip");
const PAGE_BYTES = 4096;

export class RecordWriter {
  readonly #handlers: Handlers;
  readonly #bytes: Uint8Array;
  readonly #i32: Int32Array;
  readonly #u16: Uint16Array;
  readonly #i64: BigInt64Array;
  readonly #plans: Plan[] = [];
  /** What stands in place of links. */
  readonly #unlinked: number;
  readonly #neverLinked: number;

  constructor(buffer: ArrayBufferLike, vcpu: number, handlers: Handlers) {
    this.#handlers = handlers;
    this.#bytes = new Uint8Array(buffer);
    this.#i32 = new Int32Array(buffer);
    this.#u16 = new Uint16Array(buffer);
    this.#i64 = new BigInt64Array(buffer);
    this.#unlinked = fieldAddress(vcpu, "unlinked");
    this.#neverLinked = fieldAddress(vcpu, "neverLinked");
    for (const at of [this.#unlinked, this.#neverLinked]) this.#i32[at >> 2] = FIND;
  }

  /** Writes the record at `at` of an instruction `delta` bytes from the start of its block, which is at `physical`. */
  write(at: number, decoded: Decoded, physical: number, delta: number, context: number, left: number): void {
    const { form, memory, immediate } = decoded;
    this.#i32[(at + RECORD.handler) >> 2] = this.#handlers.entry(decoded, context);
    this.#short(at, RECORD.delta, delta);
    this.#short(at, RECORD.nextDelta, delta + decoded.length);
    // Before VEX.vvvv, which is in its place.
    this.#short(at, RECORD.second, decoded.second);
    this.#short(at, RECORD.segment, SEGMENTS + (memory?.segment ?? decoded.segment) * SEGMENT_SIZE);
    this.#bytes[at + RECORD.left] = left;
    const { registers, immediateWidth } = this.#planFor(form, memory !== undefined, decoded.operandSize);
    for (let i = 0; i < registers.length; i++) {
      const { field, from, file, isByte } = registers[i] as RegisterField;
      this.#short(at, field, placeOf(file, decoded[from], isByte && from !== "vvvv" && !decoded.rex));
    }
    const low = (at + RECORD.immediate) >> 2;
    this.#i64[low >> 1] = immediate;
    if (immediateWidth < 64) this.#i32[low + 1] = 0;
    if (immediateWidth < 32) this.#i32[low] = (this.#i32[low] as number) & ((1 << immediateWidth) - 1);
    if (memory) {
      this.#short(at, RECORD.rm, memory.ripRelative ? IP : placeOfGeneral(memory.base));
      this.#short(at, RECORD.index, placeOfGeneral(memory.index));
      this.#i32[(at + RECORD.displacement) >> 2] =
        memory.displacement + (memory.ripRelative ? delta + decoded.length : 0);
      this.#bytes[at + RECORD.scale] = memory.scale;
    }
    if (isDirectJump(form)) {
      const next = (physical % PAGE_BYTES) + delta + decoded.length;
      this.#link(at + LINK.taken, next, next + Number(immediate));
      this.#link(at + LINK.next, next, next);
    }
  }

  /** Writes a link of the jump that ends at the offset `end` in its page, and goes on at the offset `to`. */
  #link(at: number, end: number, to: number): void {
    const isNear = end <= PAGE_BYTES && to >= 0 && to < PAGE_BYTES;
    this.#i32[at >> 2] = isNear ? this.#unlinked : this.#neverLinked;
  }

  #short(at: number, field: number, value: number): void {
    this.#u16[(at + field) >> 1] = value;
  }

  /** The same for all instructions of this form and operand size. */
  #planFor(form: Form, memory: boolean, size: OperandSize): Plan {
    const key = form.id * 8 + (size >> 4) - 1 + (memory ? 4 : 0);
    this.#plans[key] ??= makePlan(form.operands.map((spec) => bindOperand(spec, memory, size)));
    return this.#plans[key];
  }
}

/** A register operand: its field in the record, where an instruction has its number, and what the number counts. */
interface RegisterField {
  readonly field: number;
  readonly from: "reg" | "rm" | "opcodeRegister" | "vvvv";
  readonly file: OperandSpec["file"];
  /** Whether numbers from 4 on may be AH, CH, DH and BH. */
  readonly isByte: boolean;
}

/** How a record follows from an instruction. */
interface Plan {
  readonly registers: readonly RegisterField[];
  /** Bits of the first immediate that count. */
  readonly immediateWidth: number;
}

const FIELDS = {
  reg: { field: RECORD.reg, from: "reg" },
  rm: { field: RECORD.rm, from: "rm" },
  st: { field: RECORD.rm, from: "rm" },
  opcode: { field: RECORD.rm, from: "opcodeRegister" },
  vvvv: { field: RECORD.vvvv, from: "vvvv" },
} as const;

function makePlan(operands: readonly BoundOperand[]): Plan {
  const registers = operands.flatMap(({ spec, width, isMemory }): RegisterField[] => {
    const { place, file } = spec;
    if (!(place in FIELDS) || (place === "rm" && isMemory)) return [];
    const { field, from } = FIELDS[place as keyof typeof FIELDS];
    return [{ field, from, file, isByte: width === 8 && file === "general" }];
  });
  const immediate = operands.find(({ spec }) => spec.place === "immediate");
  return { registers, immediateWidth: immediate?.width ?? 64 };
}

/** Where a register of an address lies, or what stands for none. */
const placeOfGeneral = (index: number): number => (index < 0 ? ZERO : GPR + index * 8);

/** Where a register lies in the vCPU's state, or the number of a special register. */
function placeOf(file: OperandSpec["file"], index: number, hasHighBytes: boolean): number {
  switch (file) {
    case "xmm":
      return XMM + index * 32;
    case "mmx":
      return FPU + (index & 7) * 16;
    case "segment":
    case "st":
      return index & 7;
    case "control":
    case "debug":
      return index;
    default:
      if (hasHighBytes && index >= 4) return GPR + (index - 4) * 8 + 1;
      return GPR + index * 8;
  }
}
