/**
 * Multiplication and division. Flags that the manual leaves undefined: after multiplication SF, ZF and PF follow the
 * low half and AF is clear; division leaves all flags alone.
 */
import { declareFunction } from "./functions.ts";
import { type Instruction, instruction } from "./instruction.ts";
import { type Operand, RAX, RDX, type Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";

/** (high, low, divisor) → quotient of the unsigned 128-bit high:low; high must be below the divisor. */
export const DIVIDE_128 = declareFunction("divide128", {
  in: "wasm",
  params: ["i64", "i64", "i64"],
  result: "i64",
});

const LOW_HALF = 0xffffffffn;

/** The high half of an unsigned 64-bit product, from four 32-bit ones; plain arithmetic, so that it vanishes unused. */
export function multiplyHighUnsigned(a: Value, b: Value): Value {
  const [aLow, aHigh, bLow, bHigh] = [a.and(LOW_HALF), a.shrU(32), b.and(LOW_HALF), b.shrU(32)];
  const middle = aHigh.mul(bLow).add(aLow.mul(bLow).shrU(32));
  const other = aLow.mul(bHigh).add(middle.and(LOW_HALF));
  return aHigh.mul(bHigh).add(middle.shrU(32)).add(other.shrU(32));
}

/** The high half of a signed 64-bit product. */
function multiplyHighSigned(a: Value, b: Value): Value {
  const [aLow, aHigh, bLow, bHigh] = [a.and(LOW_HALF), a.shrS(32), b.and(LOW_HALF), b.shrS(32)];
  const middle = aHigh.mul(bLow).add(aLow.mul(bLow).shrU(32));
  const other = aLow.mul(bHigh).add(middle.and(LOW_HALF));
  return aHigh.mul(bHigh).add(middle.shrS(32)).add(other.shrS(32));
}

interface Product {
  readonly low: Value;
  readonly high: Value;
  /** The high half is more than the extension of the low one (i32, 0 or 1). */
  readonly overflow: Value;
}

function multiply(a: Value, b: Value, width: number, signed: boolean): Product {
  if (width === 64) {
    const low = a.mul(b);
    const high = signed ? multiplyHighSigned(a, b) : multiplyHighUnsigned(a, b);
    return { low, high, overflow: high.ne(signed ? low.shrS(63) : 0) };
  }
  if (width === 32) {
    const product = signed ? a.extendS().mul(b.extendS()) : a.extendU().mul(b.extendU());
    const overflow = signed ? product.ne(product.signExtend(32)) : product.shrU(32).ne(0);
    return { low: product.wrap(), high: product.shrU(32).wrap(), overflow };
  }
  const product = signed ? a.signExtend(width).mul(b.signExtend(width)) : a.mul(b);
  const overflow = product.ne(signed ? product.signExtend(width) : product.zeroExtend(width));
  return { low: product, high: product.shrU(width), overflow };
}

/** rDX:rAX (AX for bytes) = the accumulator times the operand. */
const multiplyAccumulator = (name: string, digit: number, signed: boolean): Instruction =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`F6 /${digit} Eb`, `F7 /${digit} Ev`],
    undefined: "szap",
    meaning(o, src) {
      const { width } = src;
      const { low, high, overflow } = multiply(o.register(RAX, width), o.get(src), width, signed);
      o.flagsResult(low, width, overflow, overflow);
      if (width === 8) {
        o.setRegister(RAX, 16, low);
        return;
      }
      o.setRegister(RAX, width, low);
      o.setRegister(RDX, width, high);
    },
  });

export const MUL = multiplyAccumulator("mul", 4, false);
export const IMUL_ACCUMULATOR = multiplyAccumulator("imul", 5, true);

function multiplyInto(o: Semantics, dst: Operand, a: Value, b: Value): void {
  const { overflow } = multiply(a, b, dst.width, true);
  // Where no flag is read the whole product vanishes unused.
  const low = a.mul(b);
  o.flagsResult(low, dst.width, overflow, overflow);
  o.put(dst, low);
}

export const IMUL = instruction("imul", {
  spec: "SDM 2, IMUL",
  forms: ["0F AF /r Gv,Ev"],
  undefined: "szap",
  meaning(o, dst, src) {
    const b = o.get(src);
    multiplyInto(o, dst, o.get(dst), b);
  },
});

export const IMUL_IMMEDIATE = instruction("imul", {
  spec: "SDM 2, IMUL",
  forms: ["69 /r Gv,Ev,Iz", "6B /r Gv,Ev,sIb"],
  undefined: "szap",
  meaning(o, dst, src, factor) {
    multiplyInto(o, dst, o.get(src), o.get(factor as Operand));
  },
});

/** Writes quotient and remainder: AL and AH for bytes, else rAX and rDX. */
function setQuotient(o: Semantics, width: number, quotient: Value, remainder: Value): void {
  if (width === 8) {
    o.setRegister(RAX, 16, quotient.and(0xff).or(remainder.and(0xff).shl(8)));
    return;
  }
  o.setRegister(RAX, width, quotient);
  o.setRegister(RDX, width, remainder);
}

/** The dividend of a division by up to 32 bits: AX, DX:AX or EDX:EAX. */
function dividend(o: Semantics, width: number): Value {
  if (width === 8) return o.register(RAX, 16);
  const [high, low] = [o.register(RDX, width), o.register(RAX, width)];
  return width === 16 ? high.shl(16).or(low) : high.extendU().shl(32).or(low.extendU());
}

export const DIV = instruction("div", {
  spec: "SDM 2, DIV",
  forms: ["F6 /6 Eb", "F7 /6 Ev"],
  undefined: "oszapc",
  meaning(o, src) {
    const { width } = src;
    const divisor = o.get(src);
    // The quotient fits where the dividend's high half is below the divisor, which also excludes zero.
    const high = width === 8 ? o.register(RAX, 16).shrU(8) : o.register(RDX, width);
    o.raiseIf(high.geU(divisor), "DE");
    if (width === 64) {
      const low = o.register(RAX, 64);
      const quotient = o.call(DIVIDE_128, high, low, divisor);
      setQuotient(o, 64, quotient, low.sub(quotient.mul(divisor)));
      return;
    }
    const n = dividend(o, width);
    const d = width === 32 ? divisor.extendU() : divisor;
    const quotient = n.divU(d);
    setQuotient(o, width, quotient.wrap(), n.sub(quotient.mul(d)).wrap());
  },
});

/** IDIV of RDX:RAX: the magnitudes divided, the signs put back. */
function divideSigned128(o: Semantics, divisor: Value): void {
  const [high, low] = [o.register(RDX, 64), o.register(RAX, 64)];
  const sign = high.shrS(63);
  const magnitudeLow = low.xor(sign).sub(sign);
  const carry = magnitudeLow.eqz().extendU().and(sign);
  const magnitudeHigh = high.xor(sign).add(carry);
  const divisorSign = divisor.shrS(63);
  const magnitude = divisor.xor(divisorSign).sub(divisorSign);
  o.raiseIf(magnitudeHigh.geU(magnitude), "DE");
  const quotient = o.call(DIVIDE_128, magnitudeHigh, magnitudeLow, magnitude);
  const remainder = magnitudeLow.sub(quotient.mul(magnitude));
  const quotientSign = sign.xor(divisorSign);
  // -2^63 to 2^63 - 1: the magnitude may be one more where the result is negative.
  o.raiseIf(quotient.gtU(o.i64(0x7fffffffffffffffn).sub(quotientSign)), "DE");
  setQuotient(o, 64, quotient.xor(quotientSign).sub(quotientSign), remainder.xor(sign).sub(sign));
}

export const IDIV = instruction("idiv", {
  spec: "SDM 2, IDIV",
  forms: ["F6 /7 Eb", "F7 /7 Ev"],
  undefined: "oszapc",
  meaning(o, src) {
    const { width } = src;
    const divisor = o.get(src);
    if (width === 64) {
      divideSigned128(o, divisor);
      return;
    }
    // One type that is wide enough for -2^(2·width-1) / -1, but for 64 by 32 bits, where that is excluded first.
    const unsigned = dividend(o, width);
    const n = width === 8 ? unsigned.signExtend(16).extendS() : unsigned.extendS();
    const d = divisor.signExtend(width).extendS();
    o.raiseIf(width === 32 ? d.eqz().or(n.eq(-0x8000000000000000n).and(d.eq(-1))) : d.eqz(), "DE");
    const quotient = n.divS(d);
    o.raiseIf(quotient.ne(quotient.signExtend(width)), "DE");
    setQuotient(o, width, quotient.wrap(), n.sub(quotient.mul(d)).wrap());
  },
});

export const MULTIPLY_DIVIDE: readonly Instruction[] = [MUL, IMUL_ACCUMULATOR, IMUL, IMUL_IMMEDIATE, DIV, IDIV];
