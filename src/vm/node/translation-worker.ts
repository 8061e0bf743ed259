/** The worker thread that makes regions: see translation-thread.ts. */
import { setImmediate as turn } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { FIRST_READY } from "../../cpu/interpret/code-table.ts";
import { compileAhead, emptyMemory, type TableModule } from "../../cpu/translate/compile-ahead.ts";
import type { ReadyModule } from "../../cpu/translate/ready-regions.ts";
import type { RegionCompiler } from "../../cpu/translate/region-compiler.ts";
import type { RegionJob } from "../../cpu/translate/region-job.ts";
import { RegionKeeper, readRegions } from "./kept-regions.ts";
import { giveWayToGuests } from "./thread-priority.ts";
import type { TranslationReply, TranslationRequest, TranslationTask } from "./translation-thread.ts";

/** Regions of one module at the most: more would keep the first waiting. */
const BATCH = 16;
/** Milliseconds that jobs are gathered for one module: what becomes hot comes in groups. */
const GATHER = 4;

/** Kept regions of one module, and how many of them are compiled at once. */
const TOGETHER = 512;
const AT_ONCE = 16;

giveWayToGuests();
const port = parentPort;
if (!port) throw new Error("translation-worker.ts runs in a worker thread");
const { settings, directory, givesReady, handlers } = workerData as TranslationTask;
const kept = directory === undefined ? undefined : readRegions(directory);
const keeper = directory === undefined || kept === undefined ? undefined : new RegionKeeper(directory, kept);

const waiting: RegionJob[] = [];
let compiler: RegionCompiler | undefined;
void prepare();

/** Gives the kept regions, gets ready to make others, and has code compiled while there is nothing else to do. */
async function prepare(): Promise<void> {
  const modules: ReadyModule[] = [];
  for (const ready of givesReady && kept ? kept.toReady(settings, TOGETHER) : []) {
    modules.push(ready);
    reply({ ready });
  }
  const memory = handlers || modules.length > 0 ? emptyMemory(settings) : undefined;
  if (handlers) await compile(handlers, memory);
  // What it loads takes longer than all that is done before.
  const { RegionCompiler } = await import("../../cpu/translate/region-compiler.ts");
  compiler = new RegionCompiler(settings, kept);
  if (waiting.length > 0) compileWaiting();
  for (const { module, first, count } of modules) await compile({ module, at: FIRST_READY + first, count }, memory);
}

async function compile(module: TableModule, memory: WebAssembly.Memory | undefined): Promise<void> {
  if (!memory) return;
  let compiled = 0;
  for (const _ of compileAhead(module, memory)) if (++compiled % AT_ONCE === 0) await turn();
}

function reply(message: TranslationReply): void {
  port?.postMessage(message);
}

function compileWaiting(): void {
  if (!compiler) return;
  const jobs = waiting.splice(0, BATCH);
  if (waiting.length > 0) setImmediate(compileWaiting);
  reply(compiler.compile(jobs));
  keeper?.changed();
}

port.on("message", async (request: TranslationRequest) => {
  if ("keep" in request) {
    const { keepHandlers } = await import("./kept-handlers.ts");
    await keepHandlers(...request.keep);
    return;
  }
  if ("used" in request) {
    kept?.use(request.used);
    return;
  }
  waiting.push(request);
  if (waiting.length === 1) setTimeout(compileWaiting, GATHER);
});
