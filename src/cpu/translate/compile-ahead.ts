/**
 * Has V8 compile functions before the machine's thread calls them: V8 compiles a function when it is first called, for all
 * threads that have the module. Each is called once, in a memory of zeros, where it finds its budget used up, and nothing
 * that it could do.
 */
import { createCodeTable, FIRST_READY, MOST_READY } from "../interpret/code-table.ts";
import type { RegionSettings } from "../processor-options.ts";

/** A module that puts functions of the type HANDLER into the table. */
export interface TableModule {
  readonly module: WebAssembly.Module;
  /** Table entry of the first, and how many there are. */
  readonly at: number;
  readonly count: number;
}

/** Whatever a function imports, which ends it. */
const nothing = new Proxy(
  {},
  {
    get: () => () => {
      throw new Error("not here");
    },
  },
);

/** Where functions are called that are to be compiled. */
export interface EmptyMachine {
  readonly memory: WebAssembly.Memory;
  readonly table: WebAssembly.Table;
}

/** Calls the functions one after the other, with a pause after each. */
export function* compileAhead({ module, at, count }: TableModule, machine: EmptyMachine): Generator<void> {
  instantiate(module, machine);
  for (let entry = at; entry < at + count; entry++) {
    try {
      (machine.table.get(entry) as (record: number) => void)(0);
    } catch {
      // It went as far as it could.
    }
    yield;
  }
}

/** The functions that a module puts into the table at these entries; they are not in the table afterwards. */
export function functionsAt(module: WebAssembly.Module, entries: readonly number[], machine: EmptyMachine): unknown[] {
  const { table } = machine;
  const missing = Math.max(...entries) + 1 - table.length;
  if (missing > 0) table.grow(missing, table.get(0));
  instantiate(module, machine);
  return entries.map((entry) => {
    const found = table.get(entry);
    table.set(entry, table.get(0));
    return found;
  });
}

function instantiate(module: WebAssembly.Module, { memory, table }: EmptyMachine): void {
  new WebAssembly.Instance(module, { env: { memory, table }, runtime: nothing, host: nothing });
}

/**
 * A machine for that, with as much memory as the guest's: what is not used of it takes no room. Undefined where the host has
 * not so much to give: functions are then compiled where they run.
 */
export function emptyMachine({ memoryPages }: Pick<RegionSettings, "memoryPages">): EmptyMachine | undefined {
  try {
    const memory = new WebAssembly.Memory({ ...memoryPages, shared: true });
    return { memory, table: createCodeTable(FIRST_READY + MOST_READY) };
  } catch {
    return undefined;
  }
}
