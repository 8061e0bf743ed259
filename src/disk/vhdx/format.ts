/** VHDX as one of the formats of formats.ts. */
import { byteOffset } from "../../bits/units.ts";
import { checkWith } from "../block-map/check.ts";
import { BorrowedStore } from "../borrowed-store.ts";
import type { ByteStore } from "../byte-store.ts";
import type { CheckResult, CreateOptions, ImageFormat, ImageHost, Report } from "../image-format.ts";
import { readHeader } from "./headers.ts";
import {
  BlockState,
  crc32c,
  FILE_SIGNATURE,
  FileIdentifier,
  FileParameters,
  Guid,
  HEADER_PLACES,
  HEADER_SIGNATURE,
  HEADER_SIZE,
  Header,
  isNull,
  KIB64,
  METADATA_SIGNATURE,
  MetadataEntry,
  MetadataFlag,
  MetadataTable,
  MIB,
  REGION_PLACES,
  REGION_SIGNATURE,
  REGION_SIZE,
  RegionEntry,
  RegionTable,
} from "./layout.ts";
import { createFailure } from "./problems.ts";
import { openVhdx } from "./vhdx-disk.ts";

export const vhdx: ImageFormat = {
  name: "vhdx",
  variants: ["dynamic", "fixed"],
  open: openVhdx,
  create,
  check,
};

const BLOCK = 8 * MIB;
const MOST = 64 * 2 ** 40;
const LOG = { offset: MIB, length: MIB };
const METADATA = { offset: 2 * MIB, length: MIB };
const BAT_OFFSET = 3 * MIB;
const ITEMS_OFFSET = KIB64;
const SECTOR = 512;

const ascii = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

async function create(store: ByteStore, host: ImageHost, options: CreateOptions): Promise<void> {
  const { size, variant = "dynamic", backing, preallocation = "off" } = options;
  if (backing !== undefined) throw createFailure(store.name, { kind: "backing" });
  if (size % SECTOR !== 0 || size === 0) throw createFailure(store.name, { kind: "bad-size", size });
  if (size > MOST) throw createFailure(store.name, { kind: "too-large", size });
  const isFixed = variant === "fixed" || preallocation === "full" || preallocation === "falloc";
  const ratio = (2 ** 23 * SECTOR) / BLOCK;
  const blocks = Math.ceil(size / BLOCK);
  const entries = blocks + Math.floor((blocks - 1) / ratio);
  const batLength = Math.ceil((entries * 8) / MIB) * MIB;
  const dataOffset = BAT_OFFSET + batLength;
  await store.resize(dataOffset + (isFixed ? blocks * BLOCK : 0));
  if (isFixed) {
    if (preallocation !== "off") await store.reserve(byteOffset(dataOffset), blocks * BLOCK);
    await writeFixedTable(store, { blocks, ratio, entries, dataOffset });
  }
  await store.write(byteOffset(METADATA.offset), metadata(size, host));
  const regions = new Uint8Array(REGION_SIZE);
  regions.set(RegionTable.make({ signature: REGION_SIGNATURE, entryCount: 2 }));
  const places = [
    { guid: Guid.bat, fileOffset: BigInt(BAT_OFFSET), length: batLength, required: 1 },
    { guid: Guid.metadata, fileOffset: BigInt(METADATA.offset), length: METADATA.length, required: 1 },
  ];
  for (const [i, place] of places.entries())
    regions.set(RegionEntry.make(place), RegionTable.size + i * RegionEntry.size);
  RegionTable.at(regions).checksum = crc32c(regions, RegionTable.offset.checksum);
  for (const place of REGION_PLACES) await store.write(byteOffset(place), regions);
  const [fileWriteGuid, dataWriteGuid] = [host.randomBytes(16), host.randomBytes(16)];
  for (const [i, place] of HEADER_PLACES.entries()) {
    const header = new Uint8Array(HEADER_SIZE);
    header.set(
      Header.make({
        signature: HEADER_SIGNATURE,
        sequence: BigInt(i),
        fileWriteGuid,
        dataWriteGuid,
        version: 1,
        logLength: LOG.length,
        logOffset: BigInt(LOG.offset),
      }),
    );
    Header.at(header).checksum = crc32c(header, Header.offset.checksum);
    await store.write(byteOffset(place), header);
  }
  await store.flush();
  const creator = new Uint8Array(512);
  for (const [i, character] of [..."Bunkhouse"].entries()) creator[2 * i] = character.charCodeAt(0);
  await store.write(byteOffset(0), FileIdentifier.make({ signature: ascii(FILE_SIGNATURE), creator }));
  await store.flush();
}

/** The metadata region's first 128 KiB: the table, and the items. */
function metadata(size: number, host: ImageHost): Uint8Array {
  const region = new Uint8Array(2 * KIB64);
  const number = (value: number, width: 4 | 8) => {
    const view = new DataView(new ArrayBuffer(width));
    if (width === 8) view.setBigUint64(0, BigInt(value), true);
    else view.setUint32(0, value, true);
    return new Uint8Array(view.buffer);
  };
  const { isRequired, isVirtualDisk } = MetadataFlag;
  const items: readonly (readonly [item: Uint8Array, flags: number, bytes: Uint8Array])[] = [
    [Guid.fileParameters, isRequired, FileParameters.make({ blockSize: BLOCK })],
    [Guid.virtualDiskSize, isRequired | isVirtualDisk, number(size, 8)],
    [Guid.page83, isRequired | isVirtualDisk, host.randomBytes(16)],
    [Guid.logicalSectorSize, isRequired | isVirtualDisk, number(SECTOR, 4)],
    [Guid.physicalSectorSize, isRequired | isVirtualDisk, number(4096, 4)],
  ];
  region.set(MetadataTable.make({ signature: ascii(METADATA_SIGNATURE), entryCount: items.length }));
  let offset = ITEMS_OFFSET;
  for (const [i, [item, flags, bytes]] of items.entries()) {
    const entry = MetadataEntry.make({ item, offset, length: bytes.length, flags });
    region.set(entry, MetadataTable.size + i * MetadataEntry.size);
    region.set(bytes, offset);
    offset += 32;
  }
  return region;
}

async function writeFixedTable(
  store: ByteStore,
  { blocks, ratio, entries, dataOffset }: { blocks: number; ratio: number; entries: number; dataOffset: number },
): Promise<void> {
  const table = new DataView(new ArrayBuffer(entries * 8));
  for (let block = 0; block < blocks; block++) {
    const mib = (dataOffset + block * BLOCK) / MIB;
    const at = (block + Math.floor(block / ratio)) * 8;
    table.setBigUint64(at, (BigInt(mib) << 20n) | BigInt(BlockState.fullyPresent), true);
  }
  await store.write(byteOffset(BAT_OFFSET), new Uint8Array(table.buffer));
}

/** Replays a log that is left, where that is asked for, and looks at every block's place. */
async function check(
  store: ByteStore,
  host: ImageHost,
  { repair, report }: { repair: boolean; report?: Report },
): Promise<CheckResult> {
  const header = await readHeader(store);
  const isReplayed = isNull(Header.at(header.bytes).logGuid);
  if (!isReplayed && !repair) {
    const messages = ["its log was not replayed"];
    return { corruptions: 1, leaks: 0, flaws: 0, messages, allocated: 0 };
  }
  // Opening it for writing replays the log.
  if (!isReplayed) await (await openVhdx(new BorrowedStore(store), host, { readOnly: false })).close();
  const options = report === undefined ? { repair } : { repair, report };
  return checkWith((borrowed) => openVhdx(borrowed, host, { readOnly: true }))(store, options);
}
