/** Guests of the catalogue in machines of their own, as tests use them. */
import { readFile } from "node:fs/promises";
import type { TestContext } from "node:test";
import { joinArchives, writeCpio } from "../../src/hypervisor/catalogue/cpio.ts";
import { type PreparedGuest, prepareGuest } from "../../src/hypervisor/catalogue/debian-guest.ts";
import { CatalogueError } from "../../src/hypervisor/catalogue/failure.ts";
import { VirtualMachine, type VirtualMachineOptions } from "../../src/vm/index.ts";

/** What a host can lack that has no Debian to take guests from; all else that goes wrong is a failure. */
const HOST_LACKS = new Set(["tool-missing", "no-debian-source", "no-root-filesystem"]);

/** The named guest; or undefined, with the test skipped, where this host cannot make it. */
export function catalogueGuest(t: TestContext, name: string): Promise<PreparedGuest | undefined> {
  return orSkip(t, () => prepareGuest(name));
}

/** What `make` takes from Debian; or undefined, with the test skipped, where this host has no Debian to take it from. */
export async function orSkip<T>(t: TestContext, make: () => Promise<T>): Promise<T | undefined> {
  try {
    return await make();
  } catch (error) {
    if (!(error instanceof CatalogueError) || !HOST_LACKS.has(error.failure.kind)) throw error;
    t.skip(error.message);
    return undefined;
  }
}

/** A machine with the guest that is stopped when the test ends, whichever way. */
export async function machineOf(
  t: TestContext,
  guest: PreparedGuest,
  options: Partial<VirtualMachineOptions> = {},
): Promise<VirtualMachine> {
  const vm = await VirtualMachine.create({
    memory: `${guest.memoryMiB}M`,
    kernel: guest.kernel,
    initrd: guest.initrd,
    append: guest.append,
    ...options,
  });
  t.after(() => vm.stop());
  return vm;
}

/** The guest's initrd with scripts added, or put in the place of those that are there; by path in the guest. */
export async function initrdWith(guest: PreparedGuest, scripts: Readonly<Record<string, string>>): Promise<Uint8Array> {
  const added = Object.entries(scripts).map(([path, text]) => {
    return { kind: "file", path, permissions: 0o755, content: new TextEncoder().encode(text) } as const;
  });
  return joinArchives([await readFile(guest.initrd), writeCpio(added)]);
}
