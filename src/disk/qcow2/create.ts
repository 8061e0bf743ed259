/** Makes new qcow2 images: thin, or with everything in its place before the first write. */

import { byteOffset, KIB } from "../../bits/units.ts";
import { encodeUtf8 } from "../../bits/utf8.ts";
import { BorrowedStore } from "../borrowed-store.ts";
import type { ByteStore } from "../byte-store.ts";
import type { CreateOptions, ImageHost } from "../image-format.ts";
import { l1EntriesFor, mostL1Entries } from "./header.ts";
import {
  COPIED,
  ENTRY,
  Extension,
  ExtensionType,
  FeatureName,
  FeatureType,
  HEADER_V2_LENGTH,
  Header,
  highOf,
  Incompatible,
  lowOf,
  MAGIC,
} from "./layout.ts";
import { createFailure } from "./problems.ts";
import { Qcow2Disk } from "./qcow2-disk.ts";
import { refcountBits } from "./refcount-bits.ts";

export const DEFAULT_CLUSTER = 64 * KIB;
const REFCOUNT_ORDER = 4;
const MOST_BACKING_NAME = 1023;
/** Bytes of zeros written at once. */
const PIECE = 1024 * KIB;

/** Makes an empty store an image; rejects with ImageError<CreateProblem> or BlockError. */
export async function createImage(
  store: ByteStore,
  host: ImageHost,
  options: CreateOptions & { readonly version?: 2 | 3 },
): Promise<void> {
  const { size, backing, preallocation = "off", clusterSize = DEFAULT_CLUSTER, version = 3 } = options;
  const clusterBits = Math.log2(clusterSize);
  if (!Number.isInteger(clusterBits) || clusterBits < 9 || clusterBits > 21) {
    throw createFailure(store.name, { kind: "bad-cluster-size", clusterSize });
  }
  if (size % 512 !== 0 || size < 0) throw createFailure(store.name, { kind: "bad-size", size });
  const l1Size = l1EntriesFor(size, clusterSize);
  if (l1Size > mostL1Entries) throw createFailure(store.name, { kind: "too-large", size, clusterSize });
  if (backing !== undefined && preallocation !== "off")
    throw createFailure(store.name, { kind: "preallocated-backing" });

  // Header, refcount table, the first block, L1 table; the block must count them all.
  const l1Clusters = Math.max(1, Math.ceil((l1Size * ENTRY) / clusterSize));
  const bits = refcountBits(REFCOUNT_ORDER, clusterSize);
  let blocks = 1;
  while (blocks * bits.entries < 2 + blocks + l1Clusters) blocks++;
  const [tableAt, blocksAt, l1At] = [1, 2, 2 + blocks];
  const table = new DataView(new ArrayBuffer(clusterSize));
  for (let i = 0; i < blocks; i++) {
    const offset = (blocksAt + i) * clusterSize;
    table.setUint32(i * ENTRY, highOf(offset));
    table.setUint32(i * ENTRY + 4, lowOf(offset));
    const block = new DataView(new ArrayBuffer(clusterSize));
    const used = Math.min(bits.entries, l1At + l1Clusters - i * bits.entries);
    for (let entry = 0; entry < used; entry++) bits.set(block, entry, 1);
    await store.write(byteOffset(offset), new Uint8Array(block.buffer));
  }
  await store.write(byteOffset(tableAt * clusterSize), new Uint8Array(table.buffer));
  // The L1 table takes its storage now: a full disk must not show when changes are committed.
  for (let i = 0; i < l1Clusters; i++) {
    await store.write(byteOffset((l1At + i) * clusterSize), new Uint8Array(clusterSize));
  }
  const header = headerBytes(clusterSize, version, backing, store.name);
  Object.assign(Header.at(header), {
    clusterBits,
    size: BigInt(size),
    l1Size,
    l1TableOffset: BigInt(l1At * clusterSize),
    refcountTableOffset: BigInt(tableAt * clusterSize),
    refcountTableClusters: 1,
  });
  await store.flush();
  // Until the header is there the file is no image.
  await store.write(byteOffset(0), header);
  await store.flush();
  if (preallocation !== "off") await preallocate(store, host, { ...options, preallocation });
}

/** The first cluster, with fields that do not depend on the layout. */
function headerBytes(
  clusterSize: number,
  version: 2 | 3,
  backing: CreateOptions["backing"],
  imageName: string,
): Uint8Array {
  const cluster = new Uint8Array(clusterSize);
  const header = Header.at(cluster);
  Object.assign(header, { magic: MAGIC, version });
  let at = HEADER_V2_LENGTH;
  if (version === 3) {
    at = Header.size;
    Object.assign(header, { refcountOrder: REFCOUNT_ORDER, headerLength: Header.size });
  }
  const add = (type: number, data: Uint8Array) => {
    cluster.set(Extension.make({ type, length: data.length }), at);
    cluster.set(data, at + Extension.size);
    at += Extension.size + Math.ceil(data.length / 8) * 8;
  };
  if (backing !== undefined) add(ExtensionType.backingFormat, encodeUtf8(backing.format));
  if (version === 3 && clusterSize >= 4 * KIB) add(ExtensionType.featureNames, featureNames());
  at += Extension.size;
  if (backing !== undefined) {
    const name = encodeUtf8(backing.name);
    if (name.length > MOST_BACKING_NAME || at + name.length > clusterSize) {
      throw createFailure(imageName, { kind: "backing-name-too-long" });
    }
    cluster.set(name, at);
    Object.assign(header, { backingFileOffset: BigInt(at), backingFileSize: name.length });
  }
  return cluster;
}

/** So that programs that do not know a feature can tell its name. */
function featureNames(): Uint8Array {
  const names: [bit: number, name: string][] = [
    [Incompatible.dirty, "dirty bit"],
    [Incompatible.corrupt, "corrupt bit"],
  ];
  const table = new Uint8Array(names.length * FeatureName.size);
  for (const [i, [bit, name]] of names.entries()) {
    const entry = FeatureName.make({ type: FeatureType.incompatible, bit, name: encodeUtf8(name) });
    table.set(entry, i * FeatureName.size);
  }
  return table;
}

type PreallocateOptions = CreateOptions & { readonly preallocation: "metadata" | "falloc" | "full" };

/** Gives every cluster of a new image its place. */
async function preallocate(
  store: ByteStore,
  host: ImageHost,
  { size, preallocation, report }: PreallocateOptions,
): Promise<void> {
  const disk = await Qcow2Disk.open(new BorrowedStore(store), host, { readOnly: false });
  const { clusterSize } = disk.header;
  const { metadata } = disk;
  const perTable = clusterSize / ENTRY;
  const clusters = Math.ceil(size / clusterSize);
  for (let done = 0; done < clusters; ) {
    const index = Math.floor(done / perTable);
    const within = done % perTable;
    // Made first, so that it does not lie between the clusters.
    await metadata.change(index, () => {});
    const run = await metadata.refcounts.allocate(Math.min(perTable - within, clusters - done));
    if (preallocation !== "metadata")
      await reserve(store, run.first * clusterSize, run.count * clusterSize, preallocation);
    await metadata.change(index, ({ view }) => {
      for (let i = 0; i < run.count; i++) {
        const offset = (run.first + i) * clusterSize;
        view.setUint32((within + i) * ENTRY, (highOf(offset) | COPIED) >>> 0);
        view.setUint32((within + i) * ENTRY + 4, lowOf(offset));
      }
    });
    done += run.count;
    await metadata.makeRoom();
    const end = (run.first + run.count) * clusterSize;
    if (store.size < end) await store.resize(end);
    report?.(done / clusters);
  }
  await metadata.finish();
  await disk.close();
}

async function reserve(store: ByteStore, offset: number, length: number, how: "falloc" | "full"): Promise<void> {
  if (how === "falloc" && (await store.reserve(byteOffset(offset), length))) return;
  const zeros = new Uint8Array(Math.min(PIECE, length));
  for (let done = 0; done < length; done += zeros.length) {
    await store.write(byteOffset(offset + done), zeros.subarray(0, length - done));
  }
}
