/** Bodies of the functions that instruction meanings call and that are built as WebAssembly. */
import type { Callee, FunctionBuilder } from "../wasm/function.ts";

/** From a declared name (src/isa/functions.ts) to what builds its body; `callee` gives other declared functions. */
export type WasmFunctions = Record<
  string,
  (f: FunctionBuilder, callee: (name: string) => Callee, vcpu: number) => void
>;
