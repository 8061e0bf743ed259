/** Has regions made of hot blocks, and has them found in place of the blocks. */
import type { BlockCache } from "../interpret/blocks.ts";
import type { CodeEnvironment, Handlers } from "../interpret/handlers.ts";
import type { PagingMode } from "../mmu/code-walk.ts";
import type { ProcessorObserver } from "../observe/observer.ts";
import type { StartKind } from "../processor.ts";
import { isUnchanged } from "./code-reader.ts";
import type { CompiledRegion, CompiledRegions, RegionJob } from "./region-compiler.ts";

/** How often a block runs in the interpreter before it is translated. */
export const DEFAULT_HEAT = 4000;
/** Blocks of which a region is kept run in so many parts of that. */
const KNOWN_HEAT = 0.075;
/** How many instructions a region of the first size runs before it is made anew with the second. */
const GROWTH_HEAT = 4_000_000;

/** How often a block of which a region is kept runs before that is used, where others run `heat` times. */
export const heatOfKnown = (heat: number): number => Math.ceil(heat * KNOWN_HEAT);

/**
 * Who makes regions of jobs: in place, with the result at once, or on another thread, which lets the guest run on
 * meanwhile. `done` is called where no guest code runs, or from within `request`.
 */
export interface RegionMaker {
  request(job: RegionJob): void;
  /** Set by the translator. */
  done: (compiled: CompiledRegions) => void;
  /** Told once of the interpreter's handlers, for a maker that can keep them for later processes. */
  keepHandlers?(start: StartKind, handlers: Pick<Handlers, "keys" | "kept">): void;
  /** Whether it may have kept a region that begins with code of this `codeKey`, and need not make it. */
  isKnown?(key: number): boolean;
  /** Ends what runs elsewhere. */
  close(): void;
}

export interface TranslatorWiring {
  readonly environment: CodeEnvironment;
  readonly handlers: Handlers;
  readonly blocks: BlockCache;
  readonly maker: RegionMaker;
  paging(): PagingMode;
  /** Offsets in a page of instructions that no region may have: a debugger stops there. */
  marks(): readonly number[];
  readonly observer?: Required<ProcessorObserver> | undefined;
}

export class Translator {
  readonly #wiring: TranslatorWiring;
  readonly #memory: Uint8Array;
  /** What the regions in use were made for, by their table entries. */
  readonly #installed = new Map<number, RegionJob>();
  /** First records of blocks that got no region since they were part of another's. */
  readonly #covered = new Set<number>();
  #regions = 0;
  #asked = 0;
  #modules = 0;
  #instructions = 0;
  #bytes = 0;

  constructor(wiring: TranslatorWiring) {
    this.#wiring = wiring;
    this.#memory = new Uint8Array(wiring.environment.memory.buffer);
    wiring.maker.done = (compiled) => this.#install(compiled);
  }

  /** Counts since power-on, for reports. */
  get statistics(): { asked: number; regions: number; instructions: number; bytes: number } {
    return { asked: this.#asked, regions: this.#regions, instructions: this.#instructions, bytes: this.#bytes };
  }

  /** Asks for a region that begins with the block whose first record is `record`, at linear address `linear` and offset `ip`. */
  translate(record: number, linear: bigint, ip: number): void {
    const { paging, marks, blocks } = this.#wiring;
    const { physical, context } = blocks.hot(record);
    // Once is enough: it runs by itself in spite of the region that has it.
    const seen = this.#covered.delete(record) ? Number.POSITIVE_INFINITY : this.#modules;
    this.#request({ linear, physical, ip, context, paging: paging(), marks: marks(), large: false, seen });
  }

  /** Asks for a region in place of the one whose function has the table entry `handler`: a large one, or as before. */
  remake(handler: number, large: boolean): void {
    const job = this.#installed.get(handler);
    if (!job) return;
    const seen = Number.POSITIVE_INFINITY;
    this.#request({ ...job, marks: this.#wiring.marks(), large: job.large || large, seen });
  }

  /** The region of a table entry is not run any more. */
  dropped(handler: number): void {
    this.#installed.delete(handler);
    this.#wiring.handlers.release(handler);
  }

  #request(job: Omit<RegionJob, "handler">): void {
    this.#asked++;
    this.#wiring.maker.request({ ...job, handler: this.#wiring.handlers.allocate() });
  }

  close(): void {
    this.#wiring.maker.close();
  }

  #install({ regions, module, size }: CompiledRegions): void {
    const { environment, handlers } = this.#wiring;
    const { memory, table, runtime, host } = environment;
    if (regions.some(({ instructions }) => instructions > 0)) {
      new WebAssembly.Instance(module, { env: { memory, table }, runtime, host });
    }
    this.#modules++;
    this.#bytes += size;
    for (const region of regions) if (!this.#add(region)) handlers.release(region.job.handler);
  }

  /** Has a region found, unless its code, or a debugger's breakpoints, have changed since it was asked for. */
  #add({ job, instructions, isCovered, code, unsure, observed }: CompiledRegion): boolean {
    const { blocks, marks, observer } = this.#wiring;
    if (job.marks.join() !== marks().join()) return false;
    const block = blocks.find(job.physical, job.context);
    if (block === undefined || (instructions === 0 && !isCovered)) return false;
    if (isCovered) this.#covered.add(block);
    if (isCovered || !code.every((page) => isUnchanged(this.#memory, page))) {
      blocks.countAgain(block);
      return false;
    }
    const pages = code.map(({ distance, first, last, pieces }) => ({ distance, first, last, pieces }));
    const { linear, handler } = job;
    const record = blocks.addRegion({ block, linear, handler, pages, heat: GROWTH_HEAT, unsure });
    if (record === undefined) return false;
    this.#installed.set(job.handler, job);
    if (observed) observer?.regionAdded({ job, instructions, record, ...observed });
    this.#regions++;
    this.#instructions += instructions;
    return true;
  }
}
