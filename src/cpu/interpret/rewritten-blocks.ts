/**
 * Blocks whose bytes are written and run again and again, such as those of boot loaders that put values into their own
 * instructions: what is still the same in them is not decoded again.
 */
import type { Decoded } from "../decode/decoder.ts";
import { FIND } from "../emit/table-entries.ts";
import { BLOCK_FIRST, BLOCK_MODE, BLOCK_PHYSICAL, hostAddress, RECORD_SIZE } from "../state.ts";
import type { RecordWriter } from "./record-writer.ts";

/** A block as it was decoded last. */
interface Known {
  /** Its first record. */
  readonly record: number;
  readonly context: number;
  readonly instructions: Decoded[];
  readonly bytes: Uint8Array;
  /** Table entries of its records' handlers. */
  readonly handlers: Int32Array;
}

/** Places that are remembered: a guest can make more for ever. */
const MOST_PLACES = 256;

export class RewrittenBlocks {
  readonly #bytes: Uint8Array;
  readonly #i32: Int32Array;
  readonly #records: RecordWriter;
  /** By physical addresses of blocks that were written: what they were decoded to since, if they were. */
  readonly #places = new Map<number, Known | undefined>();

  constructor(buffer: ArrayBufferLike, records: RecordWriter) {
    this.#bytes = new Uint8Array(buffer);
    this.#i32 = new Int32Array(buffer);
    this.#records = records;
  }

  /** Forgets all: records are used for others. */
  clear(): void {
    this.#places.clear();
  }

  /** The bytes of a block are written, so that it does not run any more. */
  dropped(record: number): void {
    const physical = (this.#i32[(record + BLOCK_PHYSICAL) >> 2] as number) >>> 0;
    if (this.#places.has(physical)) return;
    if (this.#places.size >= MOST_PLACES) this.#places.clear();
    this.#places.set(physical, undefined);
  }

  /** Remembers a block that has just been decoded, and whose records end at `end`, where its bytes have been written before. */
  decoded(physical: number, context: number, instructions: readonly Decoded[], record: number, end: number): void {
    // What is no instruction now may be one when it is looked at again.
    if (!this.#places.has(physical) || instructions.length === 0) return;
    const length = instructions.reduce((sum, each) => sum + each.length, 0);
    const host = hostAddress(physical);
    const handlers = new Int32Array((end - record) / RECORD_SIZE);
    for (let i = 0; i < handlers.length; i++) handlers[i] = this.#i32[(record + i * RECORD_SIZE) >> 2] as number;
    this.#places.set(physical, {
      record,
      context,
      instructions: [...instructions],
      bytes: this.#bytes.slice(host, host + length),
      handlers,
    });
  }

  /**
   * Makes the records of the block at `physical` good again, if it was decoded before and only operands have changed since:
   * its first record, else undefined. Code ends at the physical address `end`; `decode` decodes at an offset.
   */
  revive(
    physical: number,
    context: number,
    end: number,
    decode: (offset: number) => Decoded | string,
  ): number | undefined {
    const known = this.#places.get(physical);
    if (known === undefined || known.context !== context || physical + known.bytes.length > end) return undefined;
    const { record, instructions, handlers } = known;
    if (this.#i32[(record + BLOCK_MODE) >> 2] !== -1) return undefined;
    let offset = 0;
    for (let i = 0; i < instructions.length; i++) {
      const old = instructions[i] as Decoded;
      if (!this.#isSame(known, physical, offset, old.length)) {
        const decoded = decode(offset);
        if (typeof decoded === "string" || decoded.form !== old.form || decoded.length !== old.length) {
          // It is another block now, and its bytes are noted already; who has a link to it finds the other one.
          this.#places.set(physical, undefined);
          this.#i32[record >> 2] = FIND;
          return undefined;
        }
        instructions[i] = decoded;
        const at = record + i * RECORD_SIZE;
        this.#records.write(at, decoded, physical, offset, context, instructions.length - i);
        handlers[i] = this.#i32[at >> 2] as number;
      }
      offset += old.length;
    }
    for (let i = 0; i < handlers.length; i++) this.#i32[(record + i * RECORD_SIZE) >> 2] = handlers[i] as number;
    this.#i32[(record + BLOCK_FIRST) >> 2] = handlers[0] as number;
    return record;
  }

  /** Whether bytes of a block are what they were; from now on they are what they are. */
  #isSame({ bytes }: Known, physical: number, offset: number, length: number): boolean {
    const host = hostAddress(physical);
    let isSame = true;
    for (let i = offset; i < offset + length; i++) {
      const byte = this.#bytes[host + i] as number;
      if (bytes[i] === byte) continue;
      bytes[i] = byte;
      isSame = false;
    }
    return isSame;
  }
}
