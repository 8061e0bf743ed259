/** The value of --memory. */
import { GIB, MIB } from "../bits/units.ts";
import { parseSize } from "../vm/size.ts";
import { usageError } from "./failure.ts";

export const LEAST_MEMORY = 2 * MIB;
export const MOST_MEMORY = 3 * GIB;

/** Bytes of "512M"; throws CliError where the text is no size or no machine can have that much or little. */
export function parseMemory(text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined)
    throw usageError(`--memory ${text} is not a size; write a number with K, M or G, such as 512M`);
  if (bytes < LEAST_MEMORY) {
    const remedy = /^\d+$/.test(text) && bytes > 0 ? `; did you mean ${text}M?` : "";
    throw usageError(`--memory ${text} is too small: a machine needs at least 2M${remedy}`);
  }
  if (bytes > MOST_MEMORY) throw usageError(`--memory ${text} is too large: a machine can have at most 3G`);
  if (bytes % MIB !== 0) {
    const below = Math.floor(bytes / MIB);
    throw usageError(`--memory ${text} is not a whole number of MiB; use ${below}M or ${below + 1}M`);
  }
  return bytes;
}

/** "512M" or "2G" for a number of bytes that is whole MiB. */
export function formatMemory(bytes: number): string {
  return bytes % GIB === 0 ? `${bytes / GIB}G` : `${bytes / MIB}M`;
}
