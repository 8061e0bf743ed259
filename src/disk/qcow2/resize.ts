/** Changes the size of an image's disk. */
import { byteOffset } from "../../bits/units.ts";
import { BorrowedStore } from "../borrowed-store.ts";
import type { ByteStore } from "../byte-store.ts";
import type { ImageHost } from "../image-format.ts";
import { l1EntriesFor, mostL1Entries, patchHeader, readHeader } from "./header.ts";
import { ENTRY } from "./layout.ts";
import { resizeFailure } from "./problems.ts";
import { Qcow2Disk } from "./qcow2-disk.ts";
import { readSnapshots } from "./snapshot-table.ts";
import { Trees } from "./trees.ts";

/** Rejects with ImageError<ResizeProblem>, or with what opening rejects with. */
export async function resizeImage(
  store: ByteStore,
  host: ImageHost,
  size: number,
  { shrink }: { shrink: boolean },
): Promise<void> {
  const header = await readHeader(store);
  if (size % 512 !== 0 || size <= 0) throw resizeFailure(store.name, { kind: "bad-size", size });
  if (size < header.size && !shrink) {
    throw resizeFailure(store.name, { kind: "shrink-not-asked", from: header.size, to: size });
  }
  const { snapshots } = await readSnapshots(store, header);
  if (size < header.size && snapshots.length > 0) throw resizeFailure(store.name, { kind: "shrink-with-snapshots" });
  if (size > header.size && snapshots.some(({ extra }) => extra.length < 16)) {
    throw resizeFailure(store.name, { kind: "grow-with-old-snapshots" });
  }
  const entries = l1EntriesFor(size, header.clusterSize);
  if (entries > mostL1Entries) {
    throw resizeFailure(store.name, { kind: "too-large", size, clusterSize: header.clusterSize });
  }
  if (size < header.size) await shrinkImage(store, host, size);
  else await growImage(store, host, size, entries);
}

async function shrinkImage(store: ByteStore, host: ImageHost, size: number): Promise<void> {
  const disk = await Qcow2Disk.open(new BorrowedStore(store), host, { readOnly: false });
  try {
    // Zeroed, so that nothing of it comes back when the disk grows again; as a whole, the clusters become free.
    await disk.writeZeroes(byteOffset(size), disk.size - size);
    await disk.flush();
    await patchHeader(store, { size: BigInt(size) });
    await store.flush();
  } finally {
    await disk.close();
  }
}

async function growImage(store: ByteStore, host: ImageHost, size: number, entries: number): Promise<void> {
  const disk = await Qcow2Disk.open(new BorrowedStore(store), host, { readOnly: false });
  const { header, metadata } = disk;
  try {
    await disk.exclusively(async () => {
      if (entries <= header.l1Size) {
        await patchHeader(store, { size: BigInt(size) });
      } else {
        const bytes = new Uint8Array(entries * ENTRY);
        bytes.set(new Uint8Array(metadata.l1.buffer, metadata.l1.byteOffset, metadata.l1.byteLength));
        const run = await new Trees(store, header, metadata).writeL1(new DataView(bytes.buffer));
        await metadata.commit();
        await patchHeader(store, {
          size: BigInt(size),
          l1Size: entries,
          l1TableOffset: BigInt(run.first * header.clusterSize),
        });
        await store.flush();
        const count = Math.ceil((header.l1Size * ENTRY) / header.clusterSize);
        if (count > 0) await metadata.refcounts.free({ first: metadata.l1Offset / header.clusterSize, count });
      }
      await store.flush();
    });
  } finally {
    await disk.close();
  }
  if (header.backing !== undefined) await hideBacking(store, host, header.size, size);
}

/** The new part reads as zeros also where the image below is larger than the disk was. */
async function hideBacking(store: ByteStore, host: ImageHost, from: number, to: number): Promise<void> {
  const disk = await Qcow2Disk.open(new BorrowedStore(store), host, { readOnly: false });
  try {
    await disk.writeZeroes(byteOffset(from), to - from);
  } finally {
    await disk.close();
  }
}
