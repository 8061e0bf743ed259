/**
 * Regions kept in files, one for each part: a checksum of the index, its length, the index, and the bodies one after the
 * other. In the index is for each region how long its head and its body are, the body's checksum, and the head.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readSync, rmSync, statSync, utimesSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { crc32 } from "node:zlib";
import type { RegionPart, RegionStore, StoredRegion } from "../../cpu/translate/region-store.ts";
import { keptFolder, replace } from "./kept-file.ts";

const NAME = "regions";
const SUFFIX = ".regions";
/** Bytes of all files at the most: what was not used for longest goes first. */
const MOST_BYTES = 64 * 1024 * 1024;
const MOST_FILES = 256;
/** Milliseconds after which a file that is being written is what an ended process has left. */
const ABANDONED = 60 * 60 * 1000;
const HEADER = 8;
const ENTRY = 12;

export class RegionFiles implements RegionStore {
  readonly parts: readonly RegionPart[];
  readonly #folder: string;
  readonly #isCurrent: boolean;
  #written = 0;

  constructor(directory: string) {
    const { path: folder, isCurrent } = keptFolder(directory, NAME);
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
}

interface FoundFile {
  readonly file: string;
  readonly size: number;
  readonly used: number;
}

/** Files of parts, the last used first. */
function filesIn(folder: string): FoundFile[] {
  return namesIn(folder)
    .filter((name) => name.endsWith(SUFFIX))
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
    const found = name.endsWith(SUFFIX) ? undefined : describe(path.join(folder, name));
    if (found && found.used < Date.now() - ABANDONED) rmSync(found.file, { force: true });
  }
}

function encode(regions: readonly StoredRegion[]): Uint8Array {
  const index = regions.flatMap(({ head, body }) => {
    const entry = Buffer.alloc(ENTRY);
    entry.writeUInt32LE(head.length, 0);
    entry.writeUInt32LE(body.length, 4);
    entry.writeUInt32LE(crc32(body), 8);
    return [entry, head];
  });
  const header = Buffer.alloc(HEADER);
  const bytes = Buffer.concat([header, ...index, ...regions.map(({ body }) => body)]);
  const end = HEADER + index.reduce((sum, { length }) => sum + length, 0);
  bytes.writeUInt32LE(crc32(bytes.subarray(HEADER, end)), 0);
  bytes.writeUInt32LE(end - HEADER, 4);
  return bytes;
}

class RegionFile implements RegionPart {
  readonly #file: string;
  readonly #index: Buffer;
  /** Where the entries of regions lie in the index, and where their bodies begin in the file, with the end of the last. */
  readonly #entries: Uint32Array;
  readonly #bodies: Uint32Array;
  #isUsed = false;

  /** The part in a file; undefined where the file is gone, or damaged. */
  static open(file: string): RegionFile | undefined {
    const header = readAt(file, 0, HEADER);
    const index = header && readAt(file, HEADER, header.readUInt32LE(4));
    if (!header || !index || crc32(index) !== header.readUInt32LE(0)) return undefined;
    return new RegionFile(file, index);
  }

  private constructor(file: string, index: Buffer) {
    this.#file = file;
    this.#index = index;
    const entries: number[] = [];
    const bodies = [HEADER + index.length];
    for (let at = 0; at < index.length; at += ENTRY + index.readUInt32LE(at)) {
      entries.push(at);
      bodies.push((bodies.at(-1) as number) + index.readUInt32LE(at + 4));
    }
    this.#entries = Uint32Array.from(entries);
    this.#bodies = Uint32Array.from(bodies);
  }

  get count(): number {
    return this.#entries.length;
  }

  head(region: number): Uint8Array {
    const at = this.#entries[region] as number;
    return this.#index.subarray(at + ENTRY, at + ENTRY + this.#index.readUInt32LE(at));
  }

  bodies(first: number, count: number): Uint8Array[] | undefined {
    const start = this.#bodies[first] as number;
    const bytes = readAt(this.#file, start, (this.#bodies[first + count] as number) - start);
    if (!bytes) return undefined;
    const bodies = Array.from({ length: count }, (_, i) =>
      bytes.subarray((this.#bodies[first + i] as number) - start, (this.#bodies[first + i + 1] as number) - start),
    );
    const isWhole = bodies.every(
      (body, i) => crc32(body) === this.#index.readUInt32LE((this.#entries[first + i] as number) + 8),
    );
    return isWhole ? bodies : undefined;
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

/** Bytes of a file; undefined where it has not so many, or is gone. */
function readAt(file: string, at: number, length: number): Buffer | undefined {
  if (length > MOST_BYTES) return undefined;
  let handle: number | undefined;
  try {
    handle = openSync(file, "r");
    const bytes = Buffer.alloc(length);
    return readSync(handle, bytes, 0, length, at) === length ? bytes : undefined;
  } catch {
    return undefined;
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}
