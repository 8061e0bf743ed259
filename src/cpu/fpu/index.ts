/** The floating-point unit: bodies of all functions that src/isa/x87-functions.ts declares. */
import type { WasmFunctions } from "../wasm-functions.ts";
import { ARCTANGENT } from "./arctangent.ts";
import { ARITHMETIC } from "./arithmetic.ts";
import { FpuCode } from "./code.ts";
import { COMPARE } from "./compare.ts";
import { CONTROL } from "./control.ts";
import { EXPONENTIAL } from "./exponential.ts";
import { FIXED } from "./fixed.ts";
import { INTEGERS } from "./integers.ts";
import { LOGARITHMS } from "./logarithm.ts";
import { QUICK } from "./quick.ts";
import { REMAINDERS } from "./remainder.ts";
import { ROUNDING } from "./round.ts";
import { SCALARS } from "./scalars.ts";
import { SCALING } from "./scale.ts";
import { SQUARE_ROOT } from "./square-root.ts";
import { STACK } from "./stack.ts";
import { TRIGONOMETRY } from "./trigonometry.ts";

const BODIES = [
  ROUNDING,
  STACK,
  CONTROL,
  QUICK,
  ARITHMETIC,
  COMPARE,
  SCALARS,
  INTEGERS,
  REMAINDERS,
  SCALING,
  SQUARE_ROOT,
  FIXED,
  EXPONENTIAL,
  LOGARITHMS,
  TRIGONOMETRY,
  ARCTANGENT,
];

/** Builders of the functions by their declared names. */
export function fpuFunctions(): WasmFunctions {
  const functions: WasmFunctions = {};
  for (const bodies of BODIES) {
    for (const [name, body] of Object.entries(bodies)) {
      functions[name] = (f, callee) => {
        const [, ...rest] = f.signature.params;
        body(new FpuCode(f, callee), ...rest.map((_, i) => f.param(i + 1)));
      };
    }
  }
  return functions;
}
