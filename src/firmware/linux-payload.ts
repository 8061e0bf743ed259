/**
 * How the kernel proper in a bzImage is packed, where a machine can unpack it.
 *
 * @spec Linux Documentation/arch/x86/boot.rst, payload_offset
 */
import type { LinuxImage } from "./linux-header.ts";

export type Packing = "gzip" | "zstd" | "lz4";

const MAGIC: readonly (readonly [Packing, number, mask: number])[] = [
  ["gzip", 0x8b1f, 0xffff],
  ["zstd", 0xfd2f_b528, 0xffff_ffff],
  ["lz4", 0x184c_2102, 0xffff_ffff],
];
/** A magic number, and the unpacked size at the end. */
const SHORTEST = 8;

/** Undefined for a kernel without a 64-bit entry, and where it is packed otherwise, or the header does not tell. */
export function payloadPacking({ payload, kernel64 }: LinuxImage): Packing | undefined {
  if (!kernel64 || payload.length < SHORTEST) return undefined;
  const word = new DataView(payload.buffer, payload.byteOffset, payload.length).getUint32(0, true);
  return MAGIC.find(([, magic, mask]) => (word & mask) >>> 0 === magic)?.[0];
}
