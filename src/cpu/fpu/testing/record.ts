/** Test cases as bytes: the FPU's state, registers and memory before and after one instruction. */

/** Fields of a record: an FSAVE image (32-bit protected mode), RFLAGS, RAX, and the memory operand up to the record's end. */
export const RECORD = { image: 0, flags: 112, rax: 120, memory: 128 } as const;
/** Bytes of a record with a memory operand of 16 bytes. */
export const RECORD_SIZE = 144;

/** Offsets in the FSAVE image. */
export const IMAGE = {
  control: 0,
  status: 4,
  tags: 8,
  ip: 12,
  cs: 16,
  dp: 20,
  ds: 24,
  registers: 28,
  bytes: 108,
} as const;

/** What executes an instruction on records. */
export interface Fpu {
  /** Executes `instruction`, whose memory operand, if any, is [RSI], on each record of `size` bytes. */
  run(instruction: readonly number[], records: Uint8Array, size: number): void;
}
