/** The files that guests are started from: the catalogue's Debian with our programs in its initial file system. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { smallKernel } from "../src/cli/testing/small-kernel.ts";
import { type CpioEntry, joinArchives, writeCpio } from "../src/hypervisor/catalogue/cpio.ts";
import { type PrepareOptions, prepareGuest } from "../src/hypervisor/catalogue/debian-guest.ts";
import { compile, PROGRAM_NAMES, type ProgramName } from "./guest-programs.ts";
import type { BootFiles } from "./machines.ts";

export const GUEST = "debian";
const EXECUTABLE = 0o755;
/** The programs' directory in the guest. */
export const PROGRAM_DIRECTORY = "/bench";

export interface Programs {
  /** Compiled programs, by name. */
  readonly files: ReadonlyMap<ProgramName, string>;
  /** Why others are missing. */
  readonly skipped: ReadonlyMap<ProgramName, string>;
}

/** Compiles all programs into `directory`. */
export async function compileAll(directory: string): Promise<Programs> {
  const files = new Map<ProgramName, string>();
  const skipped = new Map<ProgramName, string>();
  for (const name of PROGRAM_NAMES) {
    const result = await compile(name, directory);
    if ("file" in result) files.set(name, result.file);
    else skipped.set(name, result.skipped);
  }
  return { files, skipped };
}

/** The catalogue's guest as it is. */
export async function plainGuest(options: PrepareOptions = {}): Promise<BootFiles> {
  const { kernel, initrd, append, memoryMiB } = await prepareGuest(GUEST, options);
  return { kernel, initrd, commandLine: append, memoryMiB };
}

/** `guest` with the programs in PROGRAM_DIRECTORY; its initrd is written into `directory`. */
export async function withPrograms(guest: BootFiles, { files }: Programs, directory: string): Promise<BootFiles> {
  const entries: CpioEntry[] = [];
  for (const [name, file] of files) {
    const content = await readFile(file);
    entries.push({ kind: "file", path: `${PROGRAM_DIRECTORY}/${name}`, permissions: EXECUTABLE, content });
  }
  const initrd = path.join(directory, "initrd");
  const archives = guest.initrd === undefined ? [] : [await readFile(guest.initrd)];
  await writeFile(initrd, joinArchives([...archives, writeCpio(entries)]));
  return { ...guest, initrd };
}

/** A kernel whose first instructions write "Hi" to the serial port. */
export async function greeter(directory: string): Promise<BootFiles> {
  return { kernel: await smallKernel("greet", directory), memoryMiB: 16 };
}
