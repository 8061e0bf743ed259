/**
 * Makes the WebAssembly module that handlers call into: address translation, block lookup, and large functions of
 * instructions.
 */
import { functionSpec } from "../isa/functions.ts";
// Instructions declare the functions that they call.
import "../isa/index.ts";
import type { Callee } from "../wasm/function.ts";
import { ModuleBuilder, signature } from "../wasm/module.ts";
import { fpuFunctions } from "./fpu/index.ts";
import { integerFunctions } from "./integer/functions.ts";
import { importCodeTable } from "./interpret/code-table.ts";
import { findBlockFunctions } from "./interpret/find-block.ts";
import { runBlocksFunctions } from "./interpret/run-blocks.ts";
import { mmuFunctions } from "./mmu/accesses.ts";
import { stringRunFunctions } from "./mmu/string-runs.ts";
import { CountBuilder } from "./observe/count-area.ts";
import type { EmittedObservation } from "./observe/observer.ts";
import type { RuntimeHost } from "./runtime.ts";
import { sseFunctions } from "./sse/index.ts";
import { RAM_BASE, VCPU_BASE } from "./state.ts";
import { deliveryFunction } from "./system/delivery.ts";
import { privilegeFunctions } from "./system/privilege.ts";
import { protectedPrivilegeFunctions } from "./system/protected-privilege.ts";
import { segmentLoadFunctions } from "./system/segment-loads.ts";
import { invalidationFunctions } from "./system/translation-caches.ts";
import { keepPageFunctions } from "./translate/kept-pages.ts";
import { storeFlagsFunction } from "./translate/store-flags.ts";
import { wayOutFunctions } from "./translate/ways-out.ts";
import type { WasmFunctions } from "./wasm-functions.ts";

/** Pages of a memory that the module takes: any that has room for all state. */
const MEMORY = { initial: RAM_BASE / 65536, maximum: 65536 };

let compiled: WebAssembly.Module | undefined;

/** The module, built where this is called first. */
export function runtimeModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(buildRuntime());
  return compiled;
}

function wasmFunctions(): WasmFunctions {
  return {
    ...integerFunctions(),
    ...fpuFunctions(),
    ...sseFunctions(),
    ...privilegeFunctions(),
    ...protectedPrivilegeFunctions(),
    ...segmentLoadFunctions(),
    ...invalidationFunctions(),
  };
}

/**
 * The module as bytes; they depend on nothing but this source code, the place of the vCPU's state, and what is observed
 * (observe/observer.ts).
 */
export function buildRuntime(vcpu = VCPU_BASE, observe: EmittedObservation = {}): Uint8Array<ArrayBuffer> {
  const counts = new CountBuilder(observe.counts);
  const module = new ModuleBuilder();
  module.importMemory({ module: "env", name: "memory", ...MEMORY, shared: true });
  importCodeTable(module);
  const host = (
    name: keyof RuntimeHost,
    params: readonly ("i32" | "i64")[],
    results: readonly ("i32" | "i64")[] = [],
  ) => module.importFunction("host", name, signature(params, results));
  const imports = {
    readMemory: host("readMemory", ["i64", "i32"], ["i64"]),
    writeMemory: host("writeMemory", ["i64", "i32", "i64"]),
    codeWritten: host("codeWritten", ["i32", "i32"]),
    watched: host("watched", ["i64", "i32", "i32"]),
    forgetLinks: host("forgetLinks", []),
  };
  const mmu = mmuFunctions(module, vcpu, imports, counts);
  const decodeBlock = host("decodeBlock", ["i64", "i64"], ["i32"]);
  const finding = findBlockFunctions(module, vcpu, { translate: mmu.translate, decodeBlock, counts, observe });
  const { findBlock } = finding;
  const remakeRegion = host("remakeRegion", ["i32"]);
  keepPageFunctions(module, vcpu, mmu.fillTlb, remakeRegion, counts);
  wayOutFunctions(module, vcpu, {
    ...finding,
    storeFlags: storeFlagsFunction(module, vcpu),
    remakeRegion,
  });
  stringRunFunctions(module, vcpu, mmu.fillTlb);
  const delivering = host("delivering", ["i32", "i32", "i32"]);
  const deliver = deliveryFunction(module, vcpu, mmu.translate, delivering);
  runBlocksFunctions(module, vcpu, { findBlock, deliver, observe });
  const callees = new Map<string, Callee>([["flushPage", mmu.flushPage]]);
  const callee = (name: string): Callee => {
    const found = callees.get(name);
    if (!found) throw new Error(`WebAssembly function ${name} is declared but not built`);
    return found;
  };
  for (const [name, build] of Object.entries(wasmFunctions())) {
    const spec = functionSpec(name);
    const type = signature(spec.params, spec.result ? [spec.result] : []);
    callees.set(
      name,
      module.function(type, (f) => build(f, callee, vcpu), { export: name }),
    );
  }
  return module.build();
}
