/**
 * Building one WebAssembly function. Statements are recorded in order; `finish` counts the uses of every
 * value, drops the dead ones and emits the rest as a stack machine wants them.
 */
import { ByteWriter } from "./bytes.ts";
import {
  LOADS,
  type LoadKind,
  type MemoryOpcode,
  type Opcode,
  STORES,
  type StoreKind,
  TYPE_CODE,
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
  readonly statement: Nested;
}

interface Body {
  readonly entries: (Value | Statement)[];
}
interface Simple {
  readonly kind: "set" | "store" | "call" | "return" | "tail" | "unreachable";
  readonly args: readonly Value[];
  readonly code: readonly number[];
  readonly callee?: Callee;
}
interface Branch {
  readonly kind: "branch";
  readonly args: readonly Value[];
  readonly target: Nested;
}
interface Switch {
  readonly kind: "switch";
  readonly args: readonly Value[];
  readonly targets: readonly Nested[];
}
interface Nested {
  readonly kind: "if" | "block" | "loop";
  readonly args: readonly Value[];
  readonly body: Body;
  readonly otherwise?: Body | undefined;
}
type Statement = Simple | Branch | Switch | Nested;

const LOCAL_GET: Opcode = { name: "local.get", code: [0x20], result: "i32" };
const CALL: Opcode = { name: "call", code: [0x10], result: "i32" };
const GLOBAL_GET: Opcode = { name: "global.get", code: [0x23], result: "i32" };

function leb(value: number): number[] {
  const writer = new ByteWriter(5);
  writer.unsigned(value);
  return [...writer.view()];
}

export class FunctionBuilder implements Recorder {
  readonly signature: Signature;
  readonly #locals: ValueType[] = [];
  readonly #root: Body = { entries: [] };
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

  #statement(kind: Simple["kind"], args: readonly Value[], code: readonly number[], callee?: Callee): void {
    this.#body.entries.push(callee ? { kind, args, code, callee } : { kind, args, code });
  }

  #operand(value: Operand, type: ValueType): Value {
    if (!(value instanceof Value)) return new Value(this, { type, mobility: "pure", constant: value });
    if (value.type !== type) throw new TypeError(`operand is ${value.type}, expected ${type}`);
    return value;
  }

  i32(value: number): Value {
    return new Value(this, { type: "i32", mobility: "pure", constant: value });
  }
  i64(value: number | bigint): Value {
    return new Value(this, { type: "i64", mobility: "pure", constant: value });
  }
  f32(value: number): Value {
    return new Value(this, { type: "f32", mobility: "pure", constant: value });
  }
  f64(value: number): Value {
    return new Value(this, { type: "f64", mobility: "pure", constant: value });
  }
  /** A v128 constant from its 16 bytes. */
  v128(bytes: readonly number[]): Value {
    const opcode: Opcode = { name: "v128.const", code: [0xfd, 0x0c], result: "v128" };
    return this.record(new Value(this, { type: "v128", mobility: "pure", opcode, immediate: bytes }));
  }

  /** Parameter `index`; never set, so it is as good as a constant. */
  param(index: number): Value {
    const type = this.signature.params[index] as ValueType;
    return new Value(this, { type, mobility: "pure", opcode: LOCAL_GET, immediate: leb(index) });
  }

  /** A new local variable, zero at first. */
  variable(type: ValueType, initial?: Operand): Variable {
    const local = this.signature.params.length + this.#locals.length;
    this.#locals.push(type);
    const variable: Variable = {
      type,
      local,
      get: () => this.record(new Value(this, { type, mobility: "read", opcode: LOCAL_GET, immediate: leb(local) })),
      set: (value) => this.#statement("set", [this.#operand(value, type)], [0x21, ...leb(local)]),
    };
    if (initial !== undefined) variable.set(initial);
    return variable;
  }

  /** A load from linear memory at `address` (i32) + `offset`, with no alignment asked for. */
  load(kind: LoadKind, address: Operand, offset = 0): Value {
    const opcode: MemoryOpcode = LOADS[kind];
    return this.record(
      new Value(this, {
        type: opcode.type,
        mobility: "read",
        opcode: { name: kind, code: opcode.code, result: opcode.type },
        args: [this.#operand(address, "i32")],
        immediate: [0, ...leb(offset)],
      }),
    );
  }

  store(kind: StoreKind, address: Operand, value: Operand, offset = 0): void {
    const opcode: MemoryOpcode = STORES[kind];
    const args = [this.#operand(address, "i32"), this.#operand(value, opcode.type)];
    this.#statement("store", args, [...opcode.code, 0, ...leb(offset)]);
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
    return new Value(this, { type, mobility: "pure", opcode: GLOBAL_GET, immediate: leb(index) });
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
    return this.record(
      new Value(this, {
        type: results[0] as ValueType,
        mobility: "effect",
        opcode: CALL,
        args: values,
        callee,
      }),
    );
  }

  /** An atomic read-modify-write or compare-exchange, by its 0xFE opcode. @spec threads proposal, "Binary" */
  atomic(code: number, align: number, type: ValueType, address: Value, operands: readonly Value[]): Value {
    return this.record(
      new Value(this, {
        type,
        mobility: "effect",
        opcode: { name: "atomic", code: [0xfe, code], result: type },
        args: [address, ...operands],
        immediate: [align, 0],
      }),
    );
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
    const body: Body = { entries: [] };
    this.#body = body;
    build();
    this.#body = outer;
    return body;
  }

  if(condition: Value, then: () => void, otherwise?: () => void): void {
    const body = this.#nested(then);
    const other = otherwise && this.#nested(otherwise);
    this.#body.entries.push({ kind: "if", args: [condition], body, otherwise: other });
  }

  /** A block that `branch` leaves at its end. */
  block(build: (label: Label) => void): void {
    this.#labelled("block", build);
  }

  /** A loop that `branch` starts again; it ends when control reaches its end. */
  loop(build: (label: Label) => void): void {
    this.#labelled("loop", build);
  }

  #labelled(kind: "block" | "loop", build: (label: Label) => void): void {
    const body: Body = { entries: [] };
    const statement: Nested = { kind, args: [], body };
    const outer = this.#body;
    this.#body = body;
    build({ statement });
    this.#body = outer;
    outer.entries.push(statement);
  }

  branch(label: Label): void {
    this.#body.entries.push({ kind: "branch", args: [], target: label.statement });
  }

  branchIf(label: Label, condition: Value): void {
    this.#body.entries.push({ kind: "branch", args: [condition], target: label.statement });
  }

  /** `br_table`: leaves for `labels[selector]`, or for the last one. */
  switch(selector: Value, labels: readonly Label[]): void {
    const targets = labels.map((label) => label.statement);
    this.#body.entries.push({ kind: "switch", args: [selector], targets });
  }

  /** The encoded function body, locals included. */
  finish(): Uint8Array {
    countUses(this.#root);
    const emitter = new Emitter(this.signature.params.length, this.#locals);
    decideInlining(this.#root);
    emitter.body(this.#root);
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
    writer.bytes(emitter.code.view());
    return writer.view();
  }
}

const isValue = (entry: Value | Statement): entry is Value => entry instanceof Value;

/** Counts, from the end to the start, how often every live value is used. */
function countUses(body: Body): void {
  for (let i = body.entries.length - 1; i >= 0; i--) {
    const entry = body.entries[i] as Value | Statement;
    if (isValue(entry)) {
      if (entry.uses === 0 && entry.mobility !== "effect") continue;
    } else if ("body" in entry) {
      if (entry.otherwise) countUses(entry.otherwise);
      countUses(entry.body);
    }
    for (const arg of entry.args) {
      arg.uses++;
      arg.user = entry;
    }
  }
}

/**
 * A value used once is emitted inside its user: pure ones unless that would move them into a loop, reads
 * only within their own body and with no effect in between.
 */
function decideInlining(body: Body): void {
  const { entries } = body;
  const position = new Map<object, number>();
  entries.forEach((entry, i) => {
    position.set(entry, i);
    if (!isValue(entry) && "body" in entry) {
      decideInlining(entry.body);
      if (entry.otherwise) decideInlining(entry.otherwise);
    }
  });
  // effects[i]: effects among entries 0 to i - 1.
  const effects = new Int32Array(entries.length + 1);
  entries.forEach((entry, i) => {
    effects[i + 1] = (effects[i] as number) + (isValue(entry) && entry.mobility !== "effect" ? 0 : 1);
  });
  // emittedAt[i]: where entry i is emitted, its own place or that of the entry it is inlined into.
  const emittedAt = new Int32Array(entries.length);
  for (let i = entries.length - 1; i >= 0; i--) {
    emittedAt[i] = i;
    const entry = entries[i] as Value | Statement;
    if (!isValue(entry) || entry.uses !== 1 || entry.user === undefined) continue;
    const user = position.get(entry.user);
    if (entry.mobility === "effect") continue;
    if (user === undefined) continue;
    const at = emittedAt[user] as number;
    if (entry.mobility === "read" && effects[at] !== effects[i]) continue;
    entry.inlined = true;
    emittedAt[i] = at;
  }
}

class Emitter {
  readonly code = new ByteWriter();
  readonly locals: ValueType[];
  readonly #params: number;
  readonly #labels: (Nested | undefined)[] = [];
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
    if (value.mobility !== "effect" && (value.uses === 0 || value.inlined)) return;
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
    if (value.callee) this.code.unsigned(value.callee.index);
  }

  #constant(type: ValueType, value: number | bigint): void {
    switch (type) {
      case "i32":
        this.code.byte(0x41);
        this.code.signed(Number(value) | 0);
        break;
      case "i64":
        this.code.byte(0x42);
        if (typeof value === "number" && (value | 0) === value) this.code.signed(value);
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

  #depth(target: Nested): number {
    const index = this.#labels.lastIndexOf(target);
    if (index < 0) throw new Error("branch to a block that does not enclose it");
    return this.#labels.length - 1 - index;
  }

  #statement(statement: Statement): void {
    for (const arg of statement.args) this.#push(arg);
    const { code } = this;
    switch (statement.kind) {
      case "if":
        code.byte(0x04);
        code.byte(0x40);
        this.#labels.push(statement);
        this.body(statement.body);
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
        this.body(statement.body);
        this.#labels.pop();
        code.byte(0x0b);
        break;
      case "branch":
        code.byte(statement.args.length > 0 ? 0x0d : 0x0c);
        code.unsigned(this.#depth(statement.target));
        break;
      case "switch":
        code.byte(0x0e);
        code.unsigned(statement.targets.length - 1);
        for (const target of statement.targets) code.unsigned(this.#depth(target));
        break;
      default:
        code.bytes(statement.code);
        if (statement.callee) code.unsigned(statement.callee.index);
    }
  }
}
