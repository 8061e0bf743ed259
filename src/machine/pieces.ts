/** Wide accesses made of narrower ones, the lowest address first and in the lowest bits. */
import type { AccessSize } from "./device.ts";

/** The unsigned value of `size` bytes at `address`, read `piece` bytes at a time. */
export function readPieces(
  address: number,
  size: AccessSize,
  piece: AccessSize,
  read: (address: number) => number,
): number {
  let value = 0;
  for (let at = 0; at < size; at += piece) value |= read(address + at) << (at * 8);
  return value >>> 0;
}

/** Writes `size` bytes of `value` at `address`, `piece` bytes at a time; `write` is given what is left of it. */
export function writePieces(
  address: number,
  size: AccessSize,
  piece: AccessSize,
  value: number,
  write: (address: number, value: number) => void,
): void {
  for (let at = 0; at < size; at += piece) write(address + at, value >>> (at * 8));
}
