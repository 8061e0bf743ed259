/** What a machine keeps for the developers of its processor: a profile, listings of regions, a trace. */
import type { ProcessorBus } from "../../cpu/bus.ts";
import { type MemoryArea, whereAt } from "../../cpu/observe/count-area.ts";
import type { EmittedObservation, Observation, ProcessorObserver } from "../../cpu/observe/observer.ts";
import { PATH_SIZE } from "../../cpu/observe/path-ring.ts";
import { ProcessorProfile, Tally } from "../../cpu/observe/processor-profile.ts";
import { ProcessorTrace, type TraceOptions } from "../../cpu/observe/processor-trace.ts";
import type { Processor } from "../../cpu/processor.ts";
import { ACCESS_KINDS, type AccessKind, type DeviceAccess, watchedBus } from "./watched-bus.ts";

export interface ToolsDefinition {
  /** Counts what the processor does. */
  readonly profile?: boolean;
  /** Keeps with each region what is needed to list its code; goes with `profile`. */
  readonly listings?: boolean;
  readonly trace?: TraceDefinition;
}

export interface TraceDefinition extends TraceOptions {
  /** Whether each block and region that is entered is told, and each access to a device. */
  readonly blocks: boolean;
  readonly devices: boolean;
}

/** Room for counts: some thousand regions' and more. */
const COUNTS_SIZE = 32 << 20;
/** Addresses of devices that are counted one by one. */
const MOST_ADDRESSES = 16384;

/** Bytes of the shared memory that tools need. */
export function toolsSize(tools: ToolsDefinition | undefined): number {
  return (tools?.profile ? COUNTS_SIZE : 0) + (tools?.trace?.blocks ? PATH_SIZE : 0);
}

/** What emitted code has to do for tools whose part of the shared memory is at `at`. */
export function emittedFor(
  { profile = false, listings = false, trace }: ToolsDefinition,
  at: number,
): EmittedObservation {
  const counts: MemoryArea | undefined = profile ? { at, size: COUNTS_SIZE } : undefined;
  const path = trace?.blocks ? { at: at + (counts?.size ?? 0), size: PATH_SIZE } : undefined;
  return { ...(counts ? { counts } : {}), ...(path ? { path } : {}), listings };
}

export class MachineTools {
  readonly profile: ProcessorProfile | undefined;
  readonly observation: Observation;
  /** Accesses to devices: the address times 4, and the kind's number. */
  readonly accesses = new Tally<number>(MOST_ADDRESSES);
  readonly #trace: ProcessorTrace | undefined;
  readonly #definition: ToolsDefinition;

  /** `at` is where `toolsSize` bytes of the shared memory are. */
  constructor(definition: ToolsDefinition, memory: ArrayBufferLike, at: number) {
    this.#definition = definition;
    const { trace } = definition;
    const emitted = emittedFor(definition, at);
    const { counts, path } = emitted;
    this.profile = counts && new ProcessorProfile(memory, counts);
    this.#trace = trace && new ProcessorTrace(memory, path, trace);
    const observers: ProcessorObserver[] = [];
    if (this.profile) observers.push(this.profile);
    if (this.#trace) observers.push(this.#trace);
    this.observation = { ...emitted, observers };
  }

  bus(bus: ProcessorBus): ProcessorBus {
    const { profile } = this;
    const within = <T>(access: () => T): T => {
      const before = profile?.goTo("device");
      try {
        return access();
      } finally {
        if (before !== undefined) profile?.back(before);
      }
    };
    return watchedBus(bus, (access) => this.#accessed(access), within);
  }

  /** The machine's thread sleeps, or does again what the machine needs. */
  waits(isWaiting: boolean): void {
    this.profile?.goTo(isWaiting ? "waiting" : "machine");
  }

  /** Where in the shared memory it is said where the thread is. */
  get whereAt(): number | undefined {
    const { counts } = this.observation;
    return counts && whereAt(counts);
  }

  attach(processor: Processor): void {
    this.#trace?.attach(processor);
  }

  #accessed({ kind, address, bytes, value }: DeviceAccess): void {
    if (this.profile) this.accesses.add(address * ACCESS_KINDS.length + ACCESS_KINDS.indexOf(kind));
    if (!this.#definition.trace?.devices) return;
    const shown = (value >>> 0).toString(16);
    this.#trace?.tell(`${kind} ${address.toString(16)} ${bytes} ${shown}`);
  }

  /** The machine has ended. */
  finish(): void {
    this.#trace?.flush();
  }
}

/** What a key of `accesses` stands for. */
export function accessOf(key: number): { readonly kind: AccessKind; readonly address: number } {
  const kinds = ACCESS_KINDS.length;
  return { kind: ACCESS_KINDS[key % kinds] as AccessKind, address: Math.floor(key / kinds) };
}
