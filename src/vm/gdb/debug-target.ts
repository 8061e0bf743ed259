/** What the protocol asks of the machine that is debugged. */

/** A register as the protocol and gdb's target description know it. */
export interface RegisterDescription {
  readonly name: string;
  readonly bits: 32 | 64 | 80 | 128;
  /** A type of the target description. */
  readonly type: string;
  readonly group?: string;
}

/** Registers that gdb looks for under one name. Register numbers count through all features. */
export interface RegisterFeature {
  readonly name: string;
  readonly registers: readonly RegisterDescription[];
}

/** Names of gdb's; i8086 is 16-bit code, with the registers of i386. */
export type Architecture = "i8086" | "i386" | "i386:x86-64";

export type BreakpointKind = "software" | "hardware" | "write" | "read" | "access";

/** Why the target stopped. */
export type Stop =
  | { readonly kind: "breakpoint"; readonly hardware: boolean }
  | { readonly kind: "watchpoint"; readonly access: "write" | "read" | "access"; readonly address: bigint }
  | { readonly kind: "step" }
  /** Because it was asked to. */
  | { readonly kind: "interrupt" }
  /** The processor shut down and cannot go on; `report` tells why. */
  | { readonly kind: "shutdown"; readonly report: string };

export type MemorySpace = "virtual" | "physical";

export interface DebugTarget {
  readonly architecture: Architecture;
  readonly features: readonly RegisterFeature[];
  /** Its bytes in memory order. */
  readRegister(number: number): Uint8Array;
  /** False where the register cannot take the value. */
  writeRegister(number: number, value: Uint8Array): boolean;
  /** Up to `length` bytes: fewer where the next cannot be read. */
  readMemory(address: bigint, length: number, space: MemorySpace): Uint8Array;
  /** All of the bytes or none; false where one cannot be written. */
  writeMemory(address: bigint, bytes: Uint8Array, space: MemorySpace): boolean;
  /** False where there is no room for another. One that is there already is no other. */
  insertBreakpoint(kind: BreakpointKind, address: bigint, length: number): boolean;
  removeBreakpoint(kind: BreakpointKind, address: bigint, length: number): void;
  removeAllBreakpoints(): void;
  /** Stops the guest between two instructions, at once. */
  pause(): void;
  /** Lets the guest run, one instruction where `step` is set; `stopped` is called when that or something else ends it. */
  resume(step: boolean): void;
  stopped: ((stop: Stop) => void) | undefined;
  /** Ends the machine. */
  kill(): void;
  /** What the processor does, in a few words. */
  readonly activity: string;
  /** Carries out a command of `monitor`; returns what it prints. */
  monitor(command: string): string;
}
