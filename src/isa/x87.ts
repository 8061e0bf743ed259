/** The x87 instructions. */
import type { Instruction } from "./instruction.ts";
import { X87_ARITHMETIC } from "./x87-arithmetic.ts";
import { X87_COMPARISONS } from "./x87-compare.ts";
import { X87_CONTROL } from "./x87-control.ts";
import { X87_ENVIRONMENT } from "./x87-environment.ts";
import { X87_FXSAVE } from "./x87-fxsave.ts";
import { X87_LOADS } from "./x87-load.ts";
import { X87_MOVES } from "./x87-move.ts";
import { X87_STORES } from "./x87-store.ts";
import { X87_TRANSCENDENTAL } from "./x87-transcendental.ts";

export const X87: readonly Instruction[] = [
  ...X87_LOADS,
  ...X87_STORES,
  ...X87_MOVES,
  ...X87_ARITHMETIC,
  ...X87_TRANSCENDENTAL,
  ...X87_COMPARISONS,
  ...X87_CONTROL,
  ...X87_ENVIRONMENT,
  ...X87_FXSAVE,
];
