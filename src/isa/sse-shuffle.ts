/** Shuffles, interleaving, packing, blending and widening of lanes. */
import { type Feature, type Instruction, instruction } from "./instruction.ts";
import type { Semantics } from "./semantics.ts";
import {
  IOTA,
  immediate,
  LANE_SHAPE,
  lanes,
  maskOfBits,
  pattern,
  putVector,
  swizzle,
  vector,
  widen,
  words32,
} from "./sse-operand.ts";
import { type Combine, packed, wasm } from "./sse-packed.ts";
import type { Value } from "./value.ts";

const spec = (name: string) => `SDM 2, ${name.toUpperCase()}`;

/** Byte indices of a shuffle that alternates lanes of `bytes` bytes of a and b, from byte `from` of each. */
function interleaved(bytes: number, from: number): number[] {
  return IOTA.map((i) => {
    const lane = Math.floor(i / bytes);
    return from + (lane >> 1) * bytes + (i % bytes) + (lane % 2) * 16;
  });
}

const interleave =
  (bytes: number, from: number): Combine =>
  (_o, a, b) =>
    a.shuffle(b, interleaved(bytes, from));

/** Interleaving low halves. The MMX form has a memory operand of 32 bits, the XMM form one of 128. */
function unpackLow(name: string, opcode: string, bytes: number): Instruction[] {
  const mmx = instruction(name, {
    spec: spec(name),
    forms: [`NP 0F ${opcode} /r Pq,Qd`],
    feature: "mmx",
    unit: "mmx",
    meaning(o, dst, src) {
      const b = vector(o, src);
      putVector(o, dst, vector(o, dst).shuffle(b, interleaved(bytes, 0)));
    },
  });
  return [mmx, ...packed({ name, opcode: `0F ${opcode}`, xmm: "sse2", combine: interleave(bytes, 0) })];
}

function unpackHigh(name: string, opcode: string, bytes: number): Instruction[] {
  return packed({
    name,
    opcode: `0F ${opcode}`,
    mmx: "mmx",
    xmm: "sse2",
    combine: interleave(bytes, 8),
    combineMmx: interleave(bytes, 4),
  });
}

/** Narrowing with saturation; on MMX registers the operands are put together first. */
function pack(name: string, opcode: string, narrow: string): Instruction[] {
  const join = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
  const combineMmx: Combine = (_o, a, b) => {
    const joined = a.shuffle(b, join);
    return joined.op(narrow, joined);
  };
  return packed({ name, opcode: `0F ${opcode}`, mmx: "mmx", xmm: "sse2", combine: wasm(narrow), combineMmx });
}

/** Lane numbers 0–3 of a four-lane shuffle, out of an immediate, in lanes of 16 or 32 bits. */
function selected(o: Semantics, control: Value, width: 16 | 32): Value {
  const shape = LANE_SHAPE[width];
  const factors = width === 16 ? pattern(o, 64, 0, 16, 0, 4, 0, 1, 0) : words32(o, 64, 16, 4, 1);
  return control
    .op(`${shape}.splat`)
    .op(`${shape}.mul`, factors)
    .op(`${shape}.shr_u`, o.i32(6))
    .op("v128.and", lanes(o, width, 3));
}

/** Byte indices for `swizzle` out of an immediate that picks four 32-bit lanes. */
function indices32(o: Semantics, control: Value): Value {
  const picked = selected(o, control, 32).op("i32x4.mul", lanes(o, 32, 0x04040404));
  return picked.op("i32x4.add", lanes(o, 32, 0x03020100));
}

/** Byte indices that pick four 16-bit lanes, relative to the first of them. */
function indices16(o: Semantics, control: Value): Value {
  return selected(o, control, 16)
    .op("i16x8.mul", lanes(o, 16, 0x0202))
    .op("i16x8.add", lanes(o, 16, 0x0100));
}

/** Byte indices of lanes known when code is built: `first` + lane * bytes. */
function staticIndices(control: number, bytes: number, first = 0): number[] {
  return Array.from({ length: 4 * bytes }, (_, i) => {
    const lane = (control >> (2 * Math.floor(i / bytes))) & 3;
    return first + lane * bytes + (i % bytes);
  });
}

const LOW_HALF = IOTA.slice(0, 8);
const HIGH_HALF = IOTA.slice(8);

interface LaneShuffle {
  readonly name: string;
  readonly form: string;
  readonly feature: Feature;
  readonly unit: "mmx" | "sse";
  /** Byte indices for a known immediate, and for one that is known when the code runs. */
  readonly fixed: (control: number) => readonly number[];
  readonly computed: (o: Semantics, control: Value) => Value;
}

function laneShuffle({ name, form, feature, unit, fixed, computed }: LaneShuffle): Instruction {
  return instruction(name, {
    spec: spec(name),
    forms: [form],
    feature,
    unit,
    meaning(o, dst, src, control) {
      const value = vector(o, src);
      const select = immediate(o, control);
      const { constant } = select;
      const known = constant === undefined ? undefined : fixed(Number(constant));
      putVector(o, dst, known ? value.shuffle(value, known) : swizzle(value, computed(o, select)));
    },
  });
}

const SHUFFLES: readonly LaneShuffle[] = [
  {
    name: "pshufd",
    form: "66 0F 70 /r Vdq,Wdq,Ib",
    feature: "sse2",
    unit: "sse",
    fixed: (control) => staticIndices(control, 4),
    computed: indices32,
  },
  {
    name: "pshuflw",
    form: "F2 0F 70 /r Vdq,Wdq,Ib",
    feature: "sse2",
    unit: "sse",
    fixed: (control) => [...staticIndices(control, 2), ...HIGH_HALF],
    computed: (o, control) =>
      indices16(o, control).shuffle(o.v128(IOTA), [...LOW_HALF, ...HIGH_HALF.map((i) => i + 16)]),
  },
  {
    name: "pshufhw",
    form: "F3 0F 70 /r Vdq,Wdq,Ib",
    feature: "sse2",
    unit: "sse",
    fixed: (control) => [...LOW_HALF, ...staticIndices(control, 2, 8)],
    computed: (o, control) => {
      const upper = indices16(o, control).op("i8x16.add", pattern(o, 8));
      return upper.shuffle(o.v128(IOTA), [...LOW_HALF.map((i) => i + 16), ...HIGH_HALF]);
    },
  },
  {
    name: "pshufw",
    form: "NP 0F 70 /r Pq,Qq,Ib",
    feature: "sse",
    unit: "mmx",
    fixed: (control) => [...staticIndices(control, 2), ...HIGH_HALF],
    computed: indices16,
  },
];

/** Two lanes out of the destination, two out of the source. */
const SHUFPS = instruction("shufps", {
  spec: "SDM 2, SHUFPS",
  forms: ["NP 0F C6 /r Vps,Wps,Ib"],
  feature: "sse",
  unit: "sse",
  meaning(o, dst, src, control) {
    const b = vector(o, src);
    const a = o.get(dst);
    const select = immediate(o, control);
    if (select.constant !== undefined) {
      const bytes = staticIndices(Number(select.constant), 4);
      o.put(dst, a.shuffle(b, [...bytes.slice(0, 8), ...bytes.slice(8).map((i) => i + 16)]));
    } else {
      const indices = indices32(o, select);
      o.put(dst, swizzle(a, indices).shuffle(swizzle(b, indices), [...LOW_HALF, ...HIGH_HALF.map((i) => i + 16)]));
    }
  },
});

const SHUFPD = instruction("shufpd", {
  spec: "SDM 2, SHUFPD",
  forms: ["66 0F C6 /r Vpd,Wpd,Ib"],
  feature: "sse2",
  unit: "sse",
  meaning(o, dst, src, control) {
    const b = vector(o, src);
    const a = o.get(dst);
    const select = immediate(o, control);
    const lane = (value: Value, bit: Value) =>
      value.lane("i64x2.extract_lane", 1).when(bit, value.lane("i64x2.extract_lane", 0));
    const first = lane(a, select.and(1)).op("i64x2.splat");
    o.put(dst, first.lane("i64x2.replace_lane", 1, lane(b, select.and(2))));
  },
});

const shuffleBytes =
  (indexBits: number): Combine =>
  (o, a, b) =>
    swizzle(a, b.op("v128.and", pattern(o, indexBits)));

/** Lanes of the source where an immediate's bits are set. */
function blend(name: string, opcode: string, width: 16 | 32 | 64): Instruction {
  return instruction(name, {
    spec: spec(name),
    forms: [`66 0F 3A ${opcode} /r Vdq,Wdq,Ib`],
    feature: "sse4_1",
    unit: "sse",
    meaning(o, dst, src, control) {
      const b = vector(o, src);
      const a = o.get(dst);
      const bits = immediate(o, control);
      const { constant } = bits;
      if (constant === undefined) {
        o.put(dst, b.op("v128.bitselect", a, maskOfBits(o, bits, width)));
      } else {
        const fromSource = (byte: number) => (Number(constant) >> Math.floor((byte * 8) / width)) & 1;
        o.put(
          dst,
          a.shuffle(
            b,
            IOTA.map((i) => i + 16 * fromSource(i)),
          ),
        );
      }
    },
  });
}

/** Lanes of the source where the lanes of XMM0 are negative. */
function blendVariable(name: string, opcode: string, width: 8 | 32 | 64): Instruction {
  return instruction(name, {
    spec: spec(name),
    forms: [`66 0F 38 ${opcode} /r Vdq,Wdq`],
    feature: "sse4_1",
    unit: "sse",
    meaning(o, dst, src) {
      const b = vector(o, src);
      const mask = o.xmm(0).op(`${LANE_SHAPE[width]}.shr_s`, o.i32(width - 1));
      o.put(dst, b.op("v128.bitselect", o.get(dst), mask));
    },
  });
}

/** PMOVSX and PMOVZX: each step doubles the width of the low lanes. */
function extend(name: string, opcode: string, source: "q" | "d" | "w", steps: readonly string[]): Instruction {
  return instruction(name, {
    spec: spec(name),
    forms: [`66 0F 38 ${opcode} /r Vdq,W${source}`],
    feature: "sse4_1",
    unit: "sse",
    meaning(o, dst, src) {
      o.put(
        dst,
        steps.reduce((value, step) => value.op(step), widen(o.get(src))),
      );
    },
  });
}

const EXTENSIONS = (["s", "u"] as const).flatMap((sign) => {
  const name = sign === "s" ? "pmovsx" : "pmovzx";
  const opcode = (low: number) => `${sign === "s" ? 2 : 3}${low}`;
  const [toWord, toDword, toQword] = ["i16x8.extend_low_i8x16", "i32x4.extend_low_i16x8", "i64x2.extend_low_i32x4"].map(
    (step) => `${step}_${sign}`,
  ) as [string, string, string];
  return [
    extend(`${name}bw`, opcode(0), "q", [toWord]),
    extend(`${name}bd`, opcode(1), "d", [toWord, toDword]),
    extend(`${name}bq`, opcode(2), "w", [toWord, toDword, toQword]),
    extend(`${name}wd`, opcode(3), "q", [toDword]),
    extend(`${name}wq`, opcode(4), "d", [toDword, toQword]),
    extend(`${name}dq`, opcode(5), "q", [toQword]),
  ];
});

export const SSE_SHUFFLE: readonly Instruction[] = [
  ...unpackLow("punpcklbw", "60", 1),
  ...unpackLow("punpcklwd", "61", 2),
  ...unpackLow("punpckldq", "62", 4),
  ...packed({ name: "punpcklqdq", opcode: "0F 6C", xmm: "sse2", combine: interleave(8, 0) }),
  ...packed({ name: "unpcklps", opcode: "0F 14", prefix: "NP", xmm: "sse", combine: interleave(4, 0) }),
  ...packed({ name: "unpcklpd", opcode: "0F 14", xmm: "sse2", combine: interleave(8, 0) }),
  ...unpackHigh("punpckhbw", "68", 1),
  ...unpackHigh("punpckhwd", "69", 2),
  ...unpackHigh("punpckhdq", "6A", 4),
  ...packed({ name: "punpckhqdq", opcode: "0F 6D", xmm: "sse2", combine: interleave(8, 8) }),
  ...packed({ name: "unpckhps", opcode: "0F 15", prefix: "NP", xmm: "sse", combine: interleave(4, 8) }),
  ...packed({ name: "unpckhpd", opcode: "0F 15", xmm: "sse2", combine: interleave(8, 8) }),
  ...pack("packsswb", "63", "i8x16.narrow_i16x8_s"),
  ...pack("packuswb", "67", "i8x16.narrow_i16x8_u"),
  ...pack("packssdw", "6B", "i16x8.narrow_i32x4_s"),
  ...packed({ name: "packusdw", opcode: "0F 38 2B", xmm: "sse4_1", combine: wasm("i16x8.narrow_i32x4_u") }),
  ...SHUFFLES.map(laneShuffle),
  SHUFPS,
  SHUFPD,
  ...packed({
    name: "pshufb",
    opcode: "0F 38 00",
    mmx: "ssse3",
    xmm: "ssse3",
    combine: shuffleBytes(0x8f),
    combineMmx: shuffleBytes(0x87),
  }),
  blend("blendps", "0C", 32),
  blend("blendpd", "0D", 64),
  blend("pblendw", "0E", 16),
  blendVariable("pblendvb", "10", 8),
  blendVariable("blendvps", "14", 32),
  blendVariable("blendvpd", "15", 64),
  ...EXTENSIONS,
];
