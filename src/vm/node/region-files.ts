/**
 * Regions kept in files, one for each part: a checksum of the table, the number of regions, the table, and the regions one
 * after the other, each its head and its body. The table has columns of 32-bit numbers: keys, places, lengths of heads,
 * lengths of regions, checksums of regions. All numbers are as the host has them.
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import path from "node:path";
import process from "node:process";
import { crc32 } from "node:zlib";
import type { GroupUse, RegionPart, RegionStore, StoredRegion } from "../../cpu/translate/region-store.ts";
import { type KeptFolder, replace } from "./kept-file.ts";

const SUFFIX = ".regions";
/** Of a file that has what starts used: a line for each group, its part's name, its number and its weight. */
const USES_SUFFIX = ".uses";
/** Bytes of all files at the most: what was not used for longest goes first. */
const MOST_BYTES = 64 * 1024 * 1024;
const MOST_FILES = 256;
/** Starts that are remembered at the most. */
const MOST_STARTS = 32;
/** Milliseconds after which a file that is being written is what an ended process has left. */
const ABANDONED = 60 * 60 * 1000;
const HEADER = 8;
const COLUMNS = 5;

export class RegionFiles implements RegionStore {
  readonly parts: readonly RegionPart[];
  readonly #folder: string;
  readonly #isCurrent: boolean;
  #written = 0;

  constructor({ path: folder, isCurrent }: KeptFolder) {
    this.#folder = folder;
    this.#isCurrent = isCurrent;
    this.parts = filesIn(folder).flatMap(({ file }) => RegionFile.open(file) ?? []);
  }

  add(regions: readonly StoredRegion[]): RegionPart | undefined {
    if (!this.#isCurrent || regions.length === 0) return undefined;
    const bytes = encode(regions);
    const file = path.join(this.#folder, `${process.pid}-${Date.now()}-${this.#written}${SUFFIX}`);
    try {
      if (this.#written++ === 0) removeOthers(this.#folder);
      mkdirSync(this.#folder, { recursive: true });
      replace(file, bytes);
      makeRoom(this.#folder);
    } catch {
      // They are made anew next time.
    }
    return RegionFile.open(file);
  }

  usesOf(start: string): GroupUse[] {
    try {
      const lines = readFileSync(this.#fileOf(start), "utf8").trimEnd().split("\n");
      return lines.flatMap((line) => {
        const [part = "", ...numbers] = line.split(" ");
        const [group = -1, weight = 0] = numbers.map(Number);
        return weight > 0 ? { part, group, weight } : [];
      });
    } catch {
      return [];
    }
  }

  noteUses(start: string, uses: readonly GroupUse[]): void {
    if (!this.#isCurrent) return;
    const lines = uses.map(({ part, group, weight }) => `${part} ${group} ${weight}\n`);
    try {
      mkdirSync(this.#folder, { recursive: true });
      replace(this.#fileOf(start), Buffer.from(lines.join("")));
      for (const { file } of filesIn(this.#folder, USES_SUFFIX).slice(MOST_STARTS)) rmSync(file, { force: true });
    } catch {
      // Later starts do without.
    }
  }

  #fileOf(start: string): string {
    return path.join(this.#folder, `${start.replace(/[^\w.-]/g, "_")}${USES_SUFFIX}`);
  }
}

interface FoundFile {
  readonly file: string;
  readonly size: number;
  readonly used: number;
}

/** Files of parts, or of another kind, the last used first. */
function filesIn(folder: string, suffix = SUFFIX): FoundFile[] {
  return namesIn(folder)
    .filter((name) => name.endsWith(suffix))
    .flatMap((name) => describe(path.join(folder, name)) ?? [])
    .sort((a, b) => b.used - a.used || a.file.localeCompare(b.file));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function describe(file: string): FoundFile | undefined {
  try {
    const { size, mtimeMs } = statSync(file);
    return { file, size, used: mtimeMs };
  } catch {
    // Another process has removed it.
    return undefined;
  }
}

/** Removes what other sources have made. */
function removeOthers(folder: string): void {
  const [above, own] = [path.dirname(folder), path.basename(folder)];
  for (const name of namesIn(above)) {
    if (name !== own) rmSync(path.join(above, name), { recursive: true, force: true });
  }
}

function makeRoom(folder: string): void {
  let room = MOST_BYTES;
  filesIn(folder).forEach(({ file, size }, i) => {
    room -= size;
    if (room < 0 || i >= MOST_FILES) rmSync(file, { force: true });
  });
  for (const name of namesIn(folder)) {
    const found = /\.(regions|uses)$/.test(name) ? undefined : describe(path.join(folder, name));
    if (found && found.used < Date.now() - ABANDONED) rmSync(found.file, { force: true });
  }
}

function encode(regions: readonly StoredRegion[]): Uint8Array {
  const table = new Uint32Array(regions.length * COLUMNS);
  const data = regions.flatMap(({ head, body }) => [head, body]);
  regions.forEach(({ key, place, head, body }, i) => {
    const row = [key, place, head.length, head.length + body.length, crc32(body, crc32(head))];
    row.forEach((value, column) => {
      table[column * regions.length + i] = value;
    });
  });
  const bytes = new Uint8Array(table.buffer);
  return Buffer.concat([Uint8Array.of(...littleEndian(crc32(bytes)), ...littleEndian(regions.length)), bytes, ...data]);
}

function littleEndian(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

class RegionFile implements RegionPart {
  readonly name: string;
  readonly keys: Uint32Array;
  readonly places: Uint32Array;
  readonly #file: string;
  readonly #heads: Uint32Array;
  readonly #lengths: Uint32Array;
  readonly #checksums: Uint32Array;
  #isUsed = false;

  /** The part in a file; undefined where the file is gone, or damaged. */
  static open(file: string): RegionFile | undefined {
    const header = readAt(file, 0, HEADER);
    const count = header?.readUInt32LE(4) ?? 0;
    const table = header && readAt(file, HEADER, count * COLUMNS * 4);
    if (!header || !table || crc32(table) !== header.readUInt32LE(0)) return undefined;
    return new RegionFile(file, new Uint32Array(table.buffer, table.byteOffset, count * COLUMNS), count);
  }

  private constructor(file: string, table: Uint32Array, count: number) {
    this.#file = file;
    this.name = path.basename(file, SUFFIX);
    const column = (number: number) => table.subarray(number * count, (number + 1) * count);
    this.keys = column(0);
    this.places = column(1);
    this.#heads = column(2);
    this.#lengths = column(3);
    this.#checksums = column(4);
  }

  read(first: number, count: number): StoredRegion[] | undefined {
    const sum = (from: number, to: number) => this.#lengths.subarray(from, to).reduce((all, each) => all + each, 0);
    const start = HEADER + this.keys.length * COLUMNS * 4 + sum(0, first);
    const length = sum(first, first + count);
    const bytes = readAt(this.#file, start, length, scratch(length));
    if (!bytes) return undefined;
    const regions: StoredRegion[] = [];
    let at = 0;
    for (let region = first; region < first + count; region++) {
      const all = bytes.subarray(at, at + (this.#lengths[region] as number));
      if (crc32(all) !== this.#checksums[region]) return undefined;
      at += all.length;
      const split = this.#heads[region] as number;
      const [key, place] = [this.keys[region] as number, this.places[region] as number];
      regions.push({ key, place, head: all.subarray(0, split), body: all.subarray(split) });
    }
    return regions;
  }

  use(): void {
    if (this.#isUsed) return;
    this.#isUsed = true;
    try {
      const now = new Date();
      utimesSync(this.#file, now, now);
    } catch {
      // It is gone.
    }
  }
}

let lastRead = Buffer.alloc(0);

/** Room for so many bytes, which was that of what was read before: else V8 would leave tens of megabytes to be collected. */
function scratch(length: number): Buffer {
  if (lastRead.length < length) lastRead = Buffer.alloc(length * 2);
  return lastRead.subarray(0, length);
}

/** Bytes of a file, put into `bytes`; undefined where it has not so many, or is gone. */
function readAt(file: string, at: number, length: number, bytes?: Buffer): Buffer | undefined {
  if (length > MOST_BYTES) return undefined;
  let handle: number | undefined;
  try {
    handle = openSync(file, "r");
    const room = bytes ?? Buffer.from(new ArrayBuffer(length));
    return readSync(handle, room, 0, length, at) === length ? room : undefined;
  } catch {
    return undefined;
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}
