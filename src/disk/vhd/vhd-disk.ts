/**
 * VHD images: fixed and dynamic ones, read and written; differencing ones, read.
 *
 * The bitmap before each block tells a differencing image's sectors from its parent's. In a dynamic image a sector
 * that is not in it has never been written and is zeros in the block as well, so that it need not be read.
 */
import { byteOffset } from "../../bits/units.ts";
import type { BlockDevice } from "../block-device.ts";
import type { BlockMap, BlockPlace } from "../block-map/block-map.ts";
import { BlockMapDisk } from "../block-map/block-map-disk.ts";
import { EntryTable } from "../block-map/entry-table.ts";
import type { ByteStore } from "../byte-store.ts";
import type { ImageDisk, ImageHost, ImageInfo, OpenOptions } from "../image-format.ts";
import { FixedDisk } from "../raw/fixed-disk.ts";
import { holds } from "../sample.ts";
import { DifferencingDisk } from "./differencing-disk.ts";
import { ABSENT, COOKIE, checksum, DiskType, DYNAMIC_COOKIE, DynamicHeader, Footer, VERSION } from "./layout.ts";
import { parentNames } from "./parent.ts";
import { openFailure } from "./problems.ts";

/** Programs that give a disk the size of its geometry, whatever the footer says besides. */
const BY_GEOMETRY = ["vpc ", "vs  ", "qemu"];
/** The largest geometry: it stands for any larger size. */
const LARGEST_GEOMETRY = 65535 * 16 * 255;

export async function openVhd(store: ByteStore, host: ImageHost, options: OpenOptions): Promise<ImageDisk> {
  let parent: BlockDevice | undefined;
  try {
    if (options.snapshot !== undefined) throw openFailure(store.name, { kind: "no-snapshots" });
    const footer = await readFooter(store);
    const view = Footer.at(footer);
    const readOnly = options.readOnly || store.readOnly;
    const size = sizeOf(view);
    if (view.diskType === DiskType.fixed) {
      if (size > store.size - Footer.size) {
        throw openFailure(store.name, { kind: "corrupt", what: `it is shorter than its disk of ${size} bytes` });
      }
      return new FixedDisk(store, { format: "vhd", variant: "fixed", size }, readOnly);
    }
    if (view.diskType !== DiskType.dynamic && view.diskType !== DiskType.differencing) {
      throw openFailure(store.name, { kind: "bad-type", type: view.diskType });
    }
    const header = await readDynamicHeader(store, Number(view.dataOffset));
    const { blockSize, maxTableEntries, tableOffset } = DynamicHeader.at(header);
    if (size > maxTableEntries * blockSize) {
      throw openFailure(store.name, { kind: "corrupt", what: "the disk is larger than its blocks" });
    }
    const table = new EntryTable(store, {
      offset: byteOffset(Number(tableOffset)),
      entries: maxTableEntries,
      width: 4,
      littleEndian: false,
    });
    const map = new VhdMap(store, { blockSize, table, footer });
    const info: ImageInfo = { format: "vhd", variant: "dynamic", size, clusterSize: blockSize };
    if (view.diskType === DiskType.dynamic) return new BlockMapDisk({ store, map, readOnly, info });
    if (!readOnly) throw openFailure(store.name, { kind: "differencing-is-read-only" });
    const names = await parentNames(store, header);
    const backing = { name: names[0] ?? "", format: "vhd" };
    parent = await openParent(host, store.name, names);
    return new DifferencingDisk({ store, map, parent, info: { ...info, variant: "differencing", backing } });
  } catch (error) {
    await parent?.close();
    await store.close();
    throw error;
  }
}

/** The footer at the end, or its copy at the start where a crash has left something else at the end. */
async function readFooter(store: ByteStore): Promise<Uint8Array> {
  const bytes = new Uint8Array(Footer.size);
  let version: number | undefined;
  // Old versions of Virtual PC left the last byte away.
  for (const offset of [store.size - Footer.size, 0, store.size - Footer.size + 1]) {
    if (offset < 0) continue;
    await store.read(byteOffset(offset), bytes);
    if (!holds(bytes, 0, COOKIE)) continue;
    const footer = Footer.at(bytes);
    if (footer.checksum !== checksum(bytes, Footer.offset.checksum)) continue;
    if (footer.version >>> 16 === VERSION >>> 16) return bytes;
    version = footer.version;
  }
  throw openFailure(store.name, version === undefined ? { kind: "not-vhd" } : { kind: "bad-version", version });
}

function sizeOf(footer: ReturnType<typeof Footer.at>): number {
  const geometry = footer.cylinders * footer.heads * footer.sectors;
  const creator = String.fromCharCode(...footer.creatorApplication);
  if (BY_GEOMETRY.includes(creator) && geometry !== LARGEST_GEOMETRY && geometry > 0) return geometry * 512;
  return Number(footer.currentSize / 512n) * 512;
}

async function readDynamicHeader(store: ByteStore, offset: number): Promise<Uint8Array> {
  const corrupt = (what: string) => openFailure(store.name, { kind: "corrupt", what });
  const bytes = new Uint8Array(DynamicHeader.size);
  if (!Number.isSafeInteger(offset) || offset + bytes.length > store.size)
    throw corrupt("its header is not in the file");
  await store.read(byteOffset(offset), bytes);
  if (!holds(bytes, 0, DYNAMIC_COOKIE)) throw corrupt("it has no header of a dynamic disk");
  const header = DynamicHeader.at(bytes);
  if (header.checksum !== checksum(bytes, DynamicHeader.offset.checksum))
    throw corrupt("its header's checksum is wrong");
  const { blockSize, maxTableEntries, tableOffset } = header;
  if (blockSize < 512 || (blockSize & (blockSize - 1)) !== 0 || blockSize > 2 ** 28) {
    throw corrupt(`blocks of ${blockSize} bytes`);
  }
  if (tableOffset % 512n !== 0n || tableOffset + BigInt(maxTableEntries) * 4n > BigInt(store.size)) {
    throw corrupt("its table of blocks is not in the file");
  }
  return bytes;
}

async function openParent(host: ImageHost, name: string, parents: readonly string[]): Promise<BlockDevice> {
  let failure: unknown = openFailure(name, { kind: "no-parent-name" });
  for (const parent of parents) {
    try {
      return await host.openBacking(parent, "vhd");
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

export class VhdMap implements BlockMap {
  readonly blockSize: number;
  /** Bytes of a block's bitmap, which lies before it. */
  readonly bitmapSize: number;
  readonly #store: ByteStore;
  readonly #table: EntryTable;
  readonly #footer: Uint8Array;
  /** Where the next block goes, which is where the footer is. */
  #end: number;

  constructor(
    store: ByteStore,
    { blockSize, table, footer }: { blockSize: number; table: EntryTable; footer: Uint8Array },
  ) {
    this.#store = store;
    this.blockSize = blockSize;
    this.#table = table;
    this.#footer = footer;
    this.bitmapSize = Math.ceil(blockSize / 512 / 8 / 512) * 512;
    this.#end = Math.ceil(Math.max(0, store.size - Footer.size) / 512) * 512;
  }

  async place(block: number): Promise<BlockPlace> {
    const { low } = await this.#table.get(block);
    if (low === ABSENT) return { kind: "absent" };
    const offset = low * 512 + this.bitmapSize;
    if (low > 0 && offset + this.blockSize <= this.#end) return { kind: "data", offset };
    const what = `block ${block} is said to be at sector ${low}`;
    throw openFailure(this.#store.name, { kind: "corrupt", what });
  }

  async allocate(): Promise<number> {
    const offset = this.#end;
    const end = offset + this.bitmapSize + this.blockSize;
    // The footer goes first to its new place, so that there always is one.
    await this.#store.write(byteOffset(end), this.#footer);
    await this.#store.write(byteOffset(offset), new Uint8Array(this.bitmapSize).fill(0xff));
    // What a crash left behind a footer that was never moved.
    await this.#store.writeZeroes(byteOffset(offset + this.bitmapSize), this.blockSize);
    this.#end = end;
    return offset + this.bitmapSize;
  }

  async setData(block: number, offset: number): Promise<void> {
    await this.#table.set(block, (offset - this.bitmapSize) / 512);
  }

  get isDirty(): boolean {
    return this.#table.isDirty;
  }

  get isCrowded(): boolean {
    return this.#table.isCrowded;
  }

  async commit(stable: () => Promise<void>): Promise<void> {
    const copies = this.#table.takeDirty();
    try {
      await stable();
    } catch (error) {
      this.#table.notWritten(copies);
      throw error;
    }
    await this.#table.write(copies);
    await stable();
  }
}
