/**
 * Keeps a flash's contents in a file, or another store. What was changed is written soon, in the order in which the guest
 * brought it about, so that the file is one that the flash was at some time whenever the host ends.
 */
import { byteOffset } from "../bits/units.ts";
import type { ByteStore } from "../disk/byte-store.ts";

const BLOCK = 4096;

/** A flash's contents when the machine starts, and who is told of changes. */
export interface FlashContents {
  readonly bytes: Uint8Array;
  /** The flash came to hold these bytes. */
  changed(offset: number, bytes: Uint8Array): void;
}

export class FlashFile implements FlashContents {
  readonly bytes: Uint8Array;
  readonly #store: ByteStore;
  #writing: Promise<void> = Promise.resolve();
  #pending = 0;
  #error: unknown;

  private constructor(store: ByteStore, bytes: Uint8Array) {
    this.#store = store;
    this.bytes = bytes;
  }

  /** Rejects with BlockError where the store cannot be read. */
  static async open(store: ByteStore): Promise<FlashFile> {
    const bytes = new Uint8Array(store.size);
    await store.read(byteOffset(0), bytes);
    return new FlashFile(store, bytes);
  }

  changed(offset: number, bytes: Uint8Array): void {
    if (this.#store.readOnly) return;
    this.#pending++;
    this.#writing = this.#writing.then(() => this.#write(offset, bytes));
  }

  async #write(offset: number, bytes: Uint8Array): Promise<void> {
    try {
      if (this.#error === undefined) await this.#store.write(byteOffset(offset), bytes);
      if (--this.#pending === 0) await this.#store.flush();
    } catch (error) {
      this.#error ??= error;
    }
  }

  /** Rejects with BlockError where something could not be written. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#store.close();
    if (this.#error !== undefined) throw this.#error;
  }
}

/** Ranges of a flash that have changed, gathered in blocks in the order of their first change. */
export class ChangedBlocks {
  readonly #blocks = new Set<number>();

  add(offset: number, length: number): void {
    for (let block = Math.floor(offset / BLOCK); block * BLOCK < offset + length; block++) this.#blocks.add(block);
  }

  /** Calls `visit` for each block, and forgets them. */
  take(visit: (offset: number, length: number) => void): void {
    for (const block of this.#blocks) visit(block * BLOCK, BLOCK);
    this.#blocks.clear();
  }
}
