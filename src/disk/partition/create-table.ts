/** Writes a new partition table, with partitions one after the other, each from a whole MiB on. */
import { crc32 } from "../../bits/crc32.ts";
import { byteOffset, MIB } from "../../bits/units.ts";
import { type BlockDevice, BlockError } from "../block-device.ts";
import {
  GPT_SIGNATURE,
  GptEntry,
  GptHeader,
  guidBytes,
  MBR_ENTRIES,
  MBR_ID,
  MBR_SIGNATURE,
  MbrEntry,
  MbrType,
  SECTOR,
} from "./layout.ts";
import type { PartitionType } from "./types.ts";

export interface NewPartition {
  /** Bytes; undefined for all that is left. */
  readonly size: number | undefined;
  readonly type: PartitionType;
  readonly name: string;
}

/** What makes a table impossible; the message says what to change. */
export class PartitionError extends BlockError {
  readonly problem: "too-many" | "no-room" | "no-such-type";
  constructor(problem: PartitionError["problem"], message: string) {
    super("io", message);
    this.problem = problem;
  }
}

const ALIGNMENT = MIB / SECTOR;
const ENTRIES = 128;
const ENTRIES_SECTORS = (ENTRIES * GptEntry.size) / SECTOR;

interface Place {
  readonly first: number;
  readonly sectors: number;
}

/** Places in sectors; `end` is the first sector that is not to be used. */
function place(partitions: readonly NewPartition[], end: number): Place[] {
  let at = ALIGNMENT;
  return partitions.map(({ size }, i) => {
    const left = end - at;
    const sectors = size === undefined ? left : Math.ceil(size / SECTOR);
    if (sectors <= 0 || sectors > left) {
      throw new PartitionError(
        "no-room",
        `there is no room for partition ${i + 1}: ${Math.max(0, left * SECTOR)} bytes are left`,
      );
    }
    const first = at;
    at = Math.ceil((first + sectors) / ALIGNMENT) * ALIGNMENT;
    return { first, sectors };
  });
}

export async function createMbr(disk: BlockDevice, partitions: readonly NewPartition[], id: Uint8Array): Promise<void> {
  if (partitions.length > 4)
    throw new PartitionError("too-many", "an MBR has at most 4 partitions here; use --create gpt");
  const places = place(partitions, Math.min(disk.size / SECTOR, 2 ** 32));
  const mbr = new Uint8Array(SECTOR);
  mbr.set(id.subarray(0, 4), MBR_ID);
  for (const [i, { first, sectors }] of places.entries()) {
    const { mbr: type, name } = (partitions[i] as NewPartition).type;
    if (type === undefined) throw new PartitionError("no-such-type", `an MBR has no type "${name}"; use --create gpt`);
    const entry = { type, first, sectors, firstChs: chs(first), lastChs: chs(first + sectors - 1) };
    mbr.set(MbrEntry.make(entry), MBR_ENTRIES + i * MbrEntry.size);
  }
  mbr.set([0x55, 0xaa], MBR_SIGNATURE);
  await clearGpt(disk);
  await disk.write(byteOffset(0), mbr);
  await disk.flush();
}

/** The usual geometry of large disks; what it cannot reach has its last values. */
function chs(lba: number): Uint8Array {
  const cylinder = Math.floor(lba / (255 * 63));
  if (cylinder > 1023) return Uint8Array.of(254, 0xff, 0xff);
  const sector = (lba % 63) + 1;
  return Uint8Array.of(Math.floor(lba / 63) % 255, sector | ((cylinder >>> 2) & 0xc0), cylinder & 0xff);
}

/** An old GPT's header at either end would go on to be found. */
async function clearGpt(disk: BlockDevice): Promise<void> {
  for (const lba of [1, disk.size / SECTOR - 1]) {
    if (lba > 0 && (lba + 1) * SECTOR <= disk.size) await disk.write(byteOffset(lba * SECTOR), new Uint8Array(SECTOR));
  }
}

export async function createGpt(
  disk: BlockDevice,
  partitions: readonly NewPartition[],
  randomGuid: () => Uint8Array,
): Promise<void> {
  if (partitions.length > ENTRIES) throw new PartitionError("too-many", `a GPT has at most ${ENTRIES} partitions here`);
  const total = disk.size / SECTOR;
  const lastUsable = total - 2 - ENTRIES_SECTORS;
  const places = place(partitions, lastUsable + 1);
  const entries = new Uint8Array(ENTRIES * GptEntry.size);
  for (const [i, { first, sectors }] of places.entries()) {
    const { type, name } = partitions[i] as NewPartition;
    if (type.gpt === undefined)
      throw new PartitionError("no-such-type", `a GPT has no type "${type.name}"; use --create mbr`);
    const fields = {
      type: guidBytes(type.gpt),
      id: randomGuid(),
      first: BigInt(first),
      last: BigInt(first + sectors - 1),
    };
    entries.set(GptEntry.make({ ...fields, name: utf16(name) }), i * GptEntry.size);
  }
  const diskId = randomGuid();
  const header = (myLba: number, alternateLba: number, entriesLba: number) => {
    const bytes = GptHeader.make({
      signature: Uint8Array.from(GPT_SIGNATURE, (character) => character.charCodeAt(0)),
      revision: 0x0001_0000,
      headerSize: GptHeader.size,
      myLba: BigInt(myLba),
      alternateLba: BigInt(alternateLba),
      firstUsable: BigInt(2 + ENTRIES_SECTORS),
      lastUsable: BigInt(lastUsable),
      diskId,
      entriesLba: BigInt(entriesLba),
      entryCount: ENTRIES,
      entrySize: GptEntry.size,
      entriesCrc: crc32(entries),
    });
    GptHeader.at(bytes).crc = crc32(bytes);
    const whole = new Uint8Array(SECTOR);
    whole.set(bytes);
    return whole;
  };
  const mbr = new Uint8Array(SECTOR);
  const protective = { type: MbrType.protective, first: 1, sectors: Math.min(total - 1, 0xffff_ffff) };
  mbr.set(MbrEntry.make({ ...protective, firstChs: Uint8Array.of(0, 2, 0), lastChs: chs(total - 1) }), MBR_ENTRIES);
  mbr.set([0x55, 0xaa], MBR_SIGNATURE);
  // The copy at the end first: at every moment one of the two is whole.
  await disk.write(byteOffset((total - 1 - ENTRIES_SECTORS) * SECTOR), entries);
  await disk.write(byteOffset((total - 1) * SECTOR), header(total - 1, 1, total - 1 - ENTRIES_SECTORS));
  await disk.flush();
  await disk.write(byteOffset(2 * SECTOR), entries);
  await disk.write(byteOffset(SECTOR), header(1, total - 1, 2));
  await disk.write(byteOffset(0), mbr);
  await disk.flush();
}

function utf16(text: string): Uint8Array {
  const bytes = new Uint8Array(72);
  for (let i = 0; i < Math.min(text.length, 36); i++) {
    bytes[2 * i] = text.charCodeAt(i) & 0xff;
    bytes[2 * i + 1] = text.charCodeAt(i) >>> 8;
  }
  return bytes;
}

/** A random identifier. @spec RFC 9562 §5.4 */
export function randomGuid(random: (length: number) => Uint8Array): Uint8Array {
  const bytes = random(16);
  // The version is in the high half of the third number, which is little-endian here.
  bytes[7] = ((bytes[7] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return bytes;
}
