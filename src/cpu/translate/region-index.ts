/** Which kept regions there are, by what their code begins with: made once, for all threads that look for them. */
import type { RegionIdentity } from "./region-encoding.ts";

/** Above all numbers of regions. */
const NUMBERS = 65536;
/** Stands where there is no region of a number. */
export const NO_PLACE = 0xffff_ffff;
/** Offsets in a page, and values of a byte. */
const PLACES = 4096 * 256;

/** The offset in its page and the first byte that a region has. */
export const placeOf = ({ offset, first }: Pick<RegionIdentity, "offset" | "first">): number => offset * 256 + first;

export interface RegionIndex {
  /** Keys in ascending order, each times 65536 and with the number of a region added. */
  readonly byKey: Float64Array;
  /** A bit for each place that a region has: few blocks need a closer look. */
  readonly places: Uint8Array;
}

/** The index of regions by their numbers: their keys and places. */
export function indexOf(keys: Uint32Array, places: Uint32Array): RegionIndex {
  const byKey = new Float64Array(keys.length);
  const bits = new Uint8Array(PLACES / 8);
  let count = 0;
  keys.forEach((key, region) => {
    const place = places[region] as number;
    if (place >= PLACES) return;
    byKey[count++] = key * NUMBERS + region;
    bits[place >> 3] = (bits[place >> 3] as number) | (1 << (place & 7));
  });
  return { byKey: byKey.slice(0, count).sort(), places: bits };
}

export function hasPlace({ places }: RegionIndex, place: number): boolean {
  return ((places[place >> 3] as number) & (1 << (place & 7))) !== 0;
}

/** Numbers of the regions with this key, in ascending order. */
export function regionsOf({ byKey }: RegionIndex, key: number): number[] {
  let [from, to] = [0, byKey.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((byKey[middle] as number) < key * NUMBERS) from = middle + 1;
    else to = middle;
  }
  const found: number[] = [];
  for (let at = from; at < byKey.length && (byKey[at] as number) < (key + 1) * NUMBERS; at++) {
    found.push((byKey[at] as number) - key * NUMBERS);
  }
  return found;
}
