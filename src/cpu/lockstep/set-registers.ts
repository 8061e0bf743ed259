/** Registers that something other than guest code sets: the machine's BIOS, while its caller waits for an answer. */
import type { Registers } from "../registers.ts";
import { GPR, SEGMENT_SIZE, SEGMENTS } from "../state.ts";

/** What may be set: general and segment registers, and flags. */
export interface SetRegisters {
  readonly general: Uint8Array;
  readonly segments: Uint8Array;
  readonly eflags: number;
}

const GENERAL_SIZE = 16 * 8;
const SEGMENTS_SIZE = 8 * SEGMENT_SIZE;

export function takeRegisters({ bytes, base, eflags }: Registers): SetRegisters {
  return {
    general: bytes.slice(base + GPR, base + GPR + GENERAL_SIZE),
    segments: bytes.slice(base + SEGMENTS, base + SEGMENTS + SEGMENTS_SIZE),
    eflags,
  };
}

/** The processor's `modeChanged` must be called afterwards. */
export function putRegisters(registers: Registers, { general, segments, eflags }: SetRegisters): void {
  const { bytes, base } = registers;
  bytes.set(general, base + GPR);
  bytes.set(segments, base + SEGMENTS);
  registers.eflags = eflags;
}
