/** The table of internal snapshots. @spec "Snapshots" */

import { byteOffset } from "../../bits/units.ts";
import { decodeUtf8, encodeUtf8 } from "../../bits/utf8.ts";
import type { ByteStore } from "../byte-store.ts";
import { mostL1Entries, type Qcow2Header } from "./header.ts";
import { ENTRY, SnapshotEntry, SnapshotExtra } from "./layout.ts";
import { type OpenProblem, openFailure } from "./problems.ts";
import type { ClusterRun } from "./refcounts.ts";

export interface Snapshot {
  readonly id: string;
  readonly name: string;
  readonly l1Offset: number;
  readonly l1Size: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly guestClock: bigint;
  readonly vmStateSize: bigint;
  /** Bytes of the disk. */
  readonly diskSize: number;
  /** Extra data, known or not, as it is in the table. */
  readonly extra: Uint8Array;
}

export interface SnapshotTable {
  readonly snapshots: readonly Snapshot[];
  readonly run: ClusterRun;
}

const MOST_TEXT = 65535;
const MOST_EXTRA = 1024;
const MOST_TABLE = 64 * 1024 * 1024;

/** Reads the table; rejects with ImageError<OpenProblem>. */
export async function readSnapshots(store: ByteStore, header: Qcow2Header): Promise<SnapshotTable> {
  const { clusterSize, snapshotsOffset } = header;
  const snapshots: Snapshot[] = [];
  const corrupt = (what: string) => {
    const problem: OpenProblem = { kind: "corrupt", part: "snapshot table", what };
    return openFailure(store.name, problem);
  };
  let at: number = snapshotsOffset;
  for (let i = 0; i < header.snapshots; i++) {
    if (at + SnapshotEntry.size > store.size + clusterSize || at - snapshotsOffset > MOST_TABLE) {
      throw corrupt(`it ends at entry ${i} of ${header.snapshots}`);
    }
    const fixed = new Uint8Array(SnapshotEntry.size);
    await store.read(byteOffset(at), fixed);
    const entry = SnapshotEntry.at(fixed);
    if (entry.extraSize > MOST_EXTRA) throw corrupt(`entry ${i} has ${entry.extraSize} bytes of extra data`);
    const variable = new Uint8Array(entry.extraSize + entry.idLength + entry.nameLength);
    await store.read(byteOffset(at + SnapshotEntry.size), variable);
    const extra = variable.subarray(0, entry.extraSize);
    const known = new Uint8Array(SnapshotExtra.size);
    known.set(extra.subarray(0, SnapshotExtra.size));
    const { vmStateSize, diskSize } = SnapshotExtra.at(known);
    const end = entry.l1TableOffset + BigInt(entry.l1Size * ENTRY);
    const isInside = end <= BigInt(Math.ceil(store.size / clusterSize) * clusterSize);
    if (entry.l1Size > mostL1Entries || !isInside || entry.l1TableOffset % BigInt(clusterSize) !== 0n) {
      throw corrupt(`the L1 table of entry ${i} is not inside the file`);
    }
    const hasSize = extra.length >= SnapshotExtra.size;
    if (hasSize && diskSize > BigInt(2 ** 53 - 2 ** 22)) throw corrupt(`entry ${i} has a disk of ${diskSize} bytes`);
    snapshots.push({
      id: decodeUtf8(variable.subarray(entry.extraSize, entry.extraSize + entry.idLength)),
      name: decodeUtf8(variable.subarray(entry.extraSize + entry.idLength)),
      l1Offset: Number(entry.l1TableOffset),
      l1Size: entry.l1Size,
      seconds: entry.seconds,
      nanoseconds: entry.nanoseconds,
      guestClock: entry.guestClock,
      vmStateSize: extra.length >= 8 ? vmStateSize : BigInt(entry.vmStateSize),
      diskSize: hasSize ? Number(diskSize) : header.size,
      extra: extra.slice(),
    });
    at += Math.ceil((SnapshotEntry.size + variable.length) / 8) * 8;
  }
  const first = snapshotsOffset / clusterSize;
  return { snapshots, run: { first, count: Math.ceil((at - snapshotsOffset) / clusterSize) } };
}

/** The table's bytes. */
export function snapshotTableBytes(snapshots: readonly Snapshot[]): Uint8Array {
  const parts = snapshots.map((snapshot) => {
    const [id, name] = [encodeUtf8(snapshot.id), encodeUtf8(snapshot.name)];
    const length = SnapshotEntry.size + snapshot.extra.length + id.length + name.length;
    const part = new Uint8Array(Math.ceil(length / 8) * 8);
    part.set(
      SnapshotEntry.make({
        l1TableOffset: BigInt(snapshot.l1Offset),
        l1Size: snapshot.l1Size,
        idLength: Math.min(id.length, MOST_TEXT),
        nameLength: Math.min(name.length, MOST_TEXT),
        seconds: snapshot.seconds,
        nanoseconds: snapshot.nanoseconds,
        guestClock: snapshot.guestClock,
        vmStateSize: Number(snapshot.vmStateSize & 0xffff_ffffn),
        extraSize: snapshot.extra.length,
      }),
    );
    part.set(snapshot.extra, SnapshotEntry.size);
    part.set(id, SnapshotEntry.size + snapshot.extra.length);
    part.set(name, SnapshotEntry.size + snapshot.extra.length + id.length);
    return part;
  });
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** By ID first, as QEMU does, then by name. */
export function findSnapshot(snapshots: readonly Snapshot[], wanted: string): Snapshot | undefined {
  return snapshots.find(({ id }) => id === wanted) ?? snapshots.find(({ name }) => name === wanted);
}
