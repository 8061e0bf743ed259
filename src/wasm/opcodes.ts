/**
 * WebAssembly instructions by their text-format names. @spec WebAssembly Core 3.0, "Index of Instructions"; threads
 * proposal.
 */
export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

export const TYPE_CODE: Record<ValueType, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

export interface Opcode {
  readonly name: string;
  /** Encoded bytes, prefix included. */
  readonly code: readonly number[];
  readonly result: ValueType;
}

const table = new Map<string, Opcode>();

function run(first: number, result: ValueType | "operand", names: string, prefix?: number): void {
  let code = first;
  for (const name of names.trim().split(/\s+/)) {
    if (name !== "-") {
      const type = result === "operand" ? (name.slice(0, 3) as ValueType) : result;
      table.set(name, { name, code: prefix === undefined ? [code] : [prefix, ...leb(code)], result: type });
    }
    code++;
  }
}

function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >> 7)];
}

const INT_COMPARE = "eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const FLOAT_COMPARE = "eq ne lt gt le ge";
const INT_OPS = "clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr";
const FLOAT_OPS = "abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign";
const typed = (type: string, names: string) => names.replace(/\S+/g, (name) => `${type}.${name}`);

run(0x45, "i32", typed("i32", INT_COMPARE));
run(0x50, "i32", typed("i64", INT_COMPARE));
run(0x5b, "i32", typed("f32", FLOAT_COMPARE));
run(0x61, "i32", typed("f64", FLOAT_COMPARE));
run(0x67, "i32", typed("i32", INT_OPS));
run(0x79, "i64", typed("i64", INT_OPS));
run(0x8b, "f32", typed("f32", FLOAT_OPS));
run(0x99, "f64", typed("f64", FLOAT_OPS));
run(
  0xa7,
  "operand",
  `i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u
   i64.extend_i32_s i64.extend_i32_u i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u
   f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u f32.demote_f64
   f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u f64.promote_f32
   i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64
   i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s`,
);
run(
  0x00,
  "operand",
  `i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u
   i64.trunc_sat_f32_s i64.trunc_sat_f32_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u`,
  0xfc,
);

// Vector instructions (prefix 0xFD) by number; those that yield a scalar are set right below.
const simd = (first: number, names: string) => run(first, "v128", names, 0xfd);
simd(0x0e, `i8x16.swizzle i8x16.splat i16x8.splat i32x4.splat i64x2.splat f32x4.splat f64x2.splat`);
simd(
  0x23,
  `i8x16.eq i8x16.ne i8x16.lt_s i8x16.lt_u i8x16.gt_s i8x16.gt_u i8x16.le_s i8x16.le_u i8x16.ge_s i8x16.ge_u
   i16x8.eq i16x8.ne i16x8.lt_s i16x8.lt_u i16x8.gt_s i16x8.gt_u i16x8.le_s i16x8.le_u i16x8.ge_s i16x8.ge_u
   i32x4.eq i32x4.ne i32x4.lt_s i32x4.lt_u i32x4.gt_s i32x4.gt_u i32x4.le_s i32x4.le_u i32x4.ge_s i32x4.ge_u
   f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le f32x4.ge
   f64x2.eq f64x2.ne f64x2.lt f64x2.gt f64x2.le f64x2.ge
   v128.not v128.and v128.andnot v128.or v128.xor v128.bitselect v128.any_true`,
);
simd(0x5e, "f32x4.demote_f64x2_zero f64x2.promote_low_f32x4");
simd(
  0x60,
  `i8x16.abs i8x16.neg i8x16.popcnt i8x16.all_true i8x16.bitmask i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u
   f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest i8x16.shl i8x16.shr_s i8x16.shr_u
   i8x16.add i8x16.add_sat_s i8x16.add_sat_u i8x16.sub i8x16.sub_sat_s i8x16.sub_sat_u f64x2.ceil f64x2.floor
   i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u f64x2.trunc i8x16.avgr_u
   i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u
   i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u
   i16x8.abs i16x8.neg i16x8.q15mulr_sat_s i16x8.all_true i16x8.bitmask i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u
   i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s i16x8.extend_low_i8x16_u i16x8.extend_high_i8x16_u
   i16x8.shl i16x8.shr_s i16x8.shr_u i16x8.add i16x8.add_sat_s i16x8.add_sat_u i16x8.sub i16x8.sub_sat_s
   i16x8.sub_sat_u f64x2.nearest i16x8.mul i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u - i16x8.avgr_u
   i16x8.extmul_low_i8x16_s i16x8.extmul_high_i8x16_s i16x8.extmul_low_i8x16_u i16x8.extmul_high_i8x16_u
   i32x4.abs i32x4.neg - i32x4.all_true i32x4.bitmask - -
   i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s i32x4.extend_low_i16x8_u i32x4.extend_high_i16x8_u
   i32x4.shl i32x4.shr_s i32x4.shr_u i32x4.add - - i32x4.sub - - - i32x4.mul
   i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u i32x4.dot_i16x8_s -
   i32x4.extmul_low_i16x8_s i32x4.extmul_high_i16x8_s i32x4.extmul_low_i16x8_u i32x4.extmul_high_i16x8_u
   i64x2.abs i64x2.neg - i64x2.all_true i64x2.bitmask - -
   i64x2.extend_low_i32x4_s i64x2.extend_high_i32x4_s i64x2.extend_low_i32x4_u i64x2.extend_high_i32x4_u
   i64x2.shl i64x2.shr_s i64x2.shr_u i64x2.add - - i64x2.sub - - - i64x2.mul
   i64x2.eq i64x2.ne i64x2.lt_s i64x2.gt_s i64x2.le_s i64x2.ge_s
   i64x2.extmul_low_i32x4_s i64x2.extmul_high_i32x4_s i64x2.extmul_low_i32x4_u i64x2.extmul_high_i32x4_u
   f32x4.abs f32x4.neg - f32x4.sqrt f32x4.add f32x4.sub f32x4.mul f32x4.div f32x4.min f32x4.max f32x4.pmin f32x4.pmax
   f64x2.abs f64x2.neg - f64x2.sqrt f64x2.add f64x2.sub f64x2.mul f64x2.div f64x2.min f64x2.max f64x2.pmin f64x2.pmax
   i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s f32x4.convert_i32x4_u
   i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u`,
);
for (const name of table.keys()) {
  if (/any_true|all_true|bitmask/.test(name)) table.set(name, { ...(table.get(name) as Opcode), result: "i32" });
}

/** Lane instructions: they carry a lane number. */
const LANES: readonly [name: string, code: number, result: ValueType][] = [
  ["i8x16.extract_lane_s", 0x15, "i32"],
  ["i8x16.extract_lane_u", 0x16, "i32"],
  ["i8x16.replace_lane", 0x17, "v128"],
  ["i16x8.extract_lane_s", 0x18, "i32"],
  ["i16x8.extract_lane_u", 0x19, "i32"],
  ["i16x8.replace_lane", 0x1a, "v128"],
  ["i32x4.extract_lane", 0x1b, "i32"],
  ["i32x4.replace_lane", 0x1c, "v128"],
  ["i64x2.extract_lane", 0x1d, "i64"],
  ["i64x2.replace_lane", 0x1e, "v128"],
  ["f32x4.extract_lane", 0x1f, "f32"],
  ["f32x4.replace_lane", 0x20, "v128"],
  ["f64x2.extract_lane", 0x21, "f64"],
  ["f64x2.replace_lane", 0x22, "v128"],
];
for (const [name, code, result] of LANES) table.set(name, { name, code: [0xfd, code], result });

/** Loads and stores: opcode and the natural alignment as a power of two. */
export interface MemoryOpcode {
  readonly code: readonly number[];
  readonly align: number;
  readonly type: ValueType;
}

export const LOADS = {
  i32: { code: [0x28], align: 2, type: "i32" },
  i64: { code: [0x29], align: 3, type: "i64" },
  f32: { code: [0x2a], align: 2, type: "f32" },
  f64: { code: [0x2b], align: 3, type: "f64" },
  "i32.8s": { code: [0x2c], align: 0, type: "i32" },
  "i32.8u": { code: [0x2d], align: 0, type: "i32" },
  "i32.16s": { code: [0x2e], align: 1, type: "i32" },
  "i32.16u": { code: [0x2f], align: 1, type: "i32" },
  "i64.8s": { code: [0x30], align: 0, type: "i64" },
  "i64.8u": { code: [0x31], align: 0, type: "i64" },
  "i64.16s": { code: [0x32], align: 1, type: "i64" },
  "i64.16u": { code: [0x33], align: 1, type: "i64" },
  "i64.32s": { code: [0x34], align: 2, type: "i64" },
  "i64.32u": { code: [0x35], align: 2, type: "i64" },
  v128: { code: [0xfd, 0x00], align: 4, type: "v128" },
  // Into the low lane; the others become zero.
  "v128.32zero": { code: [0xfd, 0x5c], align: 2, type: "v128" },
  "v128.64zero": { code: [0xfd, 0x5d], align: 3, type: "v128" },
} as const satisfies Record<string, MemoryOpcode>;

export const STORES = {
  i32: { code: [0x36], align: 2, type: "i32" },
  i64: { code: [0x37], align: 3, type: "i64" },
  f32: { code: [0x38], align: 2, type: "f32" },
  f64: { code: [0x39], align: 3, type: "f64" },
  "i32.8": { code: [0x3a], align: 0, type: "i32" },
  "i32.16": { code: [0x3b], align: 1, type: "i32" },
  "i64.8": { code: [0x3c], align: 0, type: "i64" },
  "i64.16": { code: [0x3d], align: 1, type: "i64" },
  "i64.32": { code: [0x3e], align: 2, type: "i64" },
  v128: { code: [0xfd, 0x0b], align: 4, type: "v128" },
} as const satisfies Record<string, MemoryOpcode>;

export type LoadKind = keyof typeof LOADS;
export type StoreKind = keyof typeof STORES;

/** Read-modify-writes, in the order of their opcodes: seven of each, one for each type and width. */
const ATOMIC_OPERATIONS = ["add", "sub", "and", "or", "xor", "xchg", "cmpxchg"] as const;
export type AtomicOperation = (typeof ATOMIC_OPERATIONS)[number];
const FIRST_ATOMIC = 0x1e;
/** Of the seven, those that are used: up to 32 bits as i32, zero-extended. */
const ATOMIC_WIDTHS: readonly { readonly width: number; readonly at: number; readonly type: "i32" | "i64" }[] = [
  { width: 8, at: 2, type: "i32" },
  { width: 16, at: 3, type: "i32" },
  { width: 32, at: 0, type: "i32" },
  { width: 64, at: 1, type: "i64" },
];
const ATOMICS = new Map<string, Opcode & { readonly align: number }>();
for (const [i, operation] of ATOMIC_OPERATIONS.entries()) {
  for (const { width, at, type } of ATOMIC_WIDTHS) {
    const name = `${type}.atomic.rmw${width < 32 ? width : ""}.${operation}${width < 32 ? "_u" : ""}`;
    const code = [0xfe, FIRST_ATOMIC + i * 7 + at];
    ATOMICS.set(`${operation} ${width}`, { name, code, result: type, align: Math.log2(width / 8) });
  }
}

/** The atomic instruction for an operation on `width` bits: 8, 16, 32 or 64. */
export function atomicOpcode(operation: AtomicOperation, width: number): Opcode & { readonly align: number } {
  const found = ATOMICS.get(`${operation} ${width}`);
  if (!found) throw new Error(`there is no atomic ${operation} of ${width} bits`);
  return found;
}

/** Text-format name of a load or store. */
function accessName(kind: string, verb: "load" | "store"): string {
  const [, type = kind, bits, rest = ""] = /^(.+)\.(\d+)(\D*)$/.exec(kind) ?? [];
  if (bits === undefined) return `${type}.${verb}`;
  return `${type}.${verb}${bits}${rest === "" ? "" : `_${rest}`}`;
}

/** Immediates that follow an opcode: none, an offset and alignment, or a lane's number. */
export type Immediates = "none" | "memory" | "lane";

/** All instructions of this file by the bytes of their opcodes, joined by commas, for whoever reads code. */
export function opcodesByCode(): ReadonlyMap<string, { readonly name: string; readonly immediates: Immediates }> {
  const found = new Map<string, { name: string; immediates: Immediates }>();
  const lanes = new Set(LANES.map(([name]) => name));
  for (const { name, code } of table.values())
    found.set(code.join(), { name, immediates: lanes.has(name) ? "lane" : "none" });
  for (const [verb, kinds] of [
    ["load", LOADS],
    ["store", STORES],
  ] as const) {
    for (const [kind, { code }] of Object.entries(kinds))
      found.set(code.join(), { name: accessName(kind, verb), immediates: "memory" });
  }
  for (const { name, code } of ATOMICS.values()) found.set(code.join(), { name, immediates: "memory" });
  return found;
}

/** The instruction of this name. */
export function opcode(name: string): Opcode {
  const found = table.get(name);
  if (!found) throw new Error(`no WebAssembly instruction is named ${name}`);
  return found;
}
