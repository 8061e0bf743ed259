/** Looks from another thread, about every millisecond, where the machine's thread is, and adds up the time. */
import { Worker } from "node:worker_threads";
import type { HostTimes } from "../tools/host-times.ts";

/** The worker's source, or its compiled form in the published package. */
const WORKER = new URL(`./place-sampler-worker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);
/** Milliseconds between two looks. */
const INTERVAL = 1;

export interface SamplerData {
  /** The machine's memory, and where in it the place is told. */
  readonly memory: WebAssembly.Memory;
  readonly at: number;
  readonly interval: number;
  /** Its word is set to end the thread. */
  readonly end: Int32Array;
}

export class PlaceSampler {
  readonly #end = new Int32Array(new SharedArrayBuffer(4));
  readonly #seconds: Promise<ReadonlyMap<number, number>>;

  /** Begins at once. */
  constructor(memory: WebAssembly.Memory, at: number) {
    const workerData: SamplerData = { memory, at, interval: INTERVAL, end: this.#end };
    const worker = new Worker(WORKER, { workerData });
    worker.unref();
    this.#seconds = new Promise((resolve) => {
      worker.once("message", resolve);
      // Without samples a profile is still worth having.
      worker.once("error", () => resolve(new Map()));
      worker.once("exit", () => resolve(new Map()));
    });
  }

  /** Ends it. */
  async stop(): Promise<HostTimes> {
    Atomics.store(this.#end, 0, 1);
    Atomics.notify(this.#end, 0);
    return { interval: INTERVAL, seconds: await this.#seconds };
  }
}
