/**
 * A file as a byte store, in Node. Files are sparse where the host's file system has sparse files: extending,
 * hole punching and zeros written over a hole take no storage.
 *
 * A file opened for writing is locked (image-lock.ts), so that two machines cannot write one image.
 */
import { readSync, readvSync, writeSync, writevSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import path from "node:path";
import { type ByteOffset, MIB } from "../../bits/units.ts";
import { BlockError } from "../block-device.ts";
import type { ByteStore } from "../byte-store.ts";
import { cut, fill, lengthOf, type Parts } from "../parts.ts";
import { deviceSize } from "./device-size.ts";
import { hostError } from "./host-error.ts";
import { ImageLock } from "./image-lock.ts";
import { Pace } from "./pace.ts";
import { loadStorageCalls, type StorageCalls } from "./storage-calls.ts";

export interface FileStoreOptions {
  /** Opens for reading only, without a lock. */
  readOnly?: boolean;
  /** Creates the file with this size in bytes; it must not exist. */
  create?: number;
}

/** Bytes looked at or written at once where a range is made zeros. */
const ZERO_PIECE = MIB;
/** Bytes of the largest transfer that may be made at once. */
const LARGEST_NOW = MIB;
/** What the host counts a file's storage in. @spec stat(2), st_blocks */
const BLOCK = 512;
/** What file systems give storage in, as most do. */
const PAGE = 4096;

export class FileStore implements ByteStore {
  readonly name: string;
  readonly readOnly: boolean;
  readonly #file: FileHandle;
  readonly #lock: ImageLock | undefined;
  readonly #calls: StorageCalls;
  #size: number;
  readonly #readPace = new Pace();
  readonly #writePace = new Pace();

  private constructor(
    name: string,
    readOnly: boolean,
    file: FileHandle,
    lock: ImageLock | undefined,
    calls: StorageCalls,
    size: number,
  ) {
    this.name = name;
    this.readOnly = readOnly;
    this.#file = file;
    this.#lock = lock;
    this.#calls = calls;
    this.#size = size;
  }

  /** Rejects with BlockError: no such file, no permission, not a file or block device, in use by another machine. */
  static async open(file: string, { readOnly = false, create }: FileStoreOptions = {}): Promise<FileStore> {
    const name = path.basename(file);
    const flags = create === undefined ? (readOnly ? "r" : "r+") : "wx+";
    const what = create === undefined ? "open" : "create";
    let handle: FileHandle | undefined;
    let lock: ImageLock | undefined;
    try {
      handle = await open(file, flags);
      const stat = await handle.stat();
      const isDevice = stat.isBlockDevice();
      if (isDevice && !readOnly) {
        throw new BlockError("io", `cannot ${what} ${file}: devices of the host are opened for reading only`);
      }
      if (!stat.isFile() && !isDevice) {
        throw new BlockError("io", `cannot ${what} ${file}: it is not a regular file, nor a block device`);
      }
      if (!readOnly) lock = await ImageLock.acquire(file);
      if (create !== undefined) await handle.truncate(create);
      // The size is taken under the lock: until then another machine may have let the file grow.
      const size = isDevice ? await deviceSize(file, stat.rdev) : (await handle.stat()).size;
      return new FileStore(name, readOnly, handle, lock, await loadStorageCalls(), size);
    } catch (error) {
      await handle?.close();
      await lock?.release();
      throw hostError(`${what} ${file}`, error);
    }
  }

  get size(): number {
    return this.#size;
  }

  async read(offset: ByteOffset, target: Uint8Array): Promise<void> {
    let done = 0;
    try {
      while (done < target.length) {
        const { bytesRead } = await this.#file.read(target, done, target.length - done, offset + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
    } catch (error) {
      throw hostError(`read ${this.name}`, error);
    }
    target.fill(0, done);
  }

  /** From the host's page cache, as a rule. */
  readNow(offset: ByteOffset, targets: Parts): boolean {
    const length = lengthOf(targets);
    if (length > LARGEST_NOW || !this.#readPace.begin()) return false;
    try {
      let done = 0;
      while (done < length) {
        const rest = done === 0 ? targets : cut(targets, done, length - done);
        const [only] = rest;
        const isOne = only !== undefined && rest.length === 1;
        const { fd } = this.#file;
        const bytesRead = isOne
          ? readSync(fd, only, 0, only.length, offset + done)
          : readvSync(fd, rest, offset + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      if (done < length) fill(cut(targets, done, length - done), 0);
      return true;
    } catch {
      // The asynchronous read fails too, and tells why.
      return false;
    } finally {
      this.#readPace.end();
    }
  }

  async write(offset: ByteOffset, source: Uint8Array): Promise<void> {
    this.#mustBeWritable();
    await this.#attempt("write", () => this.#writeAll(offset, source));
  }

  /** Into the host's page cache, as a rule. */
  writeNow(offset: ByteOffset, sources: Parts): boolean {
    const length = lengthOf(sources);
    if (this.readOnly || length > LARGEST_NOW || !this.#writePace.begin()) return false;
    try {
      for (let done = 0; done < length; ) {
        const rest = done === 0 ? sources : cut(sources, done, length - done);
        const [only] = rest;
        const isOne = only !== undefined && rest.length === 1;
        const { fd } = this.#file;
        done += isOne ? writeSync(fd, only, 0, only.length, offset + done) : writevSync(fd, rest, offset + done);
        this.#size = Math.max(this.#size, offset + done);
      }
      return true;
    } catch {
      // The asynchronous write fails too, and tells why.
      return false;
    } finally {
      this.#writePace.end();
    }
  }

  async flush(): Promise<void> {
    if (this.readOnly) return;
    await this.#attempt("flush", () => this.#file.datasync());
  }

  async punchHole(offset: ByteOffset, length: number): Promise<boolean> {
    this.#mustBeWritable();
    const inside = Math.min(length, this.#size - offset);
    return inside <= 0 || this.#calls.punchHole(this.#file.fd, offset, inside);
  }

  async writeZeroes(offset: ByteOffset, length: number): Promise<void> {
    if (await this.punchHole(offset, length)) return;
    const end = Math.min(offset + length, this.#size);
    const zeros = new Uint8Array(Math.min(ZERO_PIECE, end - offset));
    const found = new Uint8Array(zeros.length);
    for (let at: number = offset; at < end; at += ZERO_PIECE) {
      const piece = Math.min(ZERO_PIECE, end - at);
      // Zeros over a hole would only fill it.
      await this.read(at as ByteOffset, found.subarray(0, piece));
      if (found.subarray(0, piece).every((byte) => byte === 0)) continue;
      await this.write(at as ByteOffset, zeros.subarray(0, piece));
    }
  }

  async reserve(offset: ByteOffset, length: number): Promise<boolean> {
    this.#mustBeWritable();
    if (length > 0 && !this.#calls.reserve(this.#file.fd, offset, length)) return false;
    this.#size = Math.max(this.#size, offset + length);
    return true;
  }

  async fresh(offset: ByteOffset, length: number): Promise<number> {
    const { fd } = this.#file;
    const end = Math.ceil((offset + length) / PAGE) * PAGE;
    let bytes = 0;
    for (let at = Math.floor(offset / PAGE) * PAGE; at < end; ) {
      const isHole = this.#calls.tellsHoles ? this.#calls.nextContent(fd, at) !== at : await this.#isBlank(at);
      const border = isHole ? this.#calls.nextContent(fd, at) : this.#calls.nextHole(fd, at);
      // Without an answer from the host, page by page; where no content follows, to the end.
      const next = this.#calls.tellsHoles ? (border ?? end) : at + PAGE;
      if (isHole) bytes += Math.min(next, end) - at;
      at = Math.max(at + 1, next);
    }
    return bytes;
  }

  /** A page that holds something has storage. One of zeros may be a hole, and counts as such. */
  async #isBlank(offset: number): Promise<boolean> {
    const page = new Uint8Array(PAGE);
    await this.read(offset as ByteOffset, page);
    return page.every((byte) => byte === 0);
  }

  async allocated(): Promise<number> {
    try {
      return (await this.#file.stat()).blocks * BLOCK;
    } catch (error) {
      throw hostError(`look at ${this.name}`, error);
    }
  }

  async resize(size: number): Promise<void> {
    this.#mustBeWritable();
    await this.#attempt("resize", () => this.#file.truncate(size));
    this.#size = size;
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#attempt("close", () => this.#file.close()).finally(() => this.#lock?.release());
    }
  }

  async #writeAll(offset: number, source: Uint8Array): Promise<void> {
    for (let done = 0; done < source.length; ) {
      const { bytesWritten } = await this.#file.write(source, done, source.length - done, offset + done);
      done += bytesWritten;
      this.#size = Math.max(this.#size, offset + done);
    }
  }

  async #attempt(what: string, operation: () => Promise<void>): Promise<void> {
    try {
      await operation();
    } catch (error) {
      throw hostError(`${what} ${this.name}`, error);
    }
  }

  #mustBeWritable(): void {
    if (this.readOnly) throw new BlockError("read-only", `${this.name} is opened for reading only`);
  }
}
