/** Functions behind the SSE, AES, PCLMULQDQ and CRC32 instructions. */
// Their declarations.
import "../../isa/aes.ts";
import "../../isa/sse-arithmetic.ts";
import "../../isa/sse-compare.ts";
import "../../isa/sse-convert.ts";
import "../../isa/sse-round.ts";
import "../../isa/sse-string.ts";
import type { WasmFunctions } from "../wasm-functions.ts";
import { aesFunctions } from "./aes.ts";
import { carrylessFunctions } from "./carryless.ts";
import { softFloatFunctions } from "./soft-float.ts";
import { stringFunctions } from "./string-compare.ts";

export function sseFunctions(): WasmFunctions {
  return { ...softFloatFunctions(), ...aesFunctions(), ...carrylessFunctions(), ...stringFunctions() };
}
