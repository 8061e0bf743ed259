/**
 * The contract of every disk back end: raw files, image formats, overlays. Offsets and lengths are in
 * bytes and may have any alignment unless `sectorSize` says otherwise.
 */
import type { ByteOffset } from "../bits/units.ts";
import type { Parts } from "./parts.ts";

export interface BlockDevice {
  /** Capacity in bytes, a multiple of 512. */
  readonly size: number;
  readonly readOnly: boolean;
  /** Fills `target` from `offset` on. */
  read(offset: ByteOffset, target: Uint8Array): Promise<void>;
  /**
   * Reads at once, where the host needs no time worth waiting for: returns whether `targets` are filled. `read` does it
   * otherwise, and tells what is wrong. Absent where nothing can be read at once.
   */
  readNow?(offset: ByteOffset, targets: Parts): boolean;
  /** Stores `source` at `offset`; it is on stable storage after the next `flush`. */
  write(offset: ByteOffset, source: Uint8Array): Promise<void>;
  /**
   * Writes at once, where the host needs no time worth waiting for: returns whether `sources` are stored. Where not,
   * their range may hold some of them; `write` does it otherwise, and tells what is wrong. Absent where nothing can be
   * written at once.
   */
  writeNow?(offset: ByteOffset, sources: Parts): boolean;
  /** Resolves when everything written before is on stable storage. */
  flush(): Promise<void>;
  /** Gives up the content of a range: it reads as zeros or as before, and may free host storage. */
  discard(offset: ByteOffset, length: number): Promise<void>;
  /** Makes a range read as zeros. */
  writeZeroes(offset: ByteOffset, length: number): Promise<void>;
  /**
   * Bytes from `offset` on that read as zeros, as far as that is known without looking at content; 0 where it is
   * not known. Absent where nothing is known of any range.
   */
  zeroesFrom?(offset: ByteOffset): Promise<number>;
  close(): Promise<void>;
}

/** A failed operation of a block device; `message` is one line for the user. */
export class BlockError extends Error {
  readonly kind: "out-of-range" | "read-only" | "no-space" | "io";
  constructor(kind: BlockError["kind"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BlockError";
    this.kind = kind;
  }
}
