/**
 * Which physical bytes decoded blocks and translated regions were made of, and what goes when they are written: no
 * more than what was made of the written bytes, as data may lie right beside code.
 */

import { FIND, RESUME } from "../emit/table-entries.ts";
import {
  BLOCK_BYTES,
  BLOCK_END,
  BLOCK_MODE,
  BLOCK_NEXT,
  BLOCK_PHYSICAL,
  BLOCK_SECOND,
  CODE_BITS,
  fieldAddress,
  noPage,
  PAGE,
  PAGE_FLAGS,
  RECORD_SIZE,
  REGION,
  TLB,
  TLB_FILLED,
  TLB_FRAME,
} from "../state.ts";
import { blockSlot } from "./block-table.ts";

const PAGE_BYTES = 4096;

/** Bytes of one physical page that a region was made of. */
export interface CodePage {
  /** Distance of the linear page from the one that the code starts in, in pages. */
  readonly distance: number;
  /** Physical addresses of the first byte and the last. */
  readonly first: number;
  readonly last: number;
  /** Which pieces of 64 bytes between them, as bits 0–31 and 32–63. */
  readonly pieces: readonly [number, number];
}

/** A translated region where it is found: the record that stands for it. */
export interface InstalledRegion {
  readonly record: number;
  readonly pages: readonly CodePage[];
}

const NONE: readonly [number, number] = [0, 0];

export const pageOf = (physical: number): number => Math.floor(physical / PAGE_BYTES);

/** Bits of the pieces of 64 bytes from the offset `first` in a page to `last`, added to `pieces`. */
export function addPieces(pieces: [number, number], first: number, last: number): void {
  for (let piece = first >> 6; piece <= Math.min(last >> 6, 63); piece++) {
    if (piece < 32) pieces[0] |= 1 << piece;
    else pieces[1] |= 1 << (piece - 32);
  }
}

/** Regions with code from one physical page. */
interface PageRegions {
  readonly all: Set<InstalledRegion>;
  /** Which pieces of 64 bytes they have code from: all that they do, and perhaps some of regions that have gone. */
  readonly pieces: [number, number];
}

export class CodePages {
  readonly #bytes: Uint8Array;
  readonly #i32: Int32Array;
  /** Where the number of TLB entries that are filled stands, and their addresses: as indices of words. */
  readonly #filledCount: number;
  readonly #filled: number;
  readonly #regionDropped: (region: InstalledRegion) => void;
  readonly #forgetKeptPages: () => void;
  readonly #blockDropped: ((record: number) => void) | undefined;
  /** First records of the blocks with code from each physical page that has not been written since. */
  readonly #blocks = new Map<number, number[]>();
  /** The same of pages that are written, by the pieces of 64 bytes that their code lies in. */
  readonly #split = new Map<number, Map<number, number[]>>();
  readonly #regions = new Map<number, PageRegions>();

  constructor(options: {
    readonly buffer: ArrayBufferLike;
    readonly vcpu: number;
    readonly regionDropped: (region: InstalledRegion) => void;
    /** Makes translated code forget the pages that it has kept: some may not be written in place any more. */
    readonly forgetKeptPages: () => void;
    /** Told of each block whose code was written, by its first record. */
    readonly blockDropped?: ((record: number) => void) | undefined;
  }) {
    this.#bytes = new Uint8Array(options.buffer);
    this.#i32 = new Int32Array(options.buffer);
    this.#filledCount = fieldAddress(options.vcpu, "tlbFilled") >> 2;
    this.#filled = (options.vcpu + TLB_FILLED) >> 2;
    this.#regionDropped = options.regionDropped;
    this.#forgetKeptPages = options.forgetKeptPages;
    this.#blockDropped = options.blockDropped;
  }

  /** Forgets all. */
  clear(): void {
    for (const page of this.#regions.keys()) this.#dropRegions(page, -1, -1);
    for (const pages of [this.#blocks, this.#split]) {
      for (const page of pages.keys()) this.#setPieces(page, 0, 0);
      pages.clear();
    }
    this.#regions.clear();
  }

  /** Notes a block, by its first record: its header is written. */
  addBlock(record: number): void {
    for (const page of this.#pagesOf(record)) {
      const split = this.#split.get(page);
      const known = this.#blocks.get(page);
      if (split) this.#addToPieces(split, record, page);
      else if (known) known.push(record);
      else this.#blocks.set(page, [record]);
      const pieces: [number, number] = [0, 0];
      this.#addPieces(pieces, record, page);
      this.#mark(page, pieces);
    }
  }

  addRegion(region: InstalledRegion): void {
    for (const { first, pieces } of region.pages) {
      const page = pageOf(first);
      const known = this.#regions.get(page) ?? { all: new Set(), pieces: [0, 0] };
      known.all.add(region);
      known.pieces[0] |= pieces[0];
      known.pieces[1] |= pieces[1];
      this.#regions.set(page, known);
      this.#mark(page, pieces);
    }
  }

  /** Bytes of one page are about to be written: what was made of them goes, and what of that runs stops. */
  written(first: number, last: number): void {
    const page = pageOf(first);
    const pieces: [number, number] = [0, 0];
    addPieces(pieces, first % PAGE_BYTES, last % PAGE_BYTES);
    let isStale = this.#dropRegions(page, pieces[0], pieces[1]);
    const split = this.#split.get(page) ?? this.#splitPage(page);
    const gone: [number, number] = [0, 0];
    for (let piece = (first % PAGE_BYTES) >> 6; piece <= (last % PAGE_BYTES) >> 6; piece++) {
      const records = split.get(piece);
      // Only a page whose pieces are noted as having code though they have none comes here without any.
      if (records === undefined) isStale = true;
      for (const record of records ?? []) {
        if (this.#mode(record) >= 0) {
          if (!this.#overlaps(record, page, first, last)) continue;
          this.#drop(record);
        }
        this.#removeFromPieces(split, record, page, gone);
      }
    }
    if (isStale) this.#findPieces(page, split);
    else if (gone[0] | gone[1]) this.#clearPieces(page, gone);
  }

  /** From now on the page's blocks are known by piece: most writes to a page with code are to data beside it. */
  #splitPage(page: number): Map<number, number[]> {
    const split = new Map<number, number[]>();
    for (const record of this.#blocks.get(page) ?? []) {
      if (this.#mode(record) >= 0) this.#addToPieces(split, record, page);
    }
    this.#blocks.delete(page);
    this.#split.set(page, split);
    return split;
  }

  #addToPieces(split: Map<number, number[]>, record: number, page: number): void {
    this.#eachRun(record, page, (first, last) => {
      for (let piece = (first % PAGE_BYTES) >> 6; piece <= (last % PAGE_BYTES) >> 6; piece++) {
        const records = split.get(piece);
        if (records) records.push(record);
        else split.set(piece, [record]);
      }
    });
  }

  /** Adds to `gone` the pieces that have no block any more. */
  #removeFromPieces(split: Map<number, number[]>, record: number, page: number, gone: [number, number]): void {
    this.#eachRun(record, page, (first, last) => {
      for (let piece = (first % PAGE_BYTES) >> 6; piece <= (last % PAGE_BYTES) >> 6; piece++) {
        const records = split.get(piece)?.filter((each) => each !== record) ?? [];
        if (records.length > 0) {
          split.set(piece, records);
          continue;
        }
        split.delete(piece);
        addPieces(gone, piece << 6, piece << 6);
      }
    });
  }

  /** Notes which pieces of a page have code. */
  #findPieces(page: number, split: ReadonlyMap<number, number[]>): void {
    const left: [number, number] = [0, 0];
    for (const piece of split.keys()) addPieces(left, piece << 6, piece << 6);
    const regions = this.#regions.get(page);
    if (regions) findPieces(regions, page);
    left[0] |= regions?.pieces[0] ?? 0;
    left[1] |= regions?.pieces[1] ?? 0;
    if (split.size === 0) this.#split.delete(page);
    this.#setPieces(page, left[0], left[1]);
  }

  /** Notes that pieces of a page have no code but what regions may have there. */
  #clearPieces(page: number, pieces: readonly [number, number]): void {
    const at = (CODE_BITS + page * 8) >> 2;
    const ofRegions = this.#regions.get(page)?.pieces ?? NONE;
    const left = (this.#i32[at] as number) & (~pieces[0] | ofRegions[0]);
    const leftHigh = (this.#i32[at + 1] as number) & (~pieces[1] | ofRegions[1]);
    if (this.#split.get(page)?.size === 0) this.#split.delete(page);
    this.#setPieces(page, left, leftHigh);
  }

  #header(record: number, field: number): number {
    return this.#i32[(record + field) >> 2] as number;
  }
  #mode(record: number): number {
    return this.#header(record, BLOCK_MODE);
  }

  #pagesOf(record: number): number[] {
    const first = pageOf(this.#header(record, BLOCK_PHYSICAL) >>> 0);
    const second = this.#header(record, BLOCK_SECOND);
    return second === -1 || pageOf(second >>> 0) === first ? [first] : [first, pageOf(second >>> 0)];
  }

  /** Calls `visit` with the first and the last byte of each run of a block's code on a page. */
  #eachRun(record: number, page: number, visit: (first: number, last: number) => void): void {
    const start = this.#header(record, BLOCK_PHYSICAL) >>> 0;
    const end = start + this.#header(record, BLOCK_BYTES);
    const pageEnd = (pageOf(start) + 1) * PAGE_BYTES;
    if (pageOf(start) === page) visit(start, Math.min(end, pageEnd) - 1);
    const second = this.#header(record, BLOCK_SECOND);
    if (second !== -1 && pageOf(second >>> 0) === page) visit(second >>> 0, (second >>> 0) + end - pageEnd - 1);
  }

  #addPieces(pieces: [number, number], record: number, page: number): void {
    this.#eachRun(record, page, (first, last) => addPieces(pieces, first % PAGE_BYTES, last % PAGE_BYTES));
  }

  #overlaps(record: number, page: number, first: number, last: number): boolean {
    let found = false;
    this.#eachRun(record, page, (start, end) => {
      found ||= start <= last && first <= end;
    });
    return found;
  }

  /** Has whoever comes to a block find what is there now, and ends it where it runs. */
  #drop(record: number): void {
    this.#blockDropped?.(record);
    const i32 = this.#i32;
    const end = this.#header(record, BLOCK_END);
    i32[record >> 2] = FIND;
    for (let at = record + RECORD_SIZE; at < end; at += RECORD_SIZE) i32[at >> 2] = RESUME;
    i32[(record + BLOCK_MODE) >> 2] = -1;
    let link = blockSlot(this.#header(record, BLOCK_PHYSICAL));
    while (i32[link >> 2] !== record && i32[link >> 2] !== 0) link = (i32[link >> 2] as number) + BLOCK_NEXT;
    if (i32[link >> 2] === record) i32[link >> 2] = this.#header(record, BLOCK_NEXT);
  }

  /** Whether there were any. */
  #dropRegions(page: number, low: number, high: number): boolean {
    const regions = this.#regions.get(page);
    if (regions === undefined || ((regions.pieces[0] & low) | (regions.pieces[1] & high)) === 0) return false;
    let hasDropped = false;
    for (const region of regions.all) {
      if (!isMadeOf(region, page, low, high)) continue;
      this.removeRegion(region);
      this.#regionDropped(region);
      hasDropped = true;
    }
    if (regions.all.size === 0) this.#regions.delete(page);
    return hasDropped;
  }

  /** Has whoever comes to a region find what is to run there now. */
  removeRegion(region: InstalledRegion): void {
    for (const { first } of region.pages) this.#regions.get(pageOf(first))?.all.delete(region);
    this.#i32[(region.record + REGION.handler) >> 2] = FIND;
  }

  #setPieces(page: number, low: number, high: number): void {
    const at = (CODE_BITS + page * 8) >> 2;
    this.#i32[at] = low;
    this.#i32[at + 1] = high;
    const flags = PAGE_FLAGS + page;
    if ((low | high) === 0) this.#bytes[flags] = (this.#bytes[flags] as number) & ~PAGE.code;
  }

  /** Notes that code was read from these pieces of a page, so that writes to them are seen. */
  #mark(page: number, pieces: readonly [number, number]): void {
    const at = (CODE_BITS + page * 8) >> 2;
    this.#i32[at] = (this.#i32[at] as number) | pieces[0];
    this.#i32[at + 1] = (this.#i32[at + 1] as number) | pieces[1];
    const flags = PAGE_FLAGS + page;
    if ((this.#bytes[flags] as number) & PAGE.code) return;
    this.#bytes[flags] = (this.#bytes[flags] as number) | PAGE.code;
    // Writes to the page must not use the fast path from now on.
    this.#forgetKeptPages();
    const filled = this.#i32[this.#filledCount] as number;
    for (let i = 0; i < filled; i++) {
      const at = this.#i32[this.#filled + i] as number;
      const entry = at >> 2;
      const frame = this.#i32[entry + TLB.frame / 4] as number;
      if ((frame & TLB_FRAME) === page && frame !== -1) {
        this.#i32[entry + TLB.write / 4] = noPage(at);
        this.#i32[entry + TLB.write / 4 + 1] = 0;
      }
    }
  }
}

/** Finds out which pieces of a page its regions have code from now. */
function findPieces({ all, pieces }: PageRegions, page: number): void {
  pieces[0] = 0;
  pieces[1] = 0;
  for (const region of all) {
    for (const code of region.pages) {
      if (pageOf(code.first) !== page) continue;
      pieces[0] |= code.pieces[0];
      pieces[1] |= code.pieces[1];
    }
  }
}

/** Whether a region has code from some pieces of a page. */
function isMadeOf({ pages }: InstalledRegion, page: number, low: number, high: number): boolean {
  for (const { first, pieces } of pages) {
    if (pageOf(first) === page && ((pieces[0] & low) | (pieces[1] & high)) !== 0) return true;
  }
  return false;
}
