/** Has regions made of hot blocks, and has them found in place of the blocks. */
import type { Feature } from "../../isa/instruction.ts";
import type { BlockCache, BlockCode } from "../interpret/blocks.ts";
import { codeKey } from "../interpret/code-key.ts";
import type { Handlers } from "../interpret/handlers.ts";
import { CodeWalk, type PagingMode } from "../mmu/code-walk.ts";
import type { ProcessorObserver } from "../observe/observer.ts";
import type { RegionSettings, StartKind } from "../processor-options.ts";
import { hostAddress, MOST_HEAT } from "../state.ts";
import { isUnchanged } from "./code-reader.ts";
import type { TableModule } from "./compile-ahead.ts";
import { type ReadyModule, ReadyRegions } from "./ready-regions.ts";
import type { CompiledRegion, CompiledRegions } from "./region-compiler.ts";
import { GROWTH_STEP, type Growth, RegionGrowth } from "./region-growth.ts";
import type { RegionIndex } from "./region-index.ts";
import {
  type CodeMemory,
  codeReader,
  identityOf,
  keyOfCode,
  type RegionJob,
  type RegionNodes,
  unsureByte,
} from "./region-job.ts";

/** How often a block runs in the interpreter before it is translated. */
export const DEFAULT_HEAT = 4000;
/** What part of that is enough while another thread, which makes the regions, has little to do, and how many that is. */
const EARLY = 0.375;
const FEW = 64;
/**
 * After what parts of it it is looked whether a region that is ready fits: as soon as it is worth that, and again, as not
 * all code need have been there.
 */
const [FIRST_LOOK, LAST_LOOK] = [0.01, 0.1];
/** The table entry of none. */
const NO_REGION = -1;
/** Blocks that may have a ready region, as far as that is remembered: a guest can make more for ever. */
const MOST_KEYS = 65536;
/** The maker is told of so many ready regions in use at once. */
const NEWS = 64;

/**
 * Who makes regions of jobs: in place, with the result at once, or on another thread, which lets the guest run on
 * meanwhile. `done` is called where no guest code runs, or from within `request`.
 */
export interface RegionMaker {
  request(job: RegionJob): void;
  /** The machine will be busy with something else before its first instruction, and then use these handlers, if any. */
  prepare?(handlers: TableModule | undefined): void;
  /** Set by the translator. */
  done: (compiled: CompiledRegions) => void;
  /** Told once of the interpreter's handlers, for a maker that can keep them for later processes. */
  keepHandlers?(start: StartKind, handlers: Pick<Handlers, "keys" | "kept">): void;
  /** Set by the translator: told which regions the maker has kept, and given some of them. */
  expect?: (index: RegionIndex) => void;
  ready?: (module: ReadyModule) => void;
  /** Asks for kept regions by their numbers: they come with others. */
  load?(regions: readonly number[]): void;
  /** How many it was asked for and has not made yet; undefined where the guest waits for each. */
  readonly waiting?: number;
  /** Told now and then of those that are in use, by their numbers. */
  used?(regions: readonly number[]): void;
  /** Told of the code that kept regions in use have, before it is asked for a large one. */
  covered?(regions: readonly RegionNodes[]): void;
  /** Ends what runs elsewhere. */
  close(): void;
}

export interface TranslatorWiring {
  readonly handlers: Handlers;
  readonly blocks: BlockCache;
  readonly maker: RegionMaker;
  readonly settings: RegionSettings;
  readonly has: (feature: Feature) => boolean;
  paging(): PagingMode;
  /** Offsets in a page of instructions that no region may have: a debugger stops there. */
  marks(): readonly number[];
  /** Instructions that the processor has run. */
  instructions(): number;
  readonly observer?: Required<ProcessorObserver> | undefined;
}

/** A region in use. */
interface Installed {
  readonly job: RegionJob;
  readonly record: number;
  readonly growth: Growth;
  /** Another one is asked for in its place. */
  isReplaced: boolean;
}

export class Translator {
  readonly #wiring: TranslatorWiring;
  readonly #memory: Uint8Array;
  readonly #source: CodeMemory;
  /** The regions in use, by their table entries. */
  readonly #installed = new Map<number, Installed>();
  /** Of regions that are asked for in place of others, the others' table entries, by their own. */
  readonly #replacing = new Map<number, number>();
  /** First records of blocks that got no region since they were part of another's. */
  readonly #covered = new Set<number>();
  readonly #growth = new RegionGrowth();
  readonly #ready = new ReadyRegions();
  /** What ready regions in use have that the maker has not been told. */
  #covers: RegionNodes[] = [];
  /** Keys of blocks for which there may be a ready region, by their first records. */
  readonly #keys = new Map<number, number>();
  /** First records below this one are of blocks that were decoded before it was known which regions are ready. */
  #oldUpTo = 0;
  #regions = 0;
  #asked = 0;
  #modules = 0;
  #instructions = 0;
  #bytes = 0;

  constructor(wiring: TranslatorWiring) {
    this.#wiring = wiring;
    this.#memory = new Uint8Array(wiring.settings.memory.buffer);
    this.#source = { bytes: this.#memory, walk: new CodeWalk(this.#memory.buffer), has: wiring.has };
    wiring.maker.done = (compiled) => this.#install(compiled);
    wiring.maker.expect = (index) => {
      this.#ready.expect(index);
      wiring.blocks.hurry(this.#part(FIRST_LOOK));
      this.#oldUpTo = wiring.blocks.end;
    };
    wiring.maker.ready = (module) => {
      this.#ready.add(module);
      wiring.handlers.instantiate(module.module);
    };
  }

  #part(part = 1): number {
    return Math.ceil(this.#wiring.settings.heat * part);
  }

  /** How often a block runs before it is looked at. */
  heat(code?: BlockCode): number {
    if (code === undefined || !this.#ready.areKnown) return this.#heatAfter(0, false);
    const { record, physical, context, instructions } = code;
    const [at, offset] = [hostAddress(physical), physical % 4096];
    let key = 0;
    let isReady = this.#ready.mayHave(offset, this.#memory[at] as number);
    if (isReady) {
      key = codeKey(this.#memory, at, offset, context, instructions);
      isReady = this.#ready.has(key);
    }
    if (this.#keys.size >= MOST_KEYS) this.#keys.clear();
    if (isReady) this.#keys.set(record, key);
    else this.#keys.delete(record);
    return this.#heatAfter(0, isReady);
  }

  /** After how many runs a block is looked at that has run `runs` times: the same where a region is to be made of it. */
  #heatAfter(runs: number, isReady: boolean): number {
    for (const look of isReady ? [FIRST_LOOK, LAST_LOOK] : []) if (this.#part(look) > runs) return this.#part(look);
    const { waiting } = this.#wiring.maker;
    const early = this.#part(EARLY);
    if (waiting !== undefined && runs < early) return early;
    if (waiting !== undefined && waiting < FEW) return runs;
    return Math.max(this.#part(), runs);
  }

  /** Counts since power-on, for reports. */
  get statistics(): { asked: number; regions: number; instructions: number; bytes: number } {
    return { asked: this.#asked, regions: this.#regions, instructions: this.#instructions, bytes: this.#bytes };
  }

  /** Asks for a region that begins with the block whose first record is `record`, at linear address `linear` and offset `ip`. */
  translate(record: number, linear: bigint, ip: number): void {
    const { paging, marks, blocks } = this.#wiring;
    const { physical, context, runs } = blocks.hot(record);
    // It was asked for, and is counted no longer than it can be.
    if (runs >= MOST_HEAT) return;
    const place = { linear, physical, ip, context, paging: paging(), marks: marks(), large: false, warm: [] };
    const isReady = this.#lookForReady(record, place);
    if (isReady === "taken") return;
    const heat =
      isReady === "awaited" && runs < this.#part(EARLY) ? 2 * runs : this.#heatAfter(runs, isReady === "possible");
    if (heat > runs) {
      blocks.countOn(record, runs, heat);
      return;
    }
    // Once is enough: it runs by itself in spite of the region that has it.
    const seen = this.#covered.delete(record) ? Number.POSITIVE_INFINITY : this.#modules;
    blocks.countOn(record, runs, MOST_HEAT);
    this.#request({ ...place, handler: this.#wiring.handlers.allocate(), seen, block: { record, runs } });
  }

  /** Has the block run in a region that is ready, or tells whether there may be one later. */
  #lookForReady(record: number, place: Omit<RegionJob, "handler" | "seen">): "taken" | "awaited" | "possible" | "none" {
    const { settings, maker } = this.#wiring;
    let key = this.#keys.get(record);
    if (key === undefined && record >= this.#oldUpTo) return "none";
    const reader = codeReader(place, this.#source);
    key ??= keyOfCode(place, reader, this.#memory);
    if (!this.#ready.has(key)) return "none";
    const unsure = unsureByte(settings.vcpu, place);
    if (place.marks.length > 0 || this.#memory[unsure]) return "none";
    const identity = identityOf(place, key, this.#memory, settings.model);
    let found = this.#ready.take(identity, reader);
    const missing = this.#ready.missing.splice(0);
    if (!found && missing.length > 0) {
      maker.load?.(missing);
      // Some makers give them at once.
      found = this.#ready.take(identity, reader);
      if (!found && this.#ready.missing.splice(0).length > 0) return "awaited";
    }
    if (!found) return "possible";
    const { handler, nodes, ...region } = found;
    const job = { ...place, handler, seen: Number.POSITIVE_INFINITY, warm: nodes };
    const isAdded = this.#add({ job, ...region, isCovered: false, unsure });
    if (isAdded) {
      const starts = nodes.flatMap((delta) => reader.physical(delta) ?? []);
      this.#covers.push({ context: place.context, physical: starts });
      if (this.#covers.length >= NEWS) this.#tellCovers();
    } else this.#ready.release(handler);
    if (this.#ready.news.length >= NEWS) maker.used?.(this.#ready.news.splice(0));
    return isAdded ? "taken" : "none";
  }

  /** Asks for a region in place of the one whose function has the table entry `handler`: a large one, or as before. */
  remake(handler: number, large = false): void {
    const region = this.#installed.get(handler);
    // What several of its accesses ask for at once, one new region gives.
    if (!region || region.isReplaced) return;
    region.isReplaced = true;
    const seen = Number.POSITIVE_INFINITY;
    const by = this.#wiring.handlers.allocate();
    this.#replacing.set(by, handler);
    const job = this.#jobNow(region);
    this.#request({
      ...job,
      block: undefined,
      handler: by,
      marks: this.#wiring.marks(),
      large: job.large || large,
      seen,
    });
  }

  /** A region's job by the page tables in use, where these have its code: the process that it was first asked for may be gone. */
  #jobNow({ job, record }: Installed): RegionJob {
    const linear = this.#wiring.blocks.linearOf(record);
    const paging = this.#wiring.paging();
    const page = this.#source.walk.translate(linear & ~0xfffn, paging);
    if (page !== job.physical - (job.physical % 4096)) return job;
    return { ...job, linear, paging, ip: (job.ip + Number(BigInt.asIntN(32, linear - job.linear))) | 0 };
  }

  /**
   * A region, by its record, has run so many instructions more. Asks for a large one in its place, if that is worth it. Large
   * ones are looked at as well, which tells how many regions run most of the time.
   */
  regionRan(record: number, instructions: number): void {
    const handler = this.#wiring.blocks.regionRan(record, instructions) ?? NO_REGION;
    const region = this.#installed.get(handler);
    if (!region) return;
    const { growth, job } = region;
    growth.left -= instructions;
    if (growth.left >= 0) return;
    growth.left += GROWTH_STEP;
    const isDue = this.#growth.isDue(handler, growth, this.#wiring.instructions());
    if (isDue && !job.large) this.remake(handler, true);
  }

  /** The region of a table entry is not run any more. */
  dropped(handler: number): void {
    this.#installed.delete(handler);
    if (!this.#ready.release(handler)) this.#wiring.handlers.release(handler);
  }

  #request(job: RegionJob): void {
    this.#asked++;
    if (job.large) this.#tellCovers();
    this.#wiring.maker.request(job);
  }

  #tellCovers(): void {
    if (this.#covers.length > 0) this.#wiring.maker.covered?.(this.#covers);
    this.#covers = [];
  }

  prepare(handlers: TableModule | undefined): void {
    this.#wiring.maker.prepare?.(handlers);
  }

  close(): void {
    this.#wiring.maker.close();
  }

  #install({ regions, module, size }: CompiledRegions): void {
    const { handlers } = this.#wiring;
    if (regions.some(({ instructions }) => instructions > 0)) handlers.instantiate(module);
    this.#modules++;
    this.#bytes += size;
    for (const region of regions) {
      const { handler } = region.job;
      const replaced = this.#installed.get(this.#replacing.get(handler) ?? NO_REGION);
      this.#replacing.delete(handler);
      if (this.#add(region)) continue;
      handlers.release(handler);
      if (replaced) replaced.isReplaced = false;
    }
  }

  /** Has a region found, unless its code, or a debugger's breakpoints, have changed since it was asked for. */
  #add({ job, instructions, isCovered, code, constants, unsure, observed }: CompiledRegion): boolean {
    const { blocks, marks, observer } = this.#wiring;
    if (job.marks.join() !== marks().join()) return false;
    const block = blocks.find(job.physical, job.context);
    if (block === undefined) return false;
    if (instructions === 0 && !isCovered) {
      blocks.stopCounting(block);
      return false;
    }
    if (isCovered) this.#covered.add(block);
    if (isCovered || !code.every((page) => isUnchanged(this.#memory, page))) {
      blocks.countOn(block);
      return false;
    }
    const pages = code.map(({ distance, first, last, pieces }) => ({ distance, first, last, pieces }));
    const { linear, handler } = job;
    const record = blocks.addRegion({ block, linear, handler, pages, constants, unsure });
    if (record === undefined) return false;
    this.#installed.set(job.handler, {
      job,
      record,
      growth: { left: GROWTH_STEP, ran: 0, at: this.#wiring.instructions() },
      isReplaced: false,
    });
    if (observed) observer?.regionAdded({ job, instructions, record, ...observed });
    this.#regions++;
    this.#instructions += instructions;
    return true;
  }
}
