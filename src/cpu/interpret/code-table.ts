/** The table of functions that run guest code: which entries are for what, and modules that put functions there. */
import { ModuleBuilder } from "../../wasm/module.ts";
import { HANDLER } from "../emit/enter-block.ts";

/** Table entry of the handler that ends a chain; records are pointed at it to stop what runs. */
export const RESUME = 1;
/** Table entry of the handler that counts how often a block runs. */
export const COUNT = 2;
/** Table entry of the handler that returns where a debugger may have a breakpoint. */
export const BREAKPOINT = 3;
/** Table entry of the handler that looks for what is to run in place of a record whose code has changed. */
export const FIND = 4;

/** Table entry of the first handler of an instruction. */
export const FIRST_HANDLER = FIND + 1;

/** Table entries from there on that are for handlers which others have needed: more would take longer to load than they save. */
export const MOST_KEPT = 2048;

/** Table entries behind those, for regions that others have made. */
export const FIRST_READY = FIRST_HANDLER + MOST_KEPT;
export const MOST_READY = 24576;

/** A table of so many entries. All are a function that traps, entry 0 for ever. */
export function createCodeTable(entries: number): WebAssembly.Table {
  const module = new ModuleBuilder();
  module.exportTable(
    "table",
    entries,
    module.function(HANDLER, (f) => f.unreachable()),
  );
  return new WebAssembly.Instance(new WebAssembly.Module(module.build())).exports.table as WebAssembly.Table;
}

export function importCodeTable(module: ModuleBuilder): void {
  module.importTable("env", "table", HANDLER, 1);
}

/** A module with the imports that all code has. */
export function codeModule({
  initial,
  maximum,
}: {
  readonly initial: number;
  readonly maximum: number;
}): ModuleBuilder {
  const module = new ModuleBuilder();
  // Code that goes on with other code names it.
  module.declareType(HANDLER);
  module.importMemory({ module: "env", name: "memory", initial, maximum, shared: true });
  importCodeTable(module);
  return module;
}
