/**
 * Where a disk image's bytes lie: a file, memory, a browser's storage. Image formats are written over this,
 * so that each works with every kind of storage.
 */
import type { ByteOffset } from "../bits/units.ts";

/** Offsets and lengths are in bytes, of any alignment. Every method rejects with BlockError and nothing else. */
export interface ByteStore {
  /** What error messages call it: a path or another name. */
  readonly name: string;
  readonly size: number;
  readonly readOnly: boolean;
  /** Fills `target` from `offset` on; what lies beyond the end reads as zeros. */
  read(offset: ByteOffset, target: Uint8Array): Promise<void>;
  /** Stores `source` at `offset`; the store grows where that ends beyond its end, with zeros in between. */
  write(offset: ByteOffset, source: Uint8Array): Promise<void>;
  /** Resolves when everything written before is on stable storage. */
  flush(): Promise<void>;
  /**
   * Makes a range read as zeros and frees the host's storage for it. Resolves to false, with the range as it
   * was, where this store cannot free storage.
   */
  punchHole(offset: ByteOffset, length: number): Promise<boolean>;
  /** Makes a range read as zeros; frees storage where it can. The store does not grow. */
  writeZeroes(offset: ByteOffset, length: number): Promise<void>;
  /** Cuts the store off at `size` bytes or extends it with zeros. */
  resize(size: number): Promise<void>;
  /** Nothing else may be called afterwards; what was not flushed is flushed. */
  close(): Promise<void>;
}
