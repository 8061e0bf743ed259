/** Integer addition, subtraction and logic with the classic eight encodings, and their one-operand kin. */
import { type Instruction, instruction } from "./instruction.ts";
import type { Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";

/** The nine forms that ADD, OR, ADC, SBB, AND, SUB, XOR and CMP share; `index` is their place in that row. */
function aluForms(index: number): string[] {
  const opcode = (low: number) => (index * 8 + low).toString(16).toUpperCase().padStart(2, "0");
  return [
    `${opcode(0)} /r Eb,Gb`,
    `${opcode(1)} /r Ev,Gv`,
    `${opcode(2)} /r Gb,Eb`,
    `${opcode(3)} /r Gv,Ev`,
    `${opcode(4)} AL,Ib`,
    `${opcode(5)} rAX,Iz`,
    `80 /${index} Eb,Ib`,
    `81 /${index} Ev,Iz`,
    `82 /${index} Eb,Ib ; i64`,
    `83 /${index} Ev,sIb`,
  ];
}

/** An instruction that combines destination and source and writes the destination. */
function combine(
  name: string,
  index: number,
  compute: (o: Semantics, a: Value, b: Value, width: number) => Value,
  flags: (o: Semantics, a: Value, b: Value, result: Value, width: number) => void,
  undefinedFlags?: string,
): Instruction {
  return instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: aluForms(index),
    lock: true,
    ...(undefinedFlags ? { undefined: undefinedFlags } : {}),
    meaning(o, dst, src) {
      const b = o.get(src);
      o.update(dst, (a) => {
        const result = compute(o, a, b, dst.width);
        flags(o, a, b, result, dst.width);
        return result;
      });
    },
  });
}

const add = (_o: Semantics, a: Value, b: Value) => a.add(b);
const sub = (_o: Semantics, a: Value, b: Value) => a.sub(b);
const carryIn = (o: Semantics, like: Value) => (like.type === "i64" ? o.flag("c").extendU() : o.flag("c"));
const addFlags = (o: Semantics, a: Value, b: Value, r: Value, width: number) => o.flagsAdd(a, b, r, width);
const subFlags = (o: Semantics, a: Value, b: Value, r: Value, width: number) => o.flagsSub(a, b, r, width);
const addCarryFlags = (o: Semantics, a: Value, b: Value, r: Value, width: number) =>
  o.flagsAdd(a, b, r, width, { withCarry: true });
const subCarryFlags = (o: Semantics, a: Value, b: Value, r: Value, width: number) =>
  o.flagsSub(a, b, r, width, { withCarry: true });
const logicFlags = (o: Semantics, _a: Value, _b: Value, r: Value, width: number) => o.flagsLogic(r, width);

export const ADD = combine("add", 0, add, addFlags);
export const OR = combine("or", 1, (_o, a, b) => a.or(b), logicFlags, "a");
export const ADC = combine("adc", 2, (o, a, b) => a.add(b).add(carryIn(o, a)), addCarryFlags);
export const SBB = combine("sbb", 3, (o, a, b) => a.sub(b).sub(carryIn(o, a)), subCarryFlags);
export const AND = combine("and", 4, (_o, a, b) => a.and(b), logicFlags, "a");
export const SUB = combine("sub", 5, sub, subFlags);
export const XOR = combine("xor", 6, (_o, a, b) => a.xor(b), logicFlags, "a");

export const CMP = instruction("cmp", {
  spec: "SDM 2, CMP",
  forms: aluForms(7),
  meaning(o, dst, src) {
    const a = o.get(dst);
    const b = o.get(src);
    o.flagsSub(a, b, a.sub(b), dst.width);
  },
});

export const TEST = instruction("test", {
  spec: "SDM 2, TEST",
  forms: [
    "84 /r Eb,Gb",
    "85 /r Ev,Gv",
    "A8 AL,Ib",
    "A9 rAX,Iz",
    "F6 /0 Eb,Ib",
    "F6 /1 Eb,Ib",
    "F7 /0 Ev,Iz",
    "F7 /1 Ev,Iz",
  ],
  undefined: "a",
  meaning(o, dst, src) {
    o.flagsLogic(o.get(dst).and(o.get(src)), dst.width);
  },
});

export const INC = instruction("inc", {
  spec: "SDM 2, INC",
  forms: ["FE /0 Eb", "FF /0 Ev", "40+ Zv ; i64"],
  lock: true,
  meaning(o, dst) {
    o.update(dst, (a) => {
      const result = a.add(1);
      o.flagsAdd(a, a.literal(1), result, dst.width, { keepCarry: true });
      return result;
    });
  },
});

export const DEC = instruction("dec", {
  spec: "SDM 2, DEC",
  forms: ["FE /1 Eb", "FF /1 Ev", "48+ Zv ; i64"],
  lock: true,
  meaning(o, dst) {
    o.update(dst, (a) => {
      const result = a.sub(1);
      o.flagsSub(a, a.literal(1), result, dst.width, { keepCarry: true });
      return result;
    });
  },
});

export const NEG = instruction("neg", {
  spec: "SDM 2, NEG",
  forms: ["F6 /3 Eb", "F7 /3 Ev"],
  lock: true,
  meaning(o, dst) {
    o.update(dst, (a) => {
      const result = a.neg();
      o.flagsSub(a.literal(0), a, result, dst.width);
      return result;
    });
  },
});

export const NOT = instruction("not", {
  spec: "SDM 2, NOT",
  forms: ["F6 /2 Eb", "F7 /2 Ev"],
  lock: true,
  meaning(o, dst) {
    o.update(dst, (a) => a.not());
  },
});

export const ALU: readonly Instruction[] = [ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NEG, NOT];
