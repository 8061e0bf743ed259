/** Single lanes in and out of MMX and XMM registers: PINSR, PEXTR, INSERTPS, EXTRACTPS; PTEST. */
import { type Feature, type Instruction, instruction } from "./instruction.ts";
import type { Semantics } from "./semantics.ts";
import { IOTA, immediate, LANE_SHAPE, maskOfBits, putVector, splat8, swizzle, vector } from "./sse-operand.ts";
import type { Value } from "./value.ts";

const spec = (name: string) => `SDM 2, ${name.toUpperCase()}`;
type Width = 8 | 16 | 32 | 64;

/** Lane `index` (i32, below the number of lanes) as i32 or i64. */
function laneAt(o: Semantics, value: Value, index: Value, width: Width): Value {
  const shape = LANE_SHAPE[width];
  const extract = `${shape}.extract_lane${width < 32 ? "_u" : ""}`;
  if (index.constant !== undefined) return value.lane(extract, Number(index.constant));
  const first = splat8(index.mul(width / 8));
  return swizzle(value, o.v128(IOTA).op("i8x16.add", first)).lane(extract, 0);
}

/** `value` with lane `index` replaced. */
function withLane(o: Semantics, value: Value, index: Value, width: Width, lane: Value): Value {
  const shape = LANE_SHAPE[width];
  if (index.constant !== undefined) return value.lane(`${shape}.replace_lane`, Number(index.constant), lane);
  const numbers = o.v128(IOTA.map((i) => Math.floor((i * 8) / width)));
  const mask = numbers.op("i8x16.eq", splat8(index));
  return lane.op(`${shape}.splat`).op("v128.bitselect", value, mask);
}

interface ElementRow {
  readonly name: string;
  readonly forms: readonly string[];
  readonly feature: Feature;
  readonly unit?: "mmx" | "sse";
  /** Lane width; 0 where it follows REX.W. */
  readonly width: 0 | 8 | 16 | 32;
}

function insert({ name, forms, feature, unit = "sse", width }: ElementRow): Instruction {
  return instruction(name, {
    spec: spec(name),
    forms,
    feature,
    unit,
    meaning(o, dst, src, position) {
      const lane = o.get(src);
      const bits = width === 0 ? (src.width as 32 | 64) : width;
      const index = immediate(o, position).and(dst.width / bits - 1);
      putVector(o, dst, withLane(o, vector(o, dst), index, bits, lane));
    },
  });
}

function extract({ name, forms, feature, unit = "sse", width }: ElementRow): Instruction {
  return instruction(name, {
    spec: spec(name),
    forms,
    feature,
    unit,
    meaning(o, dst, src, position) {
      const bits = width === 0 ? (dst.width as 32 | 64) : width;
      const index = immediate(o, position).and(src.width / bits - 1);
      o.put(dst, laneAt(o, vector(o, src), index, bits));
    },
  });
}

const INSERTIONS: readonly ElementRow[] = [
  { name: "pinsrb", forms: ["66 0F 3A 20 /r Vdq,RdMb,Ib"], feature: "sse4_1", width: 8 },
  { name: "pinsrw", forms: ["66 0F C4 /r Vdq,RdMw,Ib"], feature: "sse2", width: 16 },
  { name: "pinsrw", forms: ["NP 0F C4 /r Pq,RdMw,Ib"], feature: "sse", unit: "mmx", width: 16 },
  { name: "pinsrd|pinsrq", forms: ["66 0F 3A 22 /r Vdq,Ey,Ib"], feature: "sse4_1", width: 0 },
];

const EXTRACTIONS: readonly ElementRow[] = [
  { name: "pextrb", forms: ["66 0F 3A 14 /r RdMb,Vdq,Ib"], feature: "sse4_1", width: 8 },
  { name: "pextrw", forms: ["66 0F 3A 15 /r RdMw,Vdq,Ib"], feature: "sse4_1", width: 16 },
  { name: "pextrw", forms: ["66 0F C5 /r Gd,Udq,Ib"], feature: "sse2", width: 16 },
  { name: "pextrw", forms: ["NP 0F C5 /r Gd,Nq,Ib"], feature: "sse", unit: "mmx", width: 16 },
  { name: "pextrd|pextrq", forms: ["66 0F 3A 16 /r Ey,Vdq,Ib"], feature: "sse4_1", width: 0 },
  { name: "extractps", forms: ["66 0F 3A 17 /r Ed,Vdq,Ib"], feature: "sse4_1", width: 32 },
];

/** Immediate: bits 7:6 the source lane (of a register), 5:4 the destination lane, 3:0 lanes to clear. */
const INSERTPS = instruction("insertps", {
  spec: "SDM 2, INSERTPS",
  forms: ["66 0F 3A 21 /r Vdq,Udq,Ib", "66 0F 3A 21 /r Vdq,Md,Ib"],
  feature: "sse4_1",
  unit: "sse",
  meaning(o, dst, src, control) {
    const select = immediate(o, control);
    const value = o.get(src);
    const lane = src.isMemory ? value : laneAt(o, value, select.shrU(6), 32);
    const inserted = withLane(o, o.get(dst), select.shrU(4).and(3), 32, lane);
    o.put(dst, inserted.op("v128.andnot", maskOfBits(o, select, 32)));
  },
});

/** ZF: no bit is set in both. CF: every bit of the source is set in the destination. */
const PTEST = instruction("ptest", {
  spec: "SDM 2, PTEST",
  forms: ["66 0F 38 17 /r Vdq,Wdq"],
  feature: "sse4_1",
  unit: "sse",
  meaning(o, dst, src) {
    const b = vector(o, src);
    const a = o.get(dst);
    const none = o.i32(0);
    o.setFlags({
      z: a.op("v128.and", b).op("v128.any_true").eqz(),
      c: b.op("v128.andnot", a).op("v128.any_true").eqz(),
      o: none,
      s: none,
      a: none,
      p: none,
    });
  },
});

export const SSE_ELEMENT: readonly Instruction[] = [
  ...INSERTIONS.map(insert),
  ...EXTRACTIONS.map(extract),
  INSERTPS,
  PTEST,
];
