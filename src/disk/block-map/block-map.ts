/**
 * What formats that keep a disk in blocks of one size, with a table of where each is, have in common. VDI, VHD,
 * VHDX and VMDK are such; what differs is how the table says it, which is a BlockMap.
 */

/** Where a block's content is. */
export type BlockPlace =
  /** In the file, at `offset`. */
  | { readonly kind: "data"; readonly offset: number }
  /** Nowhere: in the image below, or zeros where there is none. */
  | { readonly kind: "absent" }
  /** It reads as zeros whatever is below. */
  | { readonly kind: "zero" }
  /** Packed, and unpacked by the map. */
  | { readonly kind: "packed"; readonly offset: number };

export interface BlockMap {
  /** Bytes. */
  readonly blockSize: number;
  /** Rejects with BlockError where the table leads outside the file. */
  place(block: number): BlockPlace | Promise<BlockPlace>;
  /** The content of a packed block. */
  unpack?(place: { readonly offset: number }): Promise<Uint8Array>;
  /**
   * Makes room for a block's content at the end of the file, which reads as zeros there, and returns where it is. The
   * table does not have it yet. Calls do not overlap.
   */
  allocate(): Promise<number>;
  /** Makes the table, in memory, say that a block is at `offset`. */
  setData(block: number, offset: number): Promise<void>;
  /** Makes the table, in memory, say that a block reads as zeros; absent where the format cannot say that. */
  setZero?(block: number): Promise<void>;
  /** Whether the table in memory has changes. */
  readonly isDirty: boolean;
  /** Whether there are so many changes that they should be committed. */
  readonly isCrowded: boolean;
  /** Writes the changes: after `stable` has made everything written before safe, and ends with another such call. */
  commit(stable: () => Promise<void>): Promise<void>;
}
