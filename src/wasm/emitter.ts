/**
 * From a recorded function body to bytes: counts the uses of every value, drops the dead ones, decides where each is
 * computed, and writes what a stack machine wants.
 */
import { ByteWriter, PADDED_INDEX } from "./bytes.ts";
import type { Body, Callee, Statement } from "./function.ts";
import { type Opcode, TYPE_CODE, type ValueType } from "./opcodes.ts";
import { Value } from "./value.ts";

export interface EncodedFunction {
  readonly bytes: Uint8Array;
  /** Where in `bytes` an `if` stands whose condition nearly always goes one way. */
  readonly hints: readonly { readonly at: number; readonly likely: boolean }[];
  /** Where in `bytes` what belongs to a note begins (`FunctionBuilder.mark`). */
  readonly marks: readonly CodeMark[];
  /** Where in `bytes` the index of a called function goes, in PADDED_INDEX bytes: the module knows it. */
  readonly calls: readonly CallSite[];
}

export interface CallSite {
  readonly at: number;
  readonly callee: Callee;
}

export interface CodeMark {
  readonly at: number;
  readonly note: number;
}

export function encodeFunction(root: Body, params: number, variables: readonly ValueType[]): EncodedFunction {
  countUses(root, false);
  decideSinking(root);
  decideInlining(root);
  const emitter = new Emitter(params, variables);
  emitter.body(root);
  emitter.code.byte(0x0b);
  const writer = new ByteWriter(emitter.code.length + 32);
  const groups: [number, ValueType][] = [];
  for (const type of emitter.locals) {
    const group = groups.at(-1);
    if (group && group[1] === type) group[0]++;
    else groups.push([1, type]);
  }
  writer.unsigned(groups.length);
  for (const [count, type] of groups) {
    writer.unsigned(count);
    writer.byte(TYPE_CODE[type]);
  }
  const shift = writer.length;
  writer.bytes(emitter.code.view());
  return {
    bytes: writer.view(),
    hints: emitter.hints.map(({ at, likely }) => ({ at: at + shift, likely })),
    marks: emitter.marks.map(({ at, note }) => ({ at: at + shift, note })),
    calls: emitter.calls.map(({ at, callee }) => ({ at: at + shift, callee })),
  };
}

const isValue = (entry: Value | Statement): entry is Value => entry instanceof Value;

/** Most instructions of a value that is computed again at each rare use. */
const SINK_COST = 12;

/** Counts, from the end to the start, how often every live value is used, and how often where control rarely comes. */
function countUses(body: Body, rare: boolean): void {
  for (let i = body.entries.length - 1; i >= 0; i--) {
    const entry = body.entries[i] as Value | Statement;
    let rareUse = rare;
    if (isValue(entry)) {
      if (entry.uses === 0 && entry.mobility !== "effect") continue;
      // What only rare uses need can be computed there; then its operands are needed there only, too.
      if (!rare && entry.mobility === "pure" && entry.rareUses === entry.uses) {
        entry.sunk = true;
        rareUse = true;
      }
    } else if (entry.body) {
      if (entry.otherwise) countUses(entry.otherwise, rare || entry.hint === "likely");
      countUses(entry.body, rare || entry.hint === "unlikely");
    }
    const { args } = entry;
    for (let j = 0; j < args.length; j++) {
      const arg = args[j] as Value;
      arg.uses++;
      if (rareUse) arg.rareUses++;
      arg.user = entry;
    }
  }
}

/** Values that would be too much to compute at each rare use are computed where they are made after all. */
function decideSinking({ entries }: Body): void {
  for (const entry of entries) {
    if (!isValue(entry)) {
      if (entry.body) decideSinking(entry.body);
      if (entry.otherwise) decideSinking(entry.otherwise);
    } else if (entry.sunk) {
      entry.cost = entry.args.reduce((sum, arg) => sum + (arg.sunk ? arg.cost : 1), 1);
      if (entry.cost > SINK_COST) entry.sunk = false;
    }
  }
}

/**
 * A value used once is emitted inside its user: pure ones unless that would move them into a loop, reads
 * only within their own body and with no effect in between.
 */
function decideInlining(body: Body): void {
  const { entries } = body;
  // effects[i]: effects among entries 0 to i - 1.
  const effects = new Int32Array(entries.length + 1);
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as Value | Statement;
    entry.place = body;
    entry.position = i;
    const isEffect = isValue(entry) ? entry.mobility === "effect" : entry.kind !== "mark";
    effects[i + 1] = (effects[i] as number) + (isEffect ? 1 : 0);
    if (isValue(entry)) continue;
    if (entry.body) decideInlining(entry.body);
    if (entry.otherwise) decideInlining(entry.otherwise);
  }
  // emittedAt[i]: where entry i is emitted, its own place or that of the entry it is inlined into.
  const emittedAt = new Int32Array(entries.length);
  for (let i = entries.length - 1; i >= 0; i--) {
    emittedAt[i] = i;
    const entry = entries[i] as Value | Statement;
    if (!isValue(entry) || entry.sunk || entry.uses !== 1 || entry.mobility === "effect") continue;
    const user = entry.user as Value | Statement;
    if (user.place !== body || (isValue(user) && user.sunk)) continue;
    const at = emittedAt[user.position] as number;
    if (entry.mobility === "read" && effects[at] !== effects[i]) continue;
    entry.inlined = true;
    emittedAt[i] = at;
  }
}

class Emitter {
  readonly code = new ByteWriter();
  readonly locals: ValueType[];
  readonly hints: { at: number; likely: boolean }[] = [];
  readonly marks: CodeMark[] = [];
  readonly calls: CallSite[] = [];
  readonly #params: number;
  readonly #labels: Statement[] = [];
  #lastSet = -1;
  #lastSetEnd = -1;
  #lastSetStart = -1;

  constructor(params: number, locals: readonly ValueType[]) {
    this.#params = params;
    this.locals = [...locals];
  }

  body(body: Body): void {
    for (const entry of body.entries) {
      if (isValue(entry)) this.#define(entry);
      else this.#statement(entry);
    }
  }

  #define(value: Value): void {
    if (value.mobility !== "effect" && (value.uses === 0 || value.inlined || value.sunk)) return;
    this.#compute(value);
    if (value.uses === 0) {
      this.code.byte(0x1a);
      return;
    }
    value.local = this.#params + this.locals.length;
    this.locals.push(value.type);
    this.#lastSet = value.local;
    this.#lastSetStart = this.code.length;
    this.code.byte(0x21);
    this.code.unsigned(value.local);
    this.#lastSetEnd = this.code.length;
  }

  /** Puts a value on the stack: its local, or the instructions that compute it. */
  #push(value: Value): void {
    if (value.local < 0) {
      this.#compute(value);
    } else if (value.local === this.#lastSet && this.code.length === this.#lastSetEnd) {
      this.code.patch(this.#lastSetStart, 0x22); // local.set x; local.get x is local.tee x
      this.#lastSetEnd = -1;
    } else {
      this.code.byte(0x20);
      this.code.unsigned(value.local);
    }
  }

  #compute(value: Value): void {
    if (value.constant !== undefined) {
      this.#constant(value.type, value.constant);
      return;
    }
    for (const arg of value.args) this.#push(arg);
    this.code.bytes((value.opcode as Opcode).code);
    if (value.immediate) this.code.bytes(value.immediate);
    if (value.callee) this.#index(value.callee);
  }

  /** Leaves room for a function's index. */
  #index(callee: Callee): void {
    this.calls.push({ at: this.code.length, callee });
    for (let i = 0; i < PADDED_INDEX; i++) this.code.byte(0);
  }

  #constant(type: ValueType, value: number | bigint): void {
    switch (type) {
      case "i32":
        this.code.byte(0x41);
        this.code.signed(Number(value) | 0);
        break;
      case "i64":
        this.code.byte(0x42);
        // Most fit into 32 bits, and need no arithmetic on big integers.
        if ((Number(value) | 0) === Number(value)) this.code.signed(Number(value));
        else this.code.signed64(BigInt(value));
        break;
      case "f32":
        this.code.byte(0x43);
        this.code.float32(Number(value));
        break;
      case "f64":
        this.code.byte(0x44);
        this.code.float64(Number(value));
        break;
      case "v128":
        throw new TypeError("a v128 constant is made with v128()");
    }
  }

  #depth(target: Statement): number {
    const index = this.#labels.lastIndexOf(target);
    if (index < 0) throw new Error("branch to a block that does not enclose it");
    return this.#labels.length - 1 - index;
  }

  #statement(statement: Statement): void {
    for (const arg of statement.args) this.#push(arg);
    const { code } = this;
    switch (statement.kind) {
      case "if":
        if (statement.hint) this.hints.push({ at: code.length, likely: statement.hint === "likely" });
        code.byte(0x04);
        code.byte(0x40);
        this.#labels.push(statement);
        this.body(statement.body as Body);
        if (statement.otherwise) {
          code.byte(0x05);
          this.#lastSetEnd = -1;
          this.body(statement.otherwise);
        }
        this.#labels.pop();
        code.byte(0x0b);
        break;
      case "block":
      case "loop":
        code.byte(statement.kind === "block" ? 0x02 : 0x03);
        code.byte(0x40);
        this.#labels.push(statement);
        this.body(statement.body as Body);
        this.#labels.pop();
        code.byte(0x0b);
        break;
      case "branch":
        code.byte(statement.args.length > 0 ? 0x0d : 0x0c);
        code.unsigned(this.#depth(statement.targets[0] as Statement));
        break;
      case "switch":
        code.byte(0x0e);
        code.unsigned(statement.targets.length - 1);
        for (const target of statement.targets) code.unsigned(this.#depth(target));
        break;
      case "mark":
        this.marks.push({ at: code.length, note: statement.code[0] as number });
        break;
      default:
        code.bytes(statement.code);
        if (statement.callee) this.#index(statement.callee);
    }
  }
}
