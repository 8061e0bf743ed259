/** Checks that every disk back end makes before an operation. */
import { type BlockDevice, BlockError } from "./block-device.ts";

/** Whether `length` bytes from `offset` on are all on a disk of `size` bytes. */
export function isInside({ size }: Pick<BlockDevice, "size">, offset: number, length: number): boolean {
  return offset >= 0 && length >= 0 && offset + length <= size;
}

/** Throws BlockError where `length` bytes from `offset` on are not all on a disk of `size` bytes. */
export function mustBeInside(disk: Pick<BlockDevice, "size">, offset: number, length: number): void {
  if (isInside(disk, offset, length)) return;
  throw new BlockError("out-of-range", `${length} bytes at ${offset} are not on a disk of ${disk.size} bytes`);
}

/** Throws BlockError where the disk cannot be written. */
export function mustBeWritable({ readOnly }: Pick<BlockDevice, "readOnly">): void {
  if (readOnly) throw new BlockError("read-only", "the disk is opened for reading only");
}
