/**
 * VHDX images: dynamic and fixed ones, read and written. A log that a crash left is replayed on opening.
 *
 * Changes to the table of blocks are not logged: each of its entries lies within one sector, and is written after
 * the block that it leads to is stable.
 *
 * Not modelled: differencing images (refused on opening).
 */
import { byteOffset } from "../../bits/units.ts";
import type { BlockMap, BlockPlace } from "../block-map/block-map.ts";
import { BlockMapDisk } from "../block-map/block-map-disk.ts";
import { EntryTable } from "../block-map/entry-table.ts";
import type { ByteStore } from "../byte-store.ts";
import type { ImageHost, OpenOptions } from "../image-format.ts";
import { holds } from "../sample.ts";
import { type Regions, readHeader, readRegions, writeHeader } from "./headers.ts";
import {
  BlockState,
  FileFlag,
  FileParameters,
  Guid,
  Header,
  isNull,
  METADATA_SIGNATURE,
  MetadataEntry,
  MetadataFlag,
  MetadataTable,
  MIB,
  MOST_METADATA,
  sameBytes,
} from "./layout.ts";
import { replayLog } from "./log.ts";
import { openFailure } from "./problems.ts";

export async function openVhdx(store: ByteStore, host: ImageHost, options: OpenOptions): Promise<BlockMapDisk> {
  try {
    if (options.snapshot !== undefined) throw openFailure(store.name, { kind: "no-snapshots" });
    const readOnly = options.readOnly || store.readOnly;
    let header = await readHeader(store);
    if (!isNull(Header.at(header.bytes).logGuid)) {
      if (readOnly) throw openFailure(store.name, { kind: "needs-replay" });
      await replayLog(store, header);
      header = await writeHeader(store, header, (changed) => {
        changed.logGuid = new Uint8Array(16);
      });
    }
    const regions = await readRegions(store);
    const { size, blockSize, sectorSize } = await readMetadata(store, regions.metadata);
    const ratio = (2 ** 23 * sectorSize) / blockSize;
    const blocks = Math.ceil(size / blockSize);
    // A sector bitmap's entry follows the entries of each chunk, whether there are bitmaps or not.
    const entries = blocks + Math.floor((blocks - 1) / ratio);
    if (entries * 8 > regions.bat.length) {
      throw openFailure(store.name, { kind: "corrupt", what: "its table of blocks is too short" });
    }
    let isPrepared = false;
    /** §2.2.2: new identifiers before the first change, and twice, so that no older header is left. */
    const prepare = async () => {
      if (isPrepared) return;
      for (let i = 0; i < 2; i++) {
        const [fileWrite, dataWrite] = [host.randomBytes(16), host.randomBytes(16)];
        header = await writeHeader(store, header, (changed) => {
          changed.fileWriteGuid = fileWrite;
          changed.dataWriteGuid = dataWrite;
        });
      }
      isPrepared = true;
    };
    const map = new VhdxMap(store, { blockSize, ratio, entries, batOffset: regions.bat.offset, prepare });
    const info = { format: "vhdx", size, clusterSize: blockSize } as const;
    if (!readOnly) await prepare();
    return new BlockMapDisk({ store, map, info, readOnly });
  } catch (error) {
    await store.close();
    throw error;
  }
}

interface Metadata {
  readonly size: number;
  readonly blockSize: number;
  readonly sectorSize: number;
}

const MOST_BYTES = 64 * 2 ** 40;

/** §2.6 */
async function readMetadata(store: ByteStore, region: Regions["metadata"]): Promise<Metadata> {
  const corrupt = (what: string) => openFailure(store.name, { kind: "corrupt", what });
  const table = new Uint8Array(Math.min(region.length, 64 * 1024));
  await store.read(byteOffset(region.offset), table);
  if (table.length < MetadataTable.size || !holds(table, 0, METADATA_SIGNATURE)) throw corrupt("it has no metadata");
  const { entryCount } = MetadataTable.at(table);
  if (entryCount > MOST_METADATA || MetadataTable.size + entryCount * MetadataEntry.size > table.length) {
    throw corrupt(`${entryCount} metadata items`);
  }
  const items = new Map<keyof typeof Guid, DataView>();
  for (let i = 0; i < entryCount; i++) {
    const entry = MetadataEntry.at(table, MetadataTable.size + i * MetadataEntry.size);
    const name = (Object.keys(Guid) as (keyof typeof Guid)[]).find((key) => sameBytes(Guid[key], entry.item));
    if (name === undefined) {
      if ((entry.flags & MetadataFlag.isRequired) === 0) continue;
      throw openFailure(store.name, { kind: "unknown-part", what: "an unknown metadata item" });
    }
    if (entry.offset + 8 > region.length) throw corrupt("a metadata item is outside of its region");
    const bytes = new Uint8Array(8);
    await store.read(byteOffset(region.offset + entry.offset), bytes);
    items.set(name, new DataView(bytes.buffer));
  }
  const item = (name: keyof typeof Guid) => {
    const found = items.get(name);
    if (found === undefined) throw corrupt(`it lacks the metadata item ${name}`);
    return found;
  };
  const parameters = FileParameters.at(new Uint8Array(item("fileParameters").buffer));
  const { blockSize } = parameters;
  if (blockSize < MIB || blockSize > 256 * MIB || (blockSize & (blockSize - 1)) !== 0) {
    throw corrupt(`blocks of ${blockSize} bytes`);
  }
  if ((parameters.flags & FileFlag.hasParent) !== 0) throw openFailure(store.name, { kind: "has-parent" });
  const sectorSize = item("logicalSectorSize").getUint32(0, true);
  if (sectorSize !== 512 && sectorSize !== 4096)
    throw openFailure(store.name, { kind: "bad-sector-size", size: sectorSize });
  const size = item("virtualDiskSize").getBigUint64(0, true);
  if (size > BigInt(MOST_BYTES) || size % 512n !== 0n || size === 0n) throw corrupt(`a disk of ${size} bytes`);
  return { size: Number(size), blockSize, sectorSize };
}

interface VhdxTables {
  readonly blockSize: number;
  readonly ratio: number;
  readonly entries: number;
  readonly batOffset: number;
  readonly prepare: () => Promise<void>;
}

/** Bytes of an entry's low half that belong to the state. */
const STATE = 7;

class VhdxMap implements BlockMap {
  readonly blockSize: number;
  readonly #store: ByteStore;
  readonly #ratio: number;
  readonly #table: EntryTable;
  readonly #prepare: () => Promise<void>;

  constructor(store: ByteStore, { blockSize, ratio, entries, batOffset, prepare }: VhdxTables) {
    this.#store = store;
    this.blockSize = blockSize;
    this.#ratio = ratio;
    this.#prepare = prepare;
    this.#table = new EntryTable(store, { offset: byteOffset(batOffset), entries, width: 8, littleEndian: true });
  }

  #index(block: number): number {
    return block + Math.floor(block / this.#ratio);
  }

  async place(block: number): Promise<BlockPlace> {
    const { low, high } = await this.#table.get(this.#index(block));
    const corrupt = (what: string) =>
      openFailure(this.#store.name, { kind: "corrupt", what: `block ${block} ${what}` });
    switch (low & STATE) {
      case BlockState.notPresent:
      case BlockState.undefined:
      case BlockState.unmapped:
        return { kind: "absent" };
      case BlockState.zero:
        return { kind: "zero" };
      case BlockState.fullyPresent: {
        const offset = (high * 4096 + (low >>> 20)) * MIB;
        if (offset >= MIB && offset + this.blockSize <= Math.ceil(this.#store.size / MIB) * MIB)
          return { kind: "data", offset };
        throw corrupt(`is said to be at ${offset}`);
      }
      default:
        throw corrupt(`has the state ${low & STATE}`);
    }
  }

  async allocate(): Promise<number> {
    await this.#prepare();
    const offset = Math.ceil(this.#store.size / MIB) * MIB;
    await this.#store.resize(offset + this.blockSize);
    return offset;
  }

  async setData(block: number, offset: number): Promise<void> {
    const mib = offset / MIB;
    await this.#table.set(
      this.#index(block),
      (((mib % 4096) << 20) | BlockState.fullyPresent) >>> 0,
      Math.floor(mib / 4096),
    );
  }

  async setZero(block: number): Promise<void> {
    await this.#table.set(this.#index(block), BlockState.zero);
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
