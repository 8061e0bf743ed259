/** Changes that concern everything an L1 table leads to: what snapshots are made of. The disk is at rest meanwhile. */
import { byteOffset } from "../../bits/units.ts";
import type { ByteStore } from "../byte-store.ts";
import type { Qcow2Header } from "./header.ts";
import { COPIED, compressedExtent, ENTRY, hostOffset, kindOf } from "./layout.ts";
import type { Metadata } from "./metadata.ts";
import { corruptFailure } from "./problems.ts";
import type { ClusterRun } from "./refcounts.ts";

export class Trees {
  readonly #store: ByteStore;
  readonly #header: Qcow2Header;
  readonly #metadata: Metadata;

  constructor(store: ByteStore, header: Qcow2Header, metadata: Metadata) {
    this.#store = store;
    this.#header = header;
    this.#metadata = metadata;
  }

  async readL1(offset: number, entries: number): Promise<DataView> {
    const bytes = new Uint8Array(entries * ENTRY);
    await this.#store.read(byteOffset(offset), bytes);
    return new DataView(bytes.buffer);
  }

  /** Writes an L1 table to new clusters; returns where. */
  async writeL1(l1: DataView): Promise<ClusterRun> {
    const { clusterSize } = this.#header;
    const count = Math.max(1, Math.ceil(l1.byteLength / clusterSize));
    const run = await this.#metadata.refcounts.allocateWhole(count);
    const bytes = new Uint8Array(count * clusterSize);
    bytes.set(new Uint8Array(l1.buffer, l1.byteOffset, l1.byteLength));
    await this.#store.write(byteOffset(run.first * clusterSize), bytes);
    return run;
  }

  /** Adds `delta` to the count of every cluster that an L1 table leads to. */
  async count(l1: DataView, delta: 1 | -1): Promise<void> {
    const { refcounts } = this.#metadata;
    let run: { first: number; count: number } | undefined;
    const done = async () => {
      if (run === undefined) return;
      if (delta > 0) await refcounts.change(run, delta);
      else await refcounts.free(run);
      run = undefined;
    };
    await this.#clusters(l1, async (first, count) => {
      if (run !== undefined && run.first + run.count === first) run.count += count;
      else {
        await done();
        run = { first, count };
      }
    });
    await done();
    await this.#metadata.makeRoom();
  }

  async #clusters(l1: DataView, visit: (first: number, count: number) => Promise<void>): Promise<void> {
    const { clusterSize, clusterBits } = this.#header;
    const seen = new Set<number>();
    for (let index = 0; index < l1.byteLength / ENTRY; index++) {
      const offset = hostOffset(l1.getUint32(index * ENTRY), l1.getUint32(index * ENTRY + 4));
      if (offset === 0) continue;
      if (seen.has(offset)) throw corruptFailure(this.#store.name, "L1 table", `entry ${index} repeats another`);
      seen.add(offset);
      // The table itself last: once it is free its content may go.
      const bytes = new Uint8Array(clusterSize);
      await this.#store.read(byteOffset(offset), bytes);
      const view = new DataView(bytes.buffer);
      for (let entry = 0; entry < clusterSize / ENTRY; entry++) {
        const [high, low] = [view.getUint32(entry * ENTRY), view.getUint32(entry * ENTRY + 4)];
        if (high === 0 && low === 0) continue;
        if (kindOf(high, low) === "compressed") {
          const { offset, length } = compressedExtent(clusterBits, high, low);
          const first = Math.floor(offset / clusterSize);
          await visit(first, Math.floor((offset + length - 1) / clusterSize) - first + 1);
        } else if (hostOffset(high, low) !== 0) await visit(hostOffset(high, low) / clusterSize, 1);
      }
      await visit(offset / clusterSize, 1);
    }
  }

  /** Clears the flags of an L1 table and its L2 tables: whoever writes to their clusters then makes copies. */
  async clearFlags(l1: DataView, place: number): Promise<void> {
    await this.#flags(l1, place, async () => false);
  }

  /** Makes the flags say which clusters are this table's alone. */
  async setFlags(l1: DataView, place: number): Promise<void> {
    await this.#flags(l1, place, async (offset) => {
      return (await this.#metadata.refcounts.get(offset / this.#header.clusterSize)) === 1;
    });
  }

  async #flags(l1: DataView, place: number, isAlone: (offset: number) => Promise<boolean>): Promise<void> {
    for (let index = 0; index < l1.byteLength / ENTRY; index++) {
      const offset = hostOffset(l1.getUint32(index * ENTRY), l1.getUint32(index * ENTRY + 4));
      if (offset === 0) continue;
      const bytes = new Uint8Array(this.#header.clusterSize);
      await this.#store.read(byteOffset(offset), bytes);
      if (await flag(new DataView(bytes.buffer), isAlone)) {
        await this.#store.write(byteOffset(offset), bytes);
        this.#metadata.l2.drop(offset);
      }
    }
    await flag(l1, isAlone);
    await this.#store.write(byteOffset(place), new Uint8Array(l1.buffer, l1.byteOffset, l1.byteLength));
    await this.#store.flush();
  }
}

/** Sets the flags of a table's entries; returns whether any is another than before. */
async function flag(view: DataView, isAlone: (offset: number) => Promise<boolean>): Promise<boolean> {
  let changed = false;
  for (let at = 0; at < view.byteLength; at += ENTRY) {
    const [high, low] = [view.getUint32(at), view.getUint32(at + 4)];
    const offset = hostOffset(high, low);
    if (offset === 0 || kindOf(high, low) === "compressed") continue;
    const wanted = ((await isAlone(offset)) ? high | COPIED : high & ~COPIED) >>> 0;
    if (wanted === high) continue;
    view.setUint32(at, wanted);
    changed = true;
  }
  return changed;
}
