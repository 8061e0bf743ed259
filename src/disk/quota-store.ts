/**
 * A store that takes no more of the host's storage than a limit. Each write is counted as if all of it took new
 * storage; only where that would pass the limit is the truth looked up, so that writes cost nothing extra before.
 */

import type { ByteOffset } from "../bits/units.ts";
import { byteOffset } from "../bits/units.ts";
import { BlockError } from "./block-device.ts";
import { BorrowedStore } from "./borrowed-store.ts";
import type { ByteStore } from "./byte-store.ts";
import { lengthOf, type Parts } from "./parts.ts";
import { SerialQueue } from "./serial-queue.ts";

/** What file systems give storage in, as most do. */
const BLOCK = 4096;

const up = (offset: number) => Math.ceil(offset / BLOCK) * BLOCK;
const down = (offset: number) => Math.floor(offset / BLOCK) * BLOCK;

export class QuotaStore extends BorrowedStore {
  readonly #store: ByteStore;
  readonly #limit: number;
  readonly #nearLimit = new SerialQueue();
  /** Bytes that are taken at most. */
  #used: number | undefined;
  /** How often the truth is being looked up, which is not to miss a write. */
  #looks = 0;
  /** Bytes that writes under way may take. */
  #underWay = 0;

  /** `limit` is in bytes. */
  constructor(store: ByteStore, limit: number) {
    super(store);
    this.#store = store;
    this.#limit = limit;
  }

  override async write(offset: ByteOffset, source: Uint8Array): Promise<void> {
    const most = up(offset + source.length) - down(offset);
    this.#used ??= await this.#store.allocated();
    if (this.#used + most <= this.#limit) return this.#take(most, () => this.#store.write(offset, source));
    await this.#nearLimit.run(() => this.#writeNearLimit(offset, source));
  }

  override writeNow(offset: ByteOffset, sources: Parts): boolean {
    const most = up(offset + lengthOf(sources)) - down(offset);
    if (this.#used === undefined || this.#looks > 0 || this.#used + most > this.#limit) return false;
    this.#used += most;
    return super.writeNow(offset, sources);
  }

  override async reserve(offset: ByteOffset, length: number): Promise<boolean> {
    this.#used ??= await this.#store.allocated();
    const most = up(offset + length) - down(offset);
    if (this.#used + most > this.#limit) throw this.#full();
    let isReserved = false;
    await this.#take(most, async () => {
      isReserved = await this.#store.reserve(offset, length);
    });
    return isReserved;
  }

  override close(): Promise<void> {
    return this.#store.close();
  }

  async #take(bytes: number, operation: () => Promise<void>): Promise<void> {
    this.#used = (this.#used ?? 0) + bytes;
    this.#underWay += bytes;
    try {
      await operation();
    } finally {
      this.#underWay -= bytes;
    }
  }

  async #writeNearLimit(offset: number, source: Uint8Array): Promise<void> {
    const fresh = await this.#store.fresh(byteOffset(offset), source.length);
    this.#looks++;
    const allocated = await this.#store.allocated().finally(() => this.#looks--);
    this.#used = allocated + this.#underWay;
    if (this.#used + fresh > this.#limit) throw this.#full();
    await this.#take(fresh, () => this.#store.write(byteOffset(offset), source));
  }

  #full(): BlockError {
    return new BlockError("no-space", `${this.name} has reached its quota of ${this.#limit} bytes`);
  }
}
