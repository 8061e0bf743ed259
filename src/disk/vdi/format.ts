/** VDI, VirtualBox's format, as one of the formats of formats.ts. */
import { byteOffset, MIB } from "../../bits/units.ts";
import { checkWith } from "../block-map/check.ts";
import { vhdGeometry } from "../block-map/geometry.ts";
import type { ByteStore } from "../byte-store.ts";
import { ImageError } from "../image-error.ts";
import type { CreateOptions, ImageFormat, ImageHost } from "../image-format.ts";
import { ABSENT, HEADER_SIZE, Header, ImageType, SIGNATURE, VERSION_1_1 } from "./layout.ts";
import { openVdi } from "./vdi-disk.ts";

const BLOCK = MIB;
const TEXT = "<<< Oracle VM VirtualBox Disk Image >>>\n";
/** The block map's table is written in parts of this many entries. */
const PIECE = 64 * 1024;

export const vdi: ImageFormat = {
  name: "vdi",
  variants: ["dynamic", "fixed"],
  open: (store, _host, options) => openVdi(store, options),
  create,
  check: (store, _host, options) => checkWith((borrowed) => openVdi(borrowed, { readOnly: true }))(store, options),
};

export type CreateProblem =
  | { readonly kind: "backing" }
  | { readonly kind: "too-large" }
  | { readonly kind: "bad-size" };

async function create(store: ByteStore, host: ImageHost, options: CreateOptions): Promise<void> {
  const { size, variant = "dynamic", backing } = options;
  const fail = (problem: CreateProblem, text: string) => new ImageError<CreateProblem>(store.name, problem, text);
  if (backing !== undefined)
    throw fail({ kind: "backing" }, "a VDI image cannot be based on another here; use --format qcow2");
  if (size % 512 !== 0)
    throw fail({ kind: "bad-size" }, `cannot have a size of ${size} bytes; it must be a multiple of 512`);
  const blocks = Math.ceil(size / BLOCK);
  if (blocks >= 2 ** 28) throw fail({ kind: "too-large" }, `cannot have ${size} bytes; use --format qcow2`);
  const isFixed = variant === "fixed" || options.preallocation === "full" || options.preallocation === "falloc";
  const dataOffset = Math.ceil((Header.size + blocks * 4) / BLOCK) * BLOCK;
  const geometry = vhdGeometry(Math.floor(size / 512));
  const header = Header.make({
    text: Uint8Array.from(TEXT, (character) => character.charCodeAt(0)),
    signature: SIGNATURE,
    version: VERSION_1_1,
    headerSize: HEADER_SIZE,
    imageType: isFixed ? ImageType.fixed : ImageType.dynamic,
    blocksOffset: Header.size,
    dataOffset,
    cylinders: geometry.cylinders,
    heads: geometry.heads,
    sectors: geometry.sectors,
    sectorSize: 512,
    diskSize: BigInt(size),
    blockSize: BLOCK,
    blocksInImage: blocks,
    blocksAllocated: isFixed ? blocks : 0,
    imageUuid: host.randomBytes(16),
    snapshotUuid: host.randomBytes(16),
  });
  await store.resize(dataOffset + (isFixed ? blocks * BLOCK : 0));
  if (isFixed && options.preallocation !== undefined) await store.reserve(byteOffset(dataOffset), blocks * BLOCK);
  for (let first = 0; first < blocks; first += PIECE) {
    const entries = new DataView(new ArrayBuffer(Math.min(PIECE, blocks - first) * 4));
    for (let i = 0; i * 4 < entries.byteLength; i++) entries.setUint32(i * 4, isFixed ? first + i : ABSENT, true);
    await store.write(byteOffset(Header.size + first * 4), new Uint8Array(entries.buffer));
  }
  await store.flush();
  await store.write(byteOffset(0), header);
  await store.flush();
}
