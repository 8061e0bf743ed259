/** Regions made on a worker thread, while the guest goes on in the interpreter. */
import { Worker } from "node:worker_threads";
import type { RegionSettings } from "../../cpu/processor.ts";
import type { CompiledRegions, RegionJob } from "../../cpu/translate/region-compiler.ts";
import type { RegionMaker } from "../../cpu/translate/translator.ts";
import { SMALL_YOUNG_HEAP } from "./young-heap.ts";

/** The worker's source, or its compiled form in the published package. */
const WORKER = new URL(`./translation-worker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

export class TranslationThread implements RegionMaker {
  readonly #worker: Worker;
  done: (compiled: CompiledRegions) => void = () => {};

  constructor(settings: RegionSettings) {
    this.#worker = new Worker(WORKER, { workerData: settings, resourceLimits: SMALL_YOUNG_HEAP });
    this.#worker.on("message", (compiled: CompiledRegions) => this.done(compiled));
    this.#worker.unref();
  }

  request(job: RegionJob): void {
    this.#worker.postMessage(job);
  }

  close(): void {
    void this.#worker.terminate();
  }
}
