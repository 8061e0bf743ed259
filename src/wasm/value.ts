/**
 * A value inside a function under construction: one node of its expression graph. Every value is computed
 * once, where it was made, and never changes; making one emits nothing until the function is finished,
 * when values that nobody uses have vanished and those used once are computed where they are used.
 */
import type { Callee } from "./function.ts";
import { type Opcode, opcode, type ValueType } from "./opcodes.ts";

/** A value, or a number that becomes a constant of the other operand's type. */
export type Operand = Value | number | bigint;

/** What may move: nothing ("effect"), pure arithmetic anywhere, reads up to the next effect. */
export type Mobility = "pure" | "read" | "effect";

/** Where values are recorded: the body being built. */
export interface Recorder {
  record(value: Value): Value;
}

export interface NodeFields {
  readonly opcode?: Opcode | undefined;
  /** The literal of a constant; the immediates of other instructions, encoded. */
  readonly constant?: number | bigint;
  readonly immediate?: readonly number[];
  /** The function that a call goes to. */
  readonly callee?: Callee;
  /** Number of the local variable that is read. */
  readonly variable?: number;
}

const mask32 = (value: number | bigint) => Number(BigInt.asUintN(32, BigInt(value)));
const NO_VALUES: readonly Value[] = [];

export class Value {
  readonly type: ValueType;
  readonly opcode: Opcode | undefined;
  readonly args: readonly Value[];
  readonly mobility: Mobility;
  readonly constant: number | bigint | undefined;
  readonly immediate: readonly number[] | undefined;
  readonly callee: Callee | undefined;
  /** Number of the local variable that it is read from, or -1. */
  readonly variable: number;
  readonly #owner: Recorder;
  // Filled in when the function is finished.
  /** How many low bits may be set (narrow.ts). */
  bits = 64;
  /** A simpler value in place of this one. */
  instead: Value | undefined = undefined;
  uses = 0;
  /** Of these, how many stand where control rarely comes. */
  rareUses = 0;
  local = -1;
  inlined = false;
  /** Computed at each of its uses, which are all rare. */
  sunk = false;
  cost = 1;
  user: object | undefined = undefined;
  place: object | undefined = undefined;
  position = 0;

  constructor(
    owner: Recorder,
    type: ValueType,
    mobility: Mobility,
    fields: NodeFields,
    args: readonly Value[] = NO_VALUES,
  ) {
    this.#owner = owner;
    this.type = type;
    this.opcode = fields.opcode;
    this.args = args;
    this.mobility = mobility;
    this.constant = fields.constant;
    this.immediate = fields.immediate;
    this.callee = fields.callee;
    this.variable = fields.variable ?? -1;
  }

  /** A constant of this value's type (or of `type`). */
  literal(value: number | bigint, type: ValueType = this.type): Value {
    return new Value(this.#owner, type, "pure", { constant: value });
  }

  #operand(value: Operand, type: ValueType = this.type): Value {
    if (!(value instanceof Value)) return this.literal(value, type);
    if (value.type !== type) throw new TypeError(`operand is ${value.type}, expected ${type}`);
    return value;
  }

  /** The instruction `name` (text format) on this value and further operands. */
  op(name: string, ...rest: Value[]): Value {
    const reinterpreted = REINTERPRETED.get(name);
    if (reinterpreted !== undefined) {
      // There and back, or out of a lane, which can be had as either type.
      const from = this.opcode?.name;
      if (from === reinterpreted.back) return this.args[0] as Value;
      if (from === reinterpreted.lane && this.immediate) {
        return (this.args[0] as Value).lane(reinterpreted.asLane, this.immediate[0] as number);
      }
    }
    return this.#apply(fieldsOf(name), rest);
  }

  #apply(fields: NodeFields & { readonly opcode: Opcode }, rest: readonly Value[]): Value {
    const args = rest.length === 0 ? [this] : [this, ...rest];
    return this.#owner.record(new Value(this.#owner, fields.opcode.result, "pure", fields, args));
  }

  /** A lane instruction (`i32x4.extract_lane`, ...) with its lane number. */
  lane(name: string, lane: number, ...rest: Value[]): Value {
    const known = rest.length === 0 ? this.#laneThatWasSet(name, lane) : this.#withNumberInLane(name, lane, rest);
    if (known !== undefined) return known;
    // V8 has a faster way to the lowest lane of doubles.
    if (lane === 0 && name === "i64x2.extract_lane")
      return this.lane("f64x2.extract_lane", 0).op("i64.reinterpret_f64");
    return this.#apply({ opcode: opcode(name), immediate: [lane] }, rest);
  }

  /** The lane, where this value was made by setting it or another one of that size. */
  #laneThatWasSet(name: string, lane: number): Value | undefined {
    const shape = LANES_OUT.get(name);
    const set = this.opcode && LANES_IN.get(this.opcode.name);
    if (shape === undefined || set === undefined || set.bits !== shape.bits) return undefined;
    const [vector, value] = this.args as [Value, Value];
    if (this.immediate?.[0] !== lane) return vector.lane(name, lane);
    return value.type === shape.type ? value : value.op(`${shape.type}.reinterpret_${value.type}`);
  }

  /** A number that was reinterpreted to be put into a lane goes there as it is. */
  #withNumberInLane(name: string, lane: number, [value]: Value[]): Value | undefined {
    const set = LANES_IN.get(name);
    const from = value?.opcode?.name;
    if (set === undefined || from === undefined || from !== REINTERPRETED.get(set.reinterpreted)?.back)
      return undefined;
    return this.lane(set.asNumber, lane, (value as Value).args[0] as Value);
  }

  /** `i8x16.shuffle` of this value (lanes 0–15) and `other` (16–31). */
  shuffle(other: Value, lanes: readonly number[]): Value {
    return this.#apply({ opcode: SHUFFLE, immediate: lanes }, [other]);
  }

  #binary(name: string, other: Operand): Value {
    const right = this.#operand(other);
    if (this.constant !== undefined && right.constant !== undefined) {
      const folded = fold(name, this.type, this.constant, right.constant);
      if (folded !== undefined) return this.literal(folded, RESULT_I32.has(name) ? "i32" : this.type);
    }
    const integer = this.type === "i32" || this.type === "i64";
    if (integer && right.constant !== undefined && Number(right.constant) === 0 && ZERO_IS_NEUTRAL.has(name))
      return this;
    return this.#apply(typedFields(this.type, name), [right]);
  }

  // Integer arithmetic (add, sub, mul also for f32 and f64).
  add(other: Operand): Value {
    return this.#binary("add", other);
  }
  sub(other: Operand): Value {
    return this.#binary("sub", other);
  }
  mul(other: Operand): Value {
    return this.#binary("mul", other);
  }
  and(other: Operand): Value {
    return this.#binary("and", other);
  }
  or(other: Operand): Value {
    return this.#binary("or", other);
  }
  xor(other: Operand): Value {
    return this.#binary("xor", other);
  }
  shl(other: Operand): Value {
    return this.#binary("shl", other);
  }
  shrU(other: Operand): Value {
    return this.#binary("shr_u", other);
  }
  shrS(other: Operand): Value {
    return this.#binary("shr_s", other);
  }
  rotl(other: Operand): Value {
    return this.#binary("rotl", other);
  }
  rotr(other: Operand): Value {
    return this.#binary("rotr", other);
  }
  divS(other: Operand): Value {
    return this.#binary("div_s", other);
  }
  divU(other: Operand): Value {
    return this.#binary("div_u", other);
  }
  remS(other: Operand): Value {
    return this.#binary("rem_s", other);
  }
  remU(other: Operand): Value {
    return this.#binary("rem_u", other);
  }
  not(): Value {
    return this.xor(-1);
  }
  neg(): Value {
    return this.type === "i32" || this.type === "i64" ? this.literal(0).sub(this) : this.op(`${this.type}.neg`);
  }
  clz(): Value {
    return this.#apply(typedFields(this.type, "clz"), NO_VALUES);
  }
  ctz(): Value {
    return this.#apply(typedFields(this.type, "ctz"), NO_VALUES);
  }
  popcnt(): Value {
    return this.#apply(typedFields(this.type, "popcnt"), NO_VALUES);
  }

  // Comparisons; the result is an i32, 0 or 1.
  eqz(): Value {
    return this.#apply(typedFields(this.type, "eqz"), NO_VALUES);
  }
  eq(other: Operand): Value {
    return this.#binary("eq", other);
  }
  ne(other: Operand): Value {
    return this.#binary("ne", other);
  }
  ltU(other: Operand): Value {
    return this.#binary("lt_u", other);
  }
  ltS(other: Operand): Value {
    return this.#binary("lt_s", other);
  }
  leU(other: Operand): Value {
    return this.#binary("le_u", other);
  }
  leS(other: Operand): Value {
    return this.#binary("le_s", other);
  }
  gtU(other: Operand): Value {
    return this.#binary("gt_u", other);
  }
  gtS(other: Operand): Value {
    return this.#binary("gt_s", other);
  }
  geU(other: Operand): Value {
    return this.#binary("ge_u", other);
  }
  geS(other: Operand): Value {
    return this.#binary("ge_s", other);
  }

  /** This value where `condition` (i32) is not zero, else `otherwise`. */
  when(condition: Value, otherwise: Operand): Value {
    return this.#owner.record(this.selected(condition, this.#operand(otherwise)));
  }
  /** The same, for whoever records it. */
  selected(condition: Value, otherwise: Value): Value {
    return new Value(this.#owner, this.type, "pure", SELECT, [this, otherwise, condition]);
  }

  // Widths.
  /** An i64's low half as i32; an i32 as it is. */
  wrap(): Value {
    if (this.type === "i32") return this;
    if (this.constant !== undefined) return this.literal(mask32(this.constant) | 0, "i32");
    return this.op("i32.wrap_i64");
  }
  /** An i32 zero-extended to i64; an i64 as it is. */
  extendU(): Value {
    if (this.type === "i64") return this;
    if (this.constant !== undefined) return this.literal(BigInt(mask32(this.constant)), "i64");
    return this.op("i64.extend_i32_u");
  }
  /** An i32 sign-extended to i64; an i64 as it is. */
  extendS(): Value {
    if (this.type === "i64") return this;
    if (this.constant !== undefined) return this.literal(BigInt(mask32(this.constant) | 0), "i64");
    return this.op("i64.extend_i32_s");
  }
  /** The low `width` (8, 16 or 32) bits, sign-extended within the type. */
  signExtend(width: number): Value {
    if (width === 64 || (width === 32 && this.type === "i32")) return this;
    return this.#apply(
      typedFields(this.type, width === 8 ? "extend8_s" : width === 16 ? "extend16_s" : "extend32_s"),
      NO_VALUES,
    );
  }
  /** The low `width` bits, all others zero. */
  zeroExtend(width: number): Value {
    if (width === 64 || (width === 32 && this.type === "i32")) return this;
    return this.and(width === 32 ? 0xffffffffn : (1 << width) - 1);
  }
}

/** Reinterpretations, with the opposite, and with the lane instructions that give the operand and the result. */
const REINTERPRETED = new Map(
  (
    [
      ["f32", "i32", "f32x4", "i32x4"],
      ["i32", "f32", "i32x4", "f32x4"],
      ["f64", "i64", "f64x2", "i64x2"],
      // The lowest lane of doubles is faster to get than that of i64.
      ["i64", "f64", "", ""],
    ] as const
  ).map(([to, from, shape, other]) => [
    `${to}.reinterpret_${from}`,
    {
      back: `${from}.reinterpret_${to}`,
      lane: other && `${other}.extract_lane`,
      asLane: `${shape}.extract_lane`,
    },
  ]),
);
const LANES_OUT = new Map<string, { type: ValueType; bits: 32 | 64 }>([
  ["i32x4.extract_lane", { type: "i32", bits: 32 }],
  ["f32x4.extract_lane", { type: "f32", bits: 32 }],
  ["i64x2.extract_lane", { type: "i64", bits: 64 }],
  ["f64x2.extract_lane", { type: "f64", bits: 64 }],
]);
const LANES_IN = new Map<string, { bits: 32 | 64; asNumber: string; reinterpreted: string }>([
  ["i32x4.replace_lane", { bits: 32, asNumber: "f32x4.replace_lane", reinterpreted: "f32.reinterpret_i32" }],
  ["f32x4.replace_lane", { bits: 32, asNumber: "", reinterpreted: "" }],
  ["i64x2.replace_lane", { bits: 64, asNumber: "f64x2.replace_lane", reinterpreted: "f64.reinterpret_i64" }],
  ["f64x2.replace_lane", { bits: 64, asNumber: "", reinterpreted: "" }],
]);

const SELECT: NodeFields = { opcode: { name: "select", code: [0x1b], result: "i32" } };
const SHUFFLE: Opcode = { name: "i8x16.shuffle", code: [0xfd, 0x0d], result: "v128" };

type InstructionFields = NodeFields & { readonly opcode: Opcode };
const FIELDS = new Map<string, InstructionFields>();
function fieldsOf(name: string): InstructionFields {
  let known = FIELDS.get(name);
  if (known === undefined) {
    known = { opcode: opcode(name) };
    FIELDS.set(name, known);
  }
  return known;
}

/** By type and then by name, so that no string has to be put together for each instruction. */
const TYPED = new Map<ValueType, Map<string, InstructionFields>>();
function typedFields(type: ValueType, name: string): InstructionFields {
  let ofType = TYPED.get(type);
  if (ofType === undefined) {
    ofType = new Map();
    TYPED.set(type, ofType);
  }
  let known = ofType.get(name);
  if (known === undefined) {
    known = fieldsOf(`${type}.${name}`);
    ofType.set(name, known);
  }
  return known;
}
const ZERO_IS_NEUTRAL = new Set(["add", "sub", "or", "xor", "shl", "shr_u", "shr_s", "rotl", "rotr"]);
const RESULT_I32 = new Set(["eq", "ne", "lt_u", "lt_s", "gt_u", "gt_s", "le_u", "le_s", "ge_u", "ge_s"]);

/** Constant folding of i32 arithmetic; undefined where it is left to the WebAssembly engine. */
function fold(name: string, type: ValueType, left: number | bigint, right: number | bigint): number | undefined {
  if (type !== "i32") return undefined;
  const a = Number(left);
  const b = Number(right);
  switch (name) {
    case "add":
      return (a + b) | 0;
    case "sub":
      return (a - b) | 0;
    case "and":
      return a & b;
    case "or":
      return a | b;
    case "xor":
      return a ^ b;
    case "shl":
      return a << b;
    case "shr_u":
      return (a >>> b) | 0;
    case "eq":
      return Number((a | 0) === (b | 0));
    case "ne":
      return Number((a | 0) !== (b | 0));
    default:
      return undefined;
  }
}
