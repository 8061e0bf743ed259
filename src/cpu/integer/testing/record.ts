/** One test of 16-bit or 32-bit code, before and after: `struct test` of node/legacy-host.c. */

/** Linear addresses of the code and of the memory that a test sees. */
export const CODE = 0x1040_0000;
export const DATA = 0x1050_0000;
export const MEMORY_SIZE = 1024;

export const FIELD = {
  gpr: 0,
  flags: 32,
  vector: 36,
  error: 40,
  ip: 44,
  bits: 48,
  length: 52,
  code: 56,
  memory: 96,
} as const;
export const RECORD_SIZE = FIELD.memory + MEMORY_SIZE;
export const NO_VECTOR = 0xffff_ffff;

/** OSZAPC and DF. */
export const COMPARED_FLAGS = 0xcd5;
