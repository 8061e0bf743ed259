/** Two memories held against each other. Accessed and dirty bits of what may be page table entries are not compared. */
import { RAM_BASE } from "../state.ts";
import type { Difference } from "./state-difference.ts";

const MARKS = 0x60;
const PIECE = 4096;
const SHOWN = 16;

const differs = (a: Uint8Array, b: Uint8Array, at: number): boolean =>
  (((a[at] as number) ^ (b[at] as number)) & (at % 4 === 0 ? ~MARKS : 0xff)) !== 0;

/** Whether `length` bytes at `at` are the same in every bit. */
export function sameBytes(a: Uint8Array, b: Uint8Array, at: number, length: number): boolean {
  for (let i = at; i < at + length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether pieces of memory are the same: by words of 64 bits. */
function samePiece(a: BigInt64Array, b: BigInt64Array, from: number, to: number): boolean {
  for (let i = from / 8; i < to / 8; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The first bytes between two addresses of the shared memories that differ. */
export function memoryDifference(
  expected: Uint8Array,
  got: Uint8Array,
  from: number,
  to: number,
): Difference | undefined {
  const [a, b] = [new BigInt64Array(expected.buffer), new BigInt64Array(got.buffer)];
  for (let piece = from; piece < to; piece += PIECE) {
    const end = Math.min(piece + PIECE, to);
    if (end - piece === PIECE && piece % 8 === 0 && samePiece(a, b, piece, end)) continue;
    for (let at = piece; at < end; at++) {
      if (!differs(expected, got, at)) continue;
      const text = (memory: Uint8Array) =>
        Array.from(memory.subarray(at, Math.min(at + SHOWN, to)), (byte) => byte.toString(16).padStart(2, "0")).join(
          "",
        );
      return { what: `memory at ${(at - RAM_BASE).toString(16)}`, expected: text(expected), got: text(got) };
    }
  }
  return undefined;
}
