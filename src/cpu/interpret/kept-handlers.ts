/**
 * Handlers that other processes have needed, as one module that is there from the start: a boot loader comes to some
 * hundred of them within its first tenths of a second, and each takes as long to build as it then runs.
 */
import { HANDLER } from "../emit/enter-block.ts";
import { FIRST_HANDLER } from "../emit/table-entries.ts";
import { RAM_BASE, VCPU_BASE } from "../state.ts";
import { codeModule } from "./code-table.ts";
import { buildHandler } from "./handler.ts";
import { type HandlerKey, linkageOf, shapeOf } from "./handlers.ts";

export interface KeptHandlers {
  /** What each handler is for; they are in the table one after the other from FIRST_HANDLER on. */
  readonly keys: readonly HandlerKey[];
  readonly module: WebAssembly.Module;
}

/** Builds the module. It depends on nothing but `keys`, whose handlers there must be, and this source code. */
export function buildKeptHandlers(keys: readonly HandlerKey[]): Uint8Array<ArrayBuffer> {
  const module = codeModule({ initial: RAM_BASE / 65536, maximum: 65536 });
  const linkage = linkageOf(module, undefined);
  const functions = keys.map((key) => {
    const shape = shapeOf(key);
    if (shape === undefined) throw new RangeError(`${key} is the key of no handler`);
    return module.function(HANDLER, (f) => buildHandler(f, VCPU_BASE, shape, linkage));
  });
  if (functions.length > 0) module.elements(FIRST_HANDLER, functions);
  return module.build();
}
