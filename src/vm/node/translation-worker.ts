/** The worker thread that makes regions: see translation-thread.ts. */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import type { RegionSettings } from "../../cpu/processor.ts";
import { RegionCompiler, type RegionJob } from "../../cpu/translate/region-compiler.ts";

/** Regions of one module at the most: more would keep the first waiting. */
const BATCH = 16;

const port = parentPort;
if (!port) throw new Error("translation-worker.ts runs in a worker thread");
const compiler = new RegionCompiler(workerData as RegionSettings);

port.on("message", (first: RegionJob) => {
  const jobs = [first];
  while (jobs.length < BATCH) {
    const next = receiveMessageOnPort(port);
    if (next === undefined) break;
    jobs.push(next.message as RegionJob);
  }
  port.postMessage(compiler.compile(jobs));
});
