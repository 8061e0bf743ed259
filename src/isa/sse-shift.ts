/** Packed shifts by bits and by bytes, and PALIGNR. */
import { type Feature, type Instruction, instruction } from "./instruction.ts";
import type { Semantics } from "./semantics.ts";
import { immediate, low, pattern, putVector, shiftIndices, swizzle, vector, zeroExtended } from "./sse-operand.ts";
import type { Value } from "./value.ts";

interface ShiftRow {
  readonly name: string;
  /** WebAssembly's instruction; its count is taken modulo the lane width. */
  readonly shift: string;
  readonly width: 16 | 32 | 64;
  /** Counts beyond the lane: "zero" clears, "sign" shifts by width - 1. */
  readonly beyond: "zero" | "sign";
  /** Opcode with the count in a register or memory, and opcode and digit with an immediate count. */
  readonly opcode: string;
  readonly immediate: string;
}

const ROWS: readonly ShiftRow[] = [
  { name: "psrlw", shift: "i16x8.shr_u", width: 16, beyond: "zero", opcode: "D1", immediate: "71 /2" },
  { name: "psrld", shift: "i32x4.shr_u", width: 32, beyond: "zero", opcode: "D2", immediate: "72 /2" },
  { name: "psrlq", shift: "i64x2.shr_u", width: 64, beyond: "zero", opcode: "D3", immediate: "73 /2" },
  { name: "psraw", shift: "i16x8.shr_s", width: 16, beyond: "sign", opcode: "E1", immediate: "71 /4" },
  { name: "psrad", shift: "i32x4.shr_s", width: 32, beyond: "sign", opcode: "E2", immediate: "72 /4" },
  { name: "psllw", shift: "i16x8.shl", width: 16, beyond: "zero", opcode: "F1", immediate: "71 /6" },
  { name: "pslld", shift: "i32x4.shl", width: 32, beyond: "zero", opcode: "F2", immediate: "72 /6" },
  { name: "psllq", shift: "i64x2.shl", width: 64, beyond: "zero", opcode: "F3", immediate: "73 /6" },
];

/** `value` shifted by `count`, an i32 or i64 of which every bit counts. */
function shifted(o: Semantics, row: ShiftRow, value: Value, count: Value): Value {
  const inside = count.ltU(row.width);
  if (row.beyond === "sign") return value.op(row.shift, count.wrap().when(inside, row.width - 1));
  return value.op(row.shift, count.wrap()).when(inside, pattern(o, 0));
}

function bitShift(row: ShiftRow, unit: "mmx" | "sse", feature: Feature): Instruction {
  const mmx = unit === "mmx";
  const prefix = mmx ? "NP" : "66";
  return instruction(row.name, {
    spec: `SDM 2, ${row.name.toUpperCase()}`,
    forms: [
      `${prefix} 0F ${row.opcode} /r ${mmx ? "Pq,Qq" : "Vdq,Wdq"}`,
      `${prefix} 0F ${row.immediate} ${mmx ? "Nq" : "Udq"},Ib`,
    ],
    feature,
    unit,
    meaning(o, dst, src) {
      const count = src.width === 8 ? immediate(o, src) : low(vector(o, src), 64);
      putVector(o, dst, shifted(o, row, vector(o, dst), count));
    },
  });
}

/** Shifts of the whole register; `direction` is +1 towards the low end. */
function byteShift(name: string, digit: number, direction: 1 | -1): Instruction {
  return instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`66 0F 73 /${digit} Udq,Ib`],
    feature: "sse2",
    unit: "sse",
    meaning(o, dst, src) {
      const count = immediate(o, src);
      const bytes = count.when(count.ltU(16), 16);
      o.put(dst, swizzle(o.get(dst), shiftIndices(o, direction > 0 ? bytes : bytes.neg())));
    },
  });
}

const PALIGNR = instruction("palignr", {
  spec: "SDM 2, PALIGNR",
  forms: ["66 0F 3A 0F /r Vdq,Wdq,Ib"],
  feature: "ssse3",
  unit: "sse",
  meaning(o, dst, src, count) {
    const b = vector(o, src);
    const n = immediate(o, count);
    const bytes = n.when(n.ltU(32), 32);
    const lower = swizzle(b, shiftIndices(o, bytes));
    o.put(dst, lower.op("v128.or", swizzle(o.get(dst), shiftIndices(o, bytes.sub(16)))));
  },
});

const PALIGNR_MMX = instruction("palignr", {
  spec: "SDM 2, PALIGNR",
  forms: ["NP 0F 3A 0F /r Pq,Qq,Ib"],
  feature: "ssse3",
  unit: "mmx",
  meaning(o, dst, src, count) {
    const joined = zeroExtended(o, o.get(src)).lane("i64x2.replace_lane", 1, o.get(dst));
    const n = immediate(o, count);
    putVector(o, dst, swizzle(joined, shiftIndices(o, n.when(n.ltU(16), 16))));
  },
});

export const SSE_SHIFT: readonly Instruction[] = [
  ...ROWS.flatMap((row) => [bitShift(row, "mmx", "mmx"), bitShift(row, "sse", "sse2")]),
  byteShift("psrldq", 3, 1),
  byteShift("pslldq", 7, -1),
  PALIGNR,
  PALIGNR_MMX,
];
