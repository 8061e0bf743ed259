/** A store that its user may close, while somebody else goes on to use it. */

import type { ByteOffset } from "../bits/units.ts";
import type { ByteStore } from "./byte-store.ts";
import type { Parts } from "./parts.ts";

export class BorrowedStore implements ByteStore {
  readonly name: string;
  readonly readOnly: boolean;
  readonly #store: ByteStore;

  constructor(store: ByteStore) {
    this.#store = store;
    this.name = store.name;
    this.readOnly = store.readOnly;
  }

  get size(): number {
    return this.#store.size;
  }
  read(offset: ByteOffset, target: Uint8Array): Promise<void> {
    return this.#store.read(offset, target);
  }
  readNow(offset: ByteOffset, targets: Parts): boolean {
    return this.#store.readNow?.(offset, targets) ?? false;
  }
  write(offset: ByteOffset, source: Uint8Array): Promise<void> {
    return this.#store.write(offset, source);
  }
  writeNow(offset: ByteOffset, sources: Parts): boolean {
    return this.#store.writeNow?.(offset, sources) ?? false;
  }
  flush(): Promise<void> {
    return this.#store.flush();
  }
  punchHole(offset: ByteOffset, length: number): Promise<boolean> {
    return this.#store.punchHole(offset, length);
  }
  writeZeroes(offset: ByteOffset, length: number): Promise<void> {
    return this.#store.writeZeroes(offset, length);
  }
  reserve(offset: ByteOffset, length: number): Promise<boolean> {
    return this.#store.reserve(offset, length);
  }
  fresh(offset: ByteOffset, length: number): Promise<number> {
    return this.#store.fresh(offset, length);
  }
  allocated(): Promise<number> {
    return this.#store.allocated();
  }
  resize(size: number): Promise<void> {
    return this.#store.resize(size);
  }
  /** Flushes, and leaves the store open. */
  async close(): Promise<void> {
    if (!this.readOnly) await this.#store.flush();
  }
}
