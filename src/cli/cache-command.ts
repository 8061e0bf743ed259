/** `bunk cache`: what is kept of guests, and its removal. */
import { rm } from "node:fs/promises";
import path from "node:path";
import { MIB } from "../bits/units.ts";
import { loadEntry } from "../hypervisor/catalogue/entry.ts";
import { defaultCacheDirectory, GuestStore } from "../hypervisor/catalogue/guest-store.ts";
import { formatTable } from "./table.ts";
import { unpackedDirectory } from "./unpack-image.ts";

const mib = (bytes: number) => `${Math.ceil(bytes / MIB)} MiB`;

/** The text to print. */
export async function cacheCommand(directory: string = defaultCacheDirectory()): Promise<string> {
  const guests = await new GuestStore(directory).contents();
  if (guests.length === 0) return `${directory} holds no guest\n`;
  const total = guests.reduce((sum, { bytes }) => sum + bytes, 0);
  return formatTable([
    ["GUEST", "SIZE"],
    ...guests.map(({ name, bytes }) => [name, mib(bytes)]),
    [`in ${directory}`, mib(total)],
  ]);
}

/** Removes the named guests, or everything; returns the text to print. Rejects with CatalogueError for a wrong name. */
export async function cleanCommand(
  names: readonly string[],
  directory: string = defaultCacheDirectory(),
): Promise<string> {
  const store = new GuestStore(directory);
  const before = await store.contents();
  for (const name of names) if (!before.some((guest) => guest.name === name)) await loadEntry(name);
  const isUnwanted = (name: string) => names.length === 0 || names.includes(name);
  await store.remove(isUnwanted);
  // Package lists, packages of builds that failed, unpacked disk images, compiled sources (bin/bunk.mjs).
  if (names.length === 0) {
    const rest = [path.join(directory, "apt"), unpackedDirectory(directory), path.join(directory, "code")];
    for (const kept of rest) await rm(kept, { recursive: true, force: true });
  }
  const removed = before.filter(({ name }) => isUnwanted(name));
  const bytes = removed.reduce((sum, guest) => sum + guest.bytes, 0);
  return removed.length === 0
    ? "nothing to remove\n"
    : `removed ${removed.map(({ name }) => name).join(", ")} (${mib(bytes)})\n`;
}
