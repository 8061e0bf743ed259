/**
 * VMDK images: monolithicSparse read and written; streamOptimized and images of several files (sparse, flat, zero
 * extents) read.
 *
 * Not modelled: images of several files that are based on another; sparse
 * extents of ESX (COWD, SESPARSE); raw device mappings: all refused on opening. The content
 * ID of an image below is not compared.
 */
import { byteOffset } from "../../bits/units.ts";
import type { BlockDevice } from "../block-device.ts";
import { BlockMapDisk } from "../block-map/block-map-disk.ts";
import type { ByteStore } from "../byte-store.ts";
import type { ImageDisk, ImageHost, ImageInfo, OpenOptions } from "../image-format.ts";
import { FixedDisk } from "../raw/fixed-disk.ts";
import { holds } from "../sample.ts";
import { ConcatenatedDisk } from "./concatenated-disk.ts";
import { type Descriptor, descriptorOf, type ExtentLine, parseDescriptor } from "./descriptor.ts";
import { openFailure } from "./problems.ts";
import { openSparseExtent } from "./sparse-extent.ts";
import { ZeroDisk } from "./zero-disk.ts";

const MOST_DESCRIPTOR = 64 * 1024;
const SECTOR = 512;

export async function openVmdk(store: ByteStore, host: ImageHost, options: OpenOptions): Promise<ImageDisk> {
  try {
    if (options.snapshot !== undefined) throw openFailure(store.name, { kind: "no-snapshots" });
    const head = new Uint8Array(4);
    await store.read(byteOffset(0), head);
    if (holds(head, 0, "COWD")) throw openFailure(store.name, { kind: "esx-sparse" });
    const readOnly = options.readOnly || store.readOnly;
    if (holds(head, 0, "KDMV")) return await openMonolithic(store, host, readOnly);
    return await openParts(store, host, readOnly);
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function openMonolithic(store: ByteStore, host: ImageHost, readOnly: boolean): Promise<ImageDisk> {
  const extent = await openSparseExtent(store, host.decompressor);
  if (extent.isCompressed && !readOnly) throw openFailure(store.name, { kind: "stream-is-read-only" });
  const descriptor = extent.descriptor === undefined ? undefined : parseDescriptor(extent.descriptor);
  const backing = await openParent(store, host, descriptor);
  const variant = descriptor?.type ?? (extent.isCompressed ? "streamOptimized" : "monolithicSparse");
  const info: ImageInfo = {
    format: "vmdk",
    variant: printable(variant),
    size: extent.size,
    clusterSize: extent.map.blockSize,
    ...(descriptor?.parent === undefined ? {} : { backing: { name: descriptor.parent, format: "vmdk" } }),
  };
  return new BlockMapDisk({ store, map: extent.map, info, readOnly, ...(backing === undefined ? {} : { backing }) });
}

const printable = (text: string) => text.replaceAll(/[^\x20-\x7e]/g, "?");

async function openParent(
  store: ByteStore,
  host: ImageHost,
  descriptor: Descriptor | undefined,
): Promise<BlockDevice | undefined> {
  if (descriptor === undefined || !descriptor.hasParent) return undefined;
  if (descriptor.parent === undefined) throw openFailure(store.name, { kind: "no-parent-name" });
  return host.openBacking(descriptor.parent, "vmdk");
}

/** An image whose file is the description of others. */
async function openParts(store: ByteStore, host: ImageHost, readOnly: boolean): Promise<ImageDisk> {
  const bytes = new Uint8Array(Math.min(store.size, MOST_DESCRIPTOR));
  await store.read(byteOffset(0), bytes);
  const descriptor = parseDescriptor(descriptorOf(bytes));
  if (descriptor === undefined || descriptor.extents.length === 0) throw openFailure(store.name, { kind: "not-vmdk" });
  if (!readOnly) throw openFailure(store.name, { kind: "parts-are-read-only" });
  if (descriptor.hasParent) throw openFailure(store.name, { kind: "parts-with-parent" });
  const parts: BlockDevice[] = [];
  try {
    for (const extent of descriptor.extents) parts.push(await openExtent(store.name, host, extent));
  } catch (error) {
    for (const part of parts) await part.close();
    throw error;
  }
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  const info: ImageInfo = {
    format: "vmdk",
    variant: printable(descriptor.type),
    size,
    details: [`files: ${descriptor.extents.map(({ file }) => printable(file)).join(", ")}`],
  };
  return new ConcatenatedDisk({ parts, info, store });
}

async function openExtent(name: string, host: ImageHost, extent: ExtentLine): Promise<BlockDevice> {
  const { type, file, size: sectors, offset } = extent;
  const size = sectors * SECTOR;
  if (!Number.isSafeInteger(size))
    throw openFailure(name, { kind: "corrupt", what: `an extent of ${sectors} sectors` });
  if (type === "ZERO") return new ZeroDisk(size);
  if (type !== "SPARSE" && type !== "FLAT") throw openFailure(name, { kind: "unsupported-extent", type });
  // An image may come from anywhere, and must not have other files of the host shown to a guest.
  if (file === "" || /[/\\\0]/.test(file) || file === "." || file === "..") {
    throw openFailure(name, { kind: "extent-elsewhere", extent: printable(file) });
  }
  const store = await host.openPart(file);
  try {
    if (type === "FLAT") {
      if (offset * SECTOR + size > Math.ceil(store.size / SECTOR) * SECTOR) {
        throw openFailure(name, { kind: "corrupt", what: `${store.name} is too short` });
      }
      return new FixedDisk(store, { format: "vmdk", size }, true, offset * SECTOR);
    }
    const { map, size: found } = await openSparseExtent(store, host.decompressor);
    if (found < size) throw openFailure(name, { kind: "corrupt", what: `${store.name} is smaller than it should be` });
    return new BlockMapDisk({ store, map, info: { format: "vmdk", size }, readOnly: true });
  } catch (error) {
    await store.close();
    throw error;
  }
}
