/** The worker thread that makes regions: see translation-thread.ts. Its first message says what it is to do. */
import { setImmediate as turn } from "node:timers/promises";
import { type MessagePort, parentPort } from "node:worker_threads";
import { FIRST_READY } from "../../cpu/interpret/code-table.ts";
import { compileAhead, type EmptyMachine, emptyMachine, type TableModule } from "../../cpu/translate/compile-ahead.ts";
import { GROUP, KeptRegions } from "../../cpu/translate/kept-regions.ts";
import type { ReadyModule } from "../../cpu/translate/ready-regions.ts";
import type { RegionCompiler } from "../../cpu/translate/region-compiler.ts";
import type { RegionJob, RegionNodes } from "../../cpu/translate/region-job.ts";
import { RegionFiles } from "./region-files.ts";
import { RegionKeeper } from "./region-keeper.ts";
import { giveWayToGuests } from "./thread-priority.ts";
import type { TranslationReply, TranslationRequest, TranslationTask } from "./translation-thread.ts";

/** Regions of one module at the most: more would keep the first waiting. */
const BATCH = 16;
/** Milliseconds that jobs are gathered for one module: what becomes hot comes in groups. */
const GATHER = 4;
/** Milliseconds after which it is noted what the start has used: a first time for guests that end soon. */
const NOTE_START = [2500, 7500];
/** How many functions are compiled ahead at once. */
const AT_ONCE = 16;
/** A group that came for one of its regions is compiled ahead when so many of it are in use: of most no more ever are. */
const MANY_USED = 8;

class TranslationWorker {
  readonly #port: MessagePort;
  readonly #task: TranslationTask;
  readonly #kept: KeptRegions | undefined;
  readonly #keeper: RegionKeeper | undefined;
  readonly #waiting: RegionJob[] = [];
  /** What was told of regions in use before there was a compiler. */
  readonly #covered: RegionNodes[] = [];
  /** What is to be compiled ahead, while there is nothing else to do. */
  readonly #ahead: TableModule[] = [];
  /** Groups that came when a region of them was needed, by their numbers, with how many are in use. */
  readonly #onDemand = new Map<number, { readonly functions: TableModule; used: number }>();
  #isCompilingAhead = false;
  #empty: EmptyMachine | undefined;
  #compiler: RegionCompiler | undefined;

  constructor(port: MessagePort, task: TranslationTask) {
    this.#port = port;
    this.#task = task;
    this.#kept = task.folder && new KeptRegions(new RegionFiles(task.folder), task.settings.start);
    this.#keeper = this.#kept && new RegionKeeper(this.#kept);
  }

  /** Gives the kept regions that were used last, and gets ready to make others. */
  async prepare(): Promise<void> {
    const { settings, givesReady, handlers } = this.#task;
    if (handlers) this.#ahead.push(handlers);
    if (givesReady && this.#kept) {
      for (const after of NOTE_START) setTimeout(() => this.#kept?.noteStart(), after).unref();
      this.#reply({ index: this.#kept.index });
      for (const ready of this.#kept.first(settings)) {
        this.#ahead.push(functionsOf(ready));
        this.#reply({ ready });
      }
    }
    // What it loads takes longer than all that is done before.
    const { RegionCompiler } = await import("../../cpu/translate/region-compiler.ts");
    this.#compiler = new RegionCompiler(settings, this.#kept);
    this.#compiler.covered(this.#covered.splice(0));
    if (this.#waiting.length > 0) this.#compileWaiting();
    await this.#compileAhead();
  }

  async answer(request: TranslationRequest): Promise<void> {
    if ("keep" in request) {
      const { keepHandlers } = await import("./kept-handlers.ts");
      await keepHandlers(...request.keep);
    } else if ("load" in request) this.#load(request.load);
    else if ("used" in request) {
      if (this.#task.givesReady) this.#use(request.used);
    } else if ("covered" in request) {
      if (this.#compiler) this.#compiler.covered(request.covered);
      else this.#covered.push(...request.covered);
    } else {
      this.#waiting.push(request);
      if (this.#waiting.length === 1) setTimeout(() => this.#compileWaiting(), GATHER);
    }
  }

  #reply(message: TranslationReply): void {
    this.#port.postMessage(message);
  }

  /** Gives the groups that kept regions are in. */
  #load(regions: readonly number[]): void {
    const { settings, givesReady } = this.#task;
    // Else the numbers are those of a thread that has failed.
    if (!givesReady || !this.#kept) return;
    for (const group of new Set(regions.map((region) => Math.floor(region / GROUP)))) {
      const ready = this.#kept.load(settings, group);
      if (!ready) continue;
      this.#onDemand.set(group, { functions: functionsOf(ready), used: 0 });
      this.#reply({ ready });
    }
  }

  #use(regions: readonly number[]): void {
    this.#kept?.use(regions);
    for (const region of regions) {
      const group = Math.floor(region / GROUP);
      const waiting = this.#onDemand.get(group);
      if (!waiting || ++waiting.used < MANY_USED) continue;
      this.#onDemand.delete(group);
      this.#ahead.push(waiting.functions);
    }
    if (this.#compiler && this.#ahead.length > 0) void this.#compileAhead();
  }

  #compileWaiting(): void {
    if (!this.#compiler) return;
    const jobs = this.#waiting.splice(0, BATCH);
    if (this.#waiting.length > 0) setImmediate(() => this.#compileWaiting());
    this.#reply(this.#compiler.compile(jobs));
    this.#keeper?.changed();
  }

  async #compileAhead(): Promise<void> {
    if (this.#isCompilingAhead) return;
    this.#isCompilingAhead = true;
    for (let next = this.#ahead.shift(); next; next = this.#ahead.shift()) {
      this.#empty ??= emptyMachine(this.#task.settings);
      if (!this.#empty) break;
      let compiled = 0;
      for (const _ of compileAhead(next, this.#empty)) if (++compiled % AT_ONCE === 0) await turn();
    }
    this.#isCompilingAhead = false;
  }
}

const functionsOf = ({ module, first, count }: ReadyModule): TableModule => ({
  module,
  at: FIRST_READY + first,
  count,
});

const port = parentPort;
if (!port) throw new Error("translation-worker.ts runs in a worker thread");
port.once("message", (task: TranslationTask) => {
  giveWayToGuests();
  const worker = new TranslationWorker(port, task);
  port.on("message", (request: TranslationRequest) => void worker.answer(request));
  void worker.prepare();
});
