/**
 * What a parallel NOR flash tells of itself: identifiers and the common flash interface's table.
 *
 * @spec JEDEC JESD68.01 "Common Flash Interface"; Intel StrataFlash 28F128J3 datasheet (290667), tables of the query
 */

/** Bytes that erase together. */
export const BLOCK = 4096;
/** Bytes of one buffered write at the most, within so many aligned ones. */
export const WRITE_BUFFER = 32;

const MANUFACTURER_INTEL = 0x89;
const DEVICE = 0x18;

/** What reads as the identifiers: manufacturer, device, a block's lock. */
export const IDENTIFIERS: readonly number[] = [MANUFACTURER_INTEL, DEVICE, 0];

const QUERY_AT = 0x10;
const PRIMARY_AT = 0x31;
const INTEL_EXTENDED = 0x0001;

/** The query table of a flash of `size` bytes, from offset 0 on. */
export function queryTable(size: number): Uint8Array {
  const table = new Uint8Array(0x40);
  const blocks = size / BLOCK - 1;
  const buffer = Math.log2(WRITE_BUFFER);
  table.set(
    [
      ...ascii("QRY"),
      ...half(INTEL_EXTENDED),
      ...half(PRIMARY_AT),
      ...half(0), // no alternate command set
      ...half(0),
      0x45, // supply from 4.5 V
      0x55, // to 5.5 V
      0, // no programming voltage
      0,
      7, // a byte takes 2^7 µs at most, typically
      7, // a buffer likewise
      10, // a block's erase 2^10 ms
      0, // no erase of the whole chip
      4, // the longest times, as factors
      4,
      4,
      0,
      Math.ceil(Math.log2(size)),
      ...half(0), // 8 bits wide
      ...half(buffer),
      1, // one region of blocks of one size
      ...half(blocks),
      ...half(BLOCK / 256),
    ],
    QUERY_AT,
  );
  table.set([...ascii("PRI"), ...ascii("1"), ...ascii("0"), 0, 0, 0, 0], PRIMARY_AT);
  return table;
}

const ascii = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0));
const half = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff];
