/** The thread of a PlaceSampler. */
import { performance } from "node:perf_hooks";
import { parentPort, workerData } from "node:worker_threads";
import type { SamplerData } from "./place-sampler.ts";

const { memory, at, interval, end } = workerData as SamplerData;
const words = new Int32Array(memory.buffer);
const seconds = new Map<number, number>();
let before = performance.now();
while (Atomics.load(end, 0) === 0) {
  Atomics.wait(end, 0, 0, interval);
  const place = Atomics.load(words, at >> 2);
  const now = performance.now();
  seconds.set(place, (seconds.get(place) ?? 0) + (now - before) / 1000);
  before = now;
}
parentPort?.postMessage(seconds);
