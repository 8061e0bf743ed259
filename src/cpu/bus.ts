import type { DebugStop } from "./debugger.ts";

/** What a processor needs of the machine around it. Physical addresses and values are unsigned numbers. */
export interface ProcessorBus {
  readPort(port: number, bytes: number): number;
  writePort(port: number, bytes: number, value: number): void;
  /** Device memory, 1, 2, 4 or 8 bytes; for 8 the words are in `wide` (low, high). */
  readMemory(address: number, bytes: number, wide: Uint32Array): number;
  writeMemory(address: number, bytes: number, low: number, high: number): void;
  /** Takes the interrupt that waits (Processor.setInterrupt): its vector. */
  acknowledgeInterrupt(): number;
  readMsr(msr: number, value: Uint32Array): boolean;
  writeMsr(msr: number, low: number, high: number): boolean;
  readCr8(): number;
  writeCr8(value: number): void;
  /** Ticks of the time stamp counter: a whole number. */
  tsc(): number;
  random(target: Uint8Array): void;
}

/** Why `Processor.run` came back. */
export type RunResult =
  /** The budget is used up or `requestReturn` was called. */
  | { kind: "budget" }
  /** HLT: nothing to do until an interrupt. */
  | { kind: "halted" }
  /** What a debugger asked for has come: a stop between two instructions. */
  | { kind: "debug"; stop: DebugStop }
  /** Triple fault: the processor has shut down. */
  | { kind: "shutdown"; fault: FaultReport };

export interface FaultReport {
  /** Vectors of the exceptions that led here, first to last. */
  readonly vectors: readonly number[];
  readonly errorCode: number;
  readonly ip: bigint;
}
