/** The ranges of DATA SET MANAGEMENT. @spec ACS-3 §7.5.3 */

export interface TrimRange {
  readonly lba: number;
  /** Sectors, 1 to 65,535. */
  readonly count: number;
}

/** Entries of 8 bytes: a 48-bit LBA and a count. Those of no sectors are left out. */
export function trimRanges(data: Uint8Array): TrimRange[] {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const ranges: TrimRange[] = [];
  for (let at = 0; at + 8 <= data.length; at += 8) {
    const count = view.getUint16(at + 6, true);
    if (count > 0) ranges.push({ lba: view.getUint32(at, true) + view.getUint16(at + 4, true) * 2 ** 32, count });
  }
  return ranges;
}
