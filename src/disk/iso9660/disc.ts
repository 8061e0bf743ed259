/**
 * An ISO 9660 disc as a tree of files, for reading. Names are those of Rock Ridge where the disc has them, else of
 * Joliet, else the plain ones without their version.
 *
 * Not modelled: interleaved files, volumes of several discs, sparse and compressed (zisofs) files of Rock Ridge, UDF.
 */
import { byteOffset } from "../../bits/units.ts";
import { latin1 } from "../../bits/utf8.ts";
import type { BlockDevice } from "../block-device.ts";
import { holds } from "../sample.ts";
import { type BootEntry, parseCatalog } from "./el-torito.ts";
import {
  BOOT_SYSTEM,
  BootRecord,
  Descriptor,
  DescriptorType,
  FIRST_DESCRIPTOR,
  IDENTIFIER,
  Record,
  RecordFlag,
  SECTOR,
} from "./layout.ts";
import { discFailure } from "./problems.ts";
import { readRockRidge, skippedBytes } from "./rock-ridge.ts";

export interface DiscEntry {
  readonly name: string;
  readonly kind: "file" | "directory" | "link";
  /** Bytes. */
  readonly size: number;
  /** Where the content is, in order. */
  readonly extents: readonly { readonly sector: number; readonly length: number }[];
  /** As of stat(2), where the disc tells it. */
  readonly mode: number | undefined;
  /** Of a symbolic link. */
  readonly target: string | undefined;
}

export type DiscDevice = Pick<BlockDevice, "size" | "read">;
type Names = "rock-ridge" | "joliet" | "iso9660";

const MOST_DESCRIPTORS = 64;
/** Bytes of a directory, and levels of directories. */
const MOST_DIRECTORY = 16 * 1024 * 1024;
const MOST_DEPTH = 64;
const MOST_CATALOG = 16 * SECTOR;
/** "Escape Sequences" of Joliet: UCS-2 at levels 1 to 3. */
const JOLIET = ["%/@", "%/C", "%/E"];

interface Volume {
  readonly names: Names;
  readonly root: DiscEntry;
  readonly skipped: number;
}

export class Disc {
  readonly volumeId: string;
  readonly names: Names;
  readonly root: DiscEntry;
  readonly #device: DiscDevice;
  readonly #name: string;
  readonly #skipped: number;
  readonly #catalog: number | undefined;

  private constructor(device: DiscDevice, name: string, volumeId: string, volume: Volume, catalog: number | undefined) {
    this.#device = device;
    this.#name = name;
    this.volumeId = volumeId;
    this.names = volume.names;
    this.root = volume.root;
    this.#skipped = volume.skipped;
    this.#catalog = catalog;
  }

  /** `name` is for messages. Rejects with ImageError<DiscProblem>, or as `device` does. */
  static async open(device: DiscDevice, name: string): Promise<Disc> {
    let primary: Uint8Array | undefined;
    let joliet: Uint8Array | undefined;
    let catalog: number | undefined;
    for (let i = 0; i < MOST_DESCRIPTORS; i++) {
      const offset = (FIRST_DESCRIPTOR + i) * SECTOR;
      if (offset + SECTOR > device.size) break;
      const bytes = new Uint8Array(SECTOR);
      await device.read(byteOffset(offset), bytes);
      const { type, identifier, escapes } = Descriptor.at(bytes);
      if (!holds(identifier, 0, IDENTIFIER) || type === DescriptorType.end) break;
      if (type === DescriptorType.primary) primary ??= bytes;
      if (type === DescriptorType.supplementary && JOLIET.some((text) => holds(escapes, 0, text))) joliet ??= bytes;
      const boot = BootRecord.at(bytes);
      if (type === DescriptorType.boot && holds(boot.systemId, 0, BOOT_SYSTEM)) catalog ??= boot.catalog;
    }
    if (primary === undefined) throw discFailure(name, { kind: "not-iso9660" });
    const { blockSize, volumeId } = Descriptor.at(primary);
    if (blockSize !== SECTOR) throw discFailure(name, { kind: "bad-block-size", size: blockSize });
    const root = rootOf(primary);
    const skipped = await rockRidgeOf(device, root);
    let volume: Volume = { names: "iso9660", root, skipped: 0 };
    if (skipped !== undefined) volume = { names: "rock-ridge", root, skipped };
    else if (joliet !== undefined) volume = { names: "joliet", root: rootOf(joliet), skipped: 0 };
    return new Disc(device, name, latin1(volumeId).trimEnd(), volume, catalog);
  }

  /** The entries of a directory, in the disc's order. */
  async list(directory: DiscEntry): Promise<DiscEntry[]> {
    if (directory.kind !== "directory") return [];
    if (directory.size > MOST_DIRECTORY)
      throw discFailure(this.#name, { kind: "directory-too-large", path: directory.name });
    const bytes = new Uint8Array(directory.size);
    await this.read(directory, 0, bytes);
    const entries: DiscEntry[] = [];
    let unfinished: DiscEntry | undefined;
    for (const record of recordsOf(bytes)) {
      const { flags, nameLength } = Record.at(record);
      // The directory itself, and the one above it.
      if (nameLength === 1 && (record[Record.size] as number) <= 1) continue;
      const entry = await this.#entry(record);
      if (entry === undefined) continue;
      // A file of several extents has a record for each.
      const whole: DiscEntry =
        unfinished === undefined
          ? entry
          : { ...entry, size: unfinished.size + entry.size, extents: [...unfinished.extents, ...entry.extents] };
      unfinished = (flags & RecordFlag.moreExtents) !== 0 ? whole : undefined;
      if (unfinished === undefined) entries.push(whole);
    }
    return entries;
  }

  /** By a path with slashes; symbolic links are not followed. Undefined where there is none. */
  async find(path: string): Promise<DiscEntry | undefined> {
    const parts = path.split("/").filter((part) => part !== "");
    if (parts.length > MOST_DEPTH) return undefined;
    let entry: DiscEntry | undefined = this.root;
    for (const part of parts) {
      const entries: DiscEntry[] = await this.list(entry);
      // Plain names have capitals only.
      const isWanted = ({ name }: DiscEntry) =>
        name === part || (this.names === "iso9660" && name.toLowerCase() === part.toLowerCase());
      entry = entries.find(isWanted);
      if (entry === undefined) return undefined;
    }
    return entry;
  }

  /** Fills `target` with an entry's content from `offset` on; the range must lie within its size. */
  async read({ extents, size }: DiscEntry, offset: number, target: Uint8Array): Promise<void> {
    if (offset < 0 || offset + target.length > size) {
      throw discFailure(this.#name, {
        kind: "corrupt",
        what: `${target.length} bytes at ${offset} of ${size} are read`,
      });
    }
    let start = 0;
    for (const { sector, length } of extents) {
      const from = Math.max(offset, start);
      const to = Math.min(offset + target.length, start + length);
      if (from < to) {
        const place = sector * SECTOR + from - start;
        if (place + to - from > this.#device.size) {
          throw discFailure(this.#name, { kind: "corrupt", what: "a file ends beyond the end of the disc" });
        }
        await this.#device.read(byteOffset(place), target.subarray(from - offset, to - offset));
      }
      start += length;
    }
  }

  /** What can be started from the disc; undefined where nothing can. */
  async bootEntries(): Promise<BootEntry[] | undefined> {
    if (this.#catalog === undefined) return undefined;
    const offset = this.#catalog * SECTOR;
    const bytes = new Uint8Array(Math.max(0, Math.min(MOST_CATALOG, this.#device.size - offset)));
    await this.#device.read(byteOffset(Math.min(offset, this.#device.size)), bytes);
    const entries = parseCatalog(bytes);
    if (entries === undefined) throw discFailure(this.#name, { kind: "corrupt", what: "its boot catalogue is wrong" });
    return entries;
  }

  async #entry(record: Uint8Array): Promise<DiscEntry | undefined> {
    const { extent, extendedAttributes, size, flags, nameLength } = Record.at(record);
    if ((flags & RecordFlag.associated) !== 0) return undefined;
    const raw = record.subarray(Record.size, Record.size + nameLength);
    const sector = extent + extendedAttributes;
    const isDirectory = (flags & RecordFlag.directory) !== 0;
    const plain: DiscEntry = {
      name: this.names === "joliet" ? withoutVersion(ucs2(raw)) : withoutVersion(latin1(raw)),
      kind: isDirectory ? "directory" : "file",
      size,
      extents: [{ sector, length: size }],
      mode: undefined,
      target: undefined,
    };
    if (this.names !== "rock-ridge") return plain;
    const { name, mode, linkTarget, childSector, isRelocated } = await readRockRidge(
      systemUse(record).subarray(this.#skipped),
      (sector, offset, length) => this.#continuation(sector, offset, length),
    );
    if (isRelocated) return undefined;
    const entry = { ...plain, name: name ?? plain.name, mode };
    if (childSector !== undefined) return { ...(await this.#directoryAt(childSector)), name: entry.name, mode };
    return linkTarget === undefined ? entry : { ...entry, kind: "link", target: linkTarget };
  }

  async #continuation(sector: number, offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(Math.min(length, SECTOR));
    const place = sector * SECTOR + offset;
    if (place + bytes.length > this.#device.size) return new Uint8Array(0);
    await this.#device.read(byteOffset(place), bytes);
    return bytes;
  }

  /** A directory by its place: its first record is its own. */
  async #directoryAt(sector: number): Promise<DiscEntry> {
    const bytes = await this.#continuation(sector, 0, SECTOR);
    if (bytes.length < Record.size)
      throw discFailure(this.#name, { kind: "corrupt", what: "a directory is not on the disc" });
    const { size } = Record.at(bytes);
    return {
      name: "",
      kind: "directory",
      size,
      extents: [{ sector, length: size }],
      mode: undefined,
      target: undefined,
    };
  }
}

function rootOf(descriptor: Uint8Array): DiscEntry {
  const { extent, extendedAttributes, size } = Record.at(Descriptor.at(descriptor).root);
  const extents = [{ sector: extent + extendedAttributes, length: size }];
  return { name: "/", kind: "directory", size, extents, mode: undefined, target: undefined };
}

/** Bytes that each system use area begins with before Rock Ridge's; undefined where the disc has none of it. */
async function rockRidgeOf(device: DiscDevice, root: DiscEntry): Promise<number | undefined> {
  const bytes = new Uint8Array(SECTOR);
  const offset = (root.extents[0]?.sector ?? 0) * SECTOR;
  if (offset + SECTOR > device.size) return undefined;
  await device.read(byteOffset(offset), bytes);
  const first = recordsOf(bytes).next().value;
  return first === undefined ? undefined : skippedBytes(systemUse(first));
}

/** Records do not cross sectors; a length of zero ends a sector's. */
function* recordsOf(bytes: Uint8Array): Generator<Uint8Array, undefined> {
  for (let at = 0; at + Record.size <= bytes.length; ) {
    const length = bytes[at] as number;
    const nameLength = bytes[at + Record.size - 1] as number;
    if (length === 0) at = (Math.floor(at / SECTOR) + 1) * SECTOR;
    else {
      if (length >= Record.size + nameLength && at + length <= bytes.length) yield bytes.subarray(at, at + length);
      at += length;
    }
  }
}

/** What follows the name, from an even place on. @spec ECMA-119 §9.1.13 */
function systemUse(record: Uint8Array): Uint8Array {
  const end = Record.size + Record.at(record).nameLength;
  return record.subarray(end + (end % 2));
}

const withoutVersion = (name: string) => name.replace(/;\d+$/, "").replace(/\.$/, "");

function ucs2(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i + 1 < bytes.length; i += 2)
    text += String.fromCharCode((bytes[i] as number) * 256 + (bytes[i + 1] as number));
  return text;
}
