/**
 * Internal snapshots: made, gone back to, deleted. Each step leaves, if the host crashes after it, an image that
 * is either as before or as wanted, with at worst clusters that are counted too often.
 *
 * @spec "Snapshots"
 */

import { byteOffset } from "../../bits/units.ts";
import { encodeUtf8 } from "../../bits/utf8.ts";
import { BorrowedStore } from "../borrowed-store.ts";
import type { ByteStore } from "../byte-store.ts";
import type { ImageHost, SnapshotInfo } from "../image-format.ts";
import { checkImage } from "./check.ts";
import { patchHeader, type Qcow2Header, readHeader } from "./header.ts";
import { ENTRY, SnapshotExtra } from "./layout.ts";
import type { Metadata } from "./metadata.ts";
import { snapshotFailure } from "./problems.ts";
import { Qcow2Disk } from "./qcow2-disk.ts";
import {
  findSnapshot,
  readSnapshots,
  type Snapshot,
  type SnapshotTable,
  snapshotTableBytes,
} from "./snapshot-table.ts";
import { Trees } from "./trees.ts";

const MOST_NAME = 255;
const MOST_SNAPSHOTS = 65536;

export async function listSnapshots(store: ByteStore): Promise<readonly SnapshotInfo[]> {
  const { snapshots } = await readSnapshots(store, await readHeader(store));
  return snapshots.map(({ id, name, seconds, diskSize, vmStateSize }) => ({
    id,
    name,
    time: seconds,
    size: diskSize,
    vmStateSize: Number(vmStateSize),
  }));
}

/** An image whose snapshots are being changed. */
interface Work {
  readonly store: ByteStore;
  readonly header: Qcow2Header;
  readonly table: SnapshotTable;
  readonly metadata: Metadata;
  readonly trees: Trees;
}

/**
 * Opens the image's tables, without the image that it may be based on. What follows goes through all of them and
 * changes counts: an image that is damaged would be damaged more.
 */
async function withImage(store: ByteStore, operation: (work: Work) => Promise<void>): Promise<void> {
  const { corruptions, messages } = await checkImage(store, { repair: false });
  if (corruptions > 0) throw snapshotFailure(store.name, { kind: "damaged", what: messages[0] ?? "" });
  const disk = await Qcow2Disk.open(new BorrowedStore(store), WITHOUT_BACKING, { readOnly: false });
  try {
    await disk.exclusively(async () => {
      const { header, metadata } = disk;
      const table = await readSnapshots(store, header);
      await operation({ store, header, table, metadata, trees: new Trees(store, header, metadata) });
    });
  } finally {
    await disk.close();
  }
}

const nothing = async () => {
  throw new Error("content is read while snapshots are changed");
};
const WITHOUT_BACKING: ImageHost = {
  decompressor: { inflate: nothing, inflateRaw: nothing, zstd: nothing },
  openBacking: async () => ({
    size: 0,
    readOnly: true,
    read: nothing,
    write: nothing,
    flush: nothing,
    discard: nothing,
    writeZeroes: nothing,
    close: async () => {},
  }),
  openPart: nothing,
  randomBytes: (length) => new Uint8Array(length),
  now: () => 0,
};

export async function createSnapshot(store: ByteStore, host: Pick<ImageHost, "now">, name: string): Promise<void> {
  const { length } = encodeUtf8(name);
  if (length === 0 || length > MOST_NAME) throw snapshotFailure(store.name, { kind: "bad-name" });
  await withImage(store, async ({ header, table, metadata, trees }) => {
    const { snapshots } = table;
    if (snapshots.some((one) => one.name === name)) throw snapshotFailure(store.name, { kind: "name-taken", name });
    if (snapshots.length >= MOST_SNAPSHOTS) throw snapshotFailure(store.name, { kind: "too-many" });
    // First, so that no write goes to a cluster that the snapshot shares, whenever this is cut short.
    await trees.clearFlags(metadata.l1, metadata.l1Offset);
    await trees.count(metadata.l1, 1);
    const run = await trees.writeL1(metadata.l1);
    const extra = SnapshotExtra.make({ vmStateSize: 0n, diskSize: BigInt(header.size) });
    const id = String(snapshots.reduce((most, one) => Math.max(most, Number.parseInt(one.id, 10) || 0), 0) + 1);
    const made: Snapshot = {
      id,
      name,
      l1Offset: run.first * header.clusterSize,
      l1Size: header.l1Size,
      seconds: host.now() % 2 ** 32,
      nanoseconds: 0,
      guestClock: 0n,
      vmStateSize: 0n,
      diskSize: header.size,
      extra,
    };
    await replaceTable({ store, header, table, metadata }, [...snapshots, made]);
  });
}

/** Makes the disk what it was when the snapshot was made; what was written since then is lost. */
export async function applySnapshot(store: ByteStore, name: string): Promise<void> {
  await withImage(store, async ({ header, table, metadata, trees }) => {
    const snapshot = mustFind(store, table, name);
    const l1 = await trees.readL1(snapshot.l1Offset, snapshot.l1Size);
    await trees.count(l1, 1);
    const run = await trees.writeL1(l1);
    await metadata.refcounts.writeBlocks();
    await metadata.commit();
    const place = run.first * header.clusterSize;
    // One sector has them all.
    await patchHeader(store, {
      size: BigInt(snapshot.diskSize),
      l1Size: snapshot.l1Size,
      l1TableOffset: BigInt(place),
    });
    await store.flush();
    await trees.count(metadata.l1, -1);
    const oldClusters = Math.ceil((header.l1Size * ENTRY) / header.clusterSize);
    if (oldClusters > 0) {
      await metadata.refcounts.free({ first: metadata.l1Offset / header.clusterSize, count: oldClusters });
    }
    await metadata.refcounts.writeBlocks();
    await trees.setFlags(l1, place);
  });
}

export async function deleteSnapshot(store: ByteStore, name: string): Promise<void> {
  await withImage(store, async ({ header, table, metadata, trees }) => {
    const snapshot = mustFind(store, table, name);
    const rest = table.snapshots.filter((one) => one !== snapshot);
    const l1 = await trees.readL1(snapshot.l1Offset, snapshot.l1Size);
    await replaceTable({ store, header, table, metadata }, rest);
    await trees.count(l1, -1);
    const clusters = Math.ceil((snapshot.l1Size * ENTRY) / header.clusterSize);
    if (clusters > 0) await metadata.refcounts.free({ first: snapshot.l1Offset / header.clusterSize, count: clusters });
    await metadata.refcounts.writeBlocks();
    await trees.setFlags(metadata.l1, metadata.l1Offset);
  });
}

function mustFind(store: ByteStore, { snapshots }: SnapshotTable, name: string): Snapshot {
  const snapshot = findSnapshot(snapshots, name);
  if (snapshot !== undefined) return snapshot;
  throw snapshotFailure(store.name, { kind: "no-snapshot", name, known: snapshots.map(({ name }) => name) });
}

/** Writes a new snapshot table and makes the header point at it. */
async function replaceTable(
  { store, header, table, metadata }: Omit<Work, "trees">,
  snapshots: readonly Snapshot[],
): Promise<void> {
  const { clusterSize } = header;
  let offset = 0;
  if (snapshots.length > 0) {
    const bytes = snapshotTableBytes(snapshots);
    const run = await metadata.refcounts.allocateWhole(Math.ceil(bytes.length / clusterSize));
    const whole = new Uint8Array(run.count * clusterSize);
    whole.set(bytes);
    offset = run.first * clusterSize;
    await store.write(byteOffset(offset), whole);
  }
  // Counts and tables before what refers to them.
  await metadata.commit();
  await patchHeader(store, { nbSnapshots: snapshots.length, snapshotsOffset: BigInt(offset) });
  await store.flush();
  if (table.snapshots.length > 0) await metadata.refcounts.free(table.run);
}
