/** The common shape of two-operand packed integer instructions: an MMX form and an XMM form of one operation. */
import { type Feature, type Instruction, instruction } from "./instruction.ts";
import type { Semantics } from "./semantics.ts";
import { putVector, vector } from "./sse-operand.ts";
import type { Value } from "./value.ts";

/** What an instruction computes from destination and source, both v128. */
export type Combine = (o: Semantics, a: Value, b: Value) => Value;

export interface PackedRow {
  readonly name: string;
  /** Opcode map and opcode, as in "0F FC". */
  readonly opcode: string;
  /** Feature of the form on MMX registers, if there is one. */
  readonly mmx?: Feature;
  /** Feature of the form on XMM registers. */
  readonly xmm?: Feature;
  /** Mandatory prefix of the XMM form; 66 unless given. */
  readonly prefix?: "NP" | "66";
  readonly combine: Combine;
  /** What the MMX form computes in the low 64 bits where that is not the same. */
  readonly combineMmx?: Combine;
}

/** The instructions of a row of the opcode map. */
export function packed(row: PackedRow): Instruction[] {
  const { name, opcode, prefix = "66", combine, combineMmx = combine } = row;
  const spec = `SDM 2, ${name.toUpperCase()}`;
  const define = (form: string, feature: Feature, unit: "mmx" | "sse", operation: Combine) =>
    instruction(name, {
      spec,
      forms: [form],
      feature,
      unit,
      meaning(o, dst, src) {
        const b = vector(o, src);
        putVector(o, dst, operation(o, vector(o, dst), b));
      },
    });
  const result: Instruction[] = [];
  if (row.mmx) result.push(define(`NP ${opcode} /r Pq,Qq`, row.mmx, "mmx", combineMmx));
  if (row.xmm) result.push(define(`${prefix} ${opcode} /r Vdq,Wdq`, row.xmm, "sse", combine));
  return result;
}

/** An operation that is one WebAssembly instruction. */
export const wasm =
  (name: string): Combine =>
  (_o, a, b) =>
    a.op(name, b);
