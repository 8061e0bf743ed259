/** The registers and memory that a tested instruction sees, as bytes: the same for the guest and for the host. */

/** Offsets; `struct state` of node/host-cpu.c. */
export const STATE = { xmm: 0, mm: 64, gpr: 96, flags: 128, mxcsr: 136, fault: 140, memory: 144 } as const;
export const STATE_SIZE = 224;
export const MEMORY_SIZE = 64;
/** Status flags: OSZAPC. */
export const STATUS_FLAGS = 0x8d5;

/** An instruction with what its encoding leaves open filled in. */
export interface Encoded {
  readonly bytes: readonly number[];
  readonly states: Uint8Array;
}
