/**
 * Where a disk image's bytes lie: a file, memory, a browser's storage. Image formats are written over this,
 * so that each works with every kind of storage.
 */
import type { ByteOffset } from "../bits/units.ts";
import type { Parts } from "./parts.ts";

/** Offsets and lengths are in bytes, of any alignment. Every method rejects with BlockError and nothing else. */
export interface ByteStore {
  /** What error messages call it: a path or another name. */
  readonly name: string;
  readonly size: number;
  readonly readOnly: boolean;
  /** Fills `target` from `offset` on; what lies beyond the end reads as zeros. */
  read(offset: ByteOffset, target: Uint8Array): Promise<void>;
  /** As a block device's: reads at once, or returns false. */
  readNow?(offset: ByteOffset, targets: Parts): boolean;
  /** Stores `source` at `offset`; the store grows where that ends beyond its end, with zeros in between. */
  write(offset: ByteOffset, source: Uint8Array): Promise<void>;
  /** As a block device's: writes at once, or returns false. */
  writeNow?(offset: ByteOffset, sources: Parts): boolean;
  /** Resolves when everything written before is on stable storage. */
  flush(): Promise<void>;
  /**
   * Makes a range read as zeros and frees the host's storage for it. Resolves to false, with the range as it
   * was, where this store cannot free storage.
   */
  punchHole(offset: ByteOffset, length: number): Promise<boolean>;
  /** Makes a range read as zeros; frees storage where it can. The store does not grow. */
  writeZeroes(offset: ByteOffset, length: number): Promise<void>;
  /**
   * Takes the host's storage for a range, so that later writes there cannot lack it; what the range reads as stays.
   * The store grows where the range ends beyond its end. Resolves to false, with nothing changed, where this store
   * cannot do that.
   */
  reserve(offset: ByteOffset, length: number): Promise<boolean>;
  /** Bytes of the host's storage that a write to this range would newly take, at most. */
  fresh(offset: ByteOffset, length: number): Promise<number>;
  /** Bytes of the host's storage in use: less than `size` where there are holes. */
  allocated(): Promise<number>;
  /** Cuts the store off at `size` bytes or extends it with zeros. */
  resize(size: number): Promise<void>;
  /** Nothing else may be called afterwards; what was not flushed is flushed. */
  close(): Promise<void>;
}
