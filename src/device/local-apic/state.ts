/** What a snapshot keeps of a local APIC. */
import { LVT_COUNT } from "./registers.ts";

export interface LocalApicState {
  /** IA32_APIC_BASE. */
  baseLow: number;
  baseHigh: number;
  taskPriority: number;
  logicalDestination: number;
  destinationFormat: number;
  spuriousVector: number;
  /** 256 bits each, vector 0 in bit 0 of word 0. */
  irr: Uint32Array;
  isr: Uint32Array;
  tmr: Uint32Array;
  /** ESR as software reads it, and the errors since it was last written. */
  errorStatus: number;
  pendingErrors: number;
  interruptCommandLow: number;
  interruptCommandHigh: number;
  /** By `LvtIndex`. */
  lvt: Uint32Array;
  /** Levels of LINT0 and LINT1. */
  lint: boolean[];
  /** An I/O APIC asked for a vector from the 8259. */
  extIntRequested: boolean;

  initialCount: number;
  divideConfiguration: number;
  /** The count that the timer had at `countStart`, in nanoseconds; a one-shot that ran out is not `counting`. */
  countFrom: number;
  countStart: number;
  counting: boolean;
  /** IA32_TSC_DEADLINE; 0 is disarmed. */
  tscDeadlineLow: number;
  tscDeadlineHigh: number;
}

/** All zero: neither power-on nor INIT state. */
export function blankState(): LocalApicState {
  return {
    baseLow: 0,
    baseHigh: 0,
    taskPriority: 0,
    logicalDestination: 0,
    destinationFormat: 0,
    spuriousVector: 0,
    irr: new Uint32Array(8),
    isr: new Uint32Array(8),
    tmr: new Uint32Array(8),
    errorStatus: 0,
    pendingErrors: 0,
    interruptCommandLow: 0,
    interruptCommandHigh: 0,
    lvt: new Uint32Array(LVT_COUNT),
    lint: [false, false],
    extIntRequested: false,
    initialCount: 0,
    divideConfiguration: 0,
    countFrom: 0,
    countStart: 0,
    counting: false,
    tscDeadlineLow: 0,
    tscDeadlineHigh: 0,
  };
}
