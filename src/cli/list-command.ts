/** `bunk list`: the catalogue as a table. */
import { MIB } from "../bits/units.ts";
import { findGuest } from "../hypervisor/catalogue/debian-guest.ts";
import { loadCatalogue } from "../hypervisor/catalogue/entry.ts";
import { formatMemory } from "./memory-size.ts";
import { formatTable } from "./table.ts";

/** The text to print. Rejects with CatalogueError. */
export async function listCommand(): Promise<string> {
  const entries = await loadCatalogue();
  const rows = await Promise.all(
    entries.map(async ({ name, label, memoryMiB }) => {
      const isCached = (await findGuest(name)) !== undefined;
      return [name, isCached ? "cached" : "-", formatMemory(memoryMiB * MIB), label];
    }),
  );
  return formatTable([["GUEST", "STATE", "MEMORY", "WHAT IT IS"], ...rows]);
}
