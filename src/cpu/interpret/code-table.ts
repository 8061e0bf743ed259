/** The table of functions that run guest code: which entries are for what, and modules that put functions there. */
import { ModuleBuilder } from "../../wasm/module.ts";
import { HANDLER } from "../emit/enter-block.ts";
import { FIRST_HANDLER } from "../emit/table-entries.ts";

/** Table entries from FIRST_HANDLER on that are for handlers which others have needed: more would take longer to load than they save. */
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
