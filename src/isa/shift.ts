/**
 * Shifts and rotates. A count of zero leaves all flags alone. Flags that the manual leaves undefined are what
 * processors of both makers compute: OF by the rule for a count of one, CF of a shift beyond the width zero
 * (SAR: the sign), AF zero.
 */
import { type Instruction, instruction } from "./instruction.ts";
import type { Operand, Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";

interface Shifted {
  readonly result: Value;
  /** The last bit shifted out (i32, 0 or 1). */
  readonly carry: Value;
}

/** Result and carry for a count (i32) from 1 to 31 (63 for 64 bits); with 0 the result is `a`, the carry anything. */
type Shift = (a: Value, count: Value, width: number, o: Semantics) => Shifted;

/** `count` in the type that shifts of `value` take. */
const like = (value: Value, count: Value): Value => (value.type === "i64" ? count.extendU() : count);

const bit = (value: Value, index: number): Value =>
  value.type === "i64" ? value.shrU(index).wrap().and(1) : value.shrU(index).and(1);

/** Runs `change` unless `count` is zero; a count known when code is built needs no test. */
function unlessZero(o: Semantics, count: Value, change: () => void): void {
  if (count.constant === undefined) o.if(count, change);
  else if (Number(count.constant) !== 0) change();
}

const shiftForms = (index: number) => [
  `C0 /${index} Eb,Ib`,
  `C1 /${index} Ev,Ib`,
  `D0 /${index} Eb,1`,
  `D1 /${index} Ev,1`,
  `D2 /${index} Eb,CL`,
  `D3 /${index} Ev,CL`,
];

const maskedCount = (o: Semantics, count: Operand, width: number) =>
  o
    .get(count)
    .wrap()
    .and(width === 64 ? 63 : 31);

/** OF after a left shift or rotate: the sign changed with the last step. */
const overflowLeft = ({ result, carry }: Shifted, width: number) => bit(result, width - 1).xor(carry);
/** OF after a right rotate: the two top bits differ. */
const overflowRight = ({ result }: Shifted, width: number) => bit(result, width - 1).xor(bit(result, width - 2));

const left: Shift = (a, count, width) => {
  const result = a.shl(like(a, count));
  // Narrow values keep the bit above their top; full ones find it by how far it came.
  const carry = width < 32 ? bit(result, width) : a.shrU(like(a, count.neg())).wrap().and(1);
  return { result, carry };
};

/** Logical or, with a sign-extended `a`, arithmetic shift. */
const right =
  (direction: "shrU" | "shrS"): Shift =>
  (value, count, width) => {
    const a = direction === "shrS" && width < 32 ? value.signExtend(width) : value;
    const n = like(a, count);
    return { result: a[direction](n), carry: a[direction](n.sub(1)).wrap().and(1) };
  };

function shift(
  name: string,
  indices: readonly number[],
  compute: Shift,
  overflow: (o: Semantics, a: Value, shifted: Shifted, width: number) => Value,
): Instruction {
  return instruction(name, {
    spec: "SDM 2, SAL/SAR/SHL/SHR",
    forms: indices.flatMap(shiftForms),
    undefined: "oa",
    meaning(o, dst, src) {
      const { width } = dst;
      const count = maskedCount(o, src, width);
      o.update(dst, (a) => {
        const shifted = compute(a, count, width, o);
        unlessZero(o, count, () => o.flagsResult(shifted.result, width, shifted.carry, overflow(o, a, shifted, width)));
        return shifted.result;
      });
    },
  });
}

// /6 is an alias of /4 that every processor has.
export const SHL = shift("shl", [4, 6], left, (_o, _a, shifted, width) => overflowLeft(shifted, width));
export const SHR = shift("shr", [5], right("shrU"), (_o, _a, shifted, width) => overflowRight(shifted, width));
export const SAR = shift("sar", [7], right("shrS"), (o) => o.i32(0));

/** `a` repeated to fill 32 bits, so that a 32-bit rotate rotates the narrow value. */
function repeat(a: Value, width: number): Value {
  if (width === 8) return a.mul(0x01010101);
  return width === 16 ? a.or(a.shl(16)) : a;
}

function rotate(name: string, index: number, compute: Shift, overflow: typeof overflowLeft): Instruction {
  return instruction(name, {
    spec: "SDM 2, RCL/RCR/ROL/ROR",
    forms: shiftForms(index),
    undefined: "o",
    meaning(o, dst, src) {
      const { width } = dst;
      const count = maskedCount(o, src, width);
      o.update(dst, (a) => {
        const shifted = compute(a, count, width, o);
        unlessZero(o, count, () => o.setFlags({ c: shifted.carry, o: overflow(shifted, width) }));
        return shifted.result;
      });
    },
  });
}

export const ROL = rotate(
  "rol",
  0,
  (a, count, width) => {
    const result = repeat(a, width).rotl(like(a, count));
    return { result, carry: bit(result, 0) };
  },
  overflowLeft,
);

export const ROR = rotate(
  "ror",
  1,
  (a, count, width) => {
    const result = repeat(a, width).rotr(like(a, count));
    return { result, carry: bit(result, width - 1) };
  },
  overflowRight,
);

/** Steps of a rotate through carry: its cycle is one bit longer than the operand. */
const stepsThroughCarry = (count: Value, width: number) => (width < 32 ? count.remU(width + 1) : count);

function rotateThroughCarry(name: string, index: number, toLeft: boolean): Instruction {
  return instruction(name, {
    spec: "SDM 2, RCL/RCR/ROL/ROR",
    forms: shiftForms(index),
    undefined: "o",
    meaning(o, dst, src) {
      const { width } = dst;
      const count = maskedCount(o, src, width);
      const steps = stepsThroughCarry(count, width);
      const carryIn = o.flag("c");
      o.update(dst, (a) => {
        const n = like(a, steps);
        const cf = like(a, carryIn);
        // The part that comes round is shifted in two steps: by one, and by up to the width less one.
        const back = n.neg().add(width);
        const rotated = toLeft
          ? a
              .shl(n)
              .or(cf.shl(n.sub(1)))
              .or(a.shrU(1).shrU(back))
          : a.shrU(n).or(cf.shl(back)).or(a.shl(1).shl(back));
        const out = (toLeft ? a.shrU(back) : a.shrU(n.sub(1))).wrap().and(1);
        // Whole turns change nothing, but OF is set anew.
        const shifted = { result: rotated.when(steps, a), carry: out.when(steps, carryIn) };
        unlessZero(o, count, () => {
          o.setFlags({ c: shifted.carry, o: (toLeft ? overflowLeft : overflowRight)(shifted, width) });
        });
        return shifted.result;
      });
    },
  });
}

export const RCL = rotateThroughCarry("rcl", 2, true);
export const RCR = rotateThroughCarry("rcr", 3, false);

/**
 * Double shift: bits of `b` follow those of `a`. 16-bit operands may be shifted by more than their width; after `b`
 * then comes `a` again, as in Intel processors (the manuals leave it undefined).
 */
function doubleShift(name: string, opcodes: readonly [string, string], toLeft: boolean): Instruction {
  const compute = (a: Value, b: Value, count: Value, width: number): Shifted => {
    if (width === 16) {
      const ring = a.extendU().or(b.extendU().shl(16)).or(a.extendU().shl(32));
      const n = count.extendU();
      if (!toLeft) return { result: ring.shrU(n).wrap(), carry: ring.shrU(n.sub(1)).wrap().and(1) };
      return { result: ring.shl(n).shrU(32).wrap(), carry: ring.shrU(n.neg().add(48)).wrap().and(1) };
    }
    const n = like(a, count);
    const back = n.neg();
    // A count of zero would bring in all of `b`: shift by one and by one less than the rest.
    const rest = back.add(width - 1);
    return toLeft
      ? { result: a.shl(n).or(b.shrU(1).shrU(rest)), carry: a.shrU(back).wrap().and(1) }
      : { result: a.shrU(n).or(b.shl(1).shl(rest)), carry: a.shrU(n.sub(1)).wrap().and(1) };
  };
  return instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`0F ${opcodes[0]} /r Ev,Gv,Ib`, `0F ${opcodes[1]} /r Ev,Gv,CL`],
    undefined: "oa",
    meaning(o, dst, src, amount) {
      const { width } = dst;
      const b = o.get(src);
      const count = maskedCount(o, amount as Operand, width);
      o.update(dst, (a) => {
        const shifted = compute(a, b, count, width);
        const overflow = (toLeft ? overflowLeft : overflowRight)(shifted, width);
        unlessZero(o, count, () => o.flagsResult(shifted.result, width, shifted.carry, overflow));
        return shifted.result;
      });
    },
  });
}

export const SHLD = doubleShift("shld", ["A4", "A5"], true);
export const SHRD = doubleShift("shrd", ["AC", "AD"], false);

export const SHIFTS: readonly Instruction[] = [ROL, ROR, RCL, RCR, SHL, SHR, SAR, SHLD, SHRD];
