/** The WebAssembly module that handlers call into: address translation, block lookup, and large functions of instructions. */
import { functionSpec } from "../isa/functions.ts";
import type { Callee } from "../wasm/function.ts";
import { ModuleBuilder, signature } from "../wasm/module.ts";
import { findBlockFunctions } from "./interpret/find-block.ts";
import { mmuFunctions } from "./mmu/paging.ts";
import { stringRunFunctions } from "./mmu/string-runs.ts";
import { keepPageFunction, missGroupFunction } from "./translate/kept-pages.ts";
import { storeFlagsFunction } from "./translate/store-flags.ts";
import type { WasmFunctions } from "./wasm-functions.ts";

export interface RuntimeHost {
  readonly readMemory: (physical: bigint, bytes: number) => bigint;
  readonly writeMemory: (physical: bigint, bytes: number, value: bigint) => void;
  readonly codeWritten: (physical: number, bytes: number) => void;
  readonly watched: (linear: bigint, bytes: number, write: number) => void;
  readonly decodeBlock: (physical: bigint, linear: bigint) => number;
  /** A block has run often enough to be translated. */
  readonly hot: (record: number) => void;
  /** A region is to be made again: what it was made for has turned out otherwise. */
  readonly remakeRegion: (handler: number) => void;
  /** A region has run so much that it may be larger. */
  readonly growRegion: (handler: number) => void;
}

/** What TypeScript calls of the runtime module. */
export interface RuntimeExports {
  readonly enter: (record: number) => void;
  readonly findBlock: (linear: bigint) => number;
  /** `keepGlobal` is not zero where global pages are to stay. */
  readonly flushTlb: (keepGlobal: number) => void;
  readonly flushPage: (linear: bigint) => void;
  /** Makes translated code forget the pages that it has kept. */
  readonly forgetKeptPages: () => void;
  readonly translate: (linear: bigint, access: number) => bigint;
  readonly readLinear: (linear: bigint, bytes: number, access: number) => bigint;
  readonly writeLinear: (linear: bigint, bytes: number, value: bigint, access: number) => void;
}

interface MemoryPages {
  readonly initial: number;
  readonly maximum: number;
}

/** Compiled modules by what they are built for: machines of a kind share one. */
const compiled = new Map<string, WebAssembly.Module>();

/** The module for the vCPU whose state lies at `vcpu`; `functions` builds the functions of instructions. */
export function runtimeModule(vcpu: number, pages: MemoryPages, functions: () => WasmFunctions): WebAssembly.Module {
  const key = `${vcpu} ${pages.initial} ${pages.maximum}`;
  const module = compiled.get(key) ?? new WebAssembly.Module(buildRuntime(vcpu, pages, functions()));
  compiled.set(key, module);
  return module;
}

function buildRuntime(vcpu: number, pages: MemoryPages, functions: WasmFunctions) {
  const module = new ModuleBuilder();
  module.importMemory({ module: "env", name: "memory", ...pages, shared: true });
  module.importTable("env", "table", 1);
  const host = (
    name: keyof RuntimeHost,
    params: readonly ("i32" | "i64")[],
    results: readonly ("i32" | "i64")[] = [],
  ) => module.importFunction("host", name, signature(params, results));
  const mmu = mmuFunctions(module, vcpu, {
    readMemory: host("readMemory", ["i64", "i32"], ["i64"]),
    writeMemory: host("writeMemory", ["i64", "i32", "i64"]),
    codeWritten: host("codeWritten", ["i32", "i32"]),
    watched: host("watched", ["i64", "i32", "i32"]),
  });
  findBlockFunctions(module, vcpu, mmu.translate, host("decodeBlock", ["i64", "i64"], ["i32"]));
  storeFlagsFunction(module, vcpu);
  const remakeRegion = host("remakeRegion", ["i32"]);
  keepPageFunction(module, vcpu, mmu.fillTlb, remakeRegion);
  missGroupFunction(module, vcpu, remakeRegion);
  stringRunFunctions(module, vcpu, mmu.fillTlb);
  module.function(
    signature(["i32"]),
    (f) => f.returnCallIndirect(signature(["i32"]), f.load("i32", f.param(0)), f.param(0)),
    { export: "enter" },
  );
  const callees = new Map<string, Callee>();
  const callee = (name: string): Callee => {
    const found = callees.get(name);
    if (!found) throw new Error(`WebAssembly function ${name} is declared but not built`);
    return found;
  };
  for (const [name, build] of Object.entries(functions)) {
    const spec = functionSpec(name);
    const type = signature(spec.params, spec.result ? [spec.result] : []);
    callees.set(
      name,
      module.function(type, (f) => build(f, callee, vcpu), { export: name }),
    );
  }
  return module.build();
}
