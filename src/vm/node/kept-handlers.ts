/**
 * Handlers of the interpreter that earlier processes have needed, kept for those to come: apart for machines that start in
 * different ways, of which each would only wait for the other's.
 */
import type { KeptHandlers } from "../../cpu/interpret/kept-handlers.ts";
import type { StartKind } from "../../cpu/processor-options.ts";
import { keep, keptDirectory, readKept } from "./kept-file.ts";

const KEY_BYTES = 8;

const nameFor = (start: StartKind) => `handlers-${start}`;

/** What is kept in `directory` for machines that start in this way; undefined where nothing is that can be used. */
export function keptHandlers(start: StartKind, directory = keptDirectory()): KeptHandlers | undefined {
  const bytes = directory === undefined ? undefined : readKept(directory, nameFor(start));
  if (!bytes || bytes.length < KEY_BYTES) return undefined;
  const count = bytes.readDoubleLE(0);
  const at = (1 + count) * KEY_BYTES;
  if (!(at <= bytes.length)) return undefined;
  const keys = Array.from({ length: count }, (_, i) => bytes.readDoubleLE((1 + i) * KEY_BYTES));
  try {
    return { keys, module: new WebAssembly.Module(bytes.subarray(at)) };
  } catch {
    // Something has damaged the file.
    return undefined;
  }
}

/** Builds the handlers of `keys` and keeps them. */
export async function keepHandlers(start: StartKind, keys: readonly number[], directory: string): Promise<void> {
  const { buildKeptHandlers } = await import("../../cpu/interpret/kept-handlers.ts");
  const head = Float64Array.of(keys.length, ...keys);
  keep(directory, nameFor(start), Buffer.concat([Buffer.from(head.buffer), buildKeptHandlers(keys)]));
}
