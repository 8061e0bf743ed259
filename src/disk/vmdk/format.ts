/** VMDK, VMware's format, as one of the formats of formats.ts. */
import { byteOffset, KIB } from "../../bits/units.ts";
import { encodeUtf8 } from "../../bits/utf8.ts";
import { checkWith } from "../block-map/check.ts";
import type { ByteStore } from "../byte-store.ts";
import type { CreateOptions, ImageFormat, ImageHost } from "../image-format.ts";
import { descriptorText } from "./descriptor.ts";
import { Flag, MAGIC, SparseHeader } from "./layout.ts";
import { createFailure } from "./problems.ts";
import { openVmdk } from "./vmdk-disk.ts";

export const vmdk: ImageFormat = {
  name: "vmdk",
  variants: ["monolithicSparse"],
  open: openVmdk,
  create,
  check: (store, host, options) =>
    checkWith((borrowed) => openVmdk(borrowed, host, { readOnly: true }))(store, options),
};

const SECTOR = 512;
const GRAIN = 64 * KIB;
const ENTRIES = 512;
const MOST = 2 ** 41 - 2 ** 26;
const DESCRIPTOR_SECTORS = 20;
const PIECE = 1024 * KIB;

/** A monolithicSparse image: all of its grain tables are there from the start, as other programs expect. */
async function create(store: ByteStore, host: ImageHost, options: CreateOptions): Promise<void> {
  const { size, backing, preallocation = "off" } = options;
  if (backing !== undefined) throw createFailure(store.name, { kind: "backing" });
  if (preallocation !== "off") throw createFailure(store.name, { kind: "preallocation" });
  if (size % SECTOR !== 0) throw createFailure(store.name, { kind: "bad-size", size });
  if (size > MOST) throw createFailure(store.name, { kind: "too-large", size });
  const capacity = size / SECTOR;
  const tables = Math.ceil(size / (GRAIN * ENTRIES));
  const directorySectors = Math.ceil((tables * 4) / SECTOR);
  const tableSectors = (ENTRIES * 4) / SECTOR;
  const second = 1 + DESCRIPTOR_SECTORS;
  const first = second + directorySectors + tables * tableSectors;
  const end = first + directorySectors + tables * tableSectors;
  const overhead = Math.ceil((end * SECTOR) / GRAIN) * (GRAIN / SECTOR);
  await store.resize(overhead * SECTOR);
  for (const start of [second, first]) {
    const directory = new DataView(new ArrayBuffer(directorySectors * SECTOR));
    for (let i = 0; i < tables; i++) directory.setUint32(i * 4, start + directorySectors + i * tableSectors, true);
    const bytes = new Uint8Array(directory.buffer);
    for (let at = 0; at < bytes.length; at += PIECE) {
      await store.write(byteOffset(start * SECTOR + at), bytes.subarray(at, at + PIECE));
    }
  }
  const random = host.randomBytes(4);
  const text = descriptorText({
    // The last value means "none".
    contentId: new DataView(random.buffer).getUint32(0) % 0xffff_fffe,
    type: "monolithicSparse",
    size: capacity,
    file: store.name.replaceAll(/["\r\n]/g, "_"),
    cylinders: Math.min(16383, Math.floor(capacity / (16 * 63))),
    heads: 16,
    sectors: 63,
  });
  const bytes = encodeUtf8(text);
  await store.write(byteOffset(SECTOR), bytes);
  await store.flush();
  await store.write(
    byteOffset(0),
    SparseHeader.make({
      magic: MAGIC,
      version: 1,
      flags: Flag.newLines | Flag.redundantTable,
      capacity: BigInt(capacity),
      grainSize: BigInt(GRAIN / SECTOR),
      descriptorOffset: 1n,
      descriptorSize: BigInt(DESCRIPTOR_SECTORS),
      entriesPerTable: ENTRIES,
      redundantDirectory: BigInt(second),
      directory: BigInt(first),
      overhead: BigInt(overhead),
      lineEnd: 0x0a,
      notLineEnd: 0x20,
      doubleLineEnd: 0x0a0d,
    }),
  );
  await store.flush();
}
