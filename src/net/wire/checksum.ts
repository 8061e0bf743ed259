/**
 * The checksum of IPv4, ICMP, UDP and TCP: the ones' complement of the ones' complement sum of all 16-bit words.
 *
 * @spec RFC 1071 §1, §4.1
 */

/** Adds the words of `bytes` to `sum`. An odd byte at the end counts as a word's upper half, so it must be the last one. */
export function addWords(bytes: Uint8Array, sum = 0): number {
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) sum += ((bytes[i] as number) << 8) | (bytes[i + 1] as number);
  if (even < bytes.length) sum += (bytes[even] as number) << 8;
  return sum;
}

/** The checksum of `bytes`, and of what `sum` already counts. It is 0 for bytes that hold their own right checksum. */
export function internetChecksum(bytes: Uint8Array, sum = 0): number {
  let folded = addWords(bytes, sum);
  while (folded > 0xffff) folded = (folded % 0x1_0000) + Math.floor(folded / 0x1_0000);
  return ~folded & 0xffff;
}
