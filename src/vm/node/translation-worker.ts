/** The worker thread that makes regions: see translation-thread.ts. Its first message says what it is to do. */
import os from "node:os";
import { type MessagePort, parentPort } from "node:worker_threads";
import { GROUP, KeptRegions } from "../../cpu/translate/kept-regions.ts";
import type { RegionCompiler } from "../../cpu/translate/region-compiler.ts";
import type { RegionNodes } from "../../cpu/translate/region-job.ts";
import { RegionQueue } from "../../cpu/translate/region-queue.ts";
import { AheadCompiler } from "./ahead-compiler.ts";
import { RegionFiles } from "./region-files.ts";
import { RegionKeeper } from "./region-keeper.ts";
import { giveWayToGuests } from "./thread-priority.ts";
import type { TranslationReply, TranslationRequest, TranslationTask } from "./translation-thread.ts";

/** Regions of one module at the most: more would keep the first waiting. */
const BATCH = 16;
/** Whether V8's threads have processors of their own to make its best code on, while this one is busy. */
const HAS_MANY_PROCESSORS = os.availableParallelism() > 2;
/** Milliseconds that jobs are gathered for one module: what becomes hot comes in groups. */
const GATHER = 4;
/** Milliseconds after which it is noted what the start has used: a first time for guests that end soon. */
const NOTE_START = [2500, 7500];

/** Milliseconds without a task after which there is time to load what it takes to make regions. */
const UNTASKED = 5;

const loadCompiler = () => import("../../cpu/translate/region-compiler.ts");

class TranslationWorker {
  readonly #port: MessagePort;
  readonly #task: TranslationTask;
  readonly #kept: KeptRegions | undefined;
  readonly #keeper: RegionKeeper | undefined;
  readonly #waiting: RegionQueue;
  /** What was told of regions in use before there was a compiler. */
  readonly #covered: RegionNodes[] = [];
  readonly #ahead: AheadCompiler;
  #compiler: RegionCompiler | undefined;

  constructor(port: MessagePort, task: TranslationTask) {
    this.#port = port;
    this.#task = task;
    this.#waiting = new RegionQueue(task.settings.memory.buffer);
    this.#ahead = new AheadCompiler(task.settings);
    this.#kept = task.folder && new KeptRegions(new RegionFiles(task.folder), task.settings.start);
    this.#keeper = this.#kept && new RegionKeeper(this.#kept);
  }

  /** Gives the kept regions that were used last, and gets ready to make others. */
  async prepare(): Promise<void> {
    const { settings, givesReady, handlers } = this.#task;
    if (handlers) this.#ahead.module(handlers);
    if (givesReady && this.#kept) {
      for (const after of NOTE_START) setTimeout(() => this.#kept?.noteStart(), after).unref();
      this.#reply({ index: this.#kept.index });
      for (const ready of this.#kept.first(settings)) {
        this.#ahead.given(ready, true);
        this.#reply({ ready });
      }
    }
    // What it loads takes longer than all that is done before.
    const { RegionCompiler } = await loadCompiler();
    this.#compiler = new RegionCompiler(settings, this.#kept);
    this.#compiler.covered(this.#covered.splice(0));
    if (this.#waiting.length > 0) this.#compileWaiting();
    await this.#ahead.run();
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
      this.#waiting.add(request);
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
      this.#ahead.given(ready, false);
      this.#reply({ ready });
    }
  }

  #use(regions: readonly number[]): void {
    this.#kept?.use(regions);
    this.#ahead.use(regions);
    if (this.#compiler) void this.#ahead.run();
  }

  #compileWaiting(): void {
    if (!this.#compiler) return;
    const jobs = this.#waiting.next(BATCH);
    const isBusy = this.#waiting.length > 0;
    if (isBusy) setImmediate(() => this.#compileWaiting());
    const compiled = this.#compiler.compile(jobs);
    if (!isBusy || !HAS_MANY_PROCESSORS || jobs.some(({ large }) => large)) this.#ahead.best(compiled);
    this.#reply(compiled);
    this.#keeper?.changed();
  }
}

const port = parentPort;
if (!port) throw new Error("translation-worker.ts runs in a worker thread");
const idle = setTimeout(() => void loadCompiler(), UNTASKED);
port.once("message", (task: TranslationTask) => {
  clearTimeout(idle);
  giveWayToGuests();
  const worker = new TranslationWorker(port, task);
  port.on("message", (request: TranslationRequest) => void worker.answer(request));
  void worker.prepare();
});
