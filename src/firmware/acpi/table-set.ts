/**
 * Tables laid out in one block that can be put anywhere: addresses of tables within tables, and checksums,
 * are filled in when the block's place is known. A stock firmware does the same from instructions it reads
 * through fw_cfg; the lists here are what those instructions are made of.
 *
 * @spec ACPI 6.5 section 5.2
 */
import { struct, u32, u64 } from "../../bits/struct.ts";

/** A field that holds the address of another table. */
export interface TablePointer {
  /** Byte offset of the field in the block. */
  readonly at: number;
  readonly size: 4 | 8;
  /** Byte offset of the table it points to. */
  readonly target: number;
}
/** A byte that makes a range of bytes add up to zero. */
export interface TableChecksum {
  readonly at: number;
  readonly start: number;
  readonly length: number;
}

const Pointer32 = struct("LE", { address: u32 });
const Pointer64 = struct("LE", { address: u64 });
const ALIGNMENT = 16;

export class TableSet {
  readonly pointers: TablePointer[] = [];
  readonly checksums: TableChecksum[] = [];
  readonly #parts: { at: number; bytes: Uint8Array }[] = [];
  #size = 0;

  /** Adds a table and returns its byte offset in the block. */
  add(bytes: Uint8Array, alignment = ALIGNMENT): number {
    const at = Math.ceil(this.#size / alignment) * alignment;
    this.#parts.push({ at, bytes });
    this.#size = at + bytes.length;
    return at;
  }

  point(at: number, size: 4 | 8, target: number): void {
    this.pointers.push({ at, size, target });
  }

  checksum(at: number, start: number, length: number): void {
    this.checksums.push({ at, start, length });
  }

  /** The block with offsets in its pointers, and checksums still zero. */
  unplaced(): Uint8Array {
    const block = this.#joined();
    for (const pointer of this.pointers) fillPointer(block, pointer, pointer.target);
    return block;
  }

  /** The block as it must stand at `address`. */
  placedAt(address: number): Uint8Array {
    const block = this.#joined();
    for (const pointer of this.pointers) fillPointer(block, pointer, address + pointer.target);
    fillChecksums(block, this.checksums);
    return block;
  }

  #joined(): Uint8Array {
    const block = new Uint8Array(this.#size);
    for (const { at, bytes } of this.#parts) block.set(bytes, at);
    return block;
  }
}

function fillPointer(block: Uint8Array, { at, size }: TablePointer, address: number): void {
  if (size === 4) Pointer32.at(block, at).address = address;
  else Pointer64.at(block, at).address = BigInt(address);
}

/** Makes each of the ranges add up to zero, in the order given; the checksum bytes must be zero. */
export function fillChecksums(block: Uint8Array, checksums: readonly TableChecksum[]): void {
  for (const { at, start, length } of checksums) block[at] = zeroSum(block.subarray(start, start + length));
}

/** The byte that makes the sum of `bytes` and itself a multiple of 256. */
export function zeroSum(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}
