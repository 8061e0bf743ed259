/** MMX and SSE moves between registers and memory. */
import { type Feature, type Instruction, instruction } from "./instruction.ts";
import { type Operand, RDI, type Semantics } from "./semantics.ts";
import { high, low, putVector, vector, widen, zeroExtended } from "./sse-operand.ts";
import type { Value } from "./value.ts";

const spec = (name: string) => `SDM 2, ${name.toUpperCase()}`;

/** All 128 bits, either way; `aligned` ones fault on a misaligned address. */
function whole(name: string, feature: Feature, aligned: boolean, ...forms: string[]): Instruction {
  return instruction(name, {
    spec: spec(name),
    forms,
    feature,
    unit: "sse",
    meaning(o, dst, src) {
      if (aligned) putVector(o, dst, vector(o, src));
      else o.put(dst, o.get(src));
    },
  });
}

/** Operands of equal width below 128 bits. */
function plain(name: string, feature: Feature, unit: "mmx" | "sse" | undefined, ...forms: string[]): Instruction {
  return instruction(name, {
    spec: spec(name),
    forms,
    feature,
    ...(unit ? { unit } : {}),
    meaning: (o, dst, src) => o.put(dst, o.get(src)),
  });
}

/** The same of a number in the low half of an XMM register. */
function number(name: string, feature: Feature, ...forms: string[]): Instruction {
  return instruction(name, {
    spec: spec(name),
    forms,
    feature,
    unit: "sse",
    meaning: (o, dst, src) => o.put(dst, o.getNumber(src)),
  });
}

/** Loads into half of an XMM register, or moves halves between registers. */
function half(name: string, feature: Feature, form: string, combine: (dst: Value, src: Value) => Value): Instruction {
  return instruction(name, {
    spec: spec(name),
    forms: [form],
    feature,
    unit: "sse",
    meaning: (o, dst, src) => o.put(dst, combine(o.get(dst), o.get(src))),
  });
}

const setHigh = (dst: Value, src: Value) => dst.lane("i64x2.replace_lane", 1, src);
const HIGH_TO_LOW = [24, 25, 26, 27, 28, 29, 30, 31, 8, 9, 10, 11, 12, 13, 14, 15];

function storeHigh(name: string, feature: Feature, form: string): Instruction {
  return instruction(name, {
    spec: spec(name),
    forms: [form],
    feature,
    unit: "sse",
    meaning: (o, dst, src) => o.put(dst, high(o.get(src))),
  });
}

/** A scalar: from memory it clears the other lanes, from a register it leaves them. */
function scalar(name: string, feature: Feature, prefix: string, width: "ss" | "sd"): Instruction {
  const shape = width === "ss" ? "f32x4" : "f64x2";
  return instruction(name, {
    spec: spec(name),
    forms: [`${prefix} 0F 10 /r Vdq,W${width}`, `${prefix} 0F 11 /r W${width},V${width}`],
    feature,
    unit: "sse",
    meaning(o, dst, src) {
      if (dst.width !== 128) o.put(dst, o.getNumber(src));
      else if (src.isMemory) o.put(dst, o.getLow(src));
      else o.put(dst, o.get(dst).lane(`${shape}.replace_lane`, 0, o.getNumber(src)));
    },
  });
}

/** Moves between a general register or memory and an XMM register; the rest of the latter becomes zero. */
const MOVD = instruction("movd|movq", {
  spec: "SDM 2, MOVD/MOVQ",
  forms: ["66 0F 6E /r Vdq,Ey", "66 0F 7E /r Ey,Vdq", "F3 0F 7E /r Vdq,Wq", "66 0F D6 /r Mq,Vdq"],
  feature: "sse2",
  unit: "sse",
  meaning(o, dst, src) {
    if (dst.width === 128) o.put(dst, o.getLow(src));
    else o.put(dst, low(o.get(src), dst.width));
  },
});

/** MOVQ between XMM registers clears the upper half of the destination, which is the rm operand here. */
const MOVQ_REGISTER = instruction("movq", {
  spec: "SDM 2, MOVQ",
  forms: ["66 0F D6 /r Udq,Vq"],
  feature: "sse2",
  unit: "sse",
  meaning: (o, dst, src) => o.put(dst, zeroExtended(o, o.get(src))),
});

const MOVD_MMX = instruction("movd|movq", {
  spec: "SDM 2, MOVD/MOVQ",
  forms: ["NP 0F 6E /r Pq,Ey", "NP 0F 7E /r Ey,Pq"],
  feature: "mmx",
  unit: "mmx",
  meaning(o, dst, src) {
    const value = o.get(src);
    o.put(dst, dst.width === 64 ? value.extendU() : value.wrap());
  },
});

const MOVQ2DQ = instruction("movq2dq", {
  spec: "SDM 2, MOVQ2DQ",
  forms: ["F3 0F D6 /r Vdq,Nq"],
  feature: "sse2",
  unit: "mmx",
  meaning: (o, dst, src) => o.put(dst, zeroExtended(o, o.get(src))),
});

/** Lanes copied over their neighbours. */
function duplicate(name: string, form: string, bytes: readonly number[]): Instruction {
  return instruction(name, {
    spec: spec(name),
    forms: [form],
    feature: "sse3",
    unit: "sse",
    meaning(o, dst, src) {
      const value = vector(o, src);
      o.put(dst, value.shuffle(value, bytes));
    },
  });
}

/** The sign bits of the lanes, in a general register. */
function signs(name: string, feature: Feature, unit: "mmx" | "sse", form: string, lanes: string): Instruction {
  return instruction(name, {
    spec: spec(name),
    forms: [form],
    feature,
    unit,
    meaning(o, dst, src) {
      const bits = vector(o, src).op(`${lanes}.bitmask`);
      o.put(dst, src.width === 64 ? bits.and(0xff) : bits);
    },
  });
}

/** Stores the bytes whose mask byte has its sign bit set at DS:rDI. All bytes must be writable, as AMD has it. */
function storeMasked(o: Semantics, data: Operand, mask: Operand): void {
  const { width } = data;
  const offset = o.register(RDI, o.addressSize).extendU();
  const selected = vector(o, mask).op("i8x16.shr_s", o.i32(7));
  const value = vector(o, data);
  o.modify(o.sourceSegment, offset, width, (old) => {
    const merged = value.op("v128.bitselect", width === 128 ? old : widen(old), selected);
    return width === 128 ? merged : low(merged, 64);
  });
}

function maskedMove(name: string, feature: Feature, unit: "mmx" | "sse", form: string): Instruction {
  return instruction(name, { spec: spec(name), forms: [form], feature, unit, meaning: storeMasked });
}

const EVEN_WORDS = [0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11];
const ODD_WORDS = [4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15];
const LOW_TWICE = [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7];

export const SSE_MOVE: readonly Instruction[] = [
  whole("movups", "sse", false, "NP 0F 10 /r Vps,Wps", "NP 0F 11 /r Wps,Vps"),
  whole("movupd", "sse2", false, "66 0F 10 /r Vpd,Wpd", "66 0F 11 /r Wpd,Vpd"),
  whole("movdqu", "sse2", false, "F3 0F 6F /r Vdq,Wdq", "F3 0F 7F /r Wdq,Vdq"),
  whole("lddqu", "sse3", false, "F2 0F F0 /r Vdq,Mdq"),
  whole("movaps", "sse", true, "NP 0F 28 /r Vps,Wps", "NP 0F 29 /r Wps,Vps"),
  whole("movapd", "sse2", true, "66 0F 28 /r Vpd,Wpd", "66 0F 29 /r Wpd,Vpd"),
  whole("movdqa", "sse2", true, "66 0F 6F /r Vdq,Wdq", "66 0F 7F /r Wdq,Vdq"),
  whole("movntps", "sse", true, "NP 0F 2B /r Mps,Vps"),
  whole("movntpd", "sse2", true, "66 0F 2B /r Mpd,Vpd"),
  whole("movntdq", "sse2", true, "66 0F E7 /r Mdq,Vdq"),
  whole("movntdqa", "sse4_1", true, "66 0F 38 2A /r Vdq,Mdq"),
  plain("movnti", "sse2", undefined, "NP 0F C3 /r My,Gy"),
  plain("movntq", "sse", "mmx", "NP 0F E7 /r Mq,Pq"),
  plain("movq", "mmx", "mmx", "NP 0F 6F /r Pq,Qq", "NP 0F 7F /r Qq,Pq"),
  plain("movdq2q", "sse2", "mmx", "F2 0F D6 /r Pq,Uq"),
  MOVD,
  MOVQ_REGISTER,
  MOVD_MMX,
  MOVQ2DQ,
  scalar("movss", "sse", "F3", "ss"),
  scalar("movsd", "sse2", "F2", "sd"),
  number("movlps", "sse", "NP 0F 12 /r Vq,Mq", "NP 0F 13 /r Mq,Vq"),
  number("movlpd", "sse2", "66 0F 12 /r Vq,Mq", "66 0F 13 /r Mq,Vq"),
  half("movhlps", "sse", "NP 0F 12 /r Vdq,Udq", (dst, src) => dst.shuffle(src, HIGH_TO_LOW)),
  half("movlhps", "sse", "NP 0F 16 /r Vdq,Uq", setHigh),
  half("movhps", "sse", "NP 0F 16 /r Vdq,Mq", setHigh),
  half("movhpd", "sse2", "66 0F 16 /r Vdq,Mq", setHigh),
  storeHigh("movhps", "sse", "NP 0F 17 /r Mq,Vdq"),
  storeHigh("movhpd", "sse2", "66 0F 17 /r Mq,Vdq"),
  duplicate("movddup", "F2 0F 12 /r Vdq,Wq", LOW_TWICE),
  duplicate("movsldup", "F3 0F 12 /r Vdq,Wdq", EVEN_WORDS),
  duplicate("movshdup", "F3 0F 16 /r Vdq,Wdq", ODD_WORDS),
  signs("movmskps", "sse", "sse", "NP 0F 50 /r Gd,Udq", "i32x4"),
  signs("movmskpd", "sse2", "sse", "66 0F 50 /r Gd,Udq", "i64x2"),
  signs("pmovmskb", "sse2", "sse", "66 0F D7 /r Gd,Udq", "i8x16"),
  signs("pmovmskb", "sse", "mmx", "NP 0F D7 /r Gd,Nq", "i8x16"),
  maskedMove("maskmovdqu", "sse2", "sse", "66 0F F7 /r Vdq,Udq"),
  maskedMove("maskmovq", "sse", "mmx", "NP 0F F7 /r Pq,Nq"),
];
