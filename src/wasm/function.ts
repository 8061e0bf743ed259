/**
 * Building one WebAssembly function. Statements are recorded in order; `finish` counts the uses of every
 * value, drops the dead ones and emits the rest as a stack machine wants them.
 */
import { leb } from "./bytes.ts";
import { type EncodedFunction, encodeFunction } from "./emitter.ts";
import { narrow } from "./narrow.ts";
import {
  type AtomicOperation,
  atomicOpcode,
  LOADS,
  type LoadKind,
  type Opcode,
  STORES,
  type StoreKind,
  type ValueType,
} from "./opcodes.ts";
import { type Operand, type Recorder, Value } from "./value.ts";

export interface Signature {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** A function to call. Its index in the module is known once all bodies are recorded. */
export interface Callee {
  index: number;
  readonly signature: Signature;
  /** Where it is imported from, if it is. */
  readonly source?: { readonly module: string; readonly name: string };
}

/** A local variable: the one kind of value that can be set again. */
export interface Variable {
  readonly type: ValueType;
  readonly local: number;
  get(): Value;
  set(value: Operand): void;
}

/** A target for `branch`: the end of a `block`, or the start of a `loop`. */
export interface Label {
  readonly statement: Statement;
}

/** A sequence of values and statements. */
export class Body {
  readonly entries: (Value | Statement)[] = [];

  /** Those of its values that follow from `value`, one of them, and itself. */
  following(value: Value): ReadonlySet<Value> {
    const found = new Set([value]);
    for (const entry of this.entries) {
      if (entry instanceof Value && entry.args.some((arg) => found.has(arg))) found.add(entry);
    }
    return found;
  }

  /**
   * Takes out those of its entries that `values` are computed from, to be placed before the others.
   * @throws Error where that could change them: they have effects, or read what others before them may have changed
   */
  take(values: readonly Value[]): Body {
    const needed = new Set(values);
    for (const entry of this.entries.toReversed()) {
      if (entry instanceof Value && needed.has(entry)) for (const arg of entry.args) needed.add(arg);
    }
    const taken = new Body();
    let isChanged = false;
    for (const entry of this.entries.splice(0)) {
      if (!(entry instanceof Value) || !needed.has(entry)) {
        isChanged ||= !(entry instanceof Value) || entry.mobility === "effect";
        this.entries.push(entry);
        continue;
      }
      if (entry.mobility === "effect" || (entry.mobility === "read" && isChanged))
        throw new Error(`${entry.opcode?.name} cannot be done before what stands in front of it`);
      taken.entries.push(entry);
    }
    return taken;
  }
}

export type StatementKind =
  | "set"
  /** Emits nothing: see `mark`. */
  | "mark"
  | "store"
  | "call"
  | "return"
  | "tail"
  | "unreachable"
  | "branch"
  | "switch"
  | "if"
  | "block"
  | "loop";

/** What is done in its place, and has no value. All kinds have the same fields: encoding visits very many of them. */
export class Statement {
  readonly kind: StatementKind;
  readonly args: readonly Value[];
  /** The instruction's bytes, where nothing else makes them; of a mark, its note. */
  code: readonly number[] = NOTHING;
  callee: Callee | undefined = undefined;
  /** Number of the local variable that is set, or -1. */
  variable = -1;
  /** What a branch leaves for; of a switch, in the order of the selector. */
  targets: readonly Statement[] = NO_STATEMENTS;
  body: Body | undefined = undefined;
  otherwise: Body | undefined = undefined;
  /** Whether the first body of an `if` is expected to run: what is needed only where it is not costs nothing before. */
  hint: Hint | undefined = undefined;
  // Filled in when the function is finished.
  place: Body | undefined = undefined;
  position = 0;

  constructor(kind: StatementKind, args: readonly Value[]) {
    this.kind = kind;
    this.args = args;
  }
}

const NOTHING: readonly number[] = [];
const NO_STATEMENTS: readonly Statement[] = [];
const NO_VALUES: readonly Value[] = [];

/** Which way a condition goes nearly always. @spec WebAssembly branch hinting proposal */
export type Hint = "likely" | "unlikely";

const LOCAL_GET: Opcode = { name: "local.get", code: [0x20], result: "i32" };
const CALL: Opcode = { name: "call", code: [0x10], result: "i32" };
const GLOBAL_GET: Opcode = { name: "global.get", code: [0x23], result: "i32" };
const V128_CONST: Opcode = { name: "v128.const", code: [0xfd, 0x0c], result: "v128" };
const LOAD_OPCODES: Partial<Record<LoadKind, Opcode>> = {};
for (const [name, { code, type }] of Object.entries(LOADS))
  LOAD_OPCODES[name as LoadKind] = { name, code, result: type };

const MEMORY_ARGUMENTS = new Map<number, readonly number[]>();
/** Encoding of an offset with no alignment asked for. */
function memoryArgument(offset: number): readonly number[] {
  let known = MEMORY_ARGUMENTS.get(offset);
  if (known === undefined) {
    known = [0, ...leb(offset)];
    MEMORY_ARGUMENTS.set(offset, known);
  }
  return known;
}

export class FunctionBuilder implements Recorder {
  readonly signature: Signature;
  readonly #locals: ValueType[] = [];
  readonly #root = new Body();
  #body: Body = this.#root;
  readonly #typeIndex: (signature: Signature) => number;

  constructor(signature: Signature, typeIndex: (signature: Signature) => number) {
    this.signature = signature;
    this.#typeIndex = typeIndex;
  }

  record(value: Value): Value {
    this.#body.entries.push(value);
    return value;
  }

  #statement(kind: StatementKind, args: readonly Value[], code: readonly number[], callee?: Callee): Statement {
    const statement = new Statement(kind, args);
    statement.code = code;
    statement.callee = callee;
    this.#body.entries.push(statement);
    return statement;
  }

  #operand(value: Operand, type: ValueType): Value {
    if (!(value instanceof Value)) return new Value(this, type, "pure", { constant: value });
    if (value.type !== type) throw new TypeError(`operand is ${value.type}, expected ${type}`);
    return value;
  }

  i32(value: number): Value {
    return new Value(this, "i32", "pure", { constant: value });
  }
  i64(value: number | bigint): Value {
    return new Value(this, "i64", "pure", { constant: value });
  }
  f32(value: number): Value {
    return new Value(this, "f32", "pure", { constant: value });
  }
  f64(value: number): Value {
    return new Value(this, "f64", "pure", { constant: value });
  }
  /** A v128 constant from its 16 bytes. */
  v128(bytes: readonly number[]): Value {
    return this.record(new Value(this, "v128", "pure", { opcode: V128_CONST, immediate: bytes }));
  }

  /** Parameter `index`; never set, so it is as good as a constant. */
  param(index: number): Value {
    const type = this.signature.params[index] as ValueType;
    return new Value(this, type, "pure", { opcode: LOCAL_GET, immediate: leb(index) });
  }

  /** A new local variable, zero at first. */
  variable(type: ValueType, initial?: Operand): Variable {
    const local = this.signature.params.length + this.#locals.length;
    this.#locals.push(type);
    const index = leb(local);
    const reading = { opcode: LOCAL_GET, immediate: index, variable: local };
    const setting = [0x21, ...index];
    const variable: Variable = {
      type,
      local,
      get: () => this.record(new Value(this, type, "read", reading)),
      set: (value) => {
        this.#statement("set", [this.#operand(value, type)], setting).variable = local;
      },
    };
    if (initial !== undefined) variable.set(initial);
    return variable;
  }

  /** A load from linear memory at `address` (i32) + `offset`, with no alignment asked for. */
  load(kind: LoadKind, address: Operand, offset = 0): Value {
    const { type } = LOADS[kind];
    const fields = { opcode: LOAD_OPCODES[kind], immediate: memoryArgument(offset) };
    return this.record(new Value(this, type, "read", fields, [this.#operand(address, "i32")]));
  }

  store(kind: StoreKind, address: Operand, value: Operand, offset = 0): void {
    const { type, code } = STORES[kind];
    const args = [this.#operand(address, "i32"), this.#operand(value, type)];
    this.#statement("store", args, [...code, ...memoryArgument(offset)]);
  }

  /** `memory.copy`: `length` bytes from `source` to `target`, which may overlap. */
  memoryCopy(target: Operand, source: Operand, length: Operand): void {
    const args = [target, source, length].map((operand) => this.#operand(operand, "i32"));
    this.#statement("store", args, [0xfc, 0x0a, 0, 0]);
  }

  memoryFill(target: Operand, byte: Operand, length: Operand): void {
    const args = [target, byte, length].map((operand) => this.#operand(operand, "i32"));
    this.#statement("store", args, [0xfc, 0x0b, 0]);
  }

  /** An immutable global. */
  global(index: number, type: ValueType): Value {
    return new Value(this, type, "pure", { opcode: GLOBAL_GET, immediate: leb(index) });
  }

  /** A call; its result, if it has one, may be left unused. */
  call(callee: Callee, ...args: Operand[]): Value {
    const { params, results } = callee.signature;
    if (args.length !== params.length) throw new TypeError(`call takes ${params.length} arguments`);
    const values = args.map((arg, i) => this.#operand(arg, params[i] as ValueType));
    if (results.length === 0) {
      this.#statement("call", values, [0x10], callee);
      return this.i32(0);
    }
    return this.record(new Value(this, results[0] as ValueType, "effect", { opcode: CALL, callee }, values));
  }

  /**
   * An atomic read-modify-write of `width` bits at `address` (i32), which traps unless it is aligned: what was there before,
   * zero-extended. `cmpxchg` takes what is expected there, and what is to be there then.
   */
  atomic(operation: AtomicOperation, width: number, address: Value, ...operands: readonly Value[]): Value {
    const opcode = atomicOpcode(operation, width);
    const fields = { opcode, immediate: [opcode.align, 0] };
    const args = [this.#operand(address, "i32"), ...operands.map((operand) => this.#operand(operand, opcode.result))];
    return this.record(new Value(this, opcode.result, "effect", fields, args));
  }

  return(...values: Value[]): void {
    this.#statement("return", values, [0x0f]);
  }

  unreachable(): void {
    this.#statement("unreachable", [], [0x00]);
  }

  returnCall(callee: Callee, ...args: Operand[]): void {
    const values = args.map((arg, i) => this.#operand(arg, callee.signature.params[i] as ValueType));
    this.#statement("tail", values, [0x12], callee);
  }

  /** Tail-calls entry `index` of table 0. */
  returnCallIndirect(signature: Signature, index: Value, ...args: Value[]): void {
    this.#statement("tail", [...args, index], [0x13, ...leb(this.#typeIndex(signature)), 0]);
  }

  #nested(build: () => void): Body {
    const outer = this.#body;
    const body = new Body();
    this.#body = body;
    try {
      build();
    } finally {
      this.#body = outer;
    }
    return body;
  }

  /** What is emitted from here on, up to the next mark, is told as belonging to `note`; the code stays as it is. */
  mark(note: number): void {
    this.#statement("mark", NO_VALUES, [note]);
  }

  /** Builds a body apart from the rest; `place` puts it where it belongs, once. */
  detached(build: () => void): Body {
    return this.#nested(build);
  }

  /** Puts the entries of a detached body here. */
  place(body: Body): void {
    for (const entry of body.entries) this.#body.entries.push(entry);
  }

  if(condition: Value, then: () => void, otherwise?: () => void, hint?: Hint): void {
    const statement = new Statement("if", [condition]);
    statement.body = this.#nested(then);
    statement.otherwise = otherwise && this.#nested(otherwise);
    statement.hint = hint;
    this.#body.entries.push(statement);
  }

  /** Runs `then` where `condition` is not zero, which is rare. */
  ifRare(condition: Value, then: () => void): void {
    this.if(condition, then, undefined, "unlikely");
  }

  /** A label that is not placed yet, for branches out of bodies that are built first. */
  label(kind: "block" | "loop"): Label {
    const statement = new Statement(kind, NO_VALUES);
    statement.body = new Body();
    return { statement };
  }

  /** A block that `branch` leaves at its end. */
  block(build: (label: Label) => void, label = this.label("block")): void {
    this.#labelled(label, build);
  }

  /** A loop that `branch` starts again; it ends when control reaches its end. */
  loop(build: (label: Label) => void, label = this.label("loop")): void {
    this.#labelled(label, build);
  }

  #labelled(label: Label, build: (label: Label) => void): void {
    this.fill(label, () => build(label));
    this.#body.entries.push(label.statement);
  }

  /** Builds more of a block, at its end: also of one that has been placed. */
  fill(label: Label, build: () => void): void {
    const outer = this.#body;
    this.#body = label.statement.body as Body;
    build();
    this.#body = outer;
  }

  branch(label: Label): void {
    this.#branch("branch", NO_VALUES, [label]);
  }

  branchIf(label: Label, condition: Value): void {
    this.#branch("branch", [condition], [label]);
  }

  /** `br_table`: leaves for `labels[selector]`, or for the last one. */
  switch(selector: Value, labels: readonly Label[]): void {
    this.#branch("switch", [selector], labels);
  }

  #branch(kind: StatementKind, args: readonly Value[], labels: readonly Label[]): void {
    const statement = new Statement(kind, args);
    statement.targets = labels.map((label) => label.statement);
    this.#body.entries.push(statement);
  }

  /** The encoded function body, locals included. */
  finish(): EncodedFunction {
    narrow(this.#root, this.signature.params.length + this.#locals.length);
    return encodeFunction(this.#root, this.signature.params.length, this.#locals);
  }
}
