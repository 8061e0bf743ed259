/**
 * Compares an image's reference counts with what its tables refer to, and repairs the image: entries that lead
 * nowhere are cleared, and the counts are made anew from the tables.
 *
 * Counts are compared in windows of clusters, so that memory has a bound whatever the image's size.
 */
import { byteOffset } from "../../bits/units.ts";
import { BlockError } from "../block-device.ts";
import type { ByteStore } from "../byte-store.ts";
import type { CheckResult, Report } from "../image-format.ts";
import { mostRefcountTableClusters, patchFeatures, patchHeader, type Qcow2Header, readHeader } from "./header.ts";
import { COPIED, ENTRY, highOf, hostOffset, Incompatible, lowOf, ZERO } from "./layout.ts";
import { beyondRepair } from "./problems.ts";
import { refcountBits } from "./refcount-bits.ts";
import { readSnapshots } from "./snapshot-table.ts";
import { ImageWalk, type Visitor, type WalkedTable } from "./walk.ts";

/** Clusters whose counts are in memory at a time; a multiple of the entries of any block would be too many. */
const WINDOW = 2 ** 22;
const MOST_MESSAGES = 20;
const MOST_REPAIRS = 3;

export interface CheckOptions {
  readonly repair: boolean;
  readonly report?: Report;
}

/** Rejects with ImageError where the image cannot be opened at all. */
export async function checkImage(store: ByteStore, { repair, report }: CheckOptions): Promise<CheckResult> {
  const header = await readHeader(store);
  const result = await inspect(store, header, report);
  if (!repair) return result;
  if (result.corruptions + result.leaks + result.flaws === 0 && !header.dirty && !header.corrupt) return result;
  let left = result;
  // Tables that lie over one another change when one is mended, and may come right the next time.
  for (let round = 0; round < MOST_REPAIRS; round++) {
    const current = await readHeader(store);
    await clearBrokenEntries(store, current);
    await rebuildRefcounts(store, current);
    left = await inspect(store, await readHeader(store));
    if (left.corruptions === 0) return result;
  }
  if (header.version >= 3) {
    await patchFeatures(store, 1n << BigInt(Incompatible.corrupt), 0n);
    await store.flush();
  }
  throw beyondRepair(store.name, left.messages[0] ?? "");
}

class Findings {
  corruptions = 0;
  leaks = 0;
  flaws = 0;
  allocated = 0;
  readonly messages: string[] = [];

  add(kind: "corruptions" | "leaks" | "flaws", message: string): void {
    this[kind]++;
    if (this.messages.length < MOST_MESSAGES) this.messages.push(message);
  }
}

async function inspect(store: ByteStore, header: Qcow2Header, report?: Report): Promise<CheckResult> {
  const { clusterSize } = header;
  const findings = new Findings();
  const walk = new ImageWalk(store, header, await readSnapshots(store, header));
  const stored = new StoredCounts(store, header, findings);
  await stored.load();
  const windows = Math.ceil(walk.clusters / WINDOW);
  for (let window = 0; window < windows; window++) {
    const base = window * WINDOW;
    const counts = new Uint32Array(Math.min(WINDOW, walk.clusters - base));
    const found = await stored.window(base, counts.length);
    const isFirst = window === 0;
    const visitor: Visitor = {
      reference: counter(counts, base),
      progress: (fraction) => report?.((window + fraction) / windows),
      entry: ({ view, isActive, offset }, index, cluster) => {
        if (!isActive || cluster < base || cluster >= base + counts.length) return;
        const isFlagged = (view.getUint32(index * ENTRY) & COPIED) !== 0;
        const count = found[cluster - base] as number;
        if (isFlagged && count !== 1) {
          findings.add(
            "corruptions",
            `entry ${index} of the table at ${offset} is taken for the only one of its cluster`,
          );
        } else if (!isFlagged && count === 1) {
          findings.add(
            "flaws",
            `entry ${index} of the table at ${offset} is the only one of its cluster and does not say so`,
          );
        }
      },
    };
    if (isFirst) {
      visitor.problem = ({ offset }, index, what) =>
        findings.add("corruptions", `entry ${index} of the table at ${offset}: ${what}`);
    }
    await walk.mapping(visitor);
    visitor.reference(header.refcountTableOffset / clusterSize, header.refcountTableClusters);
    for (const offset of stored.blocks.values()) visitor.reference(offset / clusterSize, 1);
    compare(base, counts, found, findings, header);
  }
  await stored.beyond(walk.clusters);
  const { corruptions, leaks, flaws, allocated, messages } = findings;
  return { corruptions, leaks, flaws, messages, allocated };
}

function compare(
  base: number,
  counts: Uint32Array,
  found: Float64Array,
  findings: Findings,
  { hasBitmaps }: Qcow2Header,
): void {
  for (let i = 0; i < counts.length; i++) {
    const [expected, count] = [counts[i] as number, found[i] as number];
    if (expected > 0) findings.allocated++;
    if (count < expected) {
      findings.add("corruptions", `cluster ${base + i} is used ${expected} times and counted ${count} times`);
      // What belongs to QEMU's dirty bitmaps is not walked, and looks as if it were lost.
    } else if (count > expected && !hasBitmaps) {
      findings.add("leaks", `cluster ${base + i} is used ${expected} times and counted ${count} times`);
    }
  }
}

const counter = (counts: Uint32Array, base: number) => (first: number, count: number) => {
  const from = Math.max(first, base);
  const to = Math.min(first + count, base + counts.length);
  for (let cluster = from; cluster < to; cluster++) counts[cluster - base]!++;
};

/** The counts that the file has. */
class StoredCounts {
  readonly blocks = new Map<number, number>();
  readonly #store: ByteStore;
  readonly #header: Qcow2Header;
  readonly #findings: Findings;

  constructor(store: ByteStore, header: Qcow2Header, findings: Findings) {
    this.#store = store;
    this.#header = header;
    this.#findings = findings;
  }

  async load(): Promise<void> {
    const { clusterSize, refcountTableOffset, refcountTableClusters } = this.#header;
    const table = new Uint8Array(refcountTableClusters * clusterSize);
    await this.#store.read(refcountTableOffset, table);
    const view = new DataView(table.buffer);
    const seen = new Set<number>();
    for (let index = 0; index < table.length / ENTRY; index++) {
      const high = view.getUint32(index * ENTRY);
      const offset = hostOffset(high, view.getUint32(index * ENTRY + 4));
      if (offset === 0) continue;
      if (high > 0x00ff_ffff || offset % clusterSize !== 0 || offset >= this.#store.size || seen.has(offset)) {
        this.#findings.add("corruptions", `entry ${index} of the refcount table leads to ${offset}`);
        continue;
      }
      seen.add(offset);
      this.blocks.set(index, offset);
    }
  }

  get #bits() {
    return refcountBits(this.#header.refcountOrder, this.#header.clusterSize);
  }

  /** Counts of clusters that the file does not have. */
  async beyond(clusters: number): Promise<void> {
    const bits = this.#bits;
    const bytes = new Uint8Array(this.#header.clusterSize);
    const view = new DataView(bytes.buffer);
    for (const [index, offset] of this.blocks) {
      const first = index * bits.entries;
      if (first + bits.entries <= clusters) continue;
      await this.#store.read(byteOffset(offset), bytes);
      for (let entry = Math.max(0, clusters - first); entry < bits.entries; entry++) {
        if (bits.get(view, entry) === 0) continue;
        this.#findings.add("leaks", `cluster ${first + entry} is counted, but beyond the end of the file`);
      }
    }
  }

  async window(base: number, length: number): Promise<Float64Array> {
    const counts = new Float64Array(length);
    const bits = this.#bits;
    const bytes = new Uint8Array(this.#header.clusterSize);
    const view = new DataView(bytes.buffer);
    for (const [index, offset] of this.blocks) {
      const first = index * bits.entries;
      if (first + bits.entries <= base || first >= base + length) continue;
      await this.#store.read(byteOffset(offset), bytes);
      const to = Math.min(first + bits.entries, base + length);
      for (let cluster = Math.max(first, base); cluster < to; cluster++) {
        counts[cluster - base] = bits.get(view, cluster - first);
      }
    }
    return counts;
  }
}

/** Makes entries that cannot be followed read as zeros: what they stood for is lost already. */
async function clearBrokenEntries(store: ByteStore, header: Qcow2Header): Promise<void> {
  const walk = new ImageWalk(store, header, await readSnapshots(store, header));
  let broken: { table: WalkedTable; index: number }[] = [];
  await walk.mapping({
    reference: () => {},
    problem: (table, index) => void broken.push({ table, index }),
    changed: (table) => {
      const here = broken.filter((one) => one.table === table);
      broken = broken.filter((one) => one.table !== table);
      const isL2 = table.view.byteLength === header.clusterSize && table.offset !== header.l1Offset;
      for (const { index } of here) {
        table.view.setUint32(index * ENTRY, 0);
        table.view.setUint32(index * ENTRY + 4, isL2 && header.version >= 3 ? ZERO : 0);
      }
      return here.length > 0;
    },
  });
  await store.flush();
}

/**
 * Counts all references anew, into a new refcount table and new blocks at the end of the file, and then sets the
 * flags of entries that are alone with their cluster. The image is no longer dirty or corrupt after that.
 */
export async function rebuildRefcounts(store: ByteStore, header: Qcow2Header): Promise<void> {
  const { clusterSize, refcountOrder } = header;
  const bits = refcountBits(refcountOrder, clusterSize);
  const walk = new ImageWalk(store, header, await readSnapshots(store, header));
  const start = walk.clusters;
  let tableClusters = 1;
  let blocks = 1;
  for (;;) {
    const wantedBlocks = Math.ceil((start + tableClusters + blocks) / bits.entries);
    const wantedTable = Math.ceil((wantedBlocks * ENTRY) / clusterSize);
    if (wantedBlocks <= blocks && wantedTable <= tableClusters) break;
    blocks = Math.max(blocks, wantedBlocks);
    tableClusters = Math.max(tableClusters, wantedTable);
  }
  if (tableClusters > mostRefcountTableClusters(clusterSize)) {
    throw new BlockError("no-space", `${store.name} is too large for clusters of ${clusterSize} bytes`);
  }
  const firstBlock = start + tableClusters;
  const table = new DataView(new ArrayBuffer(tableClusters * clusterSize));
  /** Blocks in a window: whole ones. */
  const perWindow = Math.max(1, Math.floor(WINDOW / bits.entries));
  for (let block = 0; block < blocks; block += perWindow) {
    const base = block * bits.entries;
    const counts = new Uint32Array(Math.min(perWindow, blocks - block) * bits.entries);
    const reference = counter(counts, base);
    await walk.mapping({ reference });
    reference(start, tableClusters + blocks);
    for (let i = block; i < Math.min(block + perWindow, blocks); i++) {
      const bytes = new Uint8Array(clusterSize);
      const view = new DataView(bytes.buffer);
      for (let entry = 0; entry < bits.entries; entry++) {
        bits.set(view, entry, Math.min(counts[i * bits.entries - base + entry] as number, bits.most));
      }
      const offset = (firstBlock + i) * clusterSize;
      await store.write(byteOffset(offset), bytes);
      table.setUint32(i * ENTRY, highOf(offset));
      table.setUint32(i * ENTRY + 4, lowOf(offset));
    }
  }
  await store.write(byteOffset(start * clusterSize), new Uint8Array(table.buffer));
  await store.flush();
  await patchHeader(store, {
    refcountTableOffset: BigInt(start * clusterSize),
    refcountTableClusters: tableClusters,
  });
  await store.flush();
  await setFlags(store, header);
  if (header.version < 3) return;
  await patchFeatures(store, 0n, (1n << BigInt(Incompatible.dirty)) | (1n << BigInt(Incompatible.corrupt)));
  await store.flush();
}

/** Makes the flag of every active entry say whether it is alone with its cluster. */
async function setFlags(store: ByteStore, before: Qcow2Header): Promise<void> {
  const header = await readHeader(store);
  const walk = new ImageWalk(store, header, await readSnapshots(store, before));
  for (let base = 0; base < walk.clusters; base += WINDOW) {
    const counts = new Uint32Array(Math.min(WINDOW, walk.clusters - base));
    await walk.mapping({ reference: counter(counts, base) });
    const changed = new Set<WalkedTable>();
    await walk.mapping({
      reference: () => {},
      entry: (table, index, cluster) => {
        if (!table.isActive || cluster < base || cluster >= base + counts.length) return;
        const high = table.view.getUint32(index * ENTRY);
        const wanted = ((counts[cluster - base] === 1 ? high | COPIED : high & ~COPIED) >>> 0) as number;
        if (wanted === high) return;
        table.view.setUint32(index * ENTRY, wanted);
        changed.add(table);
      },
      changed: (table) => changed.delete(table),
    });
  }
  await store.flush();
}
