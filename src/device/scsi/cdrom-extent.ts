/** What of a disc the reading commands are about, and how it is brought. @spec MMC-6 §6.15 to §6.20 */
import { byteOffset } from "../../bits/units.ts";
import type { BlockDevice } from "../../disk/block-device.ts";
import { lengthOf, type SectorParts, sectorParts } from "./cd-sector.ts";
import { BLOCK_SIZE, lbaOf, Mmc } from "./cdrom-layout.ts";

export interface Extent {
  /** Negative where an address in minutes, seconds and frames lies before block 0. */
  readonly lba: number;
  readonly count: number;
  /** Undefined for user data alone. */
  readonly parts: SectorParts | undefined;
  /** Bytes of each sector that are brought. */
  readonly sectorLength: number;
}

/** Undefined for other commands, and where the end lies before the beginning. */
export function extentOf(cdb: Uint8Array): Extent | undefined {
  const view = new DataView(cdb.buffer, cdb.byteOffset, cdb.length);
  switch (cdb[0]) {
    case Mmc.read10:
      return userData(view.getUint32(2), view.getUint16(7));
    case Mmc.read12:
      return userData(view.getUint32(2), view.getUint32(6));
    case Mmc.readCd:
      return sectors(view.getUint32(2), view.getUint32(5) & 0xff_ffff, cdb[9]!);
    case Mmc.readCdMsf: {
      const lba = lbaOf(cdb[3]!, cdb[4]!, cdb[5]!);
      const end = lbaOf(cdb[6]!, cdb[7]!, cdb[8]!);
      return end < lba ? undefined : sectors(lba, end - lba, cdb[9]!);
    }
    default:
      return undefined;
  }
}

const userData = (lba: number, count: number): Extent => ({ lba, count, parts: undefined, sectorLength: BLOCK_SIZE });

/** The parts of a mode 1 sector that READ CD's flags name; it has no sub-header. */
function sectors(lba: number, count: number, flags: number): Extent {
  const parts = {
    sync: (flags & 0x80) !== 0,
    header: (flags & 0x20) !== 0,
    userData: (flags & 0x10) !== 0,
    ecc: (flags & 0x08) !== 0,
  };
  const plain = parts.userData && !parts.sync && !parts.header && !parts.ecc;
  return { lba, count, parts: plain ? undefined : parts, sectorLength: lengthOf(parts) };
}

/** Fills `target` with what an extent brings, from its byte `at` on. */
export async function readExtent(disc: BlockDevice, extent: Extent, at: number, target: Uint8Array): Promise<void> {
  const { lba, parts, sectorLength } = extent;
  if (parts === undefined) {
    await readBytes(disc, lba * BLOCK_SIZE + at, target);
    return;
  }
  const first = Math.floor(at / sectorLength);
  const count = Math.ceil((at + target.length) / sectorLength) - first;
  const blocks = new Uint8Array(count * BLOCK_SIZE);
  await readBytes(disc, (lba + first) * BLOCK_SIZE, blocks);
  for (let i = 0; i < count; i++) {
    const block = blocks.subarray(i * BLOCK_SIZE, (i + 1) * BLOCK_SIZE);
    const sector = sectorParts(lba + first + i, block, parts);
    const start = (first + i) * sectorLength - at;
    const from = Math.max(0, -start);
    target.set(sector.subarray(from, Math.min(sectorLength, target.length - start)), start + from);
  }
}

/** Does so at once, where it can be: user data inside of the disc. */
export function readExtentNow(disc: BlockDevice, { lba, parts }: Extent, at: number, target: Uint8Array): boolean {
  const from = lba * BLOCK_SIZE + at;
  if (parts !== undefined || from + target.length > disc.size) return false;
  return disc.readNow?.(byteOffset(from), [target]) ?? false;
}

/** Reads from a disc whose last block may be incomplete: what is missing of it reads as zeros. */
async function readBytes(disc: BlockDevice, from: number, target: Uint8Array): Promise<void> {
  const there = Math.max(0, Math.min(target.length, disc.size - from));
  if (there > 0) await disc.read(byteOffset(from), target.subarray(0, there));
  target.fill(0, there);
}
