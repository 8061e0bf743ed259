/** VHD as one of the formats of formats.ts. */
import { byteOffset, GIB, MIB } from "../../bits/units.ts";
import { checkWith } from "../block-map/check.ts";
import { vhdGeometry } from "../block-map/geometry.ts";
import type { ByteStore } from "../byte-store.ts";
import type { CreateOptions, ImageFormat, ImageHost } from "../image-format.ts";
import {
  COOKIE,
  checksum,
  DiskType,
  DYNAMIC_COOKIE,
  DynamicHeader,
  EPOCH,
  Footer,
  NO_OFFSET,
  VERSION,
} from "./layout.ts";
import { createFailure } from "./problems.ts";
import { openVhd } from "./vhd-disk.ts";

export const vhd: ImageFormat = {
  name: "vhd",
  variants: ["dynamic", "fixed"],
  open: openVhd,
  create,
  check: (store, host, options) => checkWith((borrowed) => openVhd(borrowed, host, { readOnly: true }))(store, options),
};

const BLOCK = 2 * MIB;
const MOST = 2040 * GIB;
/** "Features": always set. */
const RESERVED_FEATURE = 2;

const ascii = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

async function create(store: ByteStore, host: ImageHost, options: CreateOptions): Promise<void> {
  const { size, variant = "dynamic", backing, preallocation = "off" } = options;
  if (backing !== undefined) throw createFailure(store.name, { kind: "backing" });
  if (size % 512 !== 0) throw createFailure(store.name, { kind: "bad-size", size });
  if (size > MOST) throw createFailure(store.name, { kind: "too-large", size });
  const isFixed = variant === "fixed" || preallocation === "full" || preallocation === "falloc";
  const footer = Footer.make({
    cookie: ascii(COOKIE),
    features: RESERVED_FEATURE,
    version: VERSION,
    dataOffset: isFixed ? NO_OFFSET : BigInt(Footer.size),
    time: Math.max(0, host.now() - EPOCH),
    // Programs judge by it whether the geometry or the size counts; images of Hyper-V have the size they state.
    creatorApplication: ascii("win "),
    creatorVersion: 0x000a_0000,
    creatorHost: 0x5769_326b,
    originalSize: BigInt(size),
    currentSize: BigInt(size),
    ...vhdGeometry(size / 512),
    diskType: isFixed ? DiskType.fixed : DiskType.dynamic,
    uniqueId: host.randomBytes(16),
  });
  Footer.at(footer).checksum = checksum(footer, Footer.offset.checksum);
  if (isFixed) {
    await store.resize(size);
    if (preallocation !== "off") await store.reserve(byteOffset(0), size);
    await store.write(byteOffset(size), footer);
    await store.flush();
    return;
  }
  const entries = Math.ceil(size / BLOCK);
  const tableOffset = Footer.size + DynamicHeader.size;
  const header = DynamicHeader.make({
    cookie: ascii(DYNAMIC_COOKIE),
    dataOffset: NO_OFFSET,
    tableOffset: BigInt(tableOffset),
    version: VERSION,
    maxTableEntries: entries,
    blockSize: BLOCK,
  });
  DynamicHeader.at(header).checksum = checksum(header, DynamicHeader.offset.checksum);
  // Every entry says "absent".
  const table = new Uint8Array(Math.ceil((entries * 4) / 512) * 512).fill(0xff);
  await store.write(byteOffset(Footer.size), header);
  await store.write(byteOffset(tableOffset), table);
  await store.write(byteOffset(tableOffset + table.length), footer);
  await store.flush();
  await store.write(byteOffset(0), footer);
  await store.flush();
}
