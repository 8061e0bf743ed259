/**
 * A value in an instruction's meaning. Meanings are written against this interface and know nothing of
 * how it is computed: the processor's emitters implement it with nodes of a WebAssembly function.
 * A value never changes; `a.add(b)` makes a new one.
 */
export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";
/** A value, or a number standing for a constant of the type that the other operand has. */
export type Argument = Value | number | bigint;

export interface Value {
  readonly type: ValueType;
  /** The number, where the value is a constant known when code is built. */
  readonly constant: number | bigint | undefined;
  /** A constant of this value's type. */
  literal(value: number | bigint): Value;
  /** Any WebAssembly numeric or vector instruction by its text-format name. */
  op(name: string, ...rest: Value[]): Value;
  /** A WebAssembly lane instruction. */
  lane(name: string, lane: number, ...rest: Value[]): Value;
  /** WebAssembly's `i8x16.shuffle`. */
  shuffle(other: Value, lanes: readonly number[]): Value;
  add(other: Argument): Value;
  sub(other: Argument): Value;
  mul(other: Argument): Value;
  and(other: Argument): Value;
  or(other: Argument): Value;
  xor(other: Argument): Value;
  /** Shift and rotate counts are taken modulo the type's width (32 or 64). */
  shl(other: Argument): Value;
  shrU(other: Argument): Value;
  shrS(other: Argument): Value;
  rotl(other: Argument): Value;
  rotr(other: Argument): Value;
  /** Division traps on a zero divisor and on overflow: exclude both first. */
  divS(other: Argument): Value;
  divU(other: Argument): Value;
  remS(other: Argument): Value;
  remU(other: Argument): Value;
  not(): Value;
  neg(): Value;
  clz(): Value;
  ctz(): Value;
  popcnt(): Value;
  /** Comparisons give an i32, 0 or 1. */
  eqz(): Value;
  eq(other: Argument): Value;
  ne(other: Argument): Value;
  ltU(other: Argument): Value;
  ltS(other: Argument): Value;
  leU(other: Argument): Value;
  leS(other: Argument): Value;
  gtU(other: Argument): Value;
  gtS(other: Argument): Value;
  geU(other: Argument): Value;
  geS(other: Argument): Value;
  /** This value where `condition` (i32) is not zero, else `otherwise`; both are computed. */
  when(condition: Value, otherwise: Argument): Value;
  /** An i64's low half; an i32 as it is. */
  wrap(): Value;
  /** An i32 zero-extended to i64; an i64 as it is. */
  extendU(): Value;
  /** An i32 sign-extended to i64; an i64 as it is. */
  extendS(): Value;
  /** The low `width` bits sign-extended within the type. */
  signExtend(width: number): Value;
  /** The low `width` bits, all others zero. */
  zeroExtend(width: number): Value;
}

/** A variable inside a meaning, for loops and for results of branches. */
export interface Variable {
  get(): Value;
  set(value: Argument): void;
}
