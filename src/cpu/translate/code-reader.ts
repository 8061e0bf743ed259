/**
 * Guest code around one address, read by distance from it, with the physical pages that it came from. A page is copied
 * when it is first looked at: the guest may change it at any time, and whoever uses what was made of the code compares
 * the copy with what is there by then.
 */
import type { Feature } from "../../isa/instruction.ts";
import { type AddressFields, addressFields } from "../decode/address-fields.ts";
import { type Decoded, type DecodeFailure, decode, MAX_LENGTH } from "../decode/decoder.ts";
import { addPieces, type CodePage } from "../interpret/code-pages.ts";
import { hostAddress } from "../state.ts";

const PAGE = 4096;

/** Code that was read. */
export interface ReadCode extends CodePage {
  readonly runs: readonly CodeRun[];
}

/** Instructions that lie one after the other in a page: the first one's offset, and their bytes as they were. */
export interface CodeRun {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** An address of a kernel in an instruction that a region takes from its record: where it lies, and what it is. */
export interface CodeConstant {
  /** Of its page in pages from that of the region's start, and in that page. */
  readonly distance: number;
  readonly offset: number;
  readonly size: 4 | 8;
  readonly value: bigint;
}

/** Code as it lies somewhere. */
export interface PlacedCode {
  readonly code: readonly ReadCode[];
  /** What the region's record is to have. */
  readonly constants: readonly bigint[];
}

/** Whether the instructions are as they were read. */
export function isUnchanged(memory: Uint8Array, { first, runs }: Pick<ReadCode, "first" | "runs">): boolean {
  const page = hostAddress(first - (first % PAGE));
  return runs.every(({ offset, bytes }) => {
    for (let i = 0; i < bytes.length; i++) if (memory[page + offset + i] !== bytes[i]) return false;
    return true;
  });
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
  /** Lengths of the instructions that were read, by the page's distance and their offset in the page. */
  readonly #read = new Map<number, Map<number, number>>();
  readonly #constants: CodeConstant[] = [];
  readonly #constantNumbers = new Map<string, number>();

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

  /** The instruction at a distance, of which nothing follows: it is in one page, and not noted. */
  peek(delta: number): Decoded | undefined {
    const { has, isMarked } = this.#source;
    const { distance, offset } = this.#locate(delta);
    const page = this.#page(distance);
    if (isMarked(offset) || page === undefined) return undefined;
    const result = decode(this.#copy(distance, page), offset, PAGE, this.#mode, has);
    return typeof result === "string" ? undefined : result;
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

  /** Instructions of the block at the start, as far as they lie in its page. */
  get block(): Decoded[] {
    const block: Decoded[] = [];
    const room = PAGE - this.#locate(0).offset;
    for (let delta = 0; delta < room; ) {
      const decoded = this.decode(delta);
      if (typeof decoded === "string") break;
      delta += decoded.length;
      if (delta > room) break;
      block.push(decoded);
      if (decoded.form.instruction.ends) break;
    }
    return block;
  }

  /**
   * Number of the constant that is the displacement or the immediate of the instruction at `delta`; undefined where it is no
   * address of a kernel.
   */
  constant(delta: number, what: keyof AddressFields): number | undefined {
    const key = `${delta} ${what}`;
    const known = this.#constantNumbers.get(key);
    if (known !== undefined) return known;
    const decoded = this.decode(delta);
    const field = typeof decoded === "string" ? undefined : addressFields(decoded)[what];
    if (field === undefined) return undefined;
    const place = this.#locate(delta + field.at);
    if (place.offset + field.size > PAGE) return undefined;
    this.#constantNumbers.set(key, this.#constants.length);
    return this.#constants.push({ ...place, size: field.size, value: field.value }) - 1;
  }

  get constants(): readonly CodeConstant[] {
    return this.#constants;
  }

  /** The same instructions as they lie here, if they do, with whatever constants; undefined where anything else differs. */
  match(
    code: readonly Pick<ReadCode, "distance" | "runs">[],
    constants: readonly ConstantPlace[],
  ): PlacedCode | undefined {
    const { memory } = this.#source;
    const placed: ReadCode[] = [];
    for (const { distance, runs } of code) {
      const page = this.#page(distance);
      if (page === undefined) return undefined;
      const at = hostAddress(page);
      const holes = constants.filter((constant) => constant.distance === distance);
      const present: CodeRun[] = [];
      for (const run of runs) {
        const { offset, bytes } = run;
        if (!isSame(memory, at + offset, run, holes)) return undefined;
        // The guest may change it meanwhile: what counts is what is told.
        const copy = memory.slice(at + offset, at + offset + bytes.length);
        if (!isSame(copy, 0, run, holes)) return undefined;
        present.push({ offset, bytes: copy });
      }
      placed.push(codeIn(page, distance, present));
    }
    const values: bigint[] = [];
    for (const constant of constants) {
      const value = constantOf(constant, placed);
      if (value === undefined) return undefined;
      values.push(value);
    }
    return { code: placed, constants: values };
  }

  #note(distance: number, offset: number, length: number): void {
    const known = this.#read.get(distance);
    if (known) known.set(offset, length);
    else this.#read.set(distance, new Map([[offset, length]]));
  }

  /** The pages that instructions were read from. */
  get pages(): ReadCode[] {
    return [...this.#read].map(([distance, lengths]) => {
      const page = this.#pages.get(distance) as number;
      const copy = this.#copy(distance, page);
      const runs = runsOf(lengths).map(([offset, end]) => ({ offset, bytes: copy.slice(offset, end) }));
      return codeIn(page, distance, runs);
    });
  }
}

type ConstantPlace = Omit<CodeConstant, "value">;

/** Whether the bytes at `at` are those of a run, but for those of constants. */
function isSame(memory: Uint8Array, at: number, { offset, bytes }: CodeRun, holes: readonly ConstantPlace[]): boolean {
  for (let i = 0; i < bytes.length; i++) {
    if (memory[at + i] === bytes[i]) continue;
    const place = offset + i;
    if (!holes.some((hole) => place >= hole.offset && place < hole.offset + hole.size)) return false;
  }
  return true;
}

/** What a constant is in code that was read; undefined where no run of it has the constant. */
function constantOf({ distance, offset, size }: ConstantPlace, code: readonly ReadCode[]): bigint | undefined {
  const page = code.find((each) => each.distance === distance);
  const run = page?.runs.find((each) => each.offset <= offset && offset + size <= each.offset + each.bytes.length);
  if (!run) return undefined;
  const view = new DataView(run.bytes.buffer, run.bytes.byteOffset + offset - run.offset, size);
  return size === 4 ? BigInt(view.getInt32(0, true)) : view.getBigInt64(0, true);
}

/** Starts and ends of what instructions cover, given their lengths by their offsets. */
function runsOf(lengths: ReadonlyMap<number, number>): [start: number, end: number][] {
  const runs: [number, number][] = [];
  for (const [offset, length] of [...lengths].sort(([a], [b]) => a - b)) {
    const last = runs.at(-1);
    if (last && offset <= last[1]) last[1] = Math.max(last[1], offset + length);
    else runs.push([offset, offset + length]);
  }
  return runs;
}

function codeIn(page: number, distance: number, runs: readonly CodeRun[]): ReadCode {
  const pieces: [number, number] = [0, 0];
  for (const { offset, bytes } of runs) addPieces(pieces, offset, offset + bytes.length - 1);
  const [start, end] = [runs[0], runs.at(-1)] as [CodeRun, CodeRun];
  return { distance, first: page + start.offset, last: page + end.offset + end.bytes.length - 1, pieces, runs };
}
