/** The size of a block device of the host, which the status of its file does not tell. */
import { readFile } from "node:fs/promises";
import { BlockError } from "../block-device.ts";

/** What Linux counts sizes of block devices in, whatever their blocks are. */
const SECTOR = 512;

/**
 * Bytes of the block device with this number.
 * @spec Linux Documentation/ABI/stable/sysfs-block, "size"; glibc sys/sysmacros.h for the parts of the number
 */
export async function deviceSize(file: string, device: number): Promise<number> {
  const number = BigInt(device);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xffff_f000n);
  const minor = (number & 0xffn) | ((number >> 12n) & 0xffff_ff00n);
  let sectors: number;
  try {
    sectors = Number(await readFile(`/sys/dev/block/${major}:${minor}/size`, "utf8"));
  } catch (error) {
    throw new BlockError("io", `cannot open ${file}: this host does not tell the size of its devices`, {
      cause: error,
    });
  }
  if (!(sectors > 0)) throw new BlockError("io", `cannot open ${file}: there is nothing in it; insert a disc`);
  return sectors * SECTOR;
}
