/** What the BIOS needs of the processor that calls it, and of the machine: all by plain numbers. */
import type { Completion } from "../../machine/device.ts";

export const GPR = { eax: 0, ecx: 1, edx: 2, ebx: 3, esp: 4, ebp: 5, esi: 6, edi: 7 } as const;
export const SEG = { es: 0, cs: 1, ss: 2, ds: 3 } as const;

export interface BiosProcessor {
  /** Whether 16-bit code runs by segments of 16 bytes: in real or virtual-8086 mode. */
  readonly realAddresses: boolean;
  /** The low 32 bits of a general register, unsigned. */
  get(register: number): number;
  /** Sets the low 32 bits. */
  set(register: number, value: number): void;
  selector(segment: number): number;
  /** The segment's linear base address. */
  base(segment: number): number;
  /** Loads a segment register as real-mode code does: base and selector change, limit and rights stay. */
  load(segment: number, selector: number): void;
  /** Whether the stack pointer is ESP, not SP. */
  readonly stack32: boolean;
  /** Sets the carry flag as the instruction after the present OUT sees it. */
  setCarry(carry: boolean): void;
  /** Bytes by linear address, through paging; what is mapped to nothing reads as all ones and drops writes. */
  read(linear: number, target: Uint8Array): void;
  write(linear: number, source: Uint8Array): void;
  /** 1, 2 or 4 bytes, unsigned. */
  readWord(linear: number, bytes: 1 | 2 | 4): number;
  writeWord(linear: number, bytes: 1 | 2 | 4, value: number): void;
  /** The same by physical address. */
  readPhysical(address: number, target: Uint8Array): void;
  writePhysical(address: number, source: Uint8Array): void;
  /**
   * Lets no guest code run until `operation` has ended and `complete` was called with its result. A reset of the
   * machine drops it.
   */
  hold<T>(operation: Promise<T>, complete: Completion<T>): void;
  /**
   * Lets no guest code run until the returned function is called, which something that happens at a guest's time must do: a
   * timer, or what a device is told between slices. Time goes on; a reset of the machine drops it.
   */
  holdInTime(): () => void;
}
