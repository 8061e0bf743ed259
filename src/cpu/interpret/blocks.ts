/**
 * Decoded blocks: straight runs of instructions as records in linear memory, found again by physical
 * address and dropped when the guest writes to the bytes that they were decoded from.
 */
import { type Feature, isIndirect } from "../../isa/instruction.ts";
import { type Decoded, type DecodeFailure, decode, MAX_LENGTH } from "../decode/decoder.ts";
import { BREAKPOINT, COUNT, FIND, RESUME } from "../emit/table-entries.ts";
import type { DropCause, ProcessorObserver } from "../observe/observer.ts";
import {
  BLOCK_BYTES,
  BLOCK_CONTEXT,
  BLOCK_COUNT,
  BLOCK_END,
  BLOCK_ENTRIES,
  BLOCK_FIRST,
  BLOCK_HEADER,
  BLOCK_HEAT,
  BLOCK_MODE,
  BLOCK_NEXT,
  BLOCK_PHYSICAL,
  BLOCK_REGION,
  BLOCK_SECOND,
  BLOCK_TABLE,
  BLOCK_TARGETS,
  CONTEXT,
  hostAddress,
  JUMP,
  JUMP_ENTRY,
  MOST_HEAT,
  NO_LINK,
  NOTED_TARGETS,
  RECORD,
  RECORD_SIZE,
  RECORDS,
  RECORDS_SIZE,
  REGION,
  REGION_PAGE,
  RETURN,
  RETURN_ENTRIES,
  RETURN_ENTRY,
  RETURNS,
  regionConstant,
} from "../state.ts";
import { blockSlot, findRecord, heatWord, runsOf } from "./block-table.ts";
import { type CodePage, CodePages, type InstalledRegion, pageOf } from "./code-pages.ts";
import type { Handlers, Pseudo } from "./handlers.ts";
import { RecordWriter } from "./record-writer.ts";
import { leastUsed, type UsedRegion } from "./region-use.ts";
import { RewrittenBlocks } from "./rewritten-blocks.ts";

const PAGE_BYTES = 4096;
/** A line of the host's cache. */
const LINE = 64;
const MAX_INSTRUCTIONS = 48;
/** Regions that are kept at once; each has some KiB of code, some tens at most (SIZES of region-compiler.ts). */
const MOST_REGIONS = 16384;
/** What part of them goes where there are more. */
const UNUSED_PART = 0.25;

/** A translated region to be found in place of the block that it begins with. */
export interface RegionEntry {
  /** First record of that block. */
  readonly block: number;
  /** Linear address that it begins at. */
  readonly linear: bigint;
  /** Table entry of its function. */
  readonly handler: number;
  /** Where its code was read from. */
  readonly pages: readonly CodePage[];
  readonly constants: readonly bigint[];
  /** Address of the byte to set where groups of its accesses are often not found. */
  readonly unsure: number;
}

/** A block that was decoded. */
export interface BlockCode {
  /** Its first record. */
  readonly record: number;
  readonly physical: number;
  readonly context: number;
  readonly instructions: readonly Decoded[];
}

interface Region extends InstalledRegion, UsedRegion {
  /** First record of the block that it begins with. */
  readonly block: number;
  readonly handler: number;
}

export interface BlockWiring {
  readonly buffer: ArrayBufferLike;
  readonly vcpu: number;
  readonly handlers: Handlers;
  has(feature: Feature): boolean;
  /** The physical address of the byte at `linear`, or -1 with the page fault recorded. */
  translateCode(linear: bigint): number;
  /** Whether a debugger may have a breakpoint at an address: blocks end before it, and do not run what is there. */
  isMarked(address: number): boolean;
  /** Makes the jump cache forget everything, or what it has for one address. */
  forgetJumps(): void;
  forgetJump(linear: bigint): void;
  /** Makes translated code forget the pages that it has kept: some may not be written in place any more. */
  forgetKeptPages(): void;
  /** How often a block runs before it is looked at for translation, one of this code where that is known; 0 for never, as is more than MOST_HEAT. */
  heat(code?: BlockCode): number;
  /** Instructions of a block at the most. */
  readonly blockLimit?: number | undefined;
  /** Regions at the most; MOST_REGIONS unless given. */
  readonly mostRegions?: number | undefined;
  /** The function of a region is not called any more. */
  regionDropped(handler: number): void;
  readonly observer?: Required<ProcessorObserver> | undefined;
}

export class BlockCache {
  readonly #wiring: BlockWiring;
  readonly #bytes: Uint8Array;
  readonly #i32: Int32Array;
  readonly #i64: BigInt64Array;
  readonly #u16: Uint16Array;
  readonly #pages: CodePages;
  readonly #records: RecordWriter;
  readonly #rewritten: RewrittenBlocks;
  /** Regions by the record that stands for them. */
  readonly #regions = new Map<number, Region>();
  #next = RECORDS;
  #isClearing = false;

  constructor(wiring: BlockWiring) {
    this.#wiring = wiring;
    this.#bytes = new Uint8Array(wiring.buffer);
    this.#i32 = new Int32Array(wiring.buffer);
    this.#i64 = new BigInt64Array(wiring.buffer);
    this.#u16 = new Uint16Array(wiring.buffer);
    this.#records = new RecordWriter(wiring.buffer, wiring.vcpu, wiring.handlers);
    this.#rewritten = new RewrittenBlocks(wiring.buffer, this.#records);
    this.#pages = new CodePages({
      buffer: wiring.buffer,
      vcpu: wiring.vcpu,
      regionDropped: (region) => this.#regionDropped(region as Region, this.#isClearing ? "cleared" : "written"),
      blockDropped: (record) => {
        this.#rewritten.dropped(record);
        wiring.observer?.blockDropped?.();
      },
      forgetKeptPages: wiring.forgetKeptPages,
    });
    this.clear();
  }

  /** Drops all blocks. Not while one runs. */
  clear(): void {
    this.#wiring.observer?.clearing();
    this.#next = RECORDS;
    this.#isClearing = true;
    this.#pages.clear();
    this.#rewritten.clear();
    this.#isClearing = false;
    this.#i32.fill(0, BLOCK_TABLE >> 2, (BLOCK_TABLE + BLOCK_ENTRIES * 4) >> 2);
    if (this.#wiring.handlers.full) this.#wiring.handlers.clear();
    this.#wiring.forgetJumps();
    this.#forgetReturns();
  }

  /** Bytes of records in use. */
  get used(): number {
    return this.#next - RECORDS;
  }

  /** First records of blocks that are decoded from now on, until all are dropped, are above this. */
  get end(): number {
    return this.#next;
  }

  /** Whether a clear is due before more is decoded; done by the run loop, when no block runs. */
  get full(): boolean {
    const end = this.#next + BLOCK_HEADER + (MAX_INSTRUCTIONS + 3) * RECORD_SIZE;
    return end > RECORDS + RECORDS_SIZE || this.#wiring.handlers.full;
  }

  /**
   * Decodes the block at `physical`, of which `room` bytes lie in the code segment. Returns its first record, 0 where
   * the code cannot be fetched, or its negative where it must not be found again by address.
   */
  decode(physical: number, linear: bigint, contextBits: number, room: number): number {
    const context = contextBits & BLOCK_CONTEXT;
    const limit = context & CONTEXT.step ? 1 : (this.#wiring.blockLimit ?? MAX_INSTRUCTIONS);
    const mode = { long: (context & CONTEXT.long) !== 0, code32: (context & CONTEXT.code32) !== 0 };
    const pageEnd = (Math.floor(physical / PAGE_BYTES) + 1) * PAGE_BYTES;
    const end = Math.min(pageEnd, physical + room);
    const hostEnd = hostAddress(physical) + end - physical;
    const revived = this.#revive(physical, context, end, (offset) =>
      decode(this.#bytes, hostAddress(physical) + offset, hostEnd, mode, this.#wiring.has),
    );
    if (revived !== undefined) return revived;
    let isCut = false;
    const instructions: Decoded[] = [];
    let position = physical;
    let ending: Pseudo | "breakpoint" | undefined = "fallThrough";
    let secondPage = -1;
    while (instructions.length < limit) {
      if (limit > 1 && this.#wiring.isMarked(position)) {
        if (instructions.length === 0) ending = "breakpoint";
        break;
      }
      const decoded: Decoded | DecodeFailure =
        position >= end ? "truncated" : decode(this.#bytes, hostAddress(position), hostEnd, mode, this.#wiring.has);
      if (typeof decoded === "string") {
        isCut = decoded === "truncated" && end < pageEnd;
        if (instructions.length > 0) break;
        if (isCut) {
          ending = "beyondLimit";
          break;
        }
        if (decoded === "undefined" || decoded === "too-long") {
          ending = decoded === "undefined" ? "undefined" : "tooLong";
          break;
        }
        const straddling = this.#decodeAcross(physical, pageEnd, linear, mode);
        if (straddling === undefined) return 0;
        secondPage = straddling.second;
        if (typeof straddling.decoded === "string") {
          ending = straddling.decoded === "undefined" ? "undefined" : "tooLong";
          break;
        }
        instructions.push(straddling.decoded);
        if (straddling.decoded.form.instruction.ends) ending = undefined;
        break;
      }
      instructions.push(decoded);
      position += decoded.length;
      if (decoded.form.instruction.ends) {
        ending = undefined;
        break;
      }
    }
    const record = this.#write(instructions, ending, physical, context);
    this.#i32[(record + BLOCK_PHYSICAL) >> 2] = physical;
    this.#i32[(record + BLOCK_SECOND) >> 2] = secondPage;
    this.#i32[(record + BLOCK_MODE) >> 2] = context;
    const length = instructions.length > 0 ? instructions.reduce((sum, { length }) => sum + length, 0) : MAX_LENGTH;
    // Bytes behind a page are those of `secondPage`.
    this.#i32[(record + BLOCK_BYTES) >> 2] = secondPage < 0 ? Math.min(length, pageEnd - physical) : length;
    this.#pages.addBlock(record);
    // The same bytes in another segment are another block.
    if (!isCut) this.#link(record, physical);
    if (secondPage >= 0 || isCut || context & CONTEXT.step) return -record;
    if (ending === "breakpoint") return record;
    const recordsEnd = this.#i32[(record + BLOCK_END) >> 2] as number;
    this.#rewritten.decoded(physical, context, instructions, record, recordsEnd);
    this.#count(record, 0, this.#wiring.heat({ record, physical, context, instructions }));
    return record;
  }

  /** The block at `physical`, where it was decoded before and hardly differs now; undefined where it is to be decoded. */
  #revive(
    physical: number,
    context: number,
    end: number,
    decodeAt: (offset: number) => Decoded | string,
  ): number | undefined {
    const record = this.#rewritten.revive(physical, context, end, decodeAt);
    if (record === undefined) return undefined;
    this.#wiring.handlers.flush();
    this.#i32[(record + BLOCK_MODE) >> 2] = context;
    this.#i32[(record + BLOCK_REGION) >> 2] = 0;
    this.#pages.addBlock(record);
    this.#link(record, physical);
    this.#count(record, 0, this.#wiring.heat());
    return record;
  }

  /** Has the block found by its physical address. */
  #link(record: number, physical: number): void {
    const slot = blockSlot(physical) >> 2;
    this.#i32[(record + BLOCK_NEXT) >> 2] = this.#i32[slot] as number;
    this.#i32[slot] = record;
  }

  /** An instruction whose bytes lie on two pages; undefined where the second cannot be fetched. */
  #decodeAcross(
    physical: number,
    pageEnd: number,
    linear: bigint,
    mode: { long: boolean; code32: boolean },
  ): { decoded: Decoded | DecodeFailure; second: number } | undefined {
    const second = this.#wiring.translateCode((linear & ~0xfffn) + 0x1000n);
    if (second < 0) return undefined;
    const first = pageEnd - physical;
    const bytes = new Uint8Array(first + MAX_LENGTH);
    const [host, hostSecond] = [hostAddress(physical), hostAddress(second)];
    bytes.set(this.#bytes.subarray(host, host + first));
    bytes.set(this.#bytes.subarray(hostSecond, hostSecond + MAX_LENGTH), first);
    return { decoded: decode(bytes, 0, bytes.length, mode, this.#wiring.has), second };
  }

  #write(
    instructions: readonly Decoded[],
    ending: Pseudo | "breakpoint" | undefined,
    physical: number,
    context: number,
  ): number {
    const { handlers } = this.#wiring;
    const record = this.#next + BLOCK_HEADER;
    let at = record;
    let delta = 0;
    const total = Math.max(instructions.length, 1);
    instructions.forEach((decoded, i) => {
      this.#records.write(at, decoded, physical, delta, context, total - i);
      delta += decoded.length;
      at += RECORD_SIZE;
    });
    if (ending !== undefined) {
      this.#i32[at >> 2] = this.#endingHandler(ending, context);
      this.#u16[(at + RECORD.delta) >> 1] = delta;
      this.#u16[(at + RECORD.nextDelta) >> 1] = delta;
      this.#bytes[at + RECORD.left] = ending === "fallThrough" ? 0 : 1;
      at += RECORD_SIZE;
    }
    handlers.flush();
    this.#i32[(record + BLOCK_COUNT) >> 2] = total;
    this.#i32[(record + BLOCK_FIRST) >> 2] = this.#i32[record >> 2] as number;
    this.#i32[(record + BLOCK_REGION) >> 2] = 0;
    this.#i32[(record + BLOCK_NEXT) >> 2] = 0;
    this.#i32[(record + BLOCK_END) >> 2] = at;
    const last = instructions.at(-1);
    const notes = last !== undefined && isIndirect(last.form) ? NOTED_TARGETS * 4 : 0;
    this.#i32[(record + BLOCK_TARGETS) >> 2] = notes > 0 ? at : 0;
    this.#i32.fill(0, at >> 2, (at + notes) >> 2);
    this.#next = at + notes;
    return record;
  }

  /** Counts how often the block runs, which has run `runs` times, until that is `heat`. */
  #count(record: number, runs: number, heat: number): void {
    if (heat <= runs || heat > MOST_HEAT) return;
    this.#i32[(record + BLOCK_HEAT) >> 2] = heatWord(runs, heat);
    this.#i32[record >> 2] = COUNT;
  }

  /** A block that was counted: where its code is, in which mode and how often it has run; it is not counted any more. */
  hot(record: number): { physical: number; context: number; runs: number } {
    this.#i32[record >> 2] = this.#i32[(record + BLOCK_FIRST) >> 2] as number;
    return { ...this.#placeOf(record), runs: runsOf(this.#i32[(record + BLOCK_HEAT) >> 2] as number) };
  }

  #placeOf(record: number): { physical: number; context: number } {
    return {
      physical: (this.#i32[(record + BLOCK_PHYSICAL) >> 2] as number) >>> 0,
      context: this.#i32[(record + BLOCK_MODE) >> 2] as number,
    };
  }

  /** Counts how often a block runs, from `runs` on, until that is `heat`: one that waits for its region, has none after all, or none any more. */
  countOn(record: number, runs = 0, heat: number = this.#wiring.heat()): void {
    this.stopCounting(record);
    const isWhole = this.#i32[record >> 2] === this.#i32[(record + BLOCK_FIRST) >> 2];
    if (isWhole) this.#count(record, runs, heat);
  }

  /** Counts a block no more, if it is counted. */
  stopCounting(record: number): void {
    if (this.#i32[record >> 2] === COUNT) this.#i32[record >> 2] = this.#i32[(record + BLOCK_FIRST) >> 2] as number;
  }

  /** Has blocks that are counted be hot after `most` more runs at the most. */
  hurry(most: number): void {
    for (let slot = BLOCK_TABLE >> 2; slot < (BLOCK_TABLE + BLOCK_ENTRIES * 4) >> 2; slot++) {
      for (let record = this.#i32[slot] as number; record; record = this.#i32[(record + BLOCK_NEXT) >> 2] as number) {
        if (this.#i32[record >> 2] !== COUNT) continue;
        const at = (record + BLOCK_HEAT) >> 2;
        const runs = runsOf(this.#i32[at] as number);
        if (((this.#i32[at] as number) & MOST_HEAT) > most) this.#i32[at] = heatWord(runs, runs + most);
      }
    }
  }

  /** First record of the block at `physical` in this mode; undefined where there is none. */
  find(physical: number, context: number): number | undefined {
    return findRecord(this.#i32, physical, context);
  }

  /**
   * Makes a region found in place of its first block, and of a region that it had before: returns the record that stands
   * for it, undefined where there is no room before the next clear.
   */
  addRegion({ block, linear, handler, pages, constants, unsure }: RegionEntry): number | undefined {
    // What it goes on with stands in the same lines of the host's cache as what else it needs of itself.
    const record = (this.#next + regionConstant(constants.length - 1) + LINE - 1) & -LINE;
    const list = record + REGION.list;
    const end = (list + pages.length * 8 + RECORD_SIZE - 1) & -RECORD_SIZE;
    if (this.full || end > RECORDS + RECORDS_SIZE) return undefined;
    this.#makeRoom();
    const old = this.#regions.get(this.#i32[(block + BLOCK_REGION) >> 2] as number);
    if (old) {
      this.#pages.removeRegion(old);
      this.#regionDropped(old, "replaced");
    }
    this.hot(block);
    this.#i32[block >> 2] = FIND;
    constants.forEach((constant, i) => {
      this.#i64[(record - regionConstant(i)) >> 3] = constant;
    });
    this.#i32[(record + BLOCK_COUNT) >> 2] = 1;
    this.#i32[(record + BLOCK_MODE) >> 2] = -1;
    this.#bytes[record + REGION.left] = 1;
    this.#i32[(record + REGION.handler) >> 2] = handler;
    this.#i32[(record + REGION.pages) >> 2] = pages.length;
    this.#i32[(record + REGION.misses) >> 2] = 0;
    this.#i32[(record + REGION.unsure) >> 2] = unsure;
    this.#i64[(record + REGION.linear) >> 3] = linear;
    this.#unlink(record);
    pages.forEach((code, i) => {
      this.#i32[(list + i * 8 + REGION_PAGE.distance) >> 2] = code.distance;
      this.#i32[(list + i * 8 + REGION_PAGE.page) >> 2] = pageOf(code.first);
    });
    this.#next = end;
    this.#i32[(block + BLOCK_REGION) >> 2] = record;
    const region: Region = { record, block, handler, pages, ran: 0 };
    this.#regions.set(record, region);
    this.#pages.addRegion(region);
    this.#wiring.forgetJump(linear);
    return record;
  }

  /** Has a region's links lead nowhere. */
  #unlink(record: number): void {
    for (let at = record + REGION.links; at < record + REGION.list; at += JUMP_ENTRY) {
      this.#i32[(at + JUMP.context) >> 2] = -1;
    }
  }

  /** Has all regions' links lead nowhere. */
  forgetLinks(): void {
    for (const record of this.#regions.keys()) this.#unlink(record);
    this.#forgetReturns();
  }

  /** Has no call expect to go back to anything: links of regions that have gone are among them. */
  #forgetReturns(): void {
    const { vcpu } = this.#wiring;
    this.#i32[(vcpu + NO_LINK + JUMP.context) >> 2] = -1;
    for (let at = vcpu + RETURNS; at < vcpu + RETURNS + RETURN_ENTRIES * RETURN_ENTRY; at += RETURN_ENTRY) {
      this.#i64[(at + RETURN.linear) >> 3] = -1n;
      this.#i32[(at + RETURN.link) >> 2] = vcpu + NO_LINK;
    }
  }

  /** Notes that a region, by its record, has run so many instructions: its table entry, undefined where it is gone. */
  regionRan(record: number, instructions: number): number | undefined {
    const region = this.#regions.get(record);
    if (region) region.ran += instructions;
    return region?.handler;
  }

  /** Where the region of a record was found last: processes may have the same code elsewhere. */
  linearOf(record: number): bigint {
    return this.#i64[(record + REGION.linear) >> 3] as bigint;
  }

  /** Drops regions that have run least, where there are too many for another one. */
  #makeRoom(): void {
    const { mostRegions = MOST_REGIONS } = this.#wiring;
    if (this.#regions.size < mostRegions) return;
    for (const region of leastUsed(this.#regions.values(), Math.ceil(mostRegions * UNUSED_PART))) {
      this.#pages.removeRegion(region);
      this.#regionDropped(region, "unused");
    }
  }

  #regionDropped({ record, block, handler }: Region, cause: DropCause): void {
    this.#wiring.observer?.regionDropped(handler, cause);
    this.#regions.delete(record);
    this.#i32[(block + BLOCK_REGION) >> 2] = 0;
    if (this.#i32[(block + BLOCK_MODE) >> 2] !== -1) this.hot(block);
    this.countOn(block);
    this.#wiring.regionDropped(handler);
  }

  #endingHandler(ending: Pseudo | "breakpoint", context: number): number {
    if (ending === "breakpoint") return BREAKPOINT;
    // After a single instruction the next block need not be looked up.
    if (ending === "fallThrough" && context & CONTEXT.step) return RESUME;
    return this.#wiring.handlers.pseudo(ending, context);
  }

  /** Bytes of one page are about to be written: code that was made of them goes, and what of that runs stops. */
  written(first: number, last: number): void {
    this.#pages.written(first, last);
  }
}
