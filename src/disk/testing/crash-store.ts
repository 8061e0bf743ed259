/**
 * A store that shows what a crash of the host may leave: everything flushed, and of what was written since then
 * any selection, sector by sector. A disk or a kernel keeps no order between writes that no flush separates.
 */

import type { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { type ByteOffset, byteOffset } from "../../bits/units.ts";
import type { ByteStore } from "../byte-store.ts";
import { MemoryStore } from "../memory-store.ts";

const SECTOR = 512;

type Change = { kind: "write"; offset: number; bytes: Uint8Array } | { kind: "resize"; size: number };

export class CrashStore implements ByteStore {
  readonly name = "crash";
  readonly readOnly = false;
  /** What reads see. */
  readonly #now: MemoryStore;
  /** What is there after a crash for certain. */
  readonly #stable: MemoryStore;
  #pending: Change[] = [];
  /** Called before every change and every flush: the moments at which a crash makes a difference. */
  onMoment: () => void = () => {};

  constructor(content: Uint8Array) {
    this.#now = MemoryStore.of(content);
    this.#stable = MemoryStore.of(content);
  }

  get size(): number {
    return this.#now.size;
  }

  read(offset: ByteOffset, target: Uint8Array): Promise<void> {
    return this.#now.read(offset, target);
  }

  async write(offset: ByteOffset, source: Uint8Array): Promise<void> {
    this.onMoment();
    this.#pending.push({ kind: "write", offset, bytes: source.slice() });
    await this.#now.write(offset, source);
  }

  async flush(): Promise<void> {
    this.onMoment();
    const flushed = this.#pending;
    this.#pending = [];
    for (const change of flushed) await apply(this.#stable, change);
    // Others get a turn, as with a real disk.
    await Promise.resolve();
    this.onMoment();
  }

  async punchHole(offset: ByteOffset, length: number): Promise<boolean> {
    await this.writeZeroes(offset, length);
    return true;
  }

  async writeZeroes(offset: ByteOffset, length: number): Promise<void> {
    const inside = Math.max(0, Math.min(length, this.size - offset));
    if (inside > 0) await this.write(offset, new Uint8Array(inside));
  }

  async reserve(): Promise<boolean> {
    return false;
  }

  fresh(offset: ByteOffset, length: number): Promise<number> {
    return this.#now.fresh(offset, length);
  }

  allocated(): Promise<number> {
    return this.#now.allocated();
  }

  async resize(size: number): Promise<void> {
    this.onMoment();
    this.#pending.push({ kind: "resize", size });
    await this.#now.resize(size);
  }

  close(): Promise<void> {
    return this.flush();
  }

  /** The content after a crash now: one of the many that are possible. */
  async afterCrash(random: SeededRandom): Promise<MemoryStore> {
    const left = MemoryStore.of(this.#stable.toBytes());
    // Now and then nothing or all of it arrives; otherwise each sector of each write on its own.
    const mood = random.below(8);
    for (const change of [...this.#pending]) {
      if (mood === 0) break;
      if (change.kind === "resize") {
        if (mood === 1 || random.below(2) === 0) await left.resize(change.size);
        continue;
      }
      const { offset, bytes } = change;
      if (mood > 4 && random.below(2) === 0) continue;
      for (let at = 0; at < bytes.length; ) {
        const end = Math.min(bytes.length, (Math.floor((offset + at) / SECTOR) + 1) * SECTOR - offset);
        if (mood === 1 || mood > 4 || random.below(2) === 0) {
          await left.write(byteOffset(offset + at), bytes.subarray(at, end));
        }
        at = end;
      }
    }
    return left;
  }
}

async function apply(store: MemoryStore, change: Change): Promise<void> {
  if (change.kind === "write") await store.write(byteOffset(change.offset), change.bytes);
  else await store.resize(change.size);
}
