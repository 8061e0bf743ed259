/** What the controller remembers, apart from its PCI function. */
import { type LoggedError, type SmartCounters, TEMPERATURE_THRESHOLD } from "./identify.ts";
import { Feature } from "./layout.ts";
import type { CompletionQueueState, SubmissionQueueState } from "./queues.ts";

/** Pairs of I/O queues; queue 0 is the admin queue. */
export const IO_QUEUES = 8;
export const QUEUES = 1 + IO_QUEUES;
/** MSI-X vectors: one for each completion queue. */
export const VECTORS = QUEUES;

/** A command that was taken and has not ended. */
export interface InFlight {
  sqid: number;
  /** The submission queue entry. */
  sqe: Uint8Array;
}

export interface NvmeState {
  cc: number;
  csts: number;
  aqa: number;
  asqLow: number;
  asqHigh: number;
  acqLow: number;
  acqHigh: number;
  /** Masked vectors of the interrupt pin. */
  intms: number;
  sqs: (SubmissionQueueState | undefined)[];
  cqs: (CompletionQueueState | undefined)[];
  /** In the order taken: begun again after a snapshot is loaded. */
  inFlight: InFlight[];
  /** Command identifiers of ASYNC EVENT REQUESTs that wait. */
  eventRequests: number[];
  /** Events that wait for a request. */
  events: number[];
  /** Types of events that were told, and wait for their log page to be read. */
  toldEvents: number;
  features: Record<number, number>;
  /** INTERRUPT VECTOR CONFIGURATION of each vector. */
  vectorConfiguration: number[];
  /** The oldest first. */
  errors: LoggedError[];
  errorCount: number;
  smart: SmartCounters;
}

/** Registers that a controller reset leaves alone are not in here. */
export const afterReset = () => ({
  cc: 0,
  csts: 0,
  intms: 0,
  sqs: new Array<SubmissionQueueState | undefined>(QUEUES).fill(undefined),
  cqs: new Array<CompletionQueueState | undefined>(QUEUES).fill(undefined),
  inFlight: [] as InFlight[],
  eventRequests: [] as number[],
  events: [] as number[],
  toldEvents: 0,
  features: {
    [Feature.arbitration]: 0,
    [Feature.powerManagement]: 0,
    [Feature.temperatureThreshold]: TEMPERATURE_THRESHOLD,
    [Feature.errorRecovery]: 0,
    [Feature.volatileWriteCache]: 1,
    [Feature.interruptCoalescing]: 0,
    [Feature.writeAtomicity]: 0,
    [Feature.asyncEventConfiguration]: 0,
  } as Record<number, number>,
  vectorConfiguration: Array.from({ length: VECTORS }, (_, vector) => vector),
});

export const powerOn = (): NvmeState => ({
  ...afterReset(),
  aqa: 0,
  asqLow: 0,
  asqHigh: 0,
  acqLow: 0,
  acqHigh: 0,
  errors: [],
  errorCount: 0,
  smart: { sectorsRead: 0, sectorsWritten: 0, reads: 0, writes: 0 },
});
