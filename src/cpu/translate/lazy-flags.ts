/**
 * Status flags in translated code. An instruction that sets flags notes only what they follow from; where one is read
 * it is worked out from that, by a comparison where that is possible. Between nodes of a region the note is kept in
 * local variables: a code that says which kind it is, and its operands. Where the region is left `storeFlags` makes
 * of them the words that the interpreter keeps (emit/flags.ts).
 */
import type { ArithmeticFlags, Flag } from "../../isa/semantics.ts";
import type { FunctionBuilder, Variable } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import { type FlagStore, Flags, type FlagUnit } from "../emit/flags.ts";

/** What flags follow from. Operands are i64 for a width of 64, else i32 whose bits above the width say nothing. */
export type FlagState =
  /** The words in state memory. */
  | { readonly kind: "memory" }
  /** The variables, of which kind is known only when the code runs. */
  | { readonly kind: "variables" }
  | {
      readonly kind: "add" | "sub" | "adc" | "sbb";
      readonly width: number;
      readonly a: Value;
      readonly b: Value;
      readonly r: Value;
    }
  /** As add and sub of 1, with a CF of its own (i32, 0 or 1). */
  | { readonly kind: "inc"; readonly width: number; readonly a: Value; readonly r: Value; readonly carry: Value }
  | { readonly kind: "dec"; readonly width: number; readonly a: Value; readonly r: Value; readonly carry: Value }
  | { readonly kind: "logic"; readonly width: number; readonly r: Value }
  /** The interpreter's three words. */
  | { readonly kind: "words"; readonly result: Value; readonly carry: Value; readonly aux: Value };

type Arithmetic = Exclude<FlagState["kind"], "memory" | "variables" | "words">;
const OPERATIONS: readonly Arithmetic[] = ["add", "sub", "adc", "sbb", "inc", "dec", "logic"];
const WIDTHS = [8, 16, 32, 64] as const;
/** Codes of the kinds: 0 for memory, 1 for words, then one for each operation and width. */
const CODE = { memory: 0, words: 1, first: 2 } as const;
export const CODE_OF_MEMORY = CODE.memory;
export const FLAG_CODES = CODE.first + OPERATIONS.length * WIDTHS.length;

const operationCode = (kind: Arithmetic, width: number): number =>
  CODE.first + OPERATIONS.indexOf(kind) * 4 + Math.log2(width / 8);

/** The code of a state as the variables keep it; undefined for what is in the variables already. */
export function flagCode(state: FlagState): number | undefined {
  switch (state.kind) {
    case "variables":
      return undefined;
    case "memory":
      return CODE.memory;
    case "words":
      return CODE.words;
    default:
      return operationCode(state.kind, state.width);
  }
}

export interface FlagVariables {
  readonly code: Variable;
  /** Operands of up to 32 bits, and of 64. */
  readonly narrow: { readonly a: Variable; readonly b: Variable; readonly r: Variable };
  readonly wide: { readonly a: Variable; readonly b: Variable; readonly r: Variable };
}

/** Addresses where operands wait for someone to make words of them: of 32 or 64 bits. */
export interface FlagSlots {
  readonly a: number;
  readonly b: number;
  readonly r: number;
}

export function flagVariables(f: FunctionBuilder): FlagVariables {
  const three = (type: "i32" | "i64") => ({ a: f.variable(type), b: f.variable(type), r: f.variable(type) });
  return { code: f.variable("i32"), narrow: three("i32"), wide: three("i64") };
}

/** What operands of a kind are kept as in the variables: values of these names and types. */
interface Operands {
  a: Value;
  b: Value;
  r: Value;
}

/** The state that the variables (or the parameters of `storeFlags`) hold under `code`; `operands` gives those of a size. */
export function stateOfCode(code: number, operands: (size: "narrow" | "wide") => Operands): FlagState {
  if (code === CODE.memory) return { kind: "memory" };
  if (code === CODE.words) {
    const narrow = operands("narrow");
    return { kind: "words", result: operands("wide").r, carry: narrow.a, aux: narrow.b };
  }
  const kind = OPERATIONS[(code - CODE.first) >> 2] as Arithmetic;
  const width = WIDTHS[(code - CODE.first) & 3] as number;
  const { a, b, r } = operands(width === 64 ? "wide" : "narrow");
  switch (kind) {
    case "logic":
      return { kind, width, r };
    case "inc":
      return { kind, width, a, r, carry: operands("narrow").b };
    case "dec":
      return { kind, width, a, r, carry: operands("narrow").b };
    // What follows from two operands needs no third variable.
    case "add":
      return { kind, width, a, b, r: a.add(b) };
    case "sub":
      return { kind, width, a, b, r: a.sub(b) };
    default:
      return { kind, width, a, b, r };
  }
}

/** Thrown where a flag is read of which only the variables tell what it follows from. */
export class FlagKindUnknown extends Error {}

export class LazyFlags implements FlagUnit {
  state: FlagState = { kind: "memory" };
  readonly #f: FunctionBuilder;
  readonly #variables: FlagVariables;
  readonly #memory: FlagStore;

  constructor(f: FunctionBuilder, variables: FlagVariables, memory: FlagStore) {
    this.#f = f;
    this.#variables = variables;
    this.#memory = memory;
  }

  add(a: Value, b: Value, r: Value, width: number, options?: ArithmeticFlags): void {
    if (options?.keepCarry) this.state = { kind: "inc", width, a, r, carry: this.flag("c") };
    else this.state = { kind: options?.withCarry ? "adc" : "add", width, a, b, r };
  }

  sub(a: Value, b: Value, r: Value, width: number, options?: ArithmeticFlags): void {
    if (options?.keepCarry) this.state = { kind: "dec", width, a, r, carry: this.flag("c") };
    else this.state = { kind: options?.withCarry ? "sbb" : "sub", width, a, b, r };
  }

  logic(r: Value, width: number): void {
    this.state = { kind: "logic", width, r };
  }

  result(result: Value, width: number, carry: Value, overflow: Value, auxiliary?: Value): void {
    this.#evaluate((flags) => flags.result(result, width, carry, overflow, auxiliary));
  }

  set(flags: Partial<Record<Flag, Value>>): void {
    const words = this.words();
    const { c, p, a, z, s, o } = flags;
    if (c && o && !p && !a && !z && !s) {
      // Nothing of the old carry word is left.
      this.state = { ...words, carry: c.shl(31).or(c.xor(o).shl(30)) };
      return;
    }
    this.state = words;
    this.#evaluate((unit) => unit.set(flags));
  }

  packed(): Value {
    return this.#stored().packed();
  }

  /** The state as the interpreter's words. */
  words(): Extract<FlagState, { kind: "words" }> {
    const { state } = this;
    if (state.kind === "words") return state;
    const f = this.#f;
    if (state.kind === "variables") throw new FlagKindUnknown();
    if (state.kind === "memory") {
      const memory = this.#memory;
      return { kind: "words", result: memory.getResult(), carry: memory.getCarry(), aux: memory.getAux() };
    }
    return evaluateWords(f, state);
  }

  /** Sets flags by the interpreter's rules, out of the words of the present state. */
  #evaluate(change: (flags: Flags) => void): void {
    const collected = { ...wordStore(this.#f, () => this.words()) };
    change(new Flags(this.#f, collected.store));
    this.state = collected.state();
  }

  /** Flags by the interpreter's rules on the present state's words. */
  #stored(): Flags {
    return new Flags(this.#f, wordStore(this.#f, () => this.words()).store);
  }

  flag(flag: Flag): Value {
    const { state } = this;
    switch (state.kind) {
      case "memory":
        return new Flags(this.#f, this.#memory).flag(flag);
      case "variables":
        throw new FlagKindUnknown();
      case "words":
        return this.#stored().flag(flag);
    }
    switch (flag) {
      case "c":
        return this.#carry(state);
      case "z":
        return cut(state.r, state.width).eqz();
      case "s":
        return sign(state.r, state.width);
      case "p":
        return state.r.wrap().and(0xff).popcnt().and(1).xor(1);
      case "o":
        return state.kind === "logic" ? this.#f.i32(0) : overflow(state);
      case "a":
        return this.#stored().flag(flag);
    }
  }

  #carry(state: Exclude<FlagState, { kind: "memory" | "variables" | "words" }>): Value {
    switch (state.kind) {
      case "logic":
        return this.#f.i32(0);
      case "inc":
      case "dec":
        return state.carry;
      case "sub":
        return cut(state.a, state.width).ltU(cut(state.b, state.width));
      case "add":
        return cut(state.r, state.width).ltU(cut(state.a, state.width));
      default:
        return this.#stored().flag("c");
    }
  }

  condition(code: number): Value {
    const { state } = this;
    if (state.kind === "memory") return new Flags(this.#f, this.#memory).condition(code);
    const pair = code >> 1;
    const negated = code & 1;
    const either = (value: Value) => (negated ? value.eqz() : value);
    if (state.kind === "sub" || state.kind === "dec") {
      const { width } = state;
      const b = state.kind === "sub" ? state.b : state.a.literal(1);
      const [ua, ub] = [cut(state.a, width), cut(b, width)];
      const [sa, sb] = [signed(state.a, width), signed(b, width)];
      switch (pair) {
        case 1:
          if (state.kind === "sub") return negated ? ua.geU(ub) : ua.ltU(ub);
          break;
        case 2:
          return negated ? ua.ne(ub) : ua.eq(ub);
        case 3:
          if (state.kind === "sub") return negated ? ua.gtU(ub) : ua.leU(ub);
          break;
        case 6:
          return negated ? sa.geS(sb) : sa.ltS(sb);
        case 7:
          return negated ? sa.gtS(sb) : sa.leS(sb);
      }
    }
    if (state.kind === "logic") {
      const r = signed(state.r, state.width);
      switch (pair) {
        case 0:
        case 1:
          return this.#f.i32(negated);
        case 3:
          return either(cut(state.r, state.width).eqz());
        case 4:
        case 6:
          return negated ? r.geS(0) : r.ltS(0);
        case 7:
          return negated ? r.gtS(0) : r.leS(0);
      }
    }
    switch (pair) {
      case 0:
        return either(this.flag("o"));
      case 1:
        return either(this.flag("c"));
      case 2:
        return either(this.flag("z"));
      case 3:
        return either(this.flag("c").or(this.flag("z")));
      case 4:
        return either(this.flag("s"));
      case 5:
        return either(this.flag("p"));
      case 6:
        return either(this.flag("s").xor(this.flag("o")));
      default:
        return either(this.flag("s").xor(this.flag("o")).or(this.flag("z")));
    }
  }

  /** Puts the state into the variables. */
  keep(): void {
    const { state } = this;
    const { code, narrow, wide } = this.#variables;
    const number = flagCode(state);
    if (number === undefined) return;
    code.set(number);
    switch (state.kind) {
      case "memory":
      case "variables":
        return;
      case "words":
        wide.r.set(state.result);
        narrow.a.set(state.carry);
        narrow.b.set(state.aux);
        return;
    }
    const { a, b, r } = state.width === 64 ? wide : narrow;
    if (state.kind !== "add" && state.kind !== "sub") r.set(state.r);
    if (state.kind === "logic") return;
    a.set(state.a);
    if (state.kind === "inc" || state.kind === "dec") narrow.b.set(state.carry);
    else b.set(state.b);
  }

  /** A state, where the variables may hold these codes (as bits): known, where they hold one. */
  known(state: FlagState, codes: number): FlagState {
    const isOne = codes !== 0 && (codes & (codes - 1)) === 0;
    return state.kind === "variables" && isOne ? this.fromVariables(31 - Math.clz32(codes)) : state;
  }

  /** Puts the state into memory as words. */
  leave(): void {
    if (this.state.kind === "memory") return;
    const { result, carry, aux } = this.words();
    this.#memory.setResult(result);
    this.#memory.setCarry(carry);
    this.#memory.setAux(aux);
  }

  /** Puts what words follow from into memory: the code by which they are made of it. */
  park(slots: FlagSlots): number {
    const { state } = this;
    const f = this.#f;
    const put = (value: Value, at: number) => f.store(value.type as "i32" | "i64", 0, value, at);
    switch (state.kind) {
      case "memory":
      case "words":
      case "variables":
        this.leave();
        return CODE.memory;
    }
    if (state.kind !== "add" && state.kind !== "sub") put(state.r, slots.r);
    if (state.kind !== "logic") {
      put(state.a, slots.a);
      put(state.kind === "inc" || state.kind === "dec" ? state.carry : state.b, slots.b);
    }
    return operationCode(state.kind, state.width);
  }

  /** Puts the state into the variables as words, so that two ways on which flags differ can meet. */
  keepWords(): void {
    this.state = this.words();
    this.keep();
  }

  /** The state that `keepWords` has left in the variables. */
  fromKeptWords(): FlagState {
    return this.fromVariables(CODE.words);
  }

  /** The state that the variables hold, of a kind known by its code. */
  fromVariables(code: number): FlagState {
    return stateOfCode(code, (size) => {
      const { a, b, r } = this.#variables[size];
      return { a: a.get(), b: b.get(), r: r.get() };
    });
  }
}

const cut = (value: Value, width: number): Value => (width < 32 ? value.zeroExtend(width) : value);
const signed = (value: Value, width: number): Value => (width < 32 ? value.signExtend(width) : value);
const sign = (value: Value, width: number): Value =>
  width === 64 ? value.shrU(63).wrap() : value.shrU(width - 1).and(1);

function overflow(state: Exclude<FlagState, { kind: "memory" | "variables" | "words" | "logic" }>): Value {
  const { kind, width, a, r } = state;
  const b = kind === "inc" || kind === "dec" ? a.literal(1) : state.b;
  const adds = kind === "add" || kind === "adc" || kind === "inc";
  return sign((adds ? a.xor(r) : a.xor(b)).and(adds ? b.xor(r) : a.xor(r)), width);
}

/** The words of an operation's flags. */
function evaluateWords(
  f: FunctionBuilder,
  state: Exclude<FlagState, { kind: "memory" | "variables" | "words" }>,
): Extract<FlagState, { kind: "words" }> {
  const old = (): Extract<FlagState, { kind: "words" }> => ({
    kind: "words",
    result: f.i64(0),
    carry: state.kind === "inc" || state.kind === "dec" ? state.carry.shl(31) : f.i32(0),
    aux: f.i32(0),
  });
  const collected = wordStore(f, old);
  const flags = new Flags(f, collected.store);
  const { width } = state;
  switch (state.kind) {
    case "logic":
      flags.logic(state.r, width);
      break;
    case "inc":
      flags.add(state.a, state.a.literal(1), state.r, width, { keepCarry: true });
      break;
    case "dec":
      flags.sub(state.a, state.a.literal(1), state.r, width, { keepCarry: true });
      break;
    case "add":
    case "adc":
      flags.add(state.a, state.b, state.r, width);
      break;
    default:
      flags.sub(state.a, state.b, state.r, width);
  }
  return collected.state();
}

/** Words that are values: those of `before` until they are set. */
function wordStore(f: FunctionBuilder, before: () => Extract<FlagState, { kind: "words" }>) {
  let result: Value | undefined;
  let carry: Value | undefined;
  let aux: Value | undefined;
  let old: Extract<FlagState, { kind: "words" }> | undefined;
  const known = () => {
    old ??= before();
    return old;
  };
  const store: FlagStore = {
    getResult: () => result ?? known().result,
    getCarry: () => carry ?? known().carry,
    getAux: () => aux ?? known().aux,
    setResult: (value) => {
      result = value;
    },
    setCarry: (value) => {
      carry = value;
    },
    setAux: (value) => {
      aux = value;
    },
    clearCarryAux: () => {
      carry = f.i32(0);
      aux = f.i32(0);
    },
  };
  return {
    store,
    state: (): Extract<FlagState, { kind: "words" }> => ({
      kind: "words",
      result: store.getResult(),
      carry: store.getCarry(),
      aux: store.getAux(),
    }),
  };
}
