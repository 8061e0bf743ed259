/** Disks and discs for tests of what is connected to them. */
import type { ByteOffset } from "../../../bits/units.ts";
import type { BlockDevice, BlockError } from "../../../disk/block-device.ts";
import { MemoryStore } from "../../../disk/memory-store.ts";
import { type Parts, scatter } from "../../../disk/parts.ts";
import { RawDisk } from "../../../disk/raw/raw-disk.ts";
import { SeededRandom } from "../../../machine/testing/rig.ts";

/** Random content, which counts calls, can fail, and holds operations back until told. */
export class TestDisk implements BlockDevice {
  readonly content: Uint8Array;
  readonly readOnly: boolean;
  readonly calls: string[] = [];
  failure: BlockError | undefined;
  held: (() => void)[] | undefined;
  readonly #store: MemoryStore;
  readonly #inner: BlockDevice;

  constructor(size: number, { readOnly = false, seed = 1 } = {}) {
    this.content = new Uint8Array(size);
    new SeededRandom(seed).fill(this.content);
    this.readOnly = readOnly;
    this.#store = MemoryStore.of(this.content, { readOnly });
    this.#inner = new RawDisk(this.#store);
  }

  get size(): number {
    return this.#inner.size;
  }

  /** What is stored now. */
  get bytes(): Uint8Array {
    return this.#store.toBytes();
  }

  read(offset: ByteOffset, target: Uint8Array) {
    return this.#call("read", offset, target.length, () => this.#inner.read(offset, target));
  }
  /** Where they are given, reads and writes are made at once as long as they say so. */
  readsNow: (() => boolean) | undefined;
  readNow(offset: ByteOffset, targets: Parts): boolean {
    if (!this.readsNow?.()) return false;
    scatter(targets, this.content.subarray(offset));
    return true;
  }
  write(offset: ByteOffset, source: Uint8Array) {
    return this.#call("write", offset, source.length, () => this.#inner.write(offset, source));
  }
  writesNow: (() => boolean) | undefined;
  writeNow(offset: ByteOffset, sources: Parts): boolean {
    return (this.writesNow?.() ?? false) && (this.#inner.writeNow?.(offset, sources) ?? false);
  }
  flush() {
    return this.#call("flush", 0, 0, () => this.#inner.flush());
  }
  discard(offset: ByteOffset, length: number) {
    return this.#call("discard", offset, length, () => this.#inner.discard(offset, length));
  }
  writeZeroes(offset: ByteOffset, length: number) {
    return this.#call("zero", offset, length, () => this.#inner.writeZeroes(offset, length));
  }
  close() {
    return this.#inner.close();
  }

  async #call(name: string, offset: number, length: number, operation: () => Promise<void>): Promise<void> {
    this.calls.push(name === "flush" ? name : `${name} ${offset}+${length}`);
    if (this.held) await new Promise<void>((resolve) => this.held?.push(resolve));
    if (this.failure) throw this.failure;
    await operation();
  }
}

/** Turns of promises that any operation of a test's disk takes at the most. */
const TURNS = 100;

/** Lets every host operation that was begun end. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await Promise.resolve();
}
