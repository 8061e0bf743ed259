/**
 * Functions that meanings call because they are too large to be written out at every use. "wasm" ones are
 * built by the processor as WebAssembly; "host" ones are TypeScript on the processor's state. One that
 * `faults` may raise an exception instead of returning; the instruction then ends there.
 * Pointers are i32 addresses of processor state (`Semantics.slot`).
 */
import type { ValueType } from "./value.ts";

export interface FunctionSpec {
  readonly in: "wasm" | "host";
  readonly params: readonly ValueType[];
  readonly result?: ValueType;
  readonly faults?: true;
  /** One of the host that changes nothing and asks for no attention. */
  readonly pure?: true;
  /** What memory accesses depend on is another afterwards: privilege, or EFLAGS.AC. */
  readonly changesAccess?: true;
  /** What follows may be code of another mode: translated code is of one. */
  readonly changesMode?: true;
}

const FUNCTIONS = new Map<string, FunctionSpec>();

/** Declares a function; families declare what they call beside their instructions. */
export function declareFunction(name: string, spec: FunctionSpec): string {
  if (FUNCTIONS.has(name)) throw new Error(`function ${name} is declared twice`);
  FUNCTIONS.set(name, spec);
  return name;
}

export function functionSpec(name: string): FunctionSpec {
  const spec = FUNCTIONS.get(name);
  if (!spec) throw new Error(`function ${name} is not declared`);
  return spec;
}

/** Every declared function by name. */
export function declaredFunctions(): ReadonlyMap<string, FunctionSpec> {
  return FUNCTIONS;
}
