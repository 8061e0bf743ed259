/** How PXE's functions are written: what they do with their parameter block, which is read and written back around them. */
import type { FieldType, Struct, StructView } from "../../../bits/struct.ts";
import type { BiosCall } from "../call.ts";
import type { Operation } from "./operation.ts";

/** A status at once, or one later; undefined where the caller is not there any more. */
export type PxeResult = number | Operation<number | undefined>;

export interface PxeFunction {
  /** Bytes of the block. */
  readonly size: number;
  call(block: Uint8Array, call: BiosCall): PxeResult;
}

/** By number. */
export type PxeFunctions = Readonly<Record<number, PxeFunction>>;

type Spec = Record<string, FieldType<number> | FieldType<Uint8Array>>;

/** A function of one block; `run` changes its fields, and returns the status. */
export function answer<S extends Spec>(
  layout: Struct<S>,
  run: (block: StructView<S>, call: BiosCall) => PxeResult,
): PxeFunction {
  return { size: layout.size, call: (bytes, call) => run(layout.at(bytes), call) };
}
