/** The programs of bench/guest, compiled with the host's gcc. They need no library, so that no other compiler is needed for 32 bits. */
import { execFile } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const COMPILER = "gcc";
const SOURCES = fileURLToPath(new URL("guest/", import.meta.url));

const OPTIONS = [
  ...["-O2", "-std=gnu17", "-Wall", "-Wextra", "-Werror"],
  ...["-static", "-nostdlib", "-ffreestanding", "-fno-pie", "-no-pie"],
  // What a distribution adds by default differs from release to release.
  ...["-fno-stack-protector", "-fcf-protection=none", "-fno-asynchronous-unwind-tables"],
  // The integer benchmark is to have integer instructions only, and square roots are to be instructions.
  ...["-fno-tree-vectorize", "-fno-math-errno"],
];

export type Bits = 32 | 64;
const MACHINE_OPTIONS: Record<Bits, readonly string[]> = {
  64: ["-m64", "-march=x86-64"],
  32: ["-m32", "-march=i686"],
};

interface ProgramSpec {
  readonly text: string;
  /** Without its ending; the program's name unless given. */
  readonly source?: string;
  readonly options?: readonly string[];
  /** Further ones for 32 bits. */
  readonly options32?: readonly string[];
  /** Makes system calls that only Linux has. */
  readonly linux?: boolean;
}

const SSE = { options32: ["-msse2"] } as const;

/** Programs by name. */
export const PROGRAMS = {
  integer: { text: "integer mix: lists, matrices, state machine, CRC" },
  "nbody-sse": { source: "nbody", text: "n-body, SSE2 doubles", options32: ["-msse2", "-mfpmath=sse"] },
  "nbody-x87": { source: "nbody", text: "n-body, x87", options: ["-mfpmath=387"] },
  qsort: { text: "quicksort, comparisons by pointer" },
  hash: { text: "hashes of bytes and words" },
  memcpy: { text: "copies of 1 to 8192 bytes", ...SSE },
  strlen: { text: "lengths of strings", ...SSE },
  sha256: { text: "SHA-256" },
  fib: { text: "calls and returns" },
  dispatch: { text: "interpreter: switch, table of functions" },
  string: { text: "string instructions with REP" },
  syscall: { text: "system calls", linux: true },
  fork: { text: "fork, exec, exit, wait", linux: true },
  pipe: { text: "pipe ping-pong of two processes", linux: true },
  fault: { text: "page faults: mmap, touch, munmap", linux: true },
} as const satisfies Record<string, ProgramSpec>;
export type ProgramName = keyof typeof PROGRAMS;
export const PROGRAM_NAMES = Object.keys(PROGRAMS) as ProgramName[];
/** The program that runs others; see bench/guest/repeat.c. */
export const REPEAT = "repeat";

/** Those that need no Linux. */
export function isBare(name: ProgramName): boolean {
  return !(PROGRAMS[name] satisfies ProgramSpec as ProgramSpec).linux;
}

export const fileName = (name: ProgramName | typeof REPEAT, bits: Bits): string => `${name}-${bits}`;

/** Compiles a source of bench/guest that is no program of the list. Throws where gcc is missing or does not take it. */
export async function compileSource(source: string, bits: Bits, file: string): Promise<void> {
  const args = [...OPTIONS, ...MACHINE_OPTIONS[bits], path.join(SOURCES, `${source}.c`), "-o", file];
  await promisify(execFile)(COMPILER, args);
}

/** Compiles a program into `directory`; its path, or why there is none. */
export async function compile(
  name: ProgramName | typeof REPEAT,
  bits: Bits,
  directory: string,
): Promise<{ file: string } | { skipped: string }> {
  const spec: ProgramSpec = name === REPEAT ? { text: "" } : PROGRAMS[name];
  const { source = name, options = [], options32 = [] } = spec;
  const file = path.join(directory, fileName(name, bits));
  const all = [...OPTIONS, ...MACHINE_OPTIONS[bits], ...options, ...(bits === 32 ? options32 : [])];
  try {
    await promisify(execFile)(COMPILER, [...all, path.join(SOURCES, `${source}.c`), "-o", file]);
    return { file };
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === "ENOENT") return { skipped: `${COMPILER} is not installed (Debian package gcc)` };
    const line = stderr?.split("\n").find((text) => text.includes("error")) ?? String(error);
    return { skipped: `${COMPILER}: ${line.trim()}` };
  }
}
