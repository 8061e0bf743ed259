/** Bytes in memory, for tests and for browsers. Memory is taken only where something was written. */
import type { ByteOffset } from "../bits/units.ts";
import { BlockError } from "./block-device.ts";
import type { ByteStore } from "./byte-store.ts";
import type { Parts } from "./parts.ts";
import { piecesOf } from "./pieces.ts";

/** Bytes per piece of memory. */
const CHUNK = 64 * 1024;

export interface MemoryStoreOptions {
  readOnly?: boolean;
  name?: string;
}

export class MemoryStore implements ByteStore {
  readonly name: string;
  readonly readOnly: boolean;
  /** By number; an absent chunk is zeros. */
  readonly #chunks = new Map<number, Uint8Array>();
  #size: number;

  /** `size` bytes of zeros. */
  constructor(size: number, { readOnly = false, name = "memory" }: MemoryStoreOptions = {}) {
    this.#size = size;
    this.readOnly = readOnly;
    this.name = name;
  }

  /** A store with a copy of `content`. */
  static of(content: Uint8Array, options: MemoryStoreOptions = {}): MemoryStore {
    const store = new MemoryStore(content.length, options);
    store.#store(0, content);
    return store;
  }

  get size(): number {
    return this.#size;
  }

  /** Bytes of memory in use for content. */
  get memory(): number {
    return this.#chunks.size * CHUNK;
  }

  async allocated(): Promise<number> {
    return this.memory;
  }

  async fresh(offset: ByteOffset, length: number): Promise<number> {
    let bytes = 0;
    for (const { index } of piecesOf(CHUNK, offset, length)) if (!this.#chunks.has(index)) bytes += CHUNK;
    return bytes;
  }

  async reserve(): Promise<boolean> {
    return false;
  }

  /** A copy of everything. */
  toBytes(): Uint8Array {
    const all = new Uint8Array(this.#size);
    this.#load(0, all);
    return all;
  }

  async read(offset: ByteOffset, target: Uint8Array): Promise<void> {
    this.#load(offset, target);
  }

  readNow(offset: ByteOffset, targets: Parts): boolean {
    let at: number = offset;
    for (const target of targets) {
      this.#load(at, target);
      at += target.length;
    }
    return true;
  }

  async write(offset: ByteOffset, source: Uint8Array): Promise<void> {
    this.#mustBeWritable();
    this.writeNow(offset, [source]);
  }

  writeNow(offset: ByteOffset, sources: Parts): boolean {
    if (this.readOnly) return false;
    let at: number = offset;
    for (const source of sources) {
      this.#store(at, source);
      at += source.length;
    }
    this.#size = Math.max(this.#size, at);
    return true;
  }

  async flush(): Promise<void> {}

  async punchHole(offset: ByteOffset, length: number): Promise<boolean> {
    await this.writeZeroes(offset, length);
    return true;
  }

  async writeZeroes(offset: ByteOffset, length: number): Promise<void> {
    this.#mustBeWritable();
    this.#clear(offset, Math.min(length, this.#size - offset));
  }

  async resize(size: number): Promise<void> {
    this.#mustBeWritable();
    if (size < this.#size) this.#clear(size, this.#size - size);
    this.#size = size;
  }

  async close(): Promise<void> {}

  #mustBeWritable(): void {
    if (this.readOnly) throw new BlockError("read-only", `${this.name} is opened for reading only`);
  }

  #load(offset: number, target: Uint8Array): void {
    for (const { index, start, from, length } of piecesOf(CHUNK, offset, target.length)) {
      const chunk = this.#chunks.get(index);
      if (chunk === undefined) target.fill(0, from, from + length);
      else target.set(chunk.subarray(start, start + length), from);
    }
  }

  #store(offset: number, source: Uint8Array): void {
    for (const { index, start, from, length } of piecesOf(CHUNK, offset, source.length)) {
      let chunk = this.#chunks.get(index);
      if (chunk === undefined) {
        chunk = new Uint8Array(CHUNK);
        this.#chunks.set(index, chunk);
      }
      chunk.set(source.subarray(from, from + length), start);
    }
  }

  #clear(offset: number, length: number): void {
    const first = Math.floor(offset / CHUNK);
    const last = Math.floor((offset + length - 1) / CHUNK);
    const clear = (index: number) => {
      const start = Math.max(offset - index * CHUNK, 0);
      const end = Math.min(offset + length - index * CHUNK, CHUNK);
      if (start === 0 && end === CHUNK) this.#chunks.delete(index);
      else this.#chunks.get(index)?.fill(0, start, end);
    };
    // Of a range far larger than what is stored, only what is stored needs a look.
    if (last - first < this.#chunks.size) for (let index = first; index <= last; index++) clear(index);
    else for (const index of this.#chunks.keys()) if (index >= first && index <= last) clear(index);
  }
}
