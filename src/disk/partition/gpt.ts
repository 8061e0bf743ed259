/** Reads a GUID partition table: the first copy, or the one at the end where that is damaged. */
import { crc32 } from "../../bits/crc32.ts";
import { byteOffset } from "../../bits/units.ts";
import type { BlockDevice } from "../block-device.ts";
import { holds } from "../sample.ts";
import { GPT_SIGNATURE, GptEntry, GptHeader, guidText, SECTOR } from "./layout.ts";
import { type Partition, readSector } from "./partition.ts";

/** Bytes of the list of entries. */
const MOST_ENTRIES = 1024 * 1024;

interface Copy {
  readonly header: ReturnType<typeof GptHeader.at>;
  readonly entries: Uint8Array;
}

export async function readGpt(
  disk: BlockDevice,
  problems: string[],
): Promise<{ kind: "gpt"; id: string; partitions: readonly Partition[] } | undefined> {
  const last = disk.size / SECTOR - 1;
  const first = await readCopy(disk, 1);
  const lastPlace = typeof first === "string" ? last : Number(first.header.alternateLba);
  const second = await readCopy(disk, Math.min(lastPlace, last));
  if (typeof first === "string" && typeof second === "string") {
    // Without any signature there is just no GPT.
    if (first !== ABSENT || second !== ABSENT)
      problems.push(`the GPT cannot be used: ${first === ABSENT ? second : first}`);
    return undefined;
  }
  if (typeof first === "string")
    problems.push(`the GPT at the start is damaged (${first}); the one at the end is used`);
  if (typeof second === "string") problems.push(`the GPT at the end is damaged: ${second}`);
  if (typeof first !== "string" && first.header.alternateLba !== BigInt(last)) {
    problems.push("the GPT at the end is not at the end of the disk, which has grown");
  }
  if (typeof first !== "string" && typeof second !== "string" && first.header.entriesCrc !== second.header.entriesCrc) {
    problems.push("the two copies of the GPT differ");
  }
  const { header, entries } = (typeof first === "string" ? second : first) as Copy;
  const partitions: Partition[] = [];
  for (let i = 0; i < header.entryCount; i++) {
    const entry = GptEntry.at(entries, i * header.entrySize);
    if (entry.type.every((byte) => byte === 0)) continue;
    if (entry.first < header.firstUsable || entry.last > header.lastUsable || entry.last < entry.first) {
      problems.push(`partition ${i + 1} is outside of the usable sectors`);
    }
    partitions.push({
      number: i + 1,
      first: Number(entry.first),
      sectors: Number(entry.last - entry.first + 1n),
      type: guidText(entry.type),
      name: nameOf(entry.name),
      id: guidText(entry.id),
      bootable: (entry.attributes & 4n) !== 0n,
    });
  }
  return { kind: "gpt", id: guidText(header.diskId), partitions };
}

const ABSENT = "there is none";

/** A copy of the table whose checksums are right, or what is wrong with it. */
async function readCopy(disk: BlockDevice, lba: number): Promise<Copy | string> {
  const bytes = await readSector(disk, lba);
  if (!holds(bytes, 0, GPT_SIGNATURE)) return ABSENT;
  const header = GptHeader.at(bytes);
  const { headerSize, crc, entryCount, entrySize } = header;
  if (headerSize < GptHeader.size || headerSize > SECTOR) return `its header has ${headerSize} bytes`;
  const zeroed = bytes.slice(0, headerSize);
  GptHeader.at(zeroed).crc = 0;
  if (crc32(zeroed) !== crc) return "the checksum of its header is wrong";
  if (header.myLba !== BigInt(lba)) return `it says that it is at sector ${header.myLba}`;
  if (entrySize < GptEntry.size || entrySize % 8 !== 0) return `its entries have ${entrySize} bytes`;
  const length = entryCount * entrySize;
  const offset = Number(header.entriesLba) * SECTOR;
  if (length > MOST_ENTRIES || offset + length > disk.size) return "its entries are not on the disk";
  const entries = new Uint8Array(length);
  await disk.read(byteOffset(offset), entries);
  if (crc32(entries) !== header.entriesCrc) return "the checksum of its entries is wrong";
  return { header, entries };
}

function nameOf(bytes: Uint8Array): string {
  let name = "";
  for (let i = 0; i + 1 < bytes.length; i += 2) {
    const unit = (bytes[i] as number) + (bytes[i + 1] as number) * 256;
    if (unit === 0) break;
    name += String.fromCharCode(unit);
  }
  return name;
}
