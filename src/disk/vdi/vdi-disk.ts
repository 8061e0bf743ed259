/**
 * VDI images: dynamic and fixed ones, read and written.
 *
 * Not modelled: images over others (refused on opening), which name theirs by a UUID that only VirtualBox's registry
 * can resolve.
 */
import { byteOffset } from "../../bits/units.ts";
import type { BlockMap, BlockPlace } from "../block-map/block-map.ts";
import { BlockMapDisk } from "../block-map/block-map-disk.ts";
import { EntryTable } from "../block-map/entry-table.ts";
import type { ByteStore } from "../byte-store.ts";
import { ImageError } from "../image-error.ts";
import type { OpenOptions } from "../image-format.ts";
import { ABSENT, DISCARDED, Header, ImageType, SIGNATURE } from "./layout.ts";

export type OpenProblem =
  | { readonly kind: "not-vdi" }
  | { readonly kind: "bad-version"; readonly version: number }
  | { readonly kind: "based-on-another" }
  | { readonly kind: "no-snapshots" }
  | { readonly kind: "corrupt"; readonly what: string };

export function openFailure(name: string, problem: OpenProblem): ImageError<OpenProblem> {
  const text = () => {
    switch (problem.kind) {
      case "not-vdi":
        return "is no VDI image; if it is a raw one, give format=raw";
      case "bad-version":
        return `is a VDI image of version ${problem.version >>> 16}.${problem.version & 0xffff}, and only 1.1 is supported`;
      case "based-on-another":
        return "is a difference to another image, which is not supported; merge it in VirtualBox (clonemedium) first";
      case "no-snapshots":
        return "is a VDI image, which has no snapshots in it; convert it to qcow2";
      case "corrupt":
        return `is damaged: ${problem.what}`;
    }
  };
  return new ImageError(name, problem, text());
}

/** Most bytes of a block map that a disk of a size a number can hold needs. */
const MOST_BLOCKS = 2 ** 28;

export async function openVdi(store: ByteStore, { readOnly, snapshot }: OpenOptions): Promise<BlockMapDisk> {
  try {
    if (snapshot !== undefined) throw openFailure(store.name, { kind: "no-snapshots" });
    const bytes = new Uint8Array(Header.size);
    await store.read(byteOffset(0), bytes);
    const header = Header.at(bytes);
    const corrupt = (what: string) => openFailure(store.name, { kind: "corrupt", what });
    if (header.signature !== SIGNATURE) throw openFailure(store.name, { kind: "not-vdi" });
    if (header.version >>> 16 !== 1) throw openFailure(store.name, { kind: "bad-version", version: header.version });
    const { imageType, blockSize, blocksInImage, blocksAllocated, blocksOffset, dataOffset } = header;
    if (imageType === ImageType.difference || imageType === ImageType.undo || header.parentUuid.some((b) => b !== 0)) {
      throw openFailure(store.name, { kind: "based-on-another" });
    }
    if (imageType !== ImageType.dynamic && imageType !== ImageType.fixed) throw corrupt(`image type ${imageType}`);
    if (header.sectorSize !== 512) throw corrupt(`sectors of ${header.sectorSize} bytes`);
    if (blockSize < 512 || blockSize % 512 !== 0 || blockSize > 2 ** 28) throw corrupt(`blocks of ${blockSize} bytes`);
    if (header.blockExtraSize !== 0) throw corrupt("blocks with extra data");
    if (header.diskSize > BigInt(blocksInImage) * BigInt(blockSize))
      throw corrupt("the disk is larger than its blocks");
    if (header.diskSize > BigInt(2 ** 53 - 1)) throw corrupt(`a disk of ${header.diskSize} bytes`);
    if (blocksInImage > MOST_BLOCKS) throw corrupt(`${blocksInImage} blocks`);
    if (blocksOffset % 512 !== 0 || dataOffset % 512 !== 0) throw corrupt("its parts do not begin with a sector");
    if (blocksOffset < Header.size || blocksOffset + blocksInImage * 4 > dataOffset || dataOffset > store.size) {
      throw corrupt("its block map is not between header and data");
    }
    if (blocksAllocated > blocksInImage) throw corrupt(`${blocksAllocated} of ${blocksInImage} blocks are allocated`);
    const size = Math.ceil(Number(header.diskSize) / 512) * 512;
    const variant = imageType === ImageType.dynamic ? "dynamic" : "fixed";
    const map = new VdiMap(store, { blockSize, blocksInImage, blocksAllocated, blocksOffset, dataOffset });
    const info = { format: "vdi", variant, size, clusterSize: blockSize } as const;
    return new BlockMapDisk({ store, map, readOnly, info });
  } catch (error) {
    await store.close();
    throw error;
  }
}

interface VdiGeometry {
  readonly blockSize: number;
  readonly blocksInImage: number;
  readonly blocksAllocated: number;
  readonly blocksOffset: number;
  readonly dataOffset: number;
}

class VdiMap implements BlockMap {
  readonly blockSize: number;
  readonly #store: ByteStore;
  readonly #table: EntryTable;
  readonly #dataOffset: number;
  /** The number of the next block in the file; undefined until it is needed. */
  #allocated: number | undefined;
  #writtenAllocated: number;

  constructor(store: ByteStore, { blockSize, blocksInImage, blocksAllocated, blocksOffset, dataOffset }: VdiGeometry) {
    this.#store = store;
    this.blockSize = blockSize;
    this.#dataOffset = dataOffset;
    this.#writtenAllocated = blocksAllocated;
    const offset = byteOffset(blocksOffset);
    this.#table = new EntryTable(store, { offset, entries: blocksInImage, width: 4, littleEndian: true });
  }

  async place(block: number): Promise<BlockPlace> {
    const { low } = await this.#table.get(block);
    if (low === ABSENT) return { kind: "absent" };
    if (low === DISCARDED) return { kind: "zero" };
    const inFile = Math.ceil((this.#store.size - this.#dataOffset) / this.blockSize);
    if (low < inFile) return { kind: "data", offset: this.#dataOffset + low * this.blockSize };
    throw openFailure(this.#store.name, {
      kind: "corrupt",
      what: `block ${block} is said to be number ${low} in the file`,
    });
  }

  async allocate(): Promise<number> {
    this.#allocated ??= await this.#firstUnused();
    const offset = this.#dataOffset + this.#allocated * this.blockSize;
    // A crash may have left something there.
    await this.#store.writeZeroes(byteOffset(offset), this.blockSize);
    if (this.#store.size < offset + this.blockSize) await this.#store.resize(offset + this.blockSize);
    this.#allocated++;
    return offset;
  }

  /** The header's count may be one of before a crash: the map itself tells. */
  async #firstUnused(): Promise<number> {
    let first = 0;
    for (let block = 0; block < this.#table.entries; block++) {
      const { low } = await this.#table.get(block);
      if (low < DISCARDED) first = Math.max(first, low + 1);
    }
    return first;
  }

  async setData(block: number, offset: number): Promise<void> {
    await this.#table.set(block, (offset - this.#dataOffset) / this.blockSize);
  }

  async setZero(block: number): Promise<void> {
    await this.#table.set(block, DISCARDED);
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
      if (this.#allocated !== undefined && this.#allocated !== this.#writtenAllocated) {
        const allocated = this.#allocated;
        const count = new Uint8Array(4);
        new DataView(count.buffer).setUint32(0, allocated, true);
        // Counted before they are used: a count that is too low would give a block away twice.
        await this.#store.write(byteOffset(Header.offset.blocksAllocated), count);
        this.#writtenAllocated = allocated;
      }
      await stable();
    } catch (error) {
      this.#table.notWritten(copies);
      throw error;
    }
    await this.#table.write(copies);
    await stable();
  }
}
