/**
 * Takes out of a recorded function what changes nothing because upper bits are known to be zero: masks of what is narrow,
 * extensions of what is not wider, one of two parts where it is zero. WebAssembly engines look at single instructions for that;
 * here it is followed through local variables, branches and loops.
 *
 * How many low bits of a variable may be set is found by walking through the function; a loop is walked through as if nothing came
 * round, and again with what does, until nothing is new.
 */
import type { Body, Statement } from "./function.ts";
import { type Opcode, opcode } from "./opcodes.ts";
import { Value } from "./value.ts";

export function narrow(root: Body, variables: number): void {
  const found = new Set<Statement>();
  setters(root, found);
  new Widths(variables, found).body(root, new Uint8Array(variables));
  new Simplifier(found).body(root);
}

/** Bits that may be set of each variable, by its number; undefined where control does not come. */
type Bits = Uint8Array | undefined;

/** Turns of a loop after which what still grows is taken to be of full width. */
const PATIENCE = 2;
const WIDEST = 64;

/** Statements in which variables are set. */
function setters(body: Body, found: Set<Statement>): boolean {
  let isOne = false;
  for (const entry of body.entries) {
    if (entry instanceof Value) continue;
    let sets = entry.kind === "set";
    if (entry.body && setters(entry.body, found)) sets = true;
    if (entry.otherwise && setters(entry.otherwise, found)) sets = true;
    if (sets) {
      found.add(entry);
      isOne = true;
    }
  }
  return isOne;
}

class Widths {
  readonly #variables: number;
  readonly #setters: ReadonlySet<Statement>;
  /** What comes to the end of a block, or to the start of a loop. */
  readonly #arriving = new Map<Statement, Bits>();

  constructor(variables: number, setters: ReadonlySet<Statement>) {
    this.#variables = variables;
    this.#setters = setters;
  }

  /** Notes the bits of all values in `body`, which control comes to with `bits`; what it leaves it with. */
  body(body: Body, bits: Bits): Bits {
    let now = bits;
    for (const entry of body.entries) {
      if (now === undefined) return undefined;
      if (entry instanceof Value) entry.bits = entry.variable < 0 ? bitsOf(entry) : (now[entry.variable] as number);
      else now = this.#statement(entry, now);
    }
    return now;
  }

  #statement(statement: Statement, bits: Uint8Array): Bits {
    switch (statement.kind) {
      case "set":
        bits[statement.variable] = bitsIn(statement.args[0] as Value);
        return bits;
      case "if": {
        const end = this.body(statement.body as Body, this.#setters.has(statement) ? bits.slice() : bits);
        return union(end, statement.otherwise ? this.body(statement.otherwise, bits) : bits);
      }
      case "block": {
        this.#arriving.delete(statement);
        const end = this.body(statement.body as Body, bits);
        return union(this.#arriving.get(statement), end);
      }
      case "loop":
        return this.#loop(statement, bits);
      case "branch":
      case "switch":
        for (const target of statement.targets) this.#arrive(target, bits);
        return statement.kind === "branch" && statement.args.length > 0 ? bits : undefined;
      case "return":
      case "tail":
      case "unreachable":
        return undefined;
      default:
        return bits;
    }
  }

  #arrive(target: Statement, bits: Uint8Array): void {
    const known = this.#arriving.get(target);
    this.#arriving.set(target, known ? union(known, bits) : bits.slice());
  }

  #loop(statement: Statement, first: Uint8Array): Bits {
    // What came round when an outer loop was walked through before comes round again.
    let start = union(this.#arriving.get(statement), first) as Uint8Array;
    for (let turn = 1; ; turn++) {
      this.#arriving.delete(statement);
      const end = this.body(statement.body as Body, start.slice());
      const round = this.#arriving.get(statement);
      if (round === undefined || isWithin(round, start)) {
        this.#arriving.set(statement, start);
        return end;
      }
      const next = start.slice();
      for (let i = 0; i < this.#variables; i++) {
        if ((round[i] as number) > (start[i] as number)) next[i] = turn >= PATIENCE ? WIDEST : (round[i] as number);
      }
      start = next;
    }
  }
}

/** What may be set in either; changes the first. */
function union(one: Bits, other: Bits): Bits {
  if (one === undefined || other === undefined || one === other) return one ?? other;
  for (let i = 0; i < one.length; i++) if ((other[i] as number) > (one[i] as number)) one[i] = other[i] as number;
  return one;
}

function isWithin(one: Uint8Array, other: Uint8Array): boolean {
  return one.every((bits, i) => bits <= (other[i] as number));
}

const TWO_32 = 2 ** 32;
const lengthOf = (low: number, high: number): number => (high !== 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(low));

function constantBits({ type, constant }: Value): number {
  if (type === "i32") return lengthOf(Number(constant) | 0, 0);
  if (type !== "i64") return WIDEST;
  const number = Number(constant);
  if (number < 0) return WIDEST;
  // More digits than a double has are upper ones as well.
  return number >= TWO_32 * TWO_32 ? WIDEST : lengthOf(number | 0, Math.floor(number / TWO_32));
}

/** Low bits of a value that may be set, of a constant or of what was noted. */
const bitsIn = (value: Value): number => (value.constant === undefined ? value.bits : constantBits(value));

const typeBits = ({ type }: Value): number => (type === "i32" ? 32 : WIDEST);
const first = ({ args }: Value): number => bitsIn(args[0] as Value);
const second = ({ args }: Value): number => bitsIn(args[1] as Value);
const wider = (value: Value): number => Math.max(first(value), second(value));
const shift = ({ args, type }: Value): number | undefined => {
  const { constant } = args[1] as Value;
  return constant === undefined ? undefined : Number(constant) & (type === "i32" ? 31 : 63);
};

type Rule = (value: Value) => number;
const RULES = new Map<string, Rule>([
  ["i64.extend_i32_u", first],
  ["i32.wrap_i64", (value) => Math.min(first(value), 32)],
  ["select", wider],
  ["i32.8u", () => 8],
  ["i32.16u", () => 16],
  ["i64.8u", () => 8],
  ["i64.16u", () => 16],
  ["i64.32u", () => 32],
]);
for (const type of ["i32", "i64"]) {
  const rules: Readonly<Record<string, Rule>> = {
    and: (value) => Math.min(first(value), second(value)),
    or: wider,
    xor: wider,
    add: (value) => Math.min(wider(value) + 1, typeBits(value)),
    mul: (value) => Math.min(first(value) + second(value), typeBits(value)),
    shl: (value) => Math.min(first(value) + (shift(value) ?? WIDEST), typeBits(value)),
    shr_u: (value) => Math.max(first(value) - (shift(value) ?? 0), 0),
    div_u: first,
    rem_u: wider,
    ...Object.fromEntries(["clz", "ctz", "popcnt"].map((name) => [name, () => 7])),
  };
  for (const [name, rule] of Object.entries(rules)) RULES.set(`${type}.${name}`, rule);
}
const COMPARISON = /^[if](32|64)\.(eqz|eq|ne|[lg][te](_[su])?)$/;
/** By opcode, so that no name is looked up for each value. */
const RULE_OF = new Map<Opcode, Rule>();

function ruleOf(code: Opcode): Rule {
  let rule = RULE_OF.get(code);
  if (rule === undefined) {
    rule = RULES.get(code.name) ?? (COMPARISON.test(code.name) ? () => 1 : typeBits);
    RULE_OF.set(code, rule);
  }
  return rule;
}

function bitsOf(value: Value): number {
  if (value.opcode === undefined) return bitsIn(value);
  return Math.min(ruleOf(value.opcode)(value), typeBits(value));
}

/** What is simplified, by opcode. */
type Shape = "and" | "sum" | "wrap" | "extend" | "extend8" | "extend16" | "extend32";
const SHAPES = new Map<Opcode, Shape>([
  ...["i32.and", "i64.and"].map((name): [Opcode, Shape] => [opcode(name), "and"]),
  ...["or", "xor", "add"]
    .flatMap((name) => [`i32.${name}`, `i64.${name}`])
    .map((name): [Opcode, Shape] => [opcode(name), "sum"]),
  ...["i32", "i64"].map((type): [Opcode, Shape] => [opcode(`${type}.extend8_s`), "extend8"]),
  ...["i32", "i64"].map((type): [Opcode, Shape] => [opcode(`${type}.extend16_s`), "extend16"]),
  [opcode("i64.extend32_s"), "extend32"],
  [opcode("i32.wrap_i64"), "wrap"],
  [opcode("i64.extend_i32_u"), "extend"],
]);
const WRAP = opcode("i32.wrap_i64");
const [EXTEND, EXTEND_SIGN] = [opcode("i64.extend_i32_u"), opcode("i64.extend_i32_s")];
const ORS: readonly (Opcode | undefined)[] = [opcode("i32.or"), opcode("i64.or")];

/** Whether the lowest `bits` of a mask are all set, or none of them. */
function covers({ constant }: Value, bits: number): boolean {
  const mask = constant as number | bigint;
  if (bits <= 32) return (lowWord(mask, bits) | ~lowest(bits)) === -1;
  return BigInt.asUintN(bits, BigInt(mask)) === (1n << BigInt(bits)) - 1n;
}
function misses({ constant }: Value, bits: number): boolean {
  const mask = constant as number | bigint;
  return bits <= 32 ? (lowWord(mask, bits) & lowest(bits)) === 0 : BigInt.asUintN(bits, BigInt(mask)) === 0n;
}
const lowest = (bits: number): number => (bits === 32 ? -1 : (1 << bits) - 1);
const lowWord = (mask: number | bigint, bits: number): number =>
  typeof mask === "number" || bits > 32 ? Number(mask) | 0 : Number(BigInt.asIntN(32, mask));

/** Puts simpler values in place of others; what is not used any more vanishes when the function is encoded. */
class Simplifier {
  /** What variables were set to, as far as it is known where the walk stands. */
  #set = new Map<number, Value>();
  readonly #setters: ReadonlySet<Statement>;
  /** Whether a simpler value was made, which is to be computed in place of the other. */
  #isNew = false;

  constructor(setters: ReadonlySet<Statement>) {
    this.#setters = setters;
  }

  body({ entries }: Body): void {
    let kept = 0;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as Value | Statement;
      this.#rewireArguments(entry);
      if (entry instanceof Value) {
        entry.instead = this.#simpler(entry);
        if (entry.instead === undefined) entries[kept++] = entry;
        else if (this.#isNew) entries[kept++] = entry.instead;
        this.#isNew = false;
      } else {
        this.#statement(entry);
        entries[kept++] = entry;
      }
    }
    entries.length = kept;
  }

  #rewireArguments({ args }: Value | Statement): void {
    for (let i = 0; i < args.length; i++) {
      const { instead } = args[i] as Value;
      if (instead) (args as Value[])[i] = instead;
    }
  }

  #statement(statement: Statement): void {
    if (statement.kind === "set") {
      this.#set.set(statement.variable, statement.args[0] as Value);
      return;
    }
    if (statement.body === undefined) return;
    if (!this.#setters.has(statement)) {
      this.body(statement.body);
      if (statement.otherwise) this.body(statement.otherwise);
      return;
    }
    const before = this.#set;
    this.#set = statement.kind === "loop" ? new Map() : new Map(before);
    this.body(statement.body);
    if (statement.otherwise) {
      this.#set = before;
      this.body(statement.otherwise);
    }
    this.#set = new Map();
  }

  #simpler(value: Value): Value | undefined {
    const shape = value.opcode && SHAPES.get(value.opcode);
    if (shape === undefined) return undefined;
    const [a, b] = value.args as [Value, Value];
    switch (shape) {
      case "and": {
        if (b.constant === undefined) return undefined;
        const bits = bitsIn(a);
        // Most are addresses that are cut to their pages: nothing is known of them.
        if (bits === WIDEST && value.type === "i64") return undefined;
        if (covers(b, Math.min(bits, typeBits(a)))) return a;
        if (misses(b, bits)) return a.literal(0);
        return value.type === "i32" ? this.#lowPart(a, b) : undefined;
      }
      case "sum":
        if (bitsIn(a) === 0) return b;
        return bitsIn(b) === 0 ? a : undefined;
      case "wrap":
        return a.opcode === EXTEND || a.opcode === EXTEND_SIGN ? a.args[0] : undefined;
      case "extend":
        return this.#extended(a);
      case "extend8":
        return bitsIn(a) < 8 ? a : undefined;
      case "extend16":
        return bitsIn(a) < 16 ? a : undefined;
      case "extend32":
        return bitsIn(a) < 32 ? a : undefined;
    }
  }

  /** What was put into the bits of `mask` of `value`, others of which were kept. */
  #lowPart(value: Value, mask: Value): Value | undefined {
    const whole = this.#source(value.opcode === WRAP ? (value.args[0] as Value) : value);
    if (!ORS.includes(whole.opcode)) return undefined;
    const [kept, put] = whole.args as [Value, Value];
    const [, keeps] = kept.args;
    if (keeps?.constant === undefined || SHAPES.get(kept.opcode as Opcode) !== "and") return undefined;
    const low = put.opcode === EXTEND ? (put.args[0] as Value) : put;
    if (low.type !== "i32" || !covers(mask, Math.min(bitsIn(low), 32))) return undefined;
    return (lowWord(keeps.constant, 32) & Number(mask.constant)) === 0 ? low : undefined;
  }

  /** What a variable was set to, of which `value` is. */
  #source(value: Value): Value {
    return (value.variable >= 0 && this.#set.get(value.variable)) || value;
  }

  /** An i32 as an i64, where that is there already, or one of two. */
  #extended(value: Value): Value | undefined {
    if (value.opcode === WRAP && bitsIn(value.args[0] as Value) <= 32) return value.args[0];
    if (value.opcode?.name !== "select") return undefined;
    const [one, other, condition] = value.args as [Value, Value, Value];
    const [wide, otherWide] = [this.#wide(one), this.#wide(other)];
    if (!wide || !otherWide) return undefined;
    const select = wide.selected(condition, otherWide);
    select.bits = value.bits;
    this.#isNew = true;
    return select;
  }

  #wide(value: Value): Value | undefined {
    if (value.constant !== undefined) return value.extendU();
    return value.opcode === WRAP && bitsIn(value.args[0] as Value) <= 32 ? value.args[0] : undefined;
  }
}
