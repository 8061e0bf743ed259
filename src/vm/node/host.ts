/** The host's services in Node. */
import process from "node:process";
import type { Host } from "../definition.ts";
import { keptHandlers } from "./kept-handlers.ts";
import { keptRuntime } from "./kept-runtime.ts";
import { askForLargePages } from "./large-pages.ts";
import { startTranslationThread, TranslationThread } from "./translation-thread.ts";

/** Below this a timer of the event loop is too coarse: the wait is spent in turns of the loop. */
const SHORTEST_TIMER = 1_200_000;

export function nodeHost(): Host {
  return {
    monotonic: () => performance.now() * 1e6,
    unixTime: () => Math.floor(Date.now() / 1000),
    // Loaded when something asks for it.
    random: (target) => void process.getBuiltinModule("node:crypto").randomFillSync(target),
    runtime: () => keptRuntime(),
    handlers: (start) => keptHandlers(start),
    unpacker: async (packing) => (await import("../../disk/node/decompress.ts")).unpackNow(packing),
    regions: (settings) => new TranslationThread(settings),
    expectRegions: startTranslationThread,
    prepareMemory(memory, isSoonUsed) {
      if (isSoonUsed) askForLargePages(memory);
      // The guest's first instructions need not wait for it.
      else setImmediate(() => askForLargePages(memory));
    },
    yield: () => new Promise((resolve) => setImmediate(resolve)),
    sleep(ns) {
      let wake = () => {};
      const done = new Promise<void>((resolve) => {
        if (ns < SHORTEST_TIMER) {
          setImmediate(resolve);
          return;
        }
        const timer = setTimeout(resolve, Math.min(ns / 1e6 - 1, 60_000));
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      return { done, wake: () => wake() };
    },
  };
}
