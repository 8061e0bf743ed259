/** What code is found again by in other processes, wherever it and what it refers to lie by then. */
import { type AddressField, addressFields } from "../decode/address-fields.ts";
import type { Decoded } from "../decode/decoder.ts";

/** Bytes of it at the most. */
const LENGTH = 16;

/**
 * A hash (32 bits, unsigned) of the mode `context`, the offset in the page, and the first bytes of the block that begins at
 * `at` in `bytes`, of which `instructions` are the first. Where an address of a kernel may be does not count.
 */
export function codeKey(
  bytes: Uint8Array,
  at: number,
  offset: number,
  context: number,
  instructions: readonly Decoded[],
): number {
  let hash = Math.imul(context ^ (offset << 16), 0x9e37_79b1);
  const end = at + Math.min(LENGTH, 4096 - offset);
  let first = at;
  for (const decoded of instructions) {
    if (first >= end) break;
    const { displacement, immediate } = addressFields(decoded);
    const next = first + decoded.length;
    for (let i = first; i < next && i < end; i++) {
      const isAddress = isWithin(displacement, i - first) || isWithin(immediate, i - first);
      if (!isAddress) hash = Math.imul(hash ^ (bytes[i] as number), 0x0100_0193);
    }
    first = next;
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}

const isWithin = (field: AddressField | undefined, at: number): boolean =>
  field !== undefined && at >= field.at && at < field.at + field.size;
