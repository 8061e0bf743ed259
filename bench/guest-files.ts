/** The files that guests are started from: the catalogue's Debian with programs in its initial file system. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { smallKernel } from "../src/cli/testing/small-kernel.ts";
import { type CpioEntry, joinArchives, writeCpio } from "../src/hypervisor/catalogue/cpio.ts";
import { type PrepareOptions, prepareGuest } from "../src/hypervisor/catalogue/debian-guest.ts";
import { archiveEntries } from "./debian-programs.ts";
import { type Bits, compile, compileSource, fileName, PROGRAM_NAMES, REPEAT } from "./guest-programs.ts";
import type { BootFiles } from "./machines.ts";

export const GUESTS: Readonly<Record<Bits, string>> = { 64: "debian", 32: "debian-686" };
export const DISK_GUEST = "debian-disk";
const EXECUTABLE = 0o755;
/** The programs' directory in the guest, and the root of Debian's programs. */
export const PROGRAM_DIRECTORY = "/bench";
export const DEBIAN_DIRECTORY = "/debian";
/** What Debian's programs and their data need. */
const MEMORY_MIB = 512;

export interface Programs {
  /** Compiled programs, by the name of the file. */
  readonly files: ReadonlyMap<string, string>;
  /** Why others are missing. */
  readonly skipped: ReadonlyMap<string, string>;
}

/** Compiles all programs of so many bits into `directory`. */
export async function compileAll(bits: Bits, directory: string): Promise<Programs> {
  const files = new Map<string, string>();
  const skipped = new Map<string, string>();
  for (const name of [...PROGRAM_NAMES, REPEAT] as const) {
    const result = await compile(name, bits, directory);
    if ("file" in result) files.set(fileName(name, bits), result.file);
    else skipped.set(fileName(name, bits), result.skipped);
  }
  return { files, skipped };
}

/** A 32-bit guest with one program of bench/guest/ in PROGRAM_DIRECTORY; what is made for it goes into `directory`. */
export async function guestWithSource(name: string, source: string, directory: string) {
  const { kernel, initrd, append } = await prepareGuest(name);
  const program = path.join(directory, source);
  await compileSource(source, 32, program);
  const content = await readFile(program);
  const added = writeCpio([{ kind: "file", path: `${PROGRAM_DIRECTORY}/${source}`, permissions: EXECUTABLE, content }]);
  const own = path.join(directory, "initrd");
  await writeFile(own, joinArchives([await readFile(initrd), added]));
  return { kernel, initrd: own, append };
}

/** A guest of the catalogue as it is. */
export async function plainGuest(name: string, options: PrepareOptions = {}): Promise<BootFiles> {
  const { kernel, initrd, append, memoryMiB, disk } = await prepareGuest(name, options);
  return { kernel, initrd, commandLine: append, memoryMiB, ...(disk === undefined ? {} : { disk }) };
}

/** `guest` with the programs, and with Debian's where `root` has them; its initrd is written to `file`. */
export async function withPrograms(
  guest: BootFiles,
  { files }: Programs,
  root: string | undefined,
  file: string,
): Promise<BootFiles> {
  const entries: CpioEntry[] = [];
  for (const [name, program] of files) {
    const content = await readFile(program);
    entries.push({ kind: "file", path: `${PROGRAM_DIRECTORY}/${name}`, permissions: EXECUTABLE, content });
  }
  if (root !== undefined) entries.push(...(await archiveEntries(root, DEBIAN_DIRECTORY)));
  const archives = guest.initrd === undefined ? [] : [await readFile(guest.initrd)];
  await writeFile(file, joinArchives([...archives, writeCpio(entries)]));
  return { ...guest, initrd: file, memoryMiB: MEMORY_MIB };
}

/** A kernel whose first instructions write "Hi" to the serial port. */
export async function greeter(directory: string): Promise<BootFiles> {
  return { kernel: await smallKernel("greet", directory), memoryMiB: 16 };
}
