/** x87 transcendental instructions. @spec SDM 1, 8.3.7 to 8.3.10 */
import type { Instruction } from "./instruction.ts";
import { stackOperation } from "./x87-arithmetic.ts";
import {
  FPU_ARCTANGENT,
  FPU_EXPONENTIAL,
  FPU_LOGARITHM,
  FPU_LOGARITHM_PLUS_1,
  FPU_SINE,
  FPU_SINE_AND_COSINE,
  FPU_TANGENT,
} from "./x87-functions.ts";

export const X87_TRANSCENDENTAL: readonly Instruction[] = [
  stackOperation("f2xm1", "F0", FPU_EXPONENTIAL),
  stackOperation("fyl2x", "F1", FPU_LOGARITHM),
  stackOperation("fptan", "F2", FPU_TANGENT),
  stackOperation("fpatan", "F3", FPU_ARCTANGENT),
  stackOperation("fyl2xp1", "F9", FPU_LOGARITHM_PLUS_1),
  stackOperation("fsincos", "FB", FPU_SINE_AND_COSINE),
  stackOperation("fsin", "FE", FPU_SINE, 0),
  stackOperation("fcos", "FF", FPU_SINE, 1),
];
