/** `bunk disk partitions`: shows a partition table, or makes one. */
import { randomBytes } from "node:crypto";
import { openImage } from "../../disk/node/open-image.ts";
import { createGpt, createMbr, randomGuid } from "../../disk/partition/create-table.ts";
import { SECTOR } from "../../disk/partition/layout.ts";
import { type PartitionTable, readPartitionTable } from "../../disk/partition/read-table.ts";
import { labelOf } from "../../disk/partition/types.ts";
import { fileError } from "../failure.ts";
import { formatTable } from "../table.ts";
import type { PartitionsOptions } from "./disk-invocation.ts";
import { formatBytes } from "./sizes.ts";

/** The text to print. */
export async function partitionsCommand(options: PartitionsOptions): Promise<string> {
  const { file, format, create, add, force } = options;
  const disk = await openImage(file, { readOnly: create === undefined, ...(format === undefined ? {} : { format }) });
  try {
    const before = await readPartitionTable(disk);
    if (create === undefined) return describe(file, before);
    if (before.kind !== "none" && !force) {
      throw fileError(`${file} has a partition table (${before.kind}) already; add --force to replace it`);
    }
    if (create === "gpt") await createGpt(disk, add, () => randomGuid((length) => new Uint8Array(randomBytes(length))));
    else await createMbr(disk, add, new Uint8Array(randomBytes(4)));
    return describe(file, await readPartitionTable(disk));
  } finally {
    await disk.close();
  }
}

function describe(file: string, { kind, id, partitions, problems }: PartitionTable): string {
  const told = problems.map((problem) => `  ${problem}\n`).join("");
  if (kind === "none") return `${file} has no partition table\n${told}`;
  const rows = partitions.map((one) => [
    `${one.number}${one.bootable ? "*" : ""}`,
    String(one.first),
    formatBytes(one.sectors * SECTOR),
    labelOf(one.type),
    printable(one.name),
  ]);
  const table = formatTable([["NUMBER", "FIRST SECTOR", "SIZE", "TYPE", "NAME"], ...rows]);
  return `${file}: ${kind}, ${id}\n${table}${told}`;
}

/** A guest wrote it, and it goes to a terminal. */
const printable = (text: string) => [...text].map((one) => (one < " " || one === "\x7f" ? "?" : one)).join("");
