/**
 * Who watches a processor: a profile, a trace. What is asked of emitted code is built into it from the start, and
 * nothing of it without an observer; what TypeScript does is told by calls.
 */
import type { RegionJob } from "../translate/region-job.ts";
import type { MemoryArea } from "./count-area.ts";
import type { RegionCounts } from "./region-counts.ts";
import type { RegionListing } from "./region-listing.ts";

/** An exception or interrupt as it is about to be delivered. */
export interface DeliveredEvent {
  readonly vector: number;
  readonly errorCode?: number;
  /** Who raised it: the processor, the machine, or an instruction such as INT n. */
  readonly kind: "exception" | "external" | "software" | "int3" | "into" | "int1";
}

/** A region that runs from now on. */
export interface AddedRegion {
  readonly job: RegionJob;
  /** Guest instructions in it. */
  readonly instructions: number;
  /** Bytes of its WebAssembly function, with the code that counts. */
  readonly bytes: number;
  /** Undefined where there was no room for more of them. */
  readonly counts: RegionCounts | undefined;
  /** Where it was asked for. */
  readonly listing: RegionListing | undefined;
  /** The record that stands for it. */
  readonly record: number;
}

/** Why a region is not run any more. */
export type DropCause =
  /** Its code was written, by the guest or by a device. */
  | "written"
  /** Another one has taken its place. */
  | "replaced"
  /** There were too many, and it had run little. */
  | "unused"
  /** All decoded and translated code was dropped. */
  | "cleared";

export interface ProcessorObserver {
  delivering?(event: DeliveredEvent): void;
  /** The run loop has control again: EXIT (state.ts) says why. */
  returned?(exit: number): void;
  /** The processor stops running: `run` is about to return. */
  pausing?(): void;
  /** The run loop enters a block or region, with `budget` instructions left; emitted code notes that itself (`path`). */
  entering?(record: number, budget: number): void;
  regionAdded?(region: AddedRegion): void;
  /** `handler` is its table entry. */
  regionDropped?(handler: number, cause: DropCause): void;
  /** A decoded block was dropped since its code was written. */
  blockDropped?(): void;
  /** All decoded code is about to go: records get new meanings. */
  clearing?(): void;
  /** Takes the place of the functions that WebAssembly calls. */
  hostFunctions?(functions: Record<string, WebAssembly.ImportValue>): Record<string, WebAssembly.ImportValue>;
}

/** What is built into emitted code for observers, as far as threads that make regions need to know of it. */
export interface EmittedObservation {
  /** Where to count (count-area.ts). */
  readonly counts?: MemoryArea;
  /** Where to note each block and region that is entered (path-ring.ts). */
  readonly path?: MemoryArea;
  /** Whether regions come with what is needed to list their code. */
  readonly listings?: boolean;
}

export interface Observation extends EmittedObservation {
  readonly observers: readonly ProcessorObserver[];
}

/** Tells several observers as one. */
export function allOf(observers: readonly ProcessorObserver[]): Required<ProcessorObserver> {
  const each = (tell: (observer: ProcessorObserver) => void) => observers.forEach(tell);
  return {
    delivering: (event) => each((observer) => observer.delivering?.(event)),
    returned: (exit) => each((observer) => observer.returned?.(exit)),
    pausing: () => each((observer) => observer.pausing?.()),
    entering: (record, budget) => each((observer) => observer.entering?.(record, budget)),
    regionAdded: (region) => each((observer) => observer.regionAdded?.(region)),
    regionDropped: (handler, cause) => each((observer) => observer.regionDropped?.(handler, cause)),
    blockDropped: () => each((observer) => observer.blockDropped?.()),
    clearing: () => each((observer) => observer.clearing?.()),
    hostFunctions: (functions) =>
      observers.reduce((wrapped, observer) => observer.hostFunctions?.(wrapped) ?? wrapped, functions),
  };
}
