/** The Internet checksum, for drivers that leave it to the device. Source: RFC 1071; OASIS virtio 1.2, §5.1.6.2. */
import { internetChecksum } from "../../net/wire/checksum.ts";

/**
 * Stores the checksum of `frame` from byte `start` on at `start` + `offset`, where the driver put the sum of the pseudo
 * header. Returns false, and changes nothing, where that field is not in the frame.
 */
export function completeChecksum(frame: Uint8Array, start: number, offset: number): boolean {
  const field = start + offset;
  if (field + 2 > frame.length) return false;
  // Zero means "no checksum" to UDP (RFC 768), and the other zero of ones' complement is as good to all.
  const checksum = internetChecksum(frame.subarray(start)) || 0xffff;
  frame[field] = checksum >>> 8;
  frame[field + 1] = checksum & 0xff;
  return true;
}
