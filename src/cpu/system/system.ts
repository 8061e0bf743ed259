/** What system functions (segmentation, exceptions, control registers, ...) work on. */
import type { DeliveredEvent } from "../observe/observer.ts";
import type { Registers } from "../registers.ts";

/** Guest memory by linear address, through paging. Throws GuestFault (#PF with its error code, CR2 set). */
export interface LinearMemory {
  /** Reads 1, 2, 4 or 8 bytes, unsigned. `supervisor`: an implicit access (descriptor tables, TSS) made with CPL 0's rights. */
  read(linear: bigint, bytes: number, supervisor: boolean): bigint;
  write(linear: bigint, bytes: number, value: bigint, supervisor: boolean): void;
}

export interface SystemContext {
  readonly registers: Registers;
  readonly memory: LinearMemory;
  /**
   * Must be called after anything that decoding or address translation depends on has changed: CS or SS or
   * the flatness of DS and ES, CPL, EFLAGS.VM or AC, CR0, CR4, EFER. Brings `context`, `mmuMode`, `tlb`
   * and the unit traps in line.
   */
  modeChanged(): void;
  /** Forgets cached translations: all, all but those of global pages, or those of one linear address. */
  flushTlb(keepGlobal?: boolean): void;
  flushPage(linear: bigint): void;
  /** Ports of the machine. */
  readPort(port: number, bytes: number): number;
  writePort(port: number, bytes: number, value: number): void;
  /** MSRs that live in the machine (local APIC, paravirtual clock); pairs of low and high words, false is #GP. */
  readMachineMsr(msr: number, value: Uint32Array): boolean;
  writeMachineMsr(msr: number, low: number, high: number): boolean;
  /** CR8, the task priority. */
  readCr8(): number;
  writeCr8(value: number): void;
  /** The time stamp counter without its offset. */
  tsc(): number;
  random(bytes: number): bigint;
  /** Whether an external interrupt waits to be taken: after IF was set, ask and call `requestEvents`. */
  interruptPending(): boolean;
  /** Makes the run loop look at events (interrupts, activity, shadow) after this instruction. */
  requestEvents(): void;
  /** Told of each exception and interrupt before it is delivered, where someone watches. */
  readonly delivering?: ((event: DeliveredEvent) => void) | undefined;
}
