/** What a processor is made of, and what a maker of regions is told of it. */
import type { ProcessorBus } from "./bus.ts";
import type { KeptHandlers } from "./interpret/kept-handlers.ts";
import type { EmittedObservation, Observation } from "./observe/observer.ts";
import type { RegionMaker } from "./translate/translator.ts";

export interface ProcessorOptions {
  /** The module of build-runtime.ts, built for what is observed. */
  readonly runtime: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly memoryPages: { readonly initial: number; readonly maximum: number };
  readonly bus: ProcessorBus;
  readonly model: string;
  /** Makes the translator's regions; without it all is interpreted. */
  readonly regions?: (options: RegionSettings) => RegionMaker;
  /** How often a block runs in the interpreter before it is translated, 1 or more; DEFAULT_HEAT unless given. MOST_HEAT or more is never. */
  readonly heat?: number;
  /** Handlers of the interpreter that are kept; for tests. */
  readonly mostHandlers?: number;
  /** Regions in use at the most; for tests. */
  readonly mostRegions?: number;
  /** Handlers that are there from the start; not where something is traced or observed. */
  readonly kept?: KeptHandlers | undefined;
  /** How the machine starts, if `regions` is to keep this processor's code for others that start in the same way. */
  readonly start?: { readonly kind: StartKind; readonly name: string };
  /** Instructions of a decoded block at the most: with 1, all that is interpreted ends exactly where its budget does. */
  readonly blockLimit?: number;
  /** Address in the shared memory where the interpreter notes what it does (interpret/trace.ts); it does not unless given. */
  readonly trace?: number;
  /** Instructions that a repeated instruction counts for each time it is started again; REPEATED_COST unless given. */
  readonly repeatedCost?: number;
  /** Who watches what the processor does; nothing is noted or counted for it unless given. `runtime` is built for it. */
  readonly observe?: Observation | undefined;
}

/** What runs first: firmware, or a kernel that was put into memory. */
export type StartKind = "firmware" | "kernel";

/** What a maker of regions needs to know of a processor. */
export interface RegionSettings {
  readonly memory: WebAssembly.Memory;
  readonly memoryPages: { readonly initial: number; readonly maximum: number };
  readonly vcpu: number;
  /** Name of the processor model. */
  readonly model: string;
  /** How often a block runs before it is translated. */
  readonly heat: number;
  /** Names what the machine starts with: what others that did so needed first is given first. */
  readonly start?: string | undefined;
  /** What is counted and noted in regions. */
  readonly observe?: EmittedObservation;
}

/**
 * Instructions that a repeated instruction counts for each time it is started again, some 2,000 elements or 100 port
 * accesses later: about what they take.
 */
export const REPEATED_COST = 256;
