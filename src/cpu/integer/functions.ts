/** All integer functions that meanings call. */
import type { WasmFunctions } from "../wasm-functions.ts";
import { depositFunctions } from "./deposit.ts";
import { divideFunctions } from "./divide.ts";

export function integerFunctions(): WasmFunctions {
  return { ...divideFunctions(), ...depositFunctions() };
}
