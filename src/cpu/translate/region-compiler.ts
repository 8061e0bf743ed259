/**
 * From hot blocks to a WebAssembly module of regions. It only reads the shared memory, and may do so on another thread
 * while the guest runs and changes it: what a region was made of is told with it and checked where it is installed.
 */

import { disassemble } from "../../isa/disassemble.ts";
import type { CodeMark, EncodedFunction } from "../../wasm/emitter.ts";
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { FunctionBody } from "../../wasm/module.ts";
import { HANDLER } from "../emit/enter-block.ts";
import type { Linkage } from "../emit/semantics.ts";
import { blockRuns, notedTargets } from "../interpret/block-table.ts";
import { codeModule } from "../interpret/code-table.ts";
import { codeContext, linkageOf } from "../interpret/handlers.ts";
import { CodeWalk } from "../mmu/code-walk.ts";
import { CountAllocator } from "../observe/count-area.ts";
import { RegionCountBuilder, type RegionCounts } from "../observe/region-counts.ts";
import type { RegionListing } from "../observe/region-listing.ts";
import type { RegionSettings } from "../processor-options.ts";
import { KEPT, KEPT_KINDS, KEPT_PAGE, KEPT_PAGES_EACH, KEPT_READS, KEPT_WRITES, SCATTERED } from "../state.ts";
import { cpuModel } from "../system/models.ts";
import type { CodeReader, PlacedCode } from "./code-reader.ts";
import { exceedsLimits } from "./function-limits.ts";
import type { FoundRegion, KeptRegions } from "./kept-regions.ts";
import { buildRegion } from "./region.ts";
import type { RegionIdentity } from "./region-encoding.ts";
import {
  type CodeMemory,
  codeReader,
  identityOf,
  isSure,
  keyOfCode,
  type RegionJob,
  type RegionNodes,
  scatteredSlot,
  unsureByte,
} from "./region-job.ts";
import type { KeptPlace } from "./region-memory.ts";
import type { RegionInput, RegionSize } from "./region-nodes.ts";

/** What part of that a block must have run to become part of the region of another. */
const WARM = 0.1;

/**
 * A region at first, without the subroutines that it calls, and one that has turned out to run much: worth the time that
 * V8 takes for it.
 */
const SIZES: readonly RegionSize[] = [
  { instructions: 96, nodes: 24, depth: 0, copies: false },
  { instructions: 384, nodes: 96, depth: 4, copies: true },
];
/** The smallest part of that, for code of which each instruction takes more than others. */
const SMALLEST_PART = 1 / 64;
const partOf = (size: RegionSize, part: number): RegionSize => {
  if (part === 1) return size;
  const [instructions, nodes] = [size.instructions, size.nodes].map((most) => Math.ceil(most * part));
  return { instructions: instructions as number, nodes: nodes as number, depth: 0, copies: false };
};
/** Blocks of which it is known that a region has them; only the last ones matter. */
const MOST_COVERED = 65536;

export interface CompiledRegion extends PlacedCode {
  readonly job: RegionJob;
  /** Guest instructions in it; 0 where it was not made. */
  readonly instructions: number;
  /** Not made, since it is part of another one that was not known yet when it was asked for. */
  readonly isCovered: boolean;
  /** Address of the byte to set where groups of its accesses are often not found. */
  readonly unsure: number;
  /** Where someone watches. */
  readonly observed?: ObservedRegion;
}

export interface ObservedRegion {
  /** Bytes of its function. */
  readonly bytes: number;
  readonly counts: RegionCounts | undefined;
  readonly listing: RegionListing | undefined;
}

export interface CompiledRegions {
  readonly regions: readonly CompiledRegion[];
  /** Puts the functions into the table when it is instantiated. */
  readonly module: WebAssembly.Module;
  /** Bytes of the module. */
  readonly size: number;
}

/** In place of the number of a module that has a region: it was made before there were any. */
const NO_MODULE = -1;

/** Blocks that were made part of some region, with the number of the module that has it. */
class CoveredBlocks {
  readonly #modules = new Map<number, number>();

  add(block: { physical: number; context: number }, module: number): void {
    if (this.#modules.size >= MOST_COVERED) this.#modules.clear();
    this.#modules.set(keyOf(block), module);
  }

  /** A region that is in no module has the block. */
  addOther(block: { physical: number; context: number }): void {
    if (!this.has(block, NO_MODULE)) this.add(block, NO_MODULE);
  }

  /** Whether a module from number `seen` on has the block: whoever knew of fewer modules did not know of that region. */
  has(block: { physical: number; context: number }, seen: number): boolean {
    const module = this.#modules.get(keyOf(block));
    return module !== undefined && module >= seen;
  }
}

/** An instruction as text, with its offset in the code segment. */
function describeInstruction(code: CodeReader, { linear, ip, context }: RegionJob, delta: number): string {
  const start = codeContext(context).long ? linear : BigInt(ip >>> 0);
  const at = start + BigInt(delta);
  const decoded = code.decode(delta);
  return `${at.toString(16)}  ${typeof decoded === "string" ? `(${decoded})` : disassemble(decoded, at)}`;
}

/** A region as it was built or found. */
type MadeRegion = Omit<CompiledRegion, "job" | "unsure"> & { readonly nodes: readonly number[] };
const NOTHING: MadeRegion = { instructions: 0, isCovered: false, code: [], constants: [], nodes: [] };

/** Remembers answers, where a region is built twice: what they depend on may change meanwhile. */
function remembered<A extends readonly unknown[], T>(find: (...args: A) => T): (...args: A) => T {
  const known = new Map<string, T>();
  return (...args) => {
    const key = args.join();
    if (!known.has(key)) known.set(key, find(...args));
    return known.get(key) as T;
  };
}
const asked = <A extends readonly unknown[], T>(find: (...args: A) => T): ((...args: A) => T) => find;

const keyOf = ({ physical, context }: { physical: number; context: number }): number => context * 2 ** 32 + physical;

export class RegionCompiler {
  readonly #settings: RegionSettings;
  readonly #kept: KeptRegions | undefined;
  readonly #isTooLarge: (body: Uint8Array) => boolean;
  readonly #bytes: Uint8Array;
  readonly #i32: Int32Array;
  readonly #source: CodeMemory;
  readonly #pages = { reads: 0, writes: 0 };
  readonly #covered = new CoveredBlocks();
  readonly #allocator: CountAllocator | undefined;
  /** Modules so far. */
  #made = 0;

  /** `kept` is for a processor that nobody observes; `isTooLarge` tells of a function's encoded body. */
  constructor(settings: RegionSettings, kept?: KeptRegions, isTooLarge = exceedsLimits) {
    const model = cpuModel(settings.model);
    if (!model) throw new Error(`no processor model is named ${settings.model}`);
    this.#settings = settings;
    this.#kept = kept;
    this.#isTooLarge = isTooLarge;
    this.#bytes = new Uint8Array(settings.memory.buffer);
    this.#i32 = new Int32Array(settings.memory.buffer);
    const walk = new CodeWalk(settings.memory.buffer);
    this.#source = { bytes: this.#bytes, walk, has: (feature) => model.has(feature) };
    const counts = settings.observe?.counts;
    this.#allocator = counts && new CountAllocator(settings.memory.buffer, counts);
  }

  /** Tells of code that runs in regions which others have made. */
  covered(regions: readonly RegionNodes[]): void {
    for (const { context, physical } of regions) {
      for (const each of physical) this.#covered.addOther({ context, physical: each });
    }
  }

  /** Makes regions of jobs; `part` is how much of its size a region may have. */
  compile(jobs: readonly RegionJob[], part = 1): CompiledRegions {
    const module = codeModule(this.#settings.memoryPages);
    const linkage = linkageOf(module, this.#settings.observe);
    const regions: CompiledRegion[] = [];
    let mustShrink = false;
    for (const job of jobs) {
      const code = codeReader(job, this.#source);
      const identity = this.#identityOf(job, code);
      const known = identity && this.#kept?.find(identity, code);
      let made = known ? this.#reuse(job, code, known) : NOTHING;
      const build: FunctionBody = (f) => {
        made = this.#make(f, job, code, linkage, part);
      };
      const callee = module.function(HANDLER, known ? known.bodyFor(module) : build, {
        name: `region ${job.linear.toString(16)}`,
        encoded: (body) => {
          if (this.#isTooLarge(body.bytes)) mustShrink = true;
          else if (identity && !known && made.instructions > 0) this.#kept?.add(identity, made, code.constants, body);
          regions.push(this.#compiled(job, made, body));
        },
      });
      module.elements(job.handler, [callee]);
    }
    const bytes = module.build();
    this.#made++;
    if (mustShrink) {
      // Some code takes much more than other: it is made anyway, of fewer instructions, or of none.
      const again = jobs.map((job) => ({ ...job, seen: Number.POSITIVE_INFINITY }));
      return this.compile(again, part > SMALLEST_PART ? part / 4 : 0);
    }
    return { regions, module: new WebAssembly.Module(bytes), size: bytes.length };
  }

  /** What tells a region among those that are kept; undefined where it cannot be one. */
  #identityOf(job: RegionJob, code: CodeReader): RegionIdentity | undefined {
    if (!this.#kept || job.large || job.marks.length > 0 || this.#bytes[this.#unsure(job)]) return undefined;
    if (this.#covered.has(job, job.seen)) return undefined;
    return identityOf(job, keyOfCode(job, code, this.#bytes), this.#bytes, this.#settings.model);
  }

  #unsure(job: RegionJob): number {
    return unsureByte(this.#settings.vcpu, job);
  }

  #compiled(job: RegionJob, { nodes: _, observed, ...made }: MadeRegion, body: EncodedFunction): CompiledRegion {
    const region = { job, ...made, unsure: this.#unsure(job) };
    return observed ? { ...region, observed: { ...observed, bytes: body.bytes.length } } : region;
  }

  #reuse(job: RegionJob, reader: CodeReader, { bodyFor: _, ...found }: FoundRegion): MadeRegion {
    this.#cover(job, found.nodes, reader);
    return { ...found, isCovered: false };
  }

  #cover({ context }: RegionJob, nodes: readonly number[], code: CodeReader): void {
    for (const delta of nodes) {
      const physical = code.physical(delta);
      if (physical !== undefined) this.#covered.add({ physical, context }, this.#made);
    }
  }

  #make(f: FunctionBuilder, job: RegionJob, code: CodeReader, linkage: Linkage, part: number): MadeRegion {
    if (part === 0) {
      f.unreachable();
      return NOTHING;
    }
    if (this.#covered.has(job, job.seen)) {
      f.unreachable();
      return { ...NOTHING, isCovered: true };
    }
    const { vcpu } = this.#settings;
    const describe = (delta: number) => describeInstruction(code, job, delta);
    const counts = RegionCountBuilder.from(this.#allocator, describe);
    const isListed = this.#settings.observe?.listings === true;
    const answers = isListed ? remembered : asked;
    const input: RegionInput = {
      f,
      vcpu,
      context: codeContext(job.context),
      linkage,
      code,
      isWarm: answers((delta) => job.warm.includes(delta) || this.#isWarm(code.physical(delta), job)),
      size: partOf(SIZES[job.large ? 1 : 0] as RegionSize, part),
      isSure: answers((delta) => isSure(this.#bytes, vcpu, job, delta)),
      keptPage: answers((origin, write, isLoaded) => this.#keptPage(job, origin, write, isLoaded)),
      constant: (delta, what) => (job.large ? undefined : code.constant(delta, what)),
      targets: answers((delta) => this.#targets(code.physical(delta), job)),
      describe,
      counts,
    };
    const { instructions, nodes } = buildRegion(input);
    if (instructions === 0) f.unreachable();
    this.#cover(job, nodes, code);
    const constants = code.constants.map(({ value }) => value);
    const region = { instructions, isCovered: false, code: code.pages, constants, nodes };
    if (!this.#settings.observe) return region;
    const listing = isListed && instructions > 0 ? this.#listing(input) : undefined;
    return { ...region, observed: { bytes: 0, counts: counts && { ...counts }, listing } };
  }

  /** Builds the region again, without code that counts, as a module by itself. */
  #listing(input: RegionInput): RegionListing {
    const module = codeModule(this.#settings.memoryPages);
    const linkage = linkageOf(module, undefined);
    const about = { notes: [], locals: new Map<number, string>() };
    let marks: readonly CodeMark[] = [];
    module.function(HANDLER, (f) => void buildRegion({ ...input, f, linkage, about, counts: undefined }), {
      encoded: (body) => {
        marks = body.marks;
      },
    });
    return { module: module.build().slice(), marks, ...about };
  }

  /** Whether the block at `physical` has run often, or runs as a part of regions, where it is not counted. */
  #isWarm(physical: number | undefined, { context, large }: RegionJob): boolean {
    if (physical === undefined) return false;
    if (large && this.#covered.has({ physical, context }, NO_MODULE)) return true;
    const { heat } = this.#settings;
    return blockRuns(this.#i32, physical, context, heat) >= Math.max(heat * WARM, 1);
  }

  /** Places come round again: what two regions find in one of them is as good for both. */
  #keptPage(
    { physical, handler, large }: RegionJob,
    origin: string,
    write: boolean,
    isLoaded: boolean,
  ): KeptPlace | undefined {
    if (!large) return undefined;
    const { vcpu } = this.#settings;
    const scattered = vcpu + SCATTERED + scatteredSlot(physical, origin, write);
    const what = KEPT_KINDS[this.#bytes[scattered] as number];
    if (what === undefined || (what !== "page" && !isLoaded)) return undefined;
    const kind = write ? "writes" : "reads";
    this.#pages[kind] = (this.#pages[kind] + 1) % KEPT_PAGES_EACH;
    const at = vcpu + (write ? KEPT_WRITES : KEPT_READS) + this.#pages[kind] * KEPT_PAGE;
    this.#i32[(at + KEPT.misses) >> 2] = 0;
    this.#i32[(at + KEPT.handler) >> 2] = handler;
    this.#i32[(at + KEPT.scattered) >> 2] = scattered;
    return { what, at };
  }

  #targets(physical: number | undefined, { ip, context }: RegionJob): number[] {
    if (physical === undefined) return [];
    return notedTargets(this.#i32, physical, context).map((target) => (target - ip) | 0);
  }
}
