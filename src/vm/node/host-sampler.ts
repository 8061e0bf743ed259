/**
 * Samples of where this thread is, by V8's profiler. They are added up every few seconds, so that a run of hours takes
 * no more memory than one of seconds.
 */
import { Session } from "node:inspector";
import { Tally } from "../../cpu/observe/processor-profile.ts";
import type { HostTimes } from "../tools/host-times.ts";

/** Microseconds between two samples. */
const INTERVAL = 1000;
/** Milliseconds after which samples are added up. */
const FOLD_EVERY = 10_000;

export const TIER = {
  regions: "regions",
  handlers: "interpreter: instructions",
  runtime: "processor: memory, lookups, large instructions (WebAssembly)",
  system: "processor: system functions, run loop (TypeScript)",
  decoding: "processor: decoding, making handlers",
  translating: "translator in the machine's thread",
  machine: "devices, disks, machine",
  waiting: "waiting",
  garbage: "garbage collection",
  other: "the rest of the process",
} as const;
type Tier = (typeof TIER)[keyof typeof TIER];

/** A profile as V8 gives it. @spec Chrome DevTools Protocol, Profiler.Profile */
export interface V8Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
    readonly children?: readonly number[] | undefined;
  }[];
  readonly samples?: readonly number[] | undefined;
  /** Microseconds from each sample to the one before. */
  readonly timeDeltas?: readonly number[] | undefined;
}

const SOURCES: readonly (readonly [pattern: RegExp, tier: Tier])[] = [
  [/\/cpu\/translate\//, TIER.translating],
  [/\/cpu\/(?:interpret|decode)\//, TIER.decoding],
  [/\/cpu\/(?:system\/|processor|debugger|registers|observe\/)/, TIER.system],
  [/\/(?:src|dist)\/(?:machine|device|disk|vm|firmware|net)\//, TIER.machine],
];

/** What a function belongs to by itself; undefined where that is what its caller belongs to. */
function tierOf(name: string, url: string): Tier | undefined {
  if (name === "(idle)") return TIER.waiting;
  if (name === "(garbage collector)") return TIER.garbage;
  if (name === "(program)" || name === "(root)") return TIER.other;
  if (url.startsWith("wasm:")) {
    if (name.startsWith("region ")) return TIER.regions;
    // Handlers are named by their instruction's form, with spaces.
    return name.includes(" ") ? TIER.handlers : TIER.runtime;
  }
  return SOURCES.find(([pattern]) => pattern.test(url))?.[1];
}

/** Adds up samples. */
export class SampledTimes {
  readonly #tiers = new Tally<Tier>();
  readonly #regions = new Tally<string>();
  readonly #handlers = new Tally<string>();
  readonly #functions = new Tally<string>();

  add({ nodes, samples = [], timeDeltas = [] }: V8Profile): void {
    const byId = new Map(nodes.map((node) => [node.id, node]));
    const tiers = new Map<number, Tier>();
    const visit = (id: number, outer: Tier) => {
      const node = byId.get(id);
      if (node === undefined) return;
      const tier = tierOf(node.callFrame.functionName, node.callFrame.url) ?? outer;
      tiers.set(id, tier);
      for (const child of node.children ?? []) visit(child, tier);
    };
    if (nodes[0]) visit(nodes[0].id, TIER.other);
    samples.forEach((id, i) => {
      const frame = byId.get(id)?.callFrame;
      const tier = tiers.get(id) ?? TIER.other;
      const seconds = Math.max(timeDeltas[i] ?? 0, 0) / 1e6;
      this.#tiers.add(tier, seconds);
      if (frame === undefined) return;
      if (tier === TIER.regions) this.#regions.add(frame.functionName.slice("region ".length), seconds);
      else if (tier === TIER.handlers) this.#handlers.add(frame.functionName, seconds);
      else if (tier !== TIER.waiting) this.#functions.add(frame.functionName || "(anonymous)", seconds);
    });
  }

  get times(): HostTimes {
    return {
      interval: INTERVAL,
      tiers: this.#tiers.sorted,
      regions: new Map(this.#regions.sorted),
      handlers: this.#handlers.sorted,
      functions: this.#functions.sorted,
    };
  }
}

export class HostSampler {
  readonly #session = new Session();
  readonly #sampled = new SampledTimes();
  readonly #timer: NodeJS.Timeout;

  /** Begins at once. */
  constructor() {
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.setSamplingInterval", { interval: INTERVAL });
    this.#session.post("Profiler.start");
    this.#timer = setInterval(() => this.#fold(true), FOLD_EVERY);
    this.#timer.unref();
  }

  /** In this thread the answer comes at once. */
  #fold(goesOn: boolean): void {
    this.#session.post("Profiler.stop", (error, result) => {
      if (!error) this.#sampled.add(result.profile);
    });
    if (goesOn) this.#session.post("Profiler.start");
  }

  /** Ends it. */
  stop(): HostTimes {
    clearInterval(this.#timer);
    this.#fold(false);
    this.#session.disconnect();
    return this.#sampled.times;
  }
}
