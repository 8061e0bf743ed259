/** Machines that the BIOS boots from a network of their own, for tests. */
import { readFileSync } from "node:fs";
import type { FileTree } from "../../src/net/file-tree.ts";
import { FilesInMemory } from "../../src/net/files-in-memory.ts";
import { type MacAddress, parseMacAddress } from "../../src/net/wire/addresses.ts";
import type { MachineDefinition } from "../../src/vm/definition.ts";

export const ADDRESS = "52:54:00:12:34:56";

/** A machine whose network's server has these files, by path, and says that `bootFile` is the one to boot. */
export function onNetwork(
  files: Readonly<Record<string, Uint8Array | string>>,
  bootFile?: string,
): Pick<MachineDefinition, "nics" | "bios"> {
  const encoder = new TextEncoder();
  const entries = Object.entries(files).map(
    ([path, content]) => [path, typeof content === "string" ? encoder.encode(content) : content] as const,
  );
  return onNetworkOf(new FilesInMemory(new Map(entries)), bootFile);
}

export function onNetworkOf(files: FileTree, bootFile?: string): Pick<MachineDefinition, "nics" | "bios"> {
  const network = { kind: "isolated", files, ...(bootFile === undefined ? {} : { bootFile }) } as const;
  return {
    nics: [{ model: "virtio", address: parseMacAddress(ADDRESS) as MacAddress, network }],
    bios: { order: ["net"] },
  };
}

/** A file of the host's. */
export const hostFile = (path: string): Uint8Array => new Uint8Array(readFileSync(path));
