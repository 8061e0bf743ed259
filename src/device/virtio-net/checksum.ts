/** The Internet checksum, for drivers that leave it to the device. Source: RFC 1071; OASIS virtio 1.2, §5.1.6.2. */

/**
 * Stores the checksum of `frame` from byte `start` on at `start` + `offset`, where the driver put the sum of the pseudo
 * header. Returns false, and changes nothing, where that field is not in the frame.
 */
export function completeChecksum(frame: Uint8Array, start: number, offset: number): boolean {
  const field = start + offset;
  if (field + 2 > frame.length) return false;
  let sum = 0;
  const even = start + ((frame.length - start) & ~1);
  for (let at = start; at < even; at += 2) sum += frame[at]! * 256 + frame[at + 1]!;
  // An odd last byte counts as if a zero followed.
  if (even < frame.length) sum += frame[even]! * 256;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  // Zero means "no checksum" to UDP (RFC 768), and the other zero of ones' complement is as good to all.
  const checksum = sum === 0xffff ? 0xffff : ~sum & 0xffff;
  frame[field] = checksum >>> 8;
  frame[field + 1] = checksum & 0xff;
  return true;
}
