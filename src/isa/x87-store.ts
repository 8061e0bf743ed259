/** x87 stores: ST(0) to memory or another register. @spec SDM 1, 8.3.3 */
import { type Instruction, instruction } from "./instruction.ts";
import type { Operand, Semantics } from "./semantics.ts";
import {
  FPU_STORE,
  FPU_STORE_IF_FILLED,
  FPU_TAKE_32,
  FPU_TAKE_64,
  FPU_TAKE_80,
  FPU_TAKE_BCD,
  FPU_TAKE_INTEGER,
  fpuOf,
  OPTIONS,
} from "./x87-functions.ts";
import { noteInstruction, storeResult } from "./x87-operand.ts";

/** Stores 80 bits: the image of a number that `take` leaves in state memory. */
function store80(o: Semantics, take: string, dst: Operand): void {
  const image = o.call(take, fpuOf(o));
  storeResult(o, dst, true, () => {
    // All ten bytes must be writable before any is written.
    o.updateAt(dst, 0, 64, (old) => old);
    o.storeAt(dst, 8, 16, o.loadState("i32.16u", image, 8));
    o.storeAt(dst, 0, 64, o.loadState("i64", image));
  });
}

function storeFloat(o: Semantics, dst: Operand, pop: boolean): void {
  if (!dst.isMemory) {
    o.call(FPU_STORE, fpuOf(o), o.slot(dst), pop ? OPTIONS.pop : 0);
    noteInstruction(o);
  } else if (dst.width === 80) {
    store80(o, FPU_TAKE_80, dst);
  } else {
    const value = o.call(dst.width === 32 ? FPU_TAKE_32 : FPU_TAKE_64, fpuOf(o));
    storeResult(o, dst, pop, () => o.put(dst, value));
  }
}

function storeInteger(o: Semantics, dst: Operand, pop: boolean, truncate: boolean): void {
  const value = o.call(FPU_TAKE_INTEGER, fpuOf(o), dst.width, truncate ? 1 : 0);
  const result = dst.width === 64 ? value : value.wrap();
  storeResult(o, dst, pop, () => o.put(dst, result));
}

const FST = instruction("fst", {
  spec: "SDM 2, FST/FSTP",
  forms: ["D9 /2 Md", "DD /2 Mq", "DD /2 STi"],
  feature: "fpu",
  unit: "x87",
  meaning: (o, dst) => storeFloat(o, dst, false),
});

const FSTP = instruction("fstp", {
  spec: "SDM 2, FST/FSTP",
  // The last two are undocumented aliases.
  forms: ["D9 /3 Md", "DD /3 Mq", "DB /7 Mt", "DD /3 STi", "DF /2 STi", "DF /3 STi"],
  feature: "fpu",
  unit: "x87",
  meaning: (o, dst) => storeFloat(o, dst, true),
});

/** Undocumented: FSTP that pops an empty register without an exception. */
const FSTPNCE = instruction("fstpnce", {
  spec: "SDM 2, FST/FSTP",
  forms: ["D9 /3 STi"],
  feature: "fpu",
  unit: "x87",
  meaning(o, dst) {
    o.call(FPU_STORE_IF_FILLED, fpuOf(o), o.slot(dst));
    noteInstruction(o);
  },
});

const FIST = instruction("fist", {
  spec: "SDM 2, FIST/FISTP",
  forms: ["DF /2 Mw", "DB /2 Md"],
  feature: "fpu",
  unit: "x87",
  meaning: (o, dst) => storeInteger(o, dst, false, false),
});

const FISTP = instruction("fistp", {
  spec: "SDM 2, FIST/FISTP",
  forms: ["DF /3 Mw", "DB /3 Md", "DF /7 Mq"],
  feature: "fpu",
  unit: "x87",
  meaning: (o, dst) => storeInteger(o, dst, true, false),
});

const FISTTP = instruction("fisttp", {
  spec: "SDM 2, FISTTP",
  forms: ["DF /1 Mw", "DB /1 Md", "DD /1 Mq"],
  feature: "sse3",
  unit: "x87",
  meaning: (o, dst) => storeInteger(o, dst, true, true),
});

const FBSTP = instruction("fbstp", {
  spec: "SDM 2, FBSTP",
  forms: ["DF /6 Mt"],
  feature: "fpu",
  unit: "x87",
  meaning: (o, dst) => store80(o, FPU_TAKE_BCD, dst),
});

export const X87_STORES: readonly Instruction[] = [FST, FSTP, FSTPNCE, FIST, FISTP, FISTTP, FBSTP];
