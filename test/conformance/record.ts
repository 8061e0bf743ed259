/**
 * One test as both processors read and write it: an instruction with the state before it, and the state
 * after it. Little-endian bytes at fixed offsets, because machine code reads them, too.
 */

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

/** Size of code of a test: 64-bit mode, or 32-bit compatibility mode. */
export type Bits = 32 | 64;

/**
 * Bases of FS and GS in 64-bit mode; they are 0 in 32-bit code. From the second, 32-bit addresses reach the alias.
 */
export const FS_BASE = 0x12_3450n;
export const GS_BASE = PLACE.alias - 0x1000_0000n;

/** Linux's selectors of a program. */
export const SELECTORS = { code32: 0x23, data: 0x2b, code64: 0x33 } as const;

/** Selectors of ES, CS, SS, DS, FS and GS before a test. */
export const SELECTORS_BEFORE: Readonly<Record<Bits, readonly number[]>> = {
  32: [SELECTORS.data, SELECTORS.code32, SELECTORS.data, SELECTORS.data, SELECTORS.data, SELECTORS.data],
  64: [0, SELECTORS.code64, SELECTORS.data, 0, 0, 0],
};

/** Offsets of what the states before and after have alike. */
export const FIELD = {
  /** RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8–R15. */
  gpr: 0,
  rflags: 128,
  /** Address of the instruction; afterwards, of the next one or of the one that faulted. */
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
