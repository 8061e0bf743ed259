/** Reads a disk's partition table, and says what is wrong with it. */
import type { BlockDevice } from "../block-device.ts";
import { holds } from "../sample.ts";
import { readGpt } from "./gpt.ts";
import { isExtended, MBR_ENTRIES, MBR_ID, MBR_SIGNATURE, MbrEntry, MbrType, SECTOR } from "./layout.ts";
import { type Partition, readSector } from "./partition.ts";

export interface PartitionTable {
  readonly kind: "mbr" | "gpt" | "none";
  /** The disk's identifier: eight hexadecimal digits, or a GUID. */
  readonly id: string;
  readonly partitions: readonly Partition[];
  /** What is wrong, as sentences. */
  readonly problems: readonly string[];
}

/** A chain of logical partitions that is longer leads in a circle, or nowhere. */
const MOST_LOGICAL = 128;

/** Rejects only where the disk cannot be read. */
export async function readPartitionTable(disk: BlockDevice): Promise<PartitionTable> {
  const problems: string[] = [];
  const mbr = await readSector(disk, 0);
  const gpt = await readGpt(disk, problems);
  const hasMbr = holds(mbr, MBR_SIGNATURE, "\x55\xaa");
  if (gpt !== undefined) {
    const types = [0, 1, 2, 3].map((i) => MbrEntry.at(mbr, MBR_ENTRIES + i * MbrEntry.size).type);
    if (!hasMbr || !types.includes(MbrType.protective)) problems.push("the MBR does not protect the GPT");
    return { ...gpt, problems: [...problems, ...overlaps(gpt.partitions, disk)] };
  }
  if (!hasMbr) return { kind: "none", id: "", partitions: [], problems };
  const partitions = await readMbr(disk, mbr, problems);
  const id = new DataView(mbr.buffer).getUint32(MBR_ID, true).toString(16).padStart(8, "0");
  const found = partitions.filter(({ type }) => !isExtended(Number.parseInt(type, 16)));
  return { kind: "mbr", id, partitions, problems: [...problems, ...overlaps(found, disk)] };
}

async function readMbr(disk: BlockDevice, mbr: Uint8Array, problems: string[]): Promise<Partition[]> {
  const partitions: Partition[] = [];
  const add = (number: number, entry: ReturnType<typeof MbrEntry.at>, from: number) => {
    if (entry.status !== 0 && entry.status !== 0x80)
      problems.push(`partition ${number} has the status ${entry.status}`);
    partitions.push({
      number,
      first: from + entry.first,
      sectors: entry.sectors,
      type: entry.type.toString(16).padStart(2, "0"),
      name: "",
      id: "",
      bootable: entry.status === 0x80,
    });
  };
  let extended: number | undefined;
  for (let i = 0; i < 4; i++) {
    const entry = MbrEntry.at(mbr, MBR_ENTRIES + i * MbrEntry.size);
    if (entry.type === MbrType.empty) continue;
    add(i + 1, entry, 0);
    if (isExtended(entry.type)) extended ??= entry.first;
  }
  // Logical partitions are a list: each link says where its partition is, from itself, and the next link, from the first.
  let link = extended;
  for (let number = 5; link !== undefined; number++) {
    if (number >= 5 + MOST_LOGICAL) {
      problems.push("the list of logical partitions has no end");
      break;
    }
    const bytes = await readSector(disk, link);
    if (!holds(bytes, MBR_SIGNATURE, "\x55\xaa")) {
      problems.push(`the list of logical partitions is broken at sector ${link}`);
      break;
    }
    const entry = MbrEntry.at(bytes, MBR_ENTRIES);
    if (entry.type !== MbrType.empty) add(number, entry, link);
    const next = MbrEntry.at(bytes, MBR_ENTRIES + MbrEntry.size);
    link = isExtended(next.type) && next.sectors > 0 ? (extended as number) + next.first : undefined;
  }
  return partitions;
}

function overlaps(partitions: readonly Partition[], disk: BlockDevice): string[] {
  const problems: string[] = [];
  const ordered = [...partitions].sort((a, b) => a.first - b.first);
  for (const [i, { number, first, sectors }] of ordered.entries()) {
    if ((first + sectors) * SECTOR > disk.size) problems.push(`partition ${number} ends beyond the end of the disk`);
    const next = ordered[i + 1];
    if (next !== undefined && next.first < first + sectors) {
      problems.push(`partitions ${number} and ${next.number} overlap`);
    }
  }
  return problems;
}
