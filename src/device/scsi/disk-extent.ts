/** Which blocks a command of a disk is about. @spec SBC-3 §5 */
import { Sbc } from "./disk-layout.ts";

export interface Extent {
  readonly lba: number;
  /** Blocks. */
  readonly count: number;
}

const SIX: ReadonlySet<number> = new Set([Sbc.read6, Sbc.write6]);
const TWELVE: ReadonlySet<number> = new Set([Sbc.read12, Sbc.write12, Sbc.writeAndVerify12, Sbc.verify12]);
const SIXTEEN: ReadonlySet<number> = new Set([
  Sbc.read16,
  Sbc.write16,
  Sbc.writeAndVerify16,
  Sbc.verify16,
  Sbc.synchronizeCache16,
  Sbc.writeSame16,
]);

/** The blocks, from a command of at least 16 bytes; an address beyond 2^53 comes out as some large number. */
export function extentOf(cdb: Uint8Array): Extent {
  const view = new DataView(cdb.buffer, cdb.byteOffset, cdb.length);
  const code = cdb[0]!;
  if (SIX.has(code)) return { lba: view.getUint32(0) & 0x1f_ffff, count: cdb[4]! || 256 };
  if (TWELVE.has(code)) return { lba: view.getUint32(2), count: view.getUint32(6) };
  if (SIXTEEN.has(code)) return { lba: Number(view.getBigUint64(2)), count: view.getUint32(10) };
  return { lba: view.getUint32(2), count: view.getUint16(7) };
}
