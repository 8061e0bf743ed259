/** The header of a qcow2 image, checked, as plain values. */
import { type ByteOffset, byteOffset } from "../../bits/units.ts";
import { decodeUtf8, latin1 as textOf } from "../../bits/utf8.ts";
import type { ByteStore } from "../byte-store.ts";
import {
  Autoclear,
  Compatible,
  CompressionType,
  ENTRY,
  Extension,
  ExtensionType,
  FeatureName,
  FeatureType,
  HEADER_V2_LENGTH,
  HEADER_V3_LENGTH,
  Header,
  Incompatible,
  MAGIC,
} from "./layout.ts";
import { type OpenProblem, openFailure, type Part } from "./problems.ts";

export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  readonly clusterSize: number;
  /** Bytes of the disk. */
  readonly size: number;
  readonly l1Size: number;
  readonly l1Offset: ByteOffset;
  readonly refcountTableOffset: ByteOffset;
  readonly refcountTableClusters: number;
  readonly refcountOrder: number;
  readonly snapshots: number;
  readonly snapshotsOffset: ByteOffset;
  readonly backing: { readonly name: string; readonly format: string | undefined } | undefined;
  readonly compression: "zlib" | "zstd";
  readonly dirty: boolean;
  readonly corrupt: boolean;
  readonly lazyRefcounts: boolean;
  readonly autoclear: bigint;
  /** Dirty bitmaps of QEMU, which are not used here; their clusters are not counted either. */
  readonly hasBitmaps: boolean;
}

/** QEMU's limits. */
const MOST_L1_BYTES = 32 * 1024 * 1024;
const MOST_REFCOUNT_TABLE_BYTES = 8 * 1024 * 1024;
const MOST_SNAPSHOTS = 65536;
/** A disk of more is beyond what a number counts in bytes. */
const MOST_BYTES = 2 ** 53 - 2 ** 22;
const MOST_BACKING_NAME = 1023;

/** Sizes of L1 table and refcount table that are possible. */
export const mostL1Entries = MOST_L1_BYTES / ENTRY;
export const mostRefcountTableClusters = (clusterSize: number): number =>
  Math.max(1, Math.floor(MOST_REFCOUNT_TABLE_BYTES / clusterSize));

/** L1 entries that a disk of `size` bytes needs. */
export function l1EntriesFor(size: number, clusterSize: number): number {
  return Math.ceil(size / (clusterSize * (clusterSize / ENTRY)));
}

/** Reads and checks the header; rejects with ImageError<OpenProblem>. */
export async function readHeader(store: ByteStore): Promise<Qcow2Header> {
  const fail = (problem: OpenProblem) => openFailure(store.name, problem);
  const start = new Uint8Array(Header.size);
  await store.read(byteOffset(0), start);
  const raw = Header.at(start);
  if (raw.magic !== MAGIC) throw fail({ kind: "not-qcow2" });
  const { version, clusterBits } = raw;
  if (version !== 2 && version !== 3) throw fail({ kind: "bad-version", version });
  if (clusterBits < 9 || clusterBits > 21) throw fail({ kind: "bad-cluster-size", bits: clusterBits });
  const clusterSize = 2 ** clusterBits;
  const headerLength = version === 2 ? HEADER_V2_LENGTH : raw.headerLength;
  const cluster = new Uint8Array(clusterSize);
  await store.read(byteOffset(0), cluster);
  const corrupt = (part: Part, what: string) => fail({ kind: "corrupt", part, what });
  if (version === 3 && (headerLength < HEADER_V3_LENGTH || headerLength % 8 !== 0 || headerLength > clusterSize)) {
    throw corrupt("header", `a length of ${headerLength} bytes`);
  }
  // Fields beyond the header's length count as zeros.
  start.fill(0, Math.min(headerLength, Header.size));
  const extensions = readExtensions(cluster, headerLength, Number(raw.backingFileOffset));
  if (extensions === undefined) throw corrupt("header extensions", "one is longer than the room for it");
  checkFeatures(raw, extensions, fail);
  if (raw.cryptMethod !== 0) {
    const method = ({ 1: "AES", 2: "LUKS" } as const)[raw.cryptMethod] ?? "unknown";
    throw fail({ kind: "encrypted", method });
  }
  const refcountOrder = version === 2 ? 4 : raw.refcountOrder;
  if (refcountOrder > 6) throw corrupt("header", `refcounts of 2^${refcountOrder} bits`);
  if (raw.size > BigInt(MOST_BYTES) || raw.size % 512n !== 0n) {
    // QEMU rounds the size of such images down to whole sectors.
    if (raw.size > BigInt(MOST_BYTES)) throw fail({ kind: "too-large", part: "header", what: `${raw.size} bytes` });
  }
  const size = Number(raw.size - (raw.size % 512n));
  const clustersInFile = Math.ceil(store.size / clusterSize);
  /** Throws unless `bytes` from `offset` on are in the file, from a cluster border on. */
  const checkPlace = (part: Part, offset: bigint, bytes: number) => {
    if (offset % BigInt(clusterSize) !== 0n) throw corrupt(part, `its offset ${offset} is not that of a cluster`);
    const end = offset + BigInt(bytes);
    if (end > BigInt(clustersInFile) * BigInt(clusterSize) || (bytes > 0 && offset === 0n)) {
      throw corrupt(part, `its offset ${offset} and length ${bytes} are not inside the file`);
    }
    return byteOffset(Number(offset));
  };
  if (raw.l1Size > mostL1Entries) throw fail({ kind: "too-large", part: "L1 table", what: `${raw.l1Size} entries` });
  if (raw.l1Size < l1EntriesFor(size, clusterSize)) {
    throw corrupt("L1 table", `${raw.l1Size} entries are too few for a disk of ${size} bytes`);
  }
  if (raw.refcountTableClusters > mostRefcountTableClusters(clusterSize)) {
    const what = `${raw.refcountTableClusters} clusters`;
    throw fail({ kind: "too-large", part: "refcount table", what });
  }
  if (raw.refcountTableClusters === 0) throw corrupt("refcount table", "there is none");
  if (raw.nbSnapshots > MOST_SNAPSHOTS) {
    throw fail({ kind: "too-large", part: "snapshot table", what: `${raw.nbSnapshots} snapshots` });
  }
  const bit = (word: bigint, at: number) => ((word >> BigInt(at)) & 1n) !== 0n;
  return {
    version,
    clusterBits,
    clusterSize,
    size,
    l1Size: raw.l1Size,
    l1Offset: checkPlace("L1 table", raw.l1TableOffset, raw.l1Size * ENTRY),
    refcountTableOffset: checkPlace("refcount table", raw.refcountTableOffset, raw.refcountTableClusters * clusterSize),
    refcountTableClusters: raw.refcountTableClusters,
    refcountOrder,
    snapshots: raw.nbSnapshots,
    snapshotsOffset:
      raw.nbSnapshots === 0 ? byteOffset(0) : checkPlace("snapshot table", raw.snapshotsOffset, raw.nbSnapshots),
    backing: readBacking(raw, cluster, extensions, corrupt),
    compression: raw.compressionType === CompressionType.zstd ? "zstd" : "zlib",
    dirty: bit(raw.incompatibleFeatures, Incompatible.dirty),
    corrupt: bit(raw.incompatibleFeatures, Incompatible.corrupt),
    lazyRefcounts: bit(raw.compatibleFeatures, Compatible.lazyRefcounts),
    autoclear: raw.autoclearFeatures,
    hasBitmaps: extensions.has(ExtensionType.bitmaps) && bit(raw.autoclearFeatures, Autoclear.bitmaps),
  };
}

type Raw = ReturnType<typeof Header.at>;
type Extensions = ReadonlyMap<number, Uint8Array>;

/** Extensions by type; undefined where one does not fit. */
function readExtensions(cluster: Uint8Array, from: number, backingOffset: number): Extensions | undefined {
  const found = new Map<number, Uint8Array>();
  const end = backingOffset > from && backingOffset < cluster.length ? backingOffset : cluster.length;
  for (let at = from; at + Extension.size <= end; ) {
    const { type, length } = Extension.at(cluster, at);
    if (type === ExtensionType.end) break;
    const data = at + Extension.size;
    if (data + length > end) return undefined;
    found.set(type, cluster.subarray(data, data + length));
    at = data + Math.ceil(length / 8) * 8;
  }
  return found;
}

const SUPPORTED =
  (1n << BigInt(Incompatible.dirty)) |
  (1n << BigInt(Incompatible.corrupt)) |
  (1n << BigInt(Incompatible.compressionType));
const NAMES: Readonly<Record<number, string>> = {
  [Incompatible.externalData]: "external data file",
  [Incompatible.extendedL2]: "extended L2 entries (subclusters)",
};

function checkFeatures(raw: Raw, extensions: Extensions, fail: (problem: OpenProblem) => Error): void {
  const unknown = raw.incompatibleFeatures & ~SUPPORTED;
  if (unknown !== 0n) {
    const table = featureNames(extensions.get(ExtensionType.featureNames));
    const bits = Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => ((unknown >> BigInt(bit)) & 1n) !== 0n);
    throw fail({
      kind: "unsupported-features",
      names: bits.map((bit) => NAMES[bit] ?? table.get(bit) ?? `feature ${bit}`),
    });
  }
  const { compressionType: type } = raw;
  const isFlagged = (raw.incompatibleFeatures & (1n << BigInt(Incompatible.compressionType))) !== 0n;
  if (isFlagged !== (type !== 0)) {
    const what = `compression type ${type} does not go with its feature bit`;
    throw fail({ kind: "corrupt", part: "header", what });
  }
  if (type !== CompressionType.zlib && type !== CompressionType.zstd) {
    throw fail({ kind: "unsupported-compression", type });
  }
}

/** Names that the image itself has for incompatible features, by bit. */
function featureNames(table: Uint8Array | undefined): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (let at = 0; table !== undefined && at + FeatureName.size <= table.length; at += FeatureName.size) {
    const { type, bit, name } = FeatureName.at(table, at);
    // The image may come from anywhere: only what is plain text reaches a terminal.
    if (type === FeatureType.incompatible) names.set(bit, textOf(name).replaceAll(/[^\x20-\x7e]/g, "?"));
  }
  return names;
}

function readBacking(
  raw: Raw,
  cluster: Uint8Array,
  extensions: Extensions,
  corrupt: (part: Part, what: string) => Error,
): Qcow2Header["backing"] {
  const length = raw.backingFileSize;
  if (raw.backingFileOffset === 0n || length === 0) return undefined;
  const at = Number(raw.backingFileOffset);
  if (length > MOST_BACKING_NAME || at + length > cluster.length) {
    throw corrupt("header", "the backing file's name is not inside the first cluster");
  }
  const name = decodeUtf8(cluster.subarray(at, at + length));
  if (name.includes("\0")) throw corrupt("header", "the backing file's name has a zero byte");
  const format = extensions.get(ExtensionType.backingFormat);
  return { name, format: format === undefined || format.length === 0 ? undefined : textOf(format) };
}

/**
 * Changes fields of the header in place. The fields given lie in one sector, which disks write whole or not at
 * all: whoever opens the image after a crash finds all of them old or all of them new.
 */
export async function patchHeader(store: ByteStore, fields: Partial<HeaderFields>): Promise<void> {
  const names = Object.keys(fields) as (keyof HeaderFields)[];
  const from = Math.min(...names.map((name) => Header.offset[name]));
  const start = new Uint8Array(Header.size);
  await store.read(byteOffset(0), start);
  const view = Header.at(start);
  let to = 0;
  for (const name of names) {
    Object.assign(view, { [name]: fields[name] });
    to = Math.max(to, Header.offset[name] + (typeof fields[name] === "bigint" ? 8 : 4));
  }
  await store.write(byteOffset(from), start.slice(from, to));
}

type HeaderFields = Pick<
  Raw,
  | "backingFileOffset"
  | "backingFileSize"
  | "size"
  | "l1Size"
  | "l1TableOffset"
  | "refcountTableOffset"
  | "refcountTableClusters"
  | "nbSnapshots"
  | "snapshotsOffset"
  | "incompatibleFeatures"
  | "autoclearFeatures"
>;

/** Sets and clears bits of the incompatible features; version 3 only. */
export async function patchFeatures(store: ByteStore, set: bigint, clear: bigint): Promise<void> {
  const start = new Uint8Array(Header.size);
  await store.read(byteOffset(0), start);
  const { incompatibleFeatures } = Header.at(start);
  await patchHeader(store, { incompatibleFeatures: (incompatibleFeatures | set) & ~clear });
}
