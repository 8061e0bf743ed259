/** Runs from the start of a machine's process: to the shell's prompt, and to the guest's first instructions. */
import { MIB } from "../src/bits/units.ts";
import { GuestProcess } from "./guest-process.ts";
import type { BootFiles, Emulator } from "./machines.ts";
import { busiestThread, residentPart, residentSize, threadTimes } from "./process-figures.ts";
import { BOOT_TIMEOUT, PROMPT } from "./shell.ts";

export interface StartRun {
  /** Seconds from the start of the process, less the time that it waited for a processor. */
  readonly seconds: number;
  readonly waited: number;
}

export interface BootRun extends StartRun {
  /** Resident bytes of the process, less those of guest RAM; undefined where the host does not tell. */
  readonly aboveRam: number | undefined;
}

/** The prompt of the guest with systemd. */
const ROOT_PROMPT = /root@\w+:~# /;

async function untilOutput(process: GuestProcess, pattern: RegExp): Promise<StartRun> {
  const { at } = await process.expect(pattern, BOOT_TIMEOUT);
  const { waited } = busiestThread(new Map(), await threadTimes(process.pid));
  return { seconds: at - process.startedAt - waited, waited };
}

/** Boots to the shell's prompt. */
export async function bootToShell(emulator: Emulator, files: BootFiles, directory: string): Promise<BootRun> {
  const process = new GuestProcess(await emulator.boot(files, directory));
  try {
    const run = await untilOutput(process, files.disk === undefined ? PROMPT : ROOT_PROMPT);
    return { ...run, aboveRam: await aboveRam(process.pid, emulator, files).catch(() => undefined) };
  } finally {
    await process.kill();
  }
}

async function aboveRam(pid: number, { aheadOfRam }: Emulator, { memoryMiB }: BootFiles): Promise<number | undefined> {
  if (aheadOfRam === undefined) return undefined;
  const ram = await residentPart(pid, memoryMiB * MIB, aheadOfRam);
  return ram === undefined ? undefined : (await residentSize(pid)) - ram;
}

/** Starts a kernel whose first instructions write to the serial port. */
export async function firstOutput(emulator: Emulator, files: BootFiles, directory: string): Promise<StartRun> {
  const process = new GuestProcess(await emulator.boot(files, directory));
  try {
    return await untilOutput(process, /H/);
  } finally {
    await process.kill();
  }
}
