/**
 * Code of the interpreter's handlers is worth V8's best sooner than translated code is: all that no region has runs in
 * some hundred of them, each small. V8 takes the budget that a module's functions run on before they get it from its
 * options when it compiles the module.
 */
import process from "node:process";

const OPTION = "--wasm-tiering-budget=";
/** In bytes of code that ran, as V8 counts. */
const BUDGET = 3_000_000;

/** Compiles a module of handlers. */
export function compileHandlers(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  const others = process.execArgv.find((option) => option.startsWith(OPTION));
  // What V8 does by itself is not far from it, and what that is cannot be asked for.
  if (others === undefined) return new WebAssembly.Module(bytes);
  const { setFlagsFromString } = process.getBuiltinModule("node:v8");
  setFlagsFromString(`${OPTION}${BUDGET}`);
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    setFlagsFromString(others);
  }
}
