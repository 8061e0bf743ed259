/** The interpreter's handlers, built when a decoded instruction first needs them. */
import { declaredFunctions, functionSpec } from "../../isa/functions.ts";
import { FORMS } from "../../isa/index.ts";
import type { Form } from "../../isa/instruction.ts";
import { instruction } from "../../isa/instruction.ts";
import { CS } from "../../isa/semantics.ts";
import type { Callee } from "../../wasm/function.ts";
import { type ModuleBuilder, signature } from "../../wasm/module.ts";
import type { ValueType } from "../../wasm/opcodes.ts";
import type { Decoded } from "../decode/decoder.ts";
import { HANDLER } from "../emit/enter-block.ts";
import type { MemoryFunctions } from "../emit/memory.ts";
import type { CodeContext, Linkage, SegmentUse } from "../emit/semantics.ts";
import { FIRST_HANDLER, RESUME } from "../emit/table-entries.ts";
import type { EmittedObservation } from "../observe/observer.ts";
import { CONTEXT, EXIT } from "../state.ts";
import { codeModule, FIRST_READY, MOST_KEPT, MOST_READY } from "./code-table.ts";
import { buildCount, buildEnd, buildFind, buildHandler, type HandlerShape } from "./handler.ts";
import type { KeptHandlers } from "./kept-handlers.ts";

/** Endings of blocks that no instruction stands for. */
const PSEUDO = {
  fallThrough: instruction("(next block)", { spec: "", forms: ["90"], ends: true, meaning: (o) => o.endBlock() }),
  undefined: instruction("(undefined)", {
    spec: "SDM 2, UD",
    forms: ["90"],
    ends: true,
    meaning: (o) => o.raise("UD"),
  }),
  beyondLimit: instruction("(beyond limit)", {
    spec: "SDM 3A 5.3",
    forms: ["90"],
    ends: true,
    meaning: (o) => o.raise("GP", 0),
  }),
  tooLong: instruction("(too long)", {
    spec: "SDM 2A 2.3.11",
    forms: ["90"],
    ends: true,
    meaning: (o) => o.raise("GP", 0),
  }),
} as const;
export type Pseudo = keyof typeof PSEUDO;
const PSEUDO_FORMS = Object.fromEntries(
  Object.entries(PSEUDO).map(([name, { parsed }], i) => [name, { ...(parsed[0] as Form), id: FORMS.length + i }]),
) as Record<Pseudo, Form>;

const ALL_CONTEXTS = CONTEXT.long | CONTEXT.code32 | CONTEXT.stack32 | CONTEXT.flat | CONTEXT.user;
/** All contexts, by their bits: each decoded instruction asks for one. */
const CONTEXTS = Array.from({ length: ALL_CONTEXTS + 1 }, (_, bits) => ({
  long: (bits & CONTEXT.long) !== 0,
  code32: (bits & CONTEXT.code32) !== 0,
  stack32: (bits & CONTEXT.stack32) !== 0,
  flat: (bits & CONTEXT.flat) !== 0,
  user: (bits & CONTEXT.user) !== 0,
}));

export const codeContext = (bits: number): CodeContext => CONTEXTS[bits & ALL_CONTEXTS] as CodeContext;

/** What a module under construction imports from: the memory, the table, WebAssembly and host functions. */
export interface CodeEnvironment {
  readonly memory: WebAssembly.Memory;
  readonly memoryPages: { readonly initial: number; readonly maximum: number };
  readonly table: WebAssembly.Table;
  readonly runtime: Record<string, WebAssembly.ImportValue>;
  readonly host: Record<string, WebAssembly.ImportValue>;
  /** Where the interpreter notes what it does (trace.ts); it does not unless given. */
  readonly trace?: number | undefined;
  /** What code that enters blocks and regions notes of that; nothing unless given. */
  readonly observe?: EmittedObservation | undefined;
}

const SIZE_BITS = { 16: 0, 32: 1, 64: 2 } as const;
const REPEAT_BITS = { none: 0, repe: 1, repne: 2 } as const;
const SEGMENT_BITS = { flat: 0, based: 1, checked: 2 } as const;

/** What an instruction's handler is for: its form, and all that the form's code can depend on. */
export type HandlerKey = number;
const KEY_CONTEXT = 15;
const KEY_FORM = 0x8000;

/**
 * Handlers that are kept before all are dropped: systems need some hundreds to a few thousand, a hostile guest could
 * ask for hundreds of thousands, of about 10 KiB each.
 */
export const MOST_HANDLERS = 8192;

export class Handlers {
  readonly #environment: CodeEnvironment;
  readonly #vcpu: number;
  /** Table entries. */
  readonly #known = new Map<HandlerKey, number>();
  #wanted: { index: number; shape: HandlerShape }[] = [];
  #next = FIRST_READY + MOST_READY;
  readonly #free: number[] = [];
  readonly #most: number;

  /** How many of them others had needed before. */
  kept = 0;

  /** `kept` is for a processor whose code is neither traced nor observed. */
  constructor(environment: CodeEnvironment, vcpu: number, most: number = MOST_HANDLERS, kept?: KeptHandlers) {
    this.#environment = environment;
    this.#vcpu = vcpu;
    this.#most = most;
    const module = this.#module();
    const linkage = linkageOf(module, environment.observe);
    const hot = module.importFunction("host", "hot", signature(["i32"]));
    module.elements(RESUME, [
      module.function(HANDLER, (f) => buildEnd(f, vcpu, EXIT.resume)),
      module.function(HANDLER, (f) => buildCount(f, hot)),
      module.function(HANDLER, (f) => buildEnd(f, vcpu, EXIT.breakpoint)),
      module.function(HANDLER, (f) => buildFind(f, vcpu, linkage)),
    ]);
    this.#instantiate(module);
    if (kept) this.take(kept);
  }

  /** Takes handlers that others have needed, as far as they are not there yet. Once, and not while code runs. */
  take({ keys, module }: KeptHandlers): void {
    if (keys.length > MOST_KEPT || this.kept > 0) return;
    this.kept = keys.length;
    keys.forEach((key, i) => {
      if (!this.#known.has(key)) this.#known.set(key, FIRST_HANDLER + i);
    });
    this.instantiate(module);
  }

  get keys(): readonly HandlerKey[] {
    return [...this.#known.keys()];
  }

  /** Handlers that there are. */
  get count(): number {
    return this.#known.size;
  }

  /** Whether a clear is due before more are built. */
  get full(): boolean {
    return this.#known.size > this.#most;
  }

  /** Drops all handlers of instructions. Not while a record refers to one. */
  clear(): void {
    for (const index of this.#known.values()) this.release(index);
    this.#known.clear();
    this.#wanted = [];
  }

  /** Gives a table entry back whose function is not called any more. */
  release(index: number): void {
    const { table } = this.#environment;
    table.set(index, table.get(0));
    this.#free.push(index);
  }

  /** The table entry of a pseudo instruction's handler. */
  pseudo(name: Pseudo, bits: number): number {
    const size = bits & CONTEXT.long ? SIZE_BITS[64] : SIZE_BITS[32];
    return this.#entry(PSEUDO_FORMS[name].id, (bits & KEY_CONTEXT) | (size << 4) | (size << 6));
  }

  /** The table entry of the handler for `decoded` in the context `bits`; `flush` builds what is new. */
  entry(decoded: Decoded, bits: number): number {
    const { form, operandSize, addressSize, memory, repeat, lock } = decoded;
    const use = segmentUse(memory?.segment ?? decoded.segment, codeContext(bits));
    return this.#entry(
      form.id,
      (bits & KEY_CONTEXT) |
        (SIZE_BITS[operandSize] << 4) |
        (SIZE_BITS[addressSize] << 6) |
        (SEGMENT_BITS[use] << 8) |
        (memory ? 1 << 10 : 0) |
        (memory && memory.index >= 0 ? 1 << 11 : 0) |
        (form.instruction.repeat ? REPEAT_BITS[repeat] << 12 : 0) |
        (lock ? 1 << 14 : 0),
    );
  }

  /** `bits` are all that the form's code can depend on, as `shapeOf` reads them. */
  #entry(form: number, bits: number): number {
    const key = form * KEY_FORM + bits;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const index = this.#free.pop() ?? this.#next++;
    this.#known.set(key, index);
    this.#wanted.push({ index, shape: shapeOf(key) as HandlerShape });
    return index;
  }

  /** A table entry for a function that is made elsewhere. */
  allocate(): number {
    const index = this.#free.pop() ?? this.#next++;
    this.#growTable();
    return index;
  }

  #growTable(): void {
    const { table } = this.#environment;
    if (this.#next > table.length) table.grow(Math.max(1024, this.#next - table.length), table.get(0));
  }

  /** Builds the handlers that were asked for since the last call. */
  flush(): void {
    if (this.#wanted.length === 0) return;
    const wanted = this.#wanted;
    this.#wanted = [];
    const module = this.#module();
    const linkage = linkageOf(module, this.#environment.observe);
    for (const { index, shape } of wanted) {
      const name = `${shape.form.instruction.name} ${shape.form.text}`;
      const handler = module.function(
        HANDLER,
        (f) => buildHandler(f, this.#vcpu, shape, linkage, this.#environment.trace),
        { name },
      );
      module.elements(index, [handler]);
    }
    this.#instantiate(module);
  }

  #module(): ModuleBuilder {
    return codeModule(this.#environment.memoryPages);
  }

  #instantiate(module: ModuleBuilder): void {
    this.instantiate(new WebAssembly.Module(module.build()));
  }

  /** Puts a module's functions into the table. */
  instantiate(module: WebAssembly.Module): void {
    this.#growTable();
    const { memory, table, runtime, host } = this.#environment;
    new WebAssembly.Instance(module, { env: { memory, table }, runtime, host });
  }
}

const SIZES = [16, 32, 64] as const;
const SEGMENT_USES = ["flat", "based", "checked"] as const;
const REPEATS = ["none", "repe", "repne"] as const;

/** What a key says; undefined where it says nothing. */
export function shapeOf(key: HandlerKey): HandlerShape | undefined {
  const id = Math.floor(key / KEY_FORM);
  const form = FORMS[id] ?? Object.values(PSEUDO_FORMS).find((each) => each.id === id);
  const operandSize = SIZES[(key >> 4) & 3];
  const addressSize = SIZES[(key >> 6) & 3];
  const use = SEGMENT_USES[(key >> 8) & 3];
  const repeat = REPEATS[(key >> 12) & 3];
  if (!form || !operandSize || !addressSize || !use || !repeat) return undefined;
  return {
    ...{ form, operandSize, addressSize, repeat, segmentUse: use, opcodeLow: 0 },
    context: codeContext(key & KEY_CONTEXT),
    memory: ((key >> 10) & 1) !== 0,
    indexed: ((key >> 11) & 1) !== 0,
    lock: ((key >> 14) & 1) !== 0,
  };
}

/** How a segment's base and limit are used. */
export function segmentUse(segment: number, { long, flat }: Pick<CodeContext, "long" | "flat">): SegmentUse {
  const based = segment === 4 || segment === 5;
  if (long) return based ? "based" : "flat";
  // Code segments cannot be written to, so that an override with CS is checked even where all are flat.
  return flat && !based && segment !== CS ? "flat" : "checked";
}

/** Functions of the runtime module that code calls beside those that instructions declare. */
const CODE_FUNCTIONS: Record<string, [params: readonly ValueType[], results: readonly ValueType[]]> = {
  findBlock: [["i64"], ["i32"]],
  enterAt: [["i64"], []],
  enterUnlinked: [["i32", "i64"], []],
  enterByLink: [["i32", "i64"], []],
  enterByReturn: [["i32", "i64"], []],
  interpretAt: [["i64"], []],
  interpretFrom: [["i64", "i32", "i32", "i32"], []],
  fillTlb: [["i64", "i32", "i32"], ["i32"]],
  reachPage: [["i64", "i32", "i32"], ["i32"]],
  keepPage: [["i64", "i32", "i32", "i32", "i32"], ["i32"]],
  keepAddend: [["i64", "i32", "i32", "i32", "i32"], ["i32"]],
  keepAddends: [["i64", "i32", "i32", "i32", "i32"], ["i32"]],
  storeFlags: [["i32", "i32", "i32", "i32", "i64", "i64", "i64"], []],
};

const runtimeFunction = (
  module: ModuleBuilder,
  name: string,
  params: readonly ValueType[],
  results: readonly ValueType[] = [],
): Callee => module.importFunction("runtime", name, signature(params, results));

/**
 * The memory functions, imported when they are first asked for. A class, as V8 keeps for long what accessors of an object
 * literal reach.
 */
class ImportedMemory implements MemoryFunctions {
  readonly #module: ModuleBuilder;

  constructor(module: ModuleBuilder) {
    this.#module = module;
  }

  get slowLoad(): Callee {
    return runtimeFunction(this.#module, "slowLoad", ["i32", "i64", "i32"], ["i64"]);
  }
  get slowStore(): Callee {
    return runtimeFunction(this.#module, "slowStore", ["i32", "i64", "i32", "i64"]);
  }
  get slowLoad128(): Callee {
    return runtimeFunction(this.#module, "slowLoad128", ["i32", "i64"]);
  }
  get slowStore128(): Callee {
    return runtimeFunction(this.#module, "slowStore128", ["i32", "i64"]);
  }
  get beginUpdate(): Callee {
    return runtimeFunction(this.#module, "beginUpdate", ["i32", "i64", "i32"], ["i32"]);
  }
  get stackFault(): Callee {
    return runtimeFunction(this.#module, "stackFault", []);
  }
  get endUpdate(): Callee {
    return runtimeFunction(this.#module, "endUpdate", ["i64", "i32"]);
  }
}

/** Imports into `module`: the memory functions and any declared function, by name, when first called. */
export function linkageOf(module: ModuleBuilder, observe: EmittedObservation | undefined): Linkage {
  return {
    observe,
    memory: new ImportedMemory(module),
    callee(name) {
      const code = CODE_FUNCTIONS[name];
      if (code) return runtimeFunction(module, name, ...code);
      const spec = functionSpec(name);
      const type = signature(spec.params, spec.result ? [spec.result] : []);
      return module.importFunction(spec.in === "wasm" ? "runtime" : "host", name, type);
    },
  };
}

/** Names of the declared functions of one kind. */
export function functionsIn(kind: "wasm" | "host"): string[] {
  return [...declaredFunctions()].filter(([, spec]) => spec.in === kind).map(([name]) => name);
}
