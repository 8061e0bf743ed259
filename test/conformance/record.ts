/**
 * One test as both processors read and write it: an instruction with the state before it, and the state
 * after it. Little-endian bytes at fixed offsets, because machine code reads them, too.
 */
import { CS, FS, GS } from "../../src/isa/semantics.ts";

/**
 * Where the test's parts are in linear memory, on the host and in the guest. All lie below
 * 2 GiB, so that absolute and 32-bit addresses reach them, and above where Linux puts a program and its heap.
 */
export const PLACE = {
  /** Two pages for the instruction, filled with INT3. Nothing is mapped on either side. */
  code: 0x7010_0000,
  codeSize: 0x2000,
  /** Memory operands: two writable pages, then a read-only one. Nothing is mapped on either side. */
  window: 0x7020_0000,
  windowSize: 0x2000,
  readOnly: 0x7020_2000,
  readOnlySize: 0x1000,
  /** The same pages once more, where only 64-bit addresses reach. */
  alias: 0x1234_5678_8000n,
} as const;

/** Size of code of a test: 64-bit mode, or compatibility mode with 32-bit or 16-bit segments. */
export type Bits = 16 | 32 | 64;

/**
 * Bases of FS and GS in 64-bit mode; they are 0 in 32-bit code. From the second, 32-bit addresses reach the alias.
 */
export const FS_BASE = 0x12_3450n;
export const GS_BASE = PLACE.alias - 0x1000_0000n;

/** Linux's selectors of a program; from code16 on, those of LOCAL_SEGMENTS. */
export const SELECTORS = {
  code32: 0x23,
  data: 0x2b,
  code64: 0x33,
  code16: 0x07,
  data16: 0x0f,
  readOnly16: 0x17,
  expandDown16: 0x1f,
} as const;

/** Base of 16-bit data segments: the window is in their middle. */
export const DATA_16 = PLACE.window - 0x4000;

/** A segment of the local descriptor table: 16-bit, with byte granularity and for all to use. */
export interface LocalSegment {
  readonly base: number;
  readonly limit: number;
  /** Type field of the descriptor. @spec SDM 3A, table 3-1 */
  readonly type: number;
}

/** The local descriptor table, for 16-bit code: limits end within the read-only page, or where the window begins. */
export const LOCAL_SEGMENTS: readonly LocalSegment[] = [
  { base: PLACE.code, limit: 0xffff, type: 0xb },
  { base: DATA_16, limit: 0x6bff, type: 0x3 },
  { base: DATA_16, limit: 0x6bff, type: 0x1 },
  { base: DATA_16, limit: 0x43ff, type: 0x7 },
];

/** Selectors of ES, CS, SS, DS, FS and GS before a test. */
export const SELECTORS_BEFORE: Readonly<Record<Bits, readonly number[]>> = {
  16: [
    SELECTORS.data16,
    SELECTORS.code16,
    SELECTORS.data16,
    SELECTORS.data16,
    SELECTORS.readOnly16,
    SELECTORS.expandDown16,
  ],
  32: [SELECTORS.data, SELECTORS.code32, SELECTORS.data, SELECTORS.data, SELECTORS.data, SELECTORS.data],
  64: [0, SELECTORS.code64, SELECTORS.data, 0, 0, 0],
};

/** Offsets of what the states before and after have alike. */
export const FIELD = {
  /** RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8–R15. */
  gpr: 0,
  rflags: 128,
  /** Offset of the instruction in its segment; afterwards, of the next one or of the one that faulted. */
  rip: 136,
  /** Afterwards: the exception, NO_VECTOR where there was none. */
  vector: 144,
  errorCode: 148,
  /** Afterwards, of a page fault: its address. */
  cr2: 152,
  /** Before: the instruction's bytes. */
  bytes: 160,
  /** Before: how many bytes it has. */
  length: 176,
  /** Before: the instruction's linear address, 32 bits. */
  code: 180,
  /** Selectors of ES, CS, SS, DS, FS and GS, 16 bits each: those of SELECTORS_BEFORE first. */
  selectors: 184,
  /** FXSAVE64 image. @spec SDM 1, table 10-2 */
  fx: 256,
  /** Before: contents of the parts of the window in SPOTS, in turn; afterwards: all of the window. */
  memory: 768,
} as const;

/** Offsets within an FXSAVE64 image. */
export const FX = {
  control: 0,
  status: 2,
  tag: 4,
  opcode: 6,
  rip: 8,
  rdp: 16,
  mxcsr: 24,
  mxcsrMask: 28,
  st: 32,
  xmm: 160,
} as const;

/** Base of segment register `segment` (no number: DS) before a test. */
export function segmentBase(bits: Bits, segment: number | undefined): bigint {
  if (bits === 64) return segment === FS ? FS_BASE : segment === GS ? GS_BASE : 0n;
  if (bits === 32) return 0n;
  return BigInt(segment === CS ? PLACE.code : DATA_16);
}

export const NO_VECTOR = 0xffff_ffff;

/** The parts of the window that have contents before a test; the rest is zero. */
export const SPOTS: readonly { readonly offset: number; readonly size: number }[] = [
  { offset: 0, size: 64 },
  { offset: 0x1000 - 640, size: 1280 },
  { offset: 0x2000 - 64, size: 64 },
];

export const INPUT_SIZE = FIELD.memory + SPOTS.reduce((sum, { size }) => sum + size, 0);
export const OUTPUT_SIZE = FIELD.memory + PLACE.windowSize;

/** Many tests, the states before and after each as records of INPUT_SIZE and OUTPUT_SIZE bytes. */
export interface Batch {
  readonly count: number;
  readonly input: Uint8Array;
  readonly output: Uint8Array;
}

/** Contents of the read-only page: taken as an address, they are in nobody's memory. */
export function fillReadOnly(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = ((i * 37 + (i >> 5)) & 0xff) | 0x80;
}
