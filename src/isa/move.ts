/** Moves between general registers, memory and immediates; exchanges; conditional moves; no-operations. */
import { type Instruction, instruction, perCondition } from "./instruction.ts";
import { type Operand, RAX, RBX, RCX, RDX, type Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";

/** `value` in the type that registers of `width` bits use; an i32 is taken as unsigned. */
const fit = (value: Value, width: number): Value => (width === 64 ? value.extendU() : value.wrap());

export const MOV = instruction("mov", {
  spec: "SDM 2, MOV",
  forms: [
    "88 /r Eb,Gb",
    "89 /r Ev,Gv",
    "8A /r Gb,Eb",
    "8B /r Gv,Ev",
    "A0 AL,Ob",
    "A1 rAX,Ov",
    "A2 Ob,AL",
    "A3 Ov,rAX",
    "B0+ Zb,Ib",
    "B8+ Zv,Iv",
    "C6 /0 Eb,Ib",
    "C7 /0 Ev,Iz",
  ],
  meaning(o, dst, src) {
    o.put(dst, o.get(src));
  },
});

export const MOVZX = instruction("movzx", {
  spec: "SDM 2, MOVZX",
  forms: ["0F B6 /r Gv,Eb", "0F B7 /r Gv,Ew"],
  meaning(o, dst, src) {
    o.put(dst, fit(o.get(src), dst.width));
  },
});

function moveSigned(o: Semantics, dst: Operand, src: Operand): void {
  const value = o.getSigned(src);
  o.put(dst, dst.width === 64 ? value.extendS() : value);
}

export const MOVSX = instruction("movsx", {
  spec: "SDM 2, MOVSX",
  forms: ["0F BE /r Gv,Eb", "0F BF /r Gv,Ew"],
  meaning: moveSigned,
});

export const MOVSXD = instruction("movsxd", {
  spec: "SDM 2, MOVSX/MOVSXD",
  forms: ["63 /r Gv,Ed ; o64 !o16", "63 /r Gv,Ew ; o64 o16"],
  feature: "lm",
  meaning: moveSigned,
});

export const NOP = instruction("nop", {
  spec: "SDM 2, NOP; SDM 2D, table A-3 (reserved NOPs); SDM 1, 17.3 (ENDBR32/ENDBR64)",
  forms: ["90 ; b0", ...["19", "1A", "1B", "1C", "1D", "1E", "1F"].map((opcode) => `0F ${opcode} /r Ev`)],
  meaning() {},
});

export const PAUSE = instruction("pause", {
  spec: "SDM 2, PAUSE",
  forms: ["F3 90 ; b0"],
  meaning() {},
});

export const XCHG = instruction("xchg", {
  spec: "SDM 2, XCHG",
  forms: ["86 /r Eb,Gb", "87 /r Ev,Gv", "90+ Zv,rAX"],
  lock: "implicit",
  meaning(o, dst, src) {
    const b = o.get(src);
    o.update(dst, (a) => {
      o.put(src, a);
      return b;
    });
  },
});

export const LEA = instruction("lea", {
  spec: "SDM 2, LEA",
  forms: ["8D /r Gv,M"],
  meaning(o, dst, src) {
    o.put(dst, fit(o.address(src), dst.width));
  },
});

export const CMOV: readonly Instruction[] = perCondition("cmov", (code, opcode) => ({
  spec: "SDM 2, CMOVcc",
  forms: [`0F ${opcode(0x40)} /r Gv,Ev`],
  feature: "cmov",
  // The source is read, and may fault, and the upper half is cleared, whatever the condition.
  meaning(o, dst, src) {
    const value = o.get(src);
    o.put(dst, value.when(o.condition(code), o.get(dst)));
  },
}));

export const SET: readonly Instruction[] = perCondition("set", (code, opcode) => ({
  spec: "SDM 2, SETcc",
  forms: [`0F ${opcode(0x90)} /r Eb`],
  meaning(o, dst) {
    o.put(dst, o.condition(code).ne(0));
  },
}));

function swapBytes(value: Value, width: number): Value {
  if (width === 16) return value.shl(8).or(value.shrU(8));
  if (width === 32) return value.rotl(8).and(0x00ff00ff).or(value.rotr(8).and(0xff00ff00));
  const bytes = value.shrU(8).and(0x00ff00ff00ff00ffn).or(value.and(0x00ff00ff00ff00ffn).shl(8));
  const words = bytes.shrU(16).and(0x0000ffff0000ffffn).or(bytes.and(0x0000ffff0000ffffn).shl(16));
  return words.rotl(32);
}

export const BSWAP = instruction("bswap", {
  spec: "SDM 2, BSWAP",
  forms: ["0F C8+ Zv"],
  feature: "486",
  // 16 bits are undefined; processors clear them.
  meaning(o, dst) {
    o.put(dst, dst.width === 16 ? o.i32(0) : swapBytes(o.get(dst), dst.width));
  },
});

export const MOVBE = instruction("movbe", {
  spec: "SDM 2, MOVBE",
  forms: ["0F 38 F0 /r Gv,Mv ; !f3", "0F 38 F1 /r Mv,Gv ; !f3"],
  feature: "movbe",
  meaning(o, dst, src) {
    o.put(dst, swapBytes(o.get(src), dst.width));
  },
});

export const XLAT = instruction("xlatb", {
  spec: "SDM 2, XLAT/XLATB",
  forms: ["D7"],
  meaning(o) {
    const index = o.register(RAX, 8);
    const table = o.register(RBX, o.addressSize);
    const offset = table.add(table.type === "i64" ? index.extendU() : index).zeroExtend(o.addressSize);
    o.setRegister(RAX, 8, o.load(o.sourceSegment, offset.extendU(), 8));
  },
});

export const CBW = instruction("cbw|cwde|cdqe", {
  spec: "SDM 2, CBW/CWDE/CDQE",
  forms: ["98"],
  meaning(o) {
    const size = o.operandSize;
    const low = o.register(RAX, size / 2);
    o.setRegister(RAX, size, size === 64 ? low.extendS() : low.signExtend(size / 2));
  },
});

export const CWD = instruction("cwd|cdq|cqo", {
  spec: "SDM 2, CWD/CDQ/CQO",
  forms: ["99"],
  meaning(o) {
    const size = o.operandSize;
    const low = o.register(RAX, size);
    o.setRegister(RDX, size, (size === 16 ? low.signExtend(16) : low).shrS(size === 64 ? 63 : 31));
  },
});

const setAh = (o: Semantics, value: Value) => o.setRegister(RAX, 16, o.register(RAX, 8).or(value.and(0xff).shl(8)));

/** LAHF and SAHF; in 64-bit mode they are a feature of their own. */
function flagByte(mode: "i64" | "o64"): Instruction[] {
  const feature = mode === "o64" ? ({ feature: "lahf_lm" } as const) : {};
  return [
    instruction("lahf", {
      spec: "SDM 2, LAHF",
      forms: [`9F ; ${mode}`],
      ...feature,
      meaning(o) {
        setAh(o, o.getEflags().and(0xd5).or(0x02));
      },
    }),
    instruction("sahf", {
      spec: "SDM 2, SAHF",
      forms: [`9E ; ${mode}`],
      ...feature,
      meaning(o) {
        const ax = o.register(RAX, 16);
        const bit = (n: number) => ax.shrU(8 + n).and(1);
        o.setFlags({ c: bit(0), p: bit(2), a: bit(4), z: bit(6), s: bit(7) });
      },
    }),
  ];
}

export const XADD = instruction("xadd", {
  spec: "SDM 2, XADD",
  forms: ["0F C0 /r Eb,Gb", "0F C1 /r Ev,Gv"],
  feature: "486",
  lock: true,
  meaning(o, dst, src) {
    const b = o.get(src);
    o.update(dst, (a) => {
      const sum = a.add(b);
      o.flagsAdd(a, b, sum, dst.width);
      o.put(src, a);
      return sum;
    });
  },
});

/** Sets general register `index` to `value` where `condition` holds, else leaves all 64 bits alone. */
function replaceIf(o: Semantics, index: number, width: number, condition: Value, value: Value): void {
  // Writing 32 bits clears the upper half in 64-bit mode.
  if (width === 32 && o.long) o.setRegister(index, 64, value.extendU().when(condition, o.register(index, 64)));
  else o.setRegister(index, width, value.when(condition, o.register(index, width)));
}

export const CMPXCHG = instruction("cmpxchg", {
  spec: "SDM 2, CMPXCHG",
  forms: ["0F B0 /r Eb,Gb", "0F B1 /r Ev,Gv"],
  feature: "486",
  lock: true,
  meaning(o, dst, src) {
    const { width } = dst;
    const accumulator = o.register(RAX, width);
    const replacement = o.get(src);
    const compare = (old: Value) => o.flagsSub(accumulator, old, accumulator.sub(old), width);
    if (dst.isMemory) {
      o.update(dst, (old) => {
        const equal = accumulator.eq(old);
        compare(old);
        replaceIf(o, RAX, width, equal.eqz(), old);
        return replacement.when(equal, old);
      });
      return;
    }
    // A register that differs is not written at all: not even its upper half is cleared.
    const old = o.get(dst);
    const equal = accumulator.eq(old);
    compare(old);
    o.if(
      equal,
      () => o.put(dst, replacement),
      () => o.setRegister(RAX, width, old),
    );
  },
});

export const CMPXCHG8B = instruction("cmpxchg8b", {
  spec: "SDM 2, CMPXCHG8B/CMPXCHG16B",
  forms: ["0F C7 /1 Mq ; w0"],
  feature: "cx8",
  lock: true,
  meaning(o, dst) {
    const pair = (low: number, high: number) =>
      o.register(low, 32).extendU().or(o.register(high, 32).extendU().shl(32));
    const expected = pair(RAX, RDX);
    const replacement = pair(RBX, RCX);
    o.update(dst, (old) => {
      const equal = expected.eq(old);
      o.setFlags({ z: equal });
      replaceIf(o, RAX, 32, equal.eqz(), old.wrap());
      replaceIf(o, RDX, 32, equal.eqz(), old.shrU(32).wrap());
      return replacement.when(equal, old);
    });
  },
});

/** Not atomic under LOCK either: WebAssembly has no atomic instruction for 128 bits. */
export const CMPXCHG16B = instruction("cmpxchg16b", {
  spec: "SDM 2, CMPXCHG8B/CMPXCHG16B",
  forms: ["0F C7 /1 Mdq ; w1"],
  feature: "cx16",
  lock: true,
  meaning(o, dst) {
    o.checkAligned(dst, 16);
    const accumulator = o.register(RAX, 64);
    const extension = o.register(RDX, 64);
    const replacement = o.register(RBX, 64).op("i64x2.splat").lane("i64x2.replace_lane", 1, o.register(RCX, 64));
    o.update(dst, (old) => {
      const low = old.lane("i64x2.extract_lane", 0);
      const high = old.lane("i64x2.extract_lane", 1);
      const equal = low.eq(accumulator).and(high.eq(extension));
      o.setFlags({ z: equal });
      replaceIf(o, RAX, 64, equal.eqz(), low);
      replaceIf(o, RDX, 64, equal.eqz(), high);
      return replacement.when(equal, old);
    });
  },
});

export const MOVE: readonly Instruction[] = [
  ...[MOV, MOVZX, MOVSX, MOVSXD, NOP, PAUSE, XCHG, LEA, ...CMOV, ...SET, BSWAP, MOVBE, XLAT, CBW, CWD],
  ...[...flagByte("i64"), ...flagByte("o64"), XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B],
];
