/**
 * Decoded blocks: straight runs of instructions as records in linear memory, found again by physical
 * address and dropped when the guest writes to the bytes that they were decoded from.
 */
import { type Feature, isIndirect } from "../../isa/instruction.ts";
import type { OperandSpec } from "../../isa/operand.ts";
import { type Decoded, type DecodeFailure, decode, MAX_LENGTH } from "../decode/decoder.ts";
import { bindOperand } from "../emit/semantics.ts";
import {
  BLOCK,
  BLOCK_CONTEXT,
  BLOCK_COUNT,
  BLOCK_END,
  BLOCK_ENTRIES,
  BLOCK_FIRST,
  BLOCK_HEADER,
  BLOCK_HEAT,
  BLOCK_MODE,
  BLOCK_PHYSICAL,
  BLOCK_REGION,
  BLOCK_TABLE,
  BLOCK_TARGETS,
  CODE_BITS,
  CONTEXT,
  CONTEXT_BITS,
  FPU,
  fieldAddress,
  GPR,
  NOTED_TARGETS,
  PAGE,
  PAGE_FLAGS,
  RAM_BASE,
  RECORD,
  RECORD_SIZE,
  RECORDS,
  RECORDS_SIZE,
  REGION,
  REGION_PAGE,
  SEGMENT_SIZE,
  SEGMENTS,
  TLB,
  TLB_ENTRIES,
  TLB_ENTRY,
  TLBS,
  XMM,
  ZERO,
} from "../state.ts";
import { blockSlot, findRecord } from "./block-table.ts";
import { BREAKPOINT, COUNT, type Handlers, type Pseudo, RESUME } from "./handlers.ts";

const PAGE_BYTES = 4096;
const MAX_INSTRUCTIONS = 48;
/** Regions that are kept before all are dropped; each has at most some tens of KiB of code (LIMITS of region.ts). */
const MOST_REGIONS = 8192;

const aloneKey = (physical: number, context: number): number => physical * (1 << CONTEXT_BITS) + context;

/** A translated region to be found in place of the block that it begins with. */
export interface RegionEntry {
  /** First record of that block. */
  readonly block: number;
  /** Table entry of its function. */
  readonly handler: number;
  /** Where its code was read from. */
  readonly pages: readonly CodePage[];
}

/** Bytes of one physical page that code was read from. */
export interface CodePage {
  /** Distance of the linear page from the one that the code starts in, in pages. */
  readonly distance: number;
  /** Physical addresses of the first byte and the last. */
  readonly first: number;
  readonly last: number;
}

const pageOf = ({ first }: CodePage): number => Math.floor(first / PAGE_BYTES);

interface InstalledRegion extends RegionEntry {
  readonly record: number;
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
  /** Makes the jump cache forget everything. */
  newGeneration(): void;
  /** Makes translated code forget the pages that it has kept: some may not be written in place any more. */
  forgetKeptPages(): void;
  /** How often a block runs before it is translated; 0 for never. */
  readonly heat: number;
  /** Instructions of a block at the most. */
  readonly blockLimit?: number | undefined;
  /** The function of a region is not called any more. */
  regionDropped(handler: number): void;
}

export class BlockCache {
  readonly #wiring: BlockWiring;
  readonly #bytes: Uint8Array;
  readonly #i32: Int32Array;
  readonly #u16: Uint16Array;
  readonly #i64: BigInt64Array;
  /** First records of the blocks decoded from each physical page. */
  readonly #pages = new Map<number, { record: number; physical: number; context: number }[]>();
  /**
   * Blocks of one instruction that the block table does not have, by its first byte and context: one that spans two
   * pages (`second` is where it goes on, else -1), and those of single steps.
   */
  readonly #alone = new Map<number, { record: number; second: number }>();
  /** Regions with code from each physical page. */
  readonly #regions = new Map<number, Set<InstalledRegion>>();
  #next = RECORDS;
  #regionCount = 0;

  constructor(wiring: BlockWiring) {
    this.#wiring = wiring;
    this.#bytes = new Uint8Array(wiring.buffer);
    this.#i32 = new Int32Array(wiring.buffer);
    this.#u16 = new Uint16Array(wiring.buffer);
    this.#i64 = new BigInt64Array(wiring.buffer);
    this.clear();
  }

  /** Drops all blocks. Not while one runs. */
  clear(): void {
    this.#next = RECORDS;
    this.#alone.clear();
    for (const page of this.#regions.keys()) this.#dropRegions(page);
    for (const page of this.#pages.keys()) this.#forgetPage(page);
    this.#pages.clear();
    this.#i32.fill(-1, BLOCK_TABLE >> 2, (BLOCK_TABLE + BLOCK_ENTRIES * 16) >> 2);
    if (this.#wiring.handlers.full) this.#wiring.handlers.clear();
    this.#wiring.newGeneration();
  }

  /** Bytes of records in use. */
  get used(): number {
    return this.#next - RECORDS;
  }

  /** Whether a clear is due before more is decoded; done by the run loop, when no block runs. */
  get full(): boolean {
    const end = this.#next + BLOCK_HEADER + (MAX_INSTRUCTIONS + 3) * RECORD_SIZE;
    return end > RECORDS + RECORDS_SIZE || this.#wiring.handlers.full || this.#regionCount > MOST_REGIONS;
  }

  /**
   * Decodes the block at `physical`, of which `room` bytes lie in the code segment. Returns its first record, 0 where
   * the code cannot be fetched, or its negative where it must not be found again by address.
   */
  decode(physical: number, linear: bigint, contextBits: number, room: number): number {
    const context = contextBits & BLOCK_CONTEXT;
    const limit = context & CONTEXT.step ? 1 : (this.#wiring.blockLimit ?? MAX_INSTRUCTIONS);
    const known = this.#alone.get(aloneKey(physical, context));
    if (known !== undefined) {
      if (known.second < 0) return -known.record;
      const second = this.#wiring.translateCode((linear & ~0xfffn) + 0x1000n);
      if (second < 0) return 0;
      if (second === known.second) return -known.record;
    }
    const mode = { long: (context & CONTEXT.long) !== 0, code32: (context & CONTEXT.code32) !== 0 };
    const pageEnd = (Math.floor(physical / PAGE_BYTES) + 1) * PAGE_BYTES;
    const end = Math.min(pageEnd, physical + room);
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
        position >= end
          ? "truncated"
          : decode(this.#bytes, RAM_BASE + position, RAM_BASE + end, mode, this.#wiring.has);
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
    const record = this.#write(instructions, ending, context);
    this.#i32[(record + BLOCK_PHYSICAL) >> 2] = physical;
    this.#i32[(record + BLOCK_MODE) >> 2] = context;
    const last = instructions.reduce((sum, { length }) => sum + length, 0) || MAX_LENGTH;
    this.#markCode(physical, Math.min(physical + last, pageEnd) - 1);
    if (secondPage >= 0) this.#markCode(secondPage, secondPage + MAX_LENGTH);
    if (isCut) {
      // The same bytes in another segment are another block.
      this.#blocksOf(physical).push({ record, physical, context });
      return -record;
    }
    this.#remember(record, physical, context, secondPage);
    const isFound = secondPage < 0 && !(context & CONTEXT.step);
    if (isFound && ending !== "breakpoint" && this.#wiring.heat > 0) this.#count(record);
    return isFound ? record : -record;
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
    bytes.set(this.#bytes.subarray(RAM_BASE + physical, RAM_BASE + pageEnd));
    bytes.set(this.#bytes.subarray(RAM_BASE + second, RAM_BASE + second + MAX_LENGTH), first);
    return { decoded: decode(bytes, 0, bytes.length, mode, this.#wiring.has), second };
  }

  #write(instructions: readonly Decoded[], ending: Pseudo | "breakpoint" | undefined, context: number): number {
    const { handlers } = this.#wiring;
    const record = this.#next + BLOCK_HEADER;
    let at = record;
    let delta = 0;
    const total = Math.max(instructions.length, 1);
    instructions.forEach((decoded, i) => {
      this.#writeRecord(at, decoded, delta, context, total - i);
      delta += decoded.length;
      at += RECORD_SIZE;
    });
    if (ending !== undefined) {
      this.#i32[at >> 2] = this.#endingHandler(ending, context);
      this.#u16[(at + RECORD.delta) >> 1] = delta;
      this.#u16[(at + RECORD.nextDelta) >> 1] = delta;
      this.#u16[(at + RECORD.left) >> 1] = ending === "fallThrough" ? 0 : 1;
      at += RECORD_SIZE;
    }
    handlers.flush();
    this.#i32[(record + BLOCK_COUNT) >> 2] = total;
    this.#i32[(record + BLOCK_FIRST) >> 2] = this.#i32[record >> 2] as number;
    this.#i32[(record + BLOCK_REGION) >> 2] = 0;
    this.#i32[(record + BLOCK_END) >> 2] = at;
    const last = instructions.at(-1);
    const notes = last !== undefined && isIndirect(last.form) ? NOTED_TARGETS * 4 : 0;
    this.#i32[(record + BLOCK_TARGETS) >> 2] = notes > 0 ? at : 0;
    this.#i32.fill(0, at >> 2, (at + notes) >> 2);
    this.#next = at + notes;
    return record;
  }

  /** Counts how often the block runs, until it is hot. */
  #count(record: number): void {
    this.#i32[(record + BLOCK_HEAT) >> 2] = this.#wiring.heat;
    this.#i32[record >> 2] = COUNT;
  }

  /** A block that was counted: where its code is and in which mode it runs; it is not counted any more. */
  hot(record: number): { physical: number; context: number } {
    this.#i32[record >> 2] = this.#i32[(record + BLOCK_FIRST) >> 2] as number;
    return {
      physical: (this.#i32[(record + BLOCK_PHYSICAL) >> 2] as number) >>> 0,
      context: this.#i32[(record + BLOCK_MODE) >> 2] as number,
    };
  }

  /** Counts anew how often a block runs that has no region after all, or none any more. */
  countAgain(record: number): void {
    const isWhole = this.#i32[record >> 2] === this.#i32[(record + BLOCK_FIRST) >> 2];
    if (isWhole) this.#count(record);
  }

  /** First record of the block at `physical` in this mode; undefined where there is none. */
  find(physical: number, context: number): number | undefined {
    return findRecord(this.#i32, physical, context);
  }

  /**
   * Makes a region found in place of its first block, and of a region that it had before; false where there is no room
   * before the next clear.
   */
  addRegion(entry: RegionEntry): boolean {
    const size = BLOCK_HEADER + REGION.list + entry.pages.length * 8 + 16;
    if (this.full || this.#next + size > RECORDS + RECORDS_SIZE) return false;
    const old = this.#i32[(entry.block + BLOCK_REGION) >> 2] as number;
    for (const region of this.#regions.get(pageOf(entry.pages[0] as CodePage)) ?? []) {
      if (region.record === old) this.#dropRegion(region);
    }
    this.hot(entry.block);
    for (const { first, last } of entry.pages) this.#markCode(first, last);
    const record = this.#next + BLOCK_HEADER;
    this.#i32[(record + BLOCK_COUNT) >> 2] = 1;
    this.#i32[(record + REGION.handler) >> 2] = entry.handler;
    this.#i32[(record + REGION.pages) >> 2] = entry.pages.length;
    entry.pages.forEach((code, i) => {
      this.#i32[(record + REGION.list + i * 8 + REGION_PAGE.distance) >> 2] = code.distance;
      this.#i32[(record + REGION.list + i * 8 + REGION_PAGE.page) >> 2] = pageOf(code);
    });
    this.#next = (record + REGION.list + entry.pages.length * 8 + 15) & ~15;
    this.#i32[(entry.block + BLOCK_REGION) >> 2] = record;
    const region = { ...entry, record };
    this.#regionCount++;
    for (const page of entry.pages.map(pageOf)) {
      const regions = this.#regions.get(page) ?? new Set();
      regions.add(region);
      this.#regions.set(page, regions);
    }
    this.#wiring.newGeneration();
    return true;
  }

  #dropRegions(page: number): void {
    for (const region of this.#regions.get(page) ?? []) this.#dropRegion(region);
    this.#regions.delete(page);
  }

  #dropRegion(region: InstalledRegion): void {
    this.#i32[(region.block + BLOCK_REGION) >> 2] = 0;
    this.countAgain(region.block);
    for (const other of region.pages) this.#regions.get(pageOf(other))?.delete(region);
    this.#regionCount--;
    this.#wiring.regionDropped(region.handler);
  }

  #endingHandler(ending: Pseudo | "breakpoint", context: number): number {
    if (ending === "breakpoint") return BREAKPOINT;
    // After a single instruction the next block need not be looked up.
    if (ending === "fallThrough" && context & CONTEXT.step) return RESUME;
    return this.#wiring.handlers.pseudo(ending, context);
  }

  #writeRecord(at: number, decoded: Decoded, delta: number, context: number, left: number): void {
    const { form, memory, immediate } = decoded;
    const { vcpu, handlers } = this.#wiring;
    const word = (field: number, value: number) => {
      this.#i32[(at + field) >> 2] = value;
    };
    word(RECORD.handler, handlers.entry(decoded, context));
    this.#u16[(at + RECORD.delta) >> 1] = delta;
    this.#u16[(at + RECORD.nextDelta) >> 1] = delta + decoded.length;
    this.#u16[(at + RECORD.left) >> 1] = left;
    let immediateSeen = false;
    let value = immediate;
    for (const spec of form.operands) {
      const bound = bindOperand(spec, memory !== undefined, decoded.operandSize);
      switch (spec.place) {
        case "reg":
          word(RECORD.reg, this.#register(spec, decoded.reg, bound.width, decoded.rex));
          break;
        case "rm":
          if (!bound.isMemory) word(RECORD.rm, this.#register(spec, decoded.rm, bound.width, decoded.rex));
          break;
        case "st":
          word(RECORD.rm, decoded.rm & 7);
          break;
        case "opcode":
          word(RECORD.rm, this.#register(spec, decoded.opcodeRegister, bound.width, decoded.rex));
          break;
        case "vvvv":
          word(RECORD.vvvv, this.#register(spec, decoded.vvvv, bound.width, true));
          break;
        case "immediate":
          if (!immediateSeen && bound.width < 64) value = BigInt.asUintN(bound.width, immediate);
          immediateSeen = true;
          break;
      }
    }
    this.#i64[(at + RECORD.immediate) >> 3] = value;
    word(RECORD.second, decoded.second);
    word(RECORD.segment, vcpu + SEGMENTS + (memory?.segment ?? decoded.segment) * SEGMENT_SIZE);
    if (memory) {
      const general = (index: number) => vcpu + (index < 0 ? ZERO : GPR + index * 8);
      const base = memory.ripRelative ? fieldAddress(vcpu, "ip") : general(memory.base);
      word(RECORD.rm, base);
      word(RECORD.index, general(memory.index));
      word(RECORD.displacement, memory.displacement + (memory.ripRelative ? delta + decoded.length : 0));
      this.#u16[(at + RECORD.scale) >> 1] = memory.scale;
    }
  }

  /** What a register operand's record field holds: an address, or the number of a special register. */
  #register(spec: OperandSpec, index: number, width: number, rex: boolean): number {
    const { vcpu } = this.#wiring;
    switch (spec.file) {
      case "xmm":
        return vcpu + XMM + index * 32;
      case "mmx":
        return vcpu + FPU + (index & 7) * 16;
      case "segment":
        return index & 7;
      case "control":
      case "debug":
        return index;
      default:
        // AH, CH, DH and BH without a REX prefix.
        if (width === 8 && !rex && index >= 4) return vcpu + GPR + (index - 4) * 8 + 1;
        return vcpu + GPR + index * 8;
    }
  }

  #remember(record: number, physical: number, context: number, secondPage: number): void {
    const entry = { record, physical, context };
    this.#blocksOf(physical).push(entry);
    if (secondPage >= 0) this.#blocksOf(secondPage).push(entry);
    if (secondPage >= 0 || context & CONTEXT.step) {
      this.#alone.set(aloneKey(physical, context), { record, second: secondPage });
      return;
    }
    const at = (BLOCK_TABLE + blockSlot(physical) * 16) >> 2;
    this.#i32[at + BLOCK.physical / 4] = physical;
    this.#i32[at + BLOCK.context / 4] = context;
    this.#i32[at + BLOCK.record / 4] = record;
  }

  #blocksOf(physical: number): { record: number; physical: number; context: number }[] {
    const page = Math.floor(physical / PAGE_BYTES);
    let blocks = this.#pages.get(page);
    if (blocks === undefined) {
      blocks = [];
      this.#pages.set(page, blocks);
    }
    return blocks;
  }

  /** Notes that code was read from these bytes of one page, so that writes to them are seen. */
  #markCode(first: number, last: number): void {
    const page = Math.floor(first / PAGE_BYTES);
    const at = (CODE_BITS + page * 8) >> 2;
    for (let piece = (first % PAGE_BYTES) >> 6; piece <= Math.min((last - page * PAGE_BYTES) >> 6, 63); piece++) {
      this.#i32[at + (piece >> 5)] = (this.#i32[at + (piece >> 5)] as number) | (1 << (piece & 31));
    }
    const flags = PAGE_FLAGS + page;
    if ((this.#bytes[flags] as number) & PAGE.code) return;
    this.#bytes[flags] = (this.#bytes[flags] as number) | PAGE.code;
    // Writes to the page must not use the fast path from now on.
    this.#wiring.forgetKeptPages();
    const first32 = (this.#wiring.vcpu + TLBS) >> 2;
    for (let i = 0; i < 4 * TLB_ENTRIES; i++) {
      const entry = first32 + (i * TLB_ENTRY) / 4;
      if (this.#i32[entry + TLB.frame / 4] === page) {
        this.#i32[entry + TLB.write / 4] = -1;
        this.#i32[entry + TLB.write / 4 + 1] = -1;
      }
    }
  }

  #forgetPage(page: number): void {
    this.#i64[(CODE_BITS + page * 8) >> 3] = 0n;
    this.#bytes[PAGE_FLAGS + page] = (this.#bytes[PAGE_FLAGS + page] as number) & ~PAGE.code;
  }

  /** The guest is about to write to code on `page`: its blocks go, and one that runs stops after its instruction. */
  pageWritten(page: number): void {
    const blocks = this.#pages.get(page);
    this.#dropRegions(page);
    this.#forgetPage(page);
    if (blocks === undefined) return;
    this.#pages.delete(page);
    for (const { record, physical, context } of blocks) {
      const end = this.#i32[(record + BLOCK_END) >> 2] as number;
      for (let at = record; at < end; at += RECORD_SIZE) this.#i32[at >> 2] = RESUME;
      const slot = (BLOCK_TABLE + blockSlot(physical) * 16) >> 2;
      if (this.#i32[slot + BLOCK.record / 4] === record) this.#i32[slot + BLOCK.context / 4] = -1;
      this.#alone.delete(aloneKey(physical, context));
    }
    this.#wiring.newGeneration();
  }
}
