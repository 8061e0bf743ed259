/**
 * Guest code around one address, read by distance from it, with the physical pages that it came from. A page is copied
 * when it is first looked at: the guest may change it at any time, and whoever uses what was made of the code compares
 * the copy with what is there by then.
 */
import type { Feature } from "../../isa/instruction.ts";
import { type Decoded, type DecodeFailure, decode, MAX_LENGTH } from "../decode/decoder.ts";
import { addPieces, type CodePage } from "../interpret/code-pages.ts";
import { hostAddress } from "../state.ts";

const PAGE = 4096;

/** Code that was read. */
export interface ReadCode extends CodePage {
  /** From the first byte to the last, as it was. */
  readonly bytes: Uint8Array;
}

export interface CodeSource {
  /** The shared memory. */
  readonly memory: Uint8Array;
  /** Physical address of the byte at a linear address, undefined where none can be fetched. */
  translate(linear: bigint): number | undefined;
  has(feature: Feature): boolean;
  /** Whether the instructions at an offset in any page are not to be read. */
  isMarked(offset: number): boolean;
}

export class CodeReader {
  readonly #source: CodeSource;
  readonly #start: bigint;
  readonly #mode: { long: boolean; code32: boolean };
  readonly #pages = new Map<number, number | undefined>();
  readonly #copies = new Map<number, Uint8Array>();
  readonly #decoded = new Map<number, Decoded | DecodeFailure | "not mapped" | "marked">();
  /** What was read in each page, by its distance: lowest and highest offset, and pieces of 64 bytes. */
  readonly #read = new Map<number, { first: number; last: number; pieces: [number, number] }>();

  /** `start` is the linear address that distances count from. */
  constructor(source: CodeSource, start: bigint, mode: { long: boolean; code32: boolean }) {
    this.#source = source;
    this.#start = start;
    this.#mode = mode;
  }

  /** A distance from the start as the distance in pages and the offset within the page. */
  #locate(delta: number): { distance: number; offset: number } {
    const inFirst = Number(this.#start & 0xfffn) + delta;
    const distance = Math.floor(inFirst / PAGE);
    return { distance, offset: inFirst - distance * PAGE };
  }

  #page(distance: number): number | undefined {
    if (this.#pages.has(distance)) return this.#pages.get(distance);
    const first = this.#start & ~0xfffn;
    const linear = BigInt.asIntN(64, first + BigInt(distance) * BigInt(PAGE));
    const page = this.#source.translate(this.#mode.long ? BigInt.asUintN(64, linear) : BigInt.asUintN(32, linear));
    this.#pages.set(distance, page);
    return page;
  }

  /** Physical address of the byte at `delta`. */
  physical(delta: number): number | undefined {
    const { distance, offset } = this.#locate(delta);
    const page = this.#page(distance);
    return page === undefined ? undefined : page + offset;
  }

  decode(delta: number): Decoded | DecodeFailure | "not mapped" | "marked" {
    let known = this.#decoded.get(delta);
    if (known === undefined) {
      known = this.#decodeAt(delta);
      this.#decoded.set(delta, known);
    }
    return known;
  }

  /** The bytes of the page at a distance, which is `page`, as they were when it was first looked at. */
  #copy(distance: number, page: number): Uint8Array {
    let copy = this.#copies.get(distance);
    if (copy === undefined) {
      const at = hostAddress(page);
      copy = this.#source.memory.slice(at, at + PAGE);
      this.#copies.set(distance, copy);
    }
    return copy;
  }

  #decodeAt(delta: number): Decoded | DecodeFailure | "not mapped" | "marked" {
    const { has, isMarked } = this.#source;
    const { distance, offset } = this.#locate(delta);
    if (isMarked(offset)) return "marked";
    const page = this.#page(distance);
    if (page === undefined) return "not mapped";
    const code = this.#copy(distance, page);
    const result = decode(code, offset, PAGE, this.#mode, has);
    if (result !== "truncated") {
      if (typeof result !== "string") this.#note(distance, offset, result.length);
      return result;
    }
    const second = this.#page(distance + 1);
    if (second === undefined) return "not mapped";
    const bytes = new Uint8Array(PAGE - offset + MAX_LENGTH);
    bytes.set(code.subarray(offset));
    bytes.set(this.#copy(distance + 1, second).subarray(0, MAX_LENGTH), PAGE - offset);
    const across = decode(bytes, 0, bytes.length, this.#mode, has);
    if (typeof across !== "string") {
      this.#note(distance, offset, PAGE - offset);
      this.#note(distance + 1, 0, across.length - (PAGE - offset));
    }
    return across;
  }

  #note(distance: number, offset: number, length: number): void {
    const known = this.#read.get(distance);
    const [first, last] = [offset, offset + length - 1];
    if (known === undefined) {
      const pieces: [number, number] = [0, 0];
      addPieces(pieces, first, last);
      this.#read.set(distance, { first, last, pieces });
    } else {
      addPieces(known.pieces, first, last);
      known.first = Math.min(known.first, first);
      known.last = Math.max(known.last, last);
    }
  }

  /** The pages that instructions were read from. */
  get pages(): ReadCode[] {
    return [...this.#read].map(([distance, { first, last, pieces }]) => {
      const page = this.#pages.get(distance) as number;
      const bytes = this.#copy(distance, page).slice(first, last + 1);
      return { distance, first: page + first, last: page + last, pieces, bytes };
    });
  }
}
