/** Bit tests, bit scans and counts, and the bit manipulation extensions BMI1, BMI2 and ADX. */
import { declareFunction } from "./functions.ts";
import { type Feature, type Instruction, instruction } from "./instruction.ts";
import { multiplyHighUnsigned } from "./muldiv.ts";
import { type Operand, RDX, type Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";

/** (source, mask) → the source's low bits spread to where the mask has ones. */
export const DEPOSIT_BITS = declareFunction("depositBits", { in: "wasm", params: ["i64", "i64"], result: "i64" });
/** (source, mask) → the source's bits under the mask's ones, gathered at the low end. */
export const EXTRACT_BITS = declareFunction("extractBits", { in: "wasm", params: ["i64", "i64"], result: "i64" });

/**
 * BT, BTS, BTR, BTC. A bit number from a register reaches any memory around the operand: it is signed and counts
 * from the operand's address; one from an immediate, or into a register, is taken modulo the width.
 */
function bitTest(
  name: string,
  digit: number,
  opcode: string,
  change?: (old: Value, mask: Value) => Value,
): Instruction {
  return instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`0F ${opcode} /r Ev,Gv`, `0F BA /${digit} Ev,Ib`],
    ...(change ? { lock: true } : {}),
    undefined: "osap",
    meaning(o, dst, src) {
      const { width } = dst;
      const number = o.get(src);
      const position = number.wrap().and(width - 1);
      const setCarry = (value: Value) => {
        const at = width === 64 ? position.extendU() : position;
        o.setFlags({ c: value.shrU(at).wrap().and(1) });
      };
      const changed = (old: Value) => {
        setCarry(old);
        const mask = old.literal(1).shl(width === 64 ? position.extendU() : position);
        return (change as (old: Value, mask: Value) => Value)(old, mask);
      };
      if (dst.isMemory && src.width === width) {
        const distance = width === 64 ? number : number.signExtend(width).extendS();
        const displacement = distance.shrS(Math.log2(width)).shl(Math.log2(width / 8));
        if (change) o.updateAt(dst, displacement, width, changed);
        else setCarry(o.loadAt(dst, displacement, width));
      } else if (change) o.update(dst, changed);
      else setCarry(o.get(dst));
    },
  });
}

export const BT = bitTest("bt", 4, "A3");
export const BTS = bitTest("bts", 5, "AB", (old, mask) => old.or(mask));
export const BTR = bitTest("btr", 6, "B3", (old, mask) => old.and(mask.not()));
export const BTC = bitTest("btc", 7, "BB", (old, mask) => old.xor(mask));

/** BSF and BSR: a source of zero leaves the whole destination as it was. */
const bitScan = (name: string, opcode: string, scan: (value: Value, width: number) => Value): Instruction =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`0F ${opcode} /r Gv,Ev`],
    undefined: "osapc",
    meaning(o, dst, src) {
      const value = o.get(src);
      o.setFlags({ z: value.eqz() });
      o.if(value.ne(0), () => o.put(dst, scan(value, dst.width)));
    },
  });

export const BSF = bitScan("bsf", "BC", (value) => value.ctz());
export const BSR = bitScan("bsr", "BD", (value) => value.literal(value.type === "i64" ? 63 : 31).sub(value.clz()));

/** TZCNT and LZCNT: a source of zero counts as all its bits. */
const zeroCount = (name: string, opcode: string, feature: Feature, count: (value: Value, width: number) => Value) =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`F3 0F ${opcode} /r Gv,Ev`],
    feature,
    undefined: "osap",
    meaning(o, dst, src) {
      const value = o.get(src);
      const result = count(value, dst.width);
      o.put(dst, result);
      o.setFlags({ c: value.eqz(), z: result.eqz() });
    },
  });

export const TZCNT = zeroCount("tzcnt", "BC", "bmi1", (value, width) =>
  (width === 16 ? value.or(0x10000) : value).ctz(),
);
export const LZCNT = zeroCount("lzcnt", "BD", "abm", (value, width) =>
  (width === 16 ? value.shl(16).or(0x8000) : value).clz(),
);

export const POPCNT = instruction("popcnt", {
  spec: "SDM 2, POPCNT",
  forms: ["F3 0F B8 /r Gv,Ev"],
  feature: "popcnt",
  meaning(o, dst, src) {
    const result = o.get(src).popcnt();
    o.put(dst, result);
    const zero = o.i32(0);
    o.setFlags({ o: zero, s: zero, z: result.eqz(), a: zero, p: zero, c: zero });
  },
});

/** SF and ZF of the result, CF as given, OF clear; AF and PF are undefined. */
const bitFlags = (o: Semantics, result: Value, width: number, carry: Value): void =>
  o.flagsResult(result, width, carry, o.i32(0));

export const ANDN = instruction("andn", {
  spec: "SDM 2, ANDN",
  forms: ["VEX.LZ.0F38 F2 /r Gy,By,Ey"],
  feature: "bmi1",
  undefined: "ap",
  meaning(o, dst, inverted, src) {
    const result = o
      .get(inverted)
      .not()
      .and(o.get(src as Operand));
    o.flagsLogic(result, dst.width);
    o.put(dst, result);
  },
});

/** `value` with its bits from number `count` (below 256) on cleared. */
function keepLow(value: Value, count: Value, width: number): Value {
  const n = value.type === "i64" ? count.extendU() : count;
  const mask = value.literal(1).shl(n).sub(1);
  return value.and(mask).when(count.ltU(width), value);
}

export const BEXTR = instruction("bextr", {
  spec: "SDM 2, BEXTR",
  forms: ["VEX.LZ.0F38 F7 /r Gy,Ey,By"],
  feature: "bmi1",
  undefined: "sap",
  meaning(o, dst, src, control) {
    const { width } = dst;
    const value = o.get(src);
    const fields = o.get(control as Operand).wrap();
    const start = fields.and(0xff);
    const shifted = value.shrU(width === 64 ? start.extendU() : start).when(start.ltU(width), 0);
    const result = keepLow(shifted, fields.shrU(8).and(0xff), width);
    bitFlags(o, result, width, o.i32(0));
    o.put(dst, result);
  },
});

/** BLSI, BLSMSK, BLSR: the lowest set bit isolated, masked up to, or reset. */
const lowestBit = (
  name: string,
  digit: number,
  compute: (value: Value) => Value,
  carry: (value: Value) => Value,
): Instruction =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`VEX.LZ.0F38 F3 /${digit} By,Ey`],
    feature: "bmi1",
    undefined: "ap",
    meaning(o, dst, src) {
      const value = o.get(src);
      const result = compute(value);
      bitFlags(o, result, dst.width, carry(value));
      o.put(dst, result);
    },
  });

export const BLSR = lowestBit(
  "blsr",
  1,
  (value) => value.and(value.sub(1)),
  (value) => value.eqz(),
);
export const BLSMSK = lowestBit(
  "blsmsk",
  2,
  (value) => value.xor(value.sub(1)),
  (value) => value.eqz(),
);
export const BLSI = lowestBit(
  "blsi",
  3,
  (value) => value.and(value.neg()),
  (value) => value.ne(0),
);

export const BZHI = instruction("bzhi", {
  spec: "SDM 2, BZHI",
  forms: ["VEX.LZ.0F38 F5 /r Gy,Ey,By"],
  feature: "bmi2",
  undefined: "ap",
  meaning(o, dst, src, index) {
    const { width } = dst;
    const count = o
      .get(index as Operand)
      .wrap()
      .and(0xff);
    const result = keepLow(o.get(src), count, width);
    bitFlags(o, result, width, count.geU(width));
    o.put(dst, result);
  },
});

export const MULX = instruction("mulx", {
  spec: "SDM 2, MULX",
  forms: ["VEX.LZ.F2.0F38 F6 /r Gy,By,Ey"],
  feature: "bmi2",
  meaning(o, high, low, src) {
    const a = o.register(RDX, high.width);
    const b = o.get(src as Operand);
    // Where both are the same register it gets the high half.
    if (high.width === 64) {
      o.put(low, a.mul(b));
      o.put(high, multiplyHighUnsigned(a, b));
    } else {
      const product = a.extendU().mul(b.extendU());
      o.put(low, product.wrap());
      o.put(high, product.shrU(32).wrap());
    }
  },
});

const depositOrExtract = (name: string, pp: string, callee: string): Instruction =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`VEX.LZ.${pp}.0F38 F5 /r Gy,By,Ey`],
    feature: "bmi2",
    meaning(o, dst, src, mask) {
      const result = o.call(callee, o.get(src).extendU(), o.get(mask as Operand).extendU());
      o.put(dst, dst.width === 64 ? result : result.wrap());
    },
  });

export const PDEP = depositOrExtract("pdep", "F2", DEPOSIT_BITS);
export const PEXT = depositOrExtract("pext", "F3", EXTRACT_BITS);

export const RORX = instruction("rorx", {
  spec: "SDM 2, RORX",
  forms: ["VEX.LZ.F2.0F3A F0 /r Gy,Ey,Ib"],
  feature: "bmi2",
  meaning(o, dst, src, amount) {
    const count = o.get(amount as Operand).wrap();
    o.put(dst, o.get(src).rotr(dst.width === 64 ? count.extendU() : count));
  },
});

/** SARX, SHLX, SHRX: shifts by a register that leave the flags alone. */
const shiftX = (name: string, pp: string, compute: (value: Value, count: Value) => Value): Instruction =>
  instruction(name, {
    spec: "SDM 2, SARX/SHLX/SHRX",
    forms: [`VEX.LZ.${pp}.0F38 F7 /r Gy,Ey,By`],
    feature: "bmi2",
    meaning(o, dst, src, count) {
      // WebAssembly takes the count modulo the width, as these do.
      o.put(dst, compute(o.get(src), o.get(count as Operand)));
    },
  });

export const SHLX = shiftX("shlx", "66", (value, count) => value.shl(count));
export const SHRX = shiftX("shrx", "F2", (value, count) => value.shrU(count));
export const SARX = shiftX("sarx", "F3", (value, count) => value.shrS(count));

/** ADCX and ADOX: addition with a carry chain in CF or OF alone. */
const addChain = (name: string, prefix: string, flag: "c" | "o"): Instruction =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`${prefix} 0F 38 F6 /r Gy,Ey`],
    feature: "adx",
    meaning(o, dst, src) {
      const b = o.get(src);
      const a = o.get(dst);
      const carry = o.flag(flag);
      const result = a.add(b).add(a.type === "i64" ? carry.extendU() : carry);
      const carries = a.and(b).or(a.or(b).and(result.not()));
      o.put(dst, result);
      o.setFlags({ [flag]: carries.shrU(dst.width - 1).wrap() });
    },
  });

export const ADCX = addChain("adcx", "66", "c");
export const ADOX = addChain("adox", "F3", "o");

export const BITS: readonly Instruction[] = [
  BT,
  BTS,
  BTR,
  BTC,
  BSF,
  BSR,
  TZCNT,
  LZCNT,
  POPCNT,
  ANDN,
  BEXTR,
  BLSR,
  BLSMSK,
  BLSI,
  BZHI,
  MULX,
  PDEP,
  PEXT,
  RORX,
  SHLX,
  SHRX,
  SARX,
  ADCX,
  ADOX,
];
