/** The worker thread that makes regions: see translation-thread.ts. */
import { parentPort, workerData } from "node:worker_threads";
import type { RegionSettings } from "../../cpu/processor.ts";
import { RegionCompiler, type RegionJob } from "../../cpu/translate/region-compiler.ts";
import type { TranslationRequest } from "./translation-thread.ts";

/** Regions of one module at the most: more would keep the first waiting. */
const BATCH = 16;
/** Milliseconds that jobs are gathered for one module: what becomes hot comes in groups. */
const GATHER = 4;

const port = parentPort;
if (!port) throw new Error("translation-worker.ts runs in a worker thread");
const compiler = new RegionCompiler(workerData as RegionSettings);

const waiting: RegionJob[] = [];

function compileWaiting(): void {
  const jobs = waiting.splice(0, BATCH);
  if (waiting.length > 0) setImmediate(compileWaiting);
  port?.postMessage(compiler.compile(jobs));
}

port.on("message", async (request: TranslationRequest) => {
  if ("keep" in request) {
    const { keepHandlers } = await import("./kept-handlers.ts");
    await keepHandlers(...request.keep);
    return;
  }
  waiting.push(request);
  if (waiting.length === 1) setTimeout(compileWaiting, GATHER);
});
