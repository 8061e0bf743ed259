/**
 * V8's best code of a function at once, on the calling thread, where the process was started with `--allow-natives-syntax`
 * (bin/runtime.mjs). V8 otherwise begins with code that is quick to make and several times as slow, and a large function's
 * better code is there a tenth of a second after it was first run.
 */

/** Compiles an exported WebAssembly function, for all threads that have its module; undefined where V8 offers no such thing. */
export const compileBest: ((exported: unknown) => void) | undefined = findCompiler();

function findCompiler(): typeof compileBest {
  try {
    return new Function("exported", "%WasmTierUpFunction(exported);") as (exported: unknown) => void;
  } catch {
    // The parser does not know the name, or no such names.
    return undefined;
  }
}
