/** Decimal adjustment (BCD), invalid in 64-bit mode. Flags that the manual leaves undefined are as processors set them. */
import { type Instruction, instruction } from "./instruction.ts";
import { RAX } from "./semantics.ts";
import type { Value } from "./value.ts";

/** AAA and AAS: AX changes by `step` where AL's low digit is above 9 or AF is set. */
const asciiAdjust = (name: string, opcode: string, step: number): Instruction =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`${opcode} ; i64`],
    undefined: "oszp",
    meaning(o) {
      const ax = o.register(RAX, 16);
      const adjust = ax.and(0x0f).gtU(9).or(o.flag("a"));
      const result = ax.add(o.i32(step).when(adjust, 0)).and(0xff0f);
      o.flagsResult(result, 8, adjust, o.i32(0), adjust);
      o.setRegister(RAX, 16, result);
    },
  });

export const AAA = asciiAdjust("aaa", "37", 0x106);
export const AAS = asciiAdjust("aas", "3F", -0x106);

export const AAM = instruction("aam", {
  spec: "SDM 2, AAM",
  forms: ["D4 Ib ; i64"],
  undefined: "oac",
  meaning(o, radix) {
    const divisor = o.get(radix).wrap().and(0xff);
    o.raiseIf(divisor.eqz(), "DE");
    const al = o.register(RAX, 8);
    const remainder = al.remU(divisor);
    o.flagsLogic(remainder, 8);
    o.setRegister(RAX, 16, al.divU(divisor).shl(8).or(remainder));
  },
});

export const AAD = instruction("aad", {
  spec: "SDM 2, AAD",
  forms: ["D5 Ib ; i64"],
  undefined: "oac",
  meaning(o, radix) {
    const ax = o.register(RAX, 16);
    const result = ax.shrU(8).mul(o.get(radix).wrap()).add(ax).and(0xff);
    o.flagsLogic(result, 8);
    o.setRegister(RAX, 16, result);
  },
});

/** DAA and DAS: AL changes by 6 and by 60h where its digits are above 9 or carries came out of them. */
function decimalAdjust(
  name: string,
  opcode: string,
  combine: (al: Value, adjustment: Value) => Value,
  borrow: (al: Value, low: Value) => Value,
): Instruction {
  return instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`${opcode} ; i64`],
    undefined: "o",
    meaning(o) {
      const al = o.register(RAX, 8);
      const low = al.and(0x0f).gtU(9).or(o.flag("a"));
      const high = al.gtU(0x99).or(o.flag("c"));
      const adjustment = o.i32(0x06).when(low, 0).add(o.i32(0x60).when(high, 0));
      const result = combine(al, adjustment);
      o.flagsResult(result, 8, high.or(borrow(al, low)), o.i32(0), low);
      o.setRegister(RAX, 8, result);
    },
  });
}

// A carry out of adding 6 to AL alone would need AL above 99h, which counts already; a borrow does not.
export const DAA = decimalAdjust(
  "daa",
  "27",
  (al, by) => al.add(by),
  (al) => al.literal(0),
);
export const DAS = decimalAdjust(
  "das",
  "2F",
  (al, by) => al.sub(by),
  (al, low) => low.and(al.ltU(6)),
);

export const DECIMAL: readonly Instruction[] = [AAA, AAS, AAM, AAD, DAA, DAS];
