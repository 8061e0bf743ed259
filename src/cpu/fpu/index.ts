/** The floating-point unit: bodies of all functions that src/isa/x87-functions.ts declares. */
import type { WasmFunctions } from "../wasm-functions.ts";
import { ARITHMETIC } from "./arithmetic.ts";
import { CONTROL } from "./control.ts";
import { FpuCode } from "./code.ts";
import { COMPARE } from "./compare.ts";
import { INTEGERS } from "./integers.ts";
import { REMAINDERS } from "./remainder.ts";
import { ROUNDING } from "./round.ts";
import { SCALARS } from "./scalars.ts";
import { SCALING } from "./scale.ts";
import { SQUARE_ROOT } from "./square-root.ts";
import { STACK } from "./stack.ts";

const BODIES = [ROUNDING, STACK, CONTROL, ARITHMETIC, COMPARE, SCALARS, INTEGERS, REMAINDERS, SCALING, SQUARE_ROOT];

/** Builders of the functions by their declared names. */
export function fpuFunctions(): WasmFunctions {
  const functions: WasmFunctions = {};
  for (const bodies of BODIES) {
    for (const [name, body] of Object.entries(bodies)) {
      functions[name] = (f, callee) => body(new FpuCode(f, callee));
    }
  }
  return functions;
}
