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

/** Programs by name: their source and their own compiler options. */
export const PROGRAMS = {
  "integer-64": { source: "integer.c", options: ["-m64", "-march=x86-64"], text: "integer, 64-bit" },
  "integer-32": { source: "integer.c", options: ["-m32", "-march=i686"], text: "integer, 32-bit" },
  "nbody-sse": { source: "nbody.c", options: ["-m64", "-march=x86-64"], text: "n-body, SSE2 doubles" },
  "nbody-x87": { source: "nbody.c", options: ["-m64", "-march=x86-64", "-mfpmath=387"], text: "n-body, x87" },
} as const;
export type ProgramName = keyof typeof PROGRAMS;
export const PROGRAM_NAMES = Object.keys(PROGRAMS) as ProgramName[];

/** Compiles a program into `directory`; its path, or why there is none. */
export async function compile(name: ProgramName, directory: string): Promise<{ file: string } | { skipped: string }> {
  const { source, options } = PROGRAMS[name];
  const file = path.join(directory, name);
  try {
    await promisify(execFile)(COMPILER, [...OPTIONS, ...options, path.join(SOURCES, source), "-o", file]);
    return { file };
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === "ENOENT") return { skipped: `${COMPILER} is not installed (Debian package gcc)` };
    const line = stderr?.split("\n").find((text) => text.includes("error")) ?? String(error);
    return { skipped: `${COMPILER}: ${line.trim()}` };
  }
}
