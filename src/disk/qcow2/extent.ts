/** Runs of clusters in an L2 table that can be served together. */

import type { Table } from "../table-cache.ts";
import { type ClusterKind, COMPRESSED, COPIED, ENTRY, hostOffset, kindOf } from "./layout.ts";

export interface Extent {
  readonly kind: ClusterKind;
  /** Clusters of the disk, at least one; compressed ones come alone. */
  readonly count: number;
  /** Of the first cluster in the file, or 0: neighbours on the disk are neighbours in the file. */
  readonly host: number;
  /** Whether every cluster of a "data" extent is this table's alone, and can be written in place. */
  readonly isOwn: boolean;
  /** The first entry. */
  readonly high: number;
  readonly low: number;
}

const UNALLOCATED = { kind: "unallocated", host: 0, isOwn: false, high: 0, low: 0 } as const;

/** The extent that begins at entry `index`, of up to `most` clusters. An absent table has none allocated. */
export function extentAt(table: Table | undefined, index: number, most: number, clusterSize: number): Extent {
  if (table === undefined) return { ...UNALLOCATED, count: most };
  const { view } = table;
  const high = view.getUint32(index * ENTRY);
  const low = view.getUint32(index * ENTRY + 4);
  const kind = kindOf(high, low);
  if (kind === "compressed") return { kind, count: 1, host: 0, isOwn: false, high, low };
  const host = hostOffset(high, low);
  const isOwn = kind === "data" && (high & COPIED) !== 0;
  let count = 1;
  for (; count < most; count++) {
    const nextHigh = view.getUint32((index + count) * ENTRY);
    const nextLow = view.getUint32((index + count) * ENTRY + 4);
    if (kindOf(nextHigh, nextLow) !== kind) break;
    if (kind !== "data") continue;
    if (hostOffset(nextHigh, nextLow) !== host + count * clusterSize) break;
    if (((nextHigh & COPIED) !== 0) !== isOwn || (nextHigh & COMPRESSED) !== 0) break;
  }
  return { kind, count, host, isOwn, high, low };
}
