/** Regions made on a worker thread, while the guest goes on in the interpreter. */
import { Worker } from "node:worker_threads";
import { MOST_KEPT } from "../../cpu/interpret/code-table.ts";
import type { RegionSettings } from "../../cpu/processor-options.ts";
import type { TableModule } from "../../cpu/translate/compile-ahead.ts";
import type { ReadyModule } from "../../cpu/translate/ready-regions.ts";
import type { CompiledRegions } from "../../cpu/translate/region-compiler.ts";
import type { RegionIndex } from "../../cpu/translate/region-index.ts";
import type { RegionJob, RegionNodes } from "../../cpu/translate/region-job.ts";
import type { RegionMaker } from "../../cpu/translate/translator.ts";
import { type KeptFolder, keptDirectory, keptFolder } from "./kept-file.ts";
import { SMALL_YOUNG_HEAP } from "./young-heap.ts";

/** The worker's source, or its compiled form in the published package. */
const WORKER = new URL(`./translation-worker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

/** What the thread is to do. */
export interface TranslationTask {
  readonly settings: RegionSettings;
  /** Where regions are kept for later processes; undefined where none are. */
  readonly folder: KeptFolder | undefined;
  /** Whether it is to give those that are kept: once, as they are in use then. */
  readonly givesReady: boolean;
  /** What it is to have compiled first of all. */
  readonly handlers: TableModule | undefined;
}

/** What comes from it: regions that were made, what tells those that are kept, or some of them. */
export type TranslationReply = CompiledRegions | { readonly index: RegionIndex } | { readonly ready: ReadyModule };

/** What the thread is sent: a region to make, numbers of kept ones to give or in use, what those have, or handlers to build and keep. */
export type TranslationRequest =
  | RegionJob
  | { readonly load: readonly number[] }
  | { readonly used: readonly number[] }
  | { readonly covered: readonly RegionNodes[] }
  | { readonly keep: Parameters<typeof import("./kept-handlers.ts").keepHandlers> };

/** What the thread's heap may hold: a few times what the largest region takes while it is made. */
const LIMITS = { ...SMALL_YOUNG_HEAP, maxOldGenerationSizeMb: 40 };
/** Node then does not look at each source and the folders above it for links: a tenth of the time to load them. */
const OPTIONS = ["--preserve-symlinks", "--disable-warning=ExperimentalWarning"];
/** Milliseconds after which the interpreter's handlers are kept: most that a start needs are there then. */
const KEEP_AFTER = 4000;
/** Fewer new ones are not worth a file. */
const LEAST_NEW = 16;
const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** A thread that has no machine yet. */
let spare: Worker | undefined;

/** Starts the thread of a machine that is to come: it loads its code meanwhile. */
export function startTranslationThread(): void {
  spare ??= newWorker();
}

function newWorker(): Worker {
  const worker = new Worker(WORKER, { resourceLimits: LIMITS, execArgv: [...OPTIONS] });
  worker.unref();
  // One that fails before it is needed is not used.
  worker.once("error", () => {
    if (spare === worker) spare = undefined;
  });
  return worker;
}

export class TranslationThread implements RegionMaker {
  readonly #settings: RegionSettings;
  /** What was asked for and is not made yet, by the table entry. */
  readonly #pending = new Map<number, RegionJob>();
  /** Undefined before it starts, and after it failed from the start. */
  #worker: Worker | undefined;
  /** The guest's first instructions need no regions, and would wait while this thread takes up its work. */
  #toStart: NodeJS.Immediate | undefined = setImmediate(() => this.#begin());
  #toKeep: NodeJS.Timeout | undefined;
  #handlers: TableModule | undefined;
  /** Modules that the present thread has made. */
  #made = 0;
  done: (compiled: CompiledRegions) => void = () => {};
  expect: (index: RegionIndex) => void = () => {};
  ready: (module: ReadyModule) => void = () => {};

  constructor(settings: RegionSettings) {
    this.#settings = settings;
  }

  prepare(handlers?: TableModule): void {
    if (!this.#toStart) return;
    this.#handlers = handlers;
    this.#begin();
  }

  #begin(): void {
    clearImmediate(this.#toStart);
    this.#toStart = undefined;
    this.#worker = this.#start(true);
  }

  #start(givesReady: boolean): Worker {
    const settings = this.#settings;
    const directory = settings.observe ? undefined : keptDirectory();
    const folder = directory === undefined ? undefined : keptFolder(directory, "regions");
    const task: TranslationTask = { settings, folder, givesReady, handlers: this.#handlers };
    this.#handlers = undefined;
    const worker = spare ?? newWorker();
    spare = undefined;
    worker.postMessage(task);
    this.#made = 0;
    worker.on("message", (reply: TranslationReply) => {
      if ("index" in reply) {
        this.expect(reply.index);
        return;
      }
      if ("ready" in reply) {
        this.ready(reply.ready);
        return;
      }
      this.#made++;
      for (const { job } of reply.regions) this.#pending.delete(job.handler);
      this.done(reply);
    });
    worker.on("error", () => this.#startAgain());
    return worker;
  }

  /** Code that the thread fails at stays with the interpreter; all code does where it fails from the start. */
  #startAgain(): void {
    const failed = [...this.#pending.values()];
    this.#pending.clear();
    this.#worker = this.#made > 0 ? this.#start(false) : undefined;
    this.#refuse(failed);
  }

  #refuse(jobs: readonly RegionJob[]): void {
    const regions = jobs.map((job) => ({ job, instructions: 0, isCovered: false, code: [], constants: [], unsure: 0 }));
    this.done({ regions, module: new WebAssembly.Module(EMPTY_MODULE), size: 0 });
  }

  request(job: RegionJob): void {
    this.prepare();
    if (this.#worker === undefined) {
      this.#refuse([job]);
      return;
    }
    this.#pending.set(job.handler, job);
    this.#worker.postMessage(job satisfies TranslationRequest);
  }

  get waiting(): number {
    return this.#pending.size;
  }

  load(regions: readonly number[]): void {
    this.#worker?.postMessage({ load: regions } satisfies TranslationRequest);
  }

  used(regions: readonly number[]): void {
    this.#worker?.postMessage({ used: regions } satisfies TranslationRequest);
  }

  covered(regions: readonly RegionNodes[]): void {
    this.#worker?.postMessage({ covered: regions } satisfies TranslationRequest);
  }

  keepHandlers(...[start, handlers]: Parameters<NonNullable<RegionMaker["keepHandlers"]>>): void {
    const directory = keptDirectory();
    if (directory === undefined) return;
    this.#toKeep = setTimeout(() => {
      // What came first stays.
      const keys = handlers.keys.slice(0, MOST_KEPT);
      if (keys.length >= handlers.kept + LEAST_NEW)
        this.#worker?.postMessage({ keep: [start, keys, directory] } satisfies TranslationRequest);
    }, KEEP_AFTER).unref();
  }

  close(): void {
    clearImmediate(this.#toStart);
    clearTimeout(this.#toKeep);
    void this.#worker?.terminate();
  }
}
