/** Runs of guest programs: in a machine's shell, or on the host itself. */

import { PROGRAM_DIRECTORY } from "./guest-files.ts";
import { type Command, GuestProcess, type Mark } from "./guest-process.ts";
import type { ProgramName } from "./guest-programs.ts";
import { busiestThread, threadTimes } from "./process-figures.ts";

export interface ProgramRun {
  /** Seconds of the host's clock, less the time that the machine waited for a processor. */
  readonly seconds: number;
  /** Seconds that the machine waited for a processor that others used. */
  readonly waited: number;
  /** Seconds of the guest's clock. */
  readonly guestSeconds: number;
  readonly iterations: number;
  /** The program's result and its count of operations: the same on every machine. */
  readonly outcome: string;
  /** Guest instructions, where the machine counts them. */
  readonly instructions?: number;
}

/** Where programs run. */
export interface ProgramHost {
  run(program: ProgramName, milliseconds: number): Promise<ProgramRun>;
  close(): Promise<void>;
}

export const PROMPT = /bunkhouse:~# /;
/** For a machine that is much slower than today's, on a busy host. */
export const BOOT_TIMEOUT = 600_000;
const PROGRAM_TIMEOUT = 120_000;

const BEGIN = "BENCH begin \\S+\\r?\\n";
const END =
  "BENCH (?<verdict>end|failed) \\S+ iterations=(?<iterations>\\d+) ns=(?<ns>\\d+) cpu=(?<cpu>\\d+) " +
  "(?<outcome>checksum=[0-9a-f]+ work=\\d+)\\r?\\n";
const COUNT = "HOST instructions=(?<instructions>\\d+)\\n";

class Shell implements ProgramHost {
  readonly #process: GuestProcess;
  readonly #counted: boolean;

  constructor(process: GuestProcess, counted: boolean) {
    this.#process = process;
    this.#counted = counted;
  }

  async run(program: ProgramName, milliseconds: number): Promise<ProgramRun> {
    const guest = this.#process;
    const count = this.#counted ? COUNT : "";
    guest.type(`${PROGRAM_DIRECTORY}/${program} ${milliseconds}\n`);
    const begin = await guest.expect(new RegExp(BEGIN + count), PROGRAM_TIMEOUT);
    const before = await threadTimes(guest.pid);
    const end = await guest.expect(new RegExp(END + count), PROGRAM_TIMEOUT);
    const { waited } = busiestThread(before, await threadTimes(guest.pid));
    await guest.expect(PROMPT, PROGRAM_TIMEOUT);
    const run = runOf(end, end.at - begin.at, waited);
    if (!this.#counted) return run;
    const instructions = Number(end.match.groups?.instructions) - Number(begin.match.groups?.instructions);
    return { ...run, instructions };
  }

  close(): Promise<void> {
    return this.#process.kill();
  }
}

/** The shell of the machine that `command` starts; `counted` where it stamps programs' lines (our-machine.ts). */
export async function shellOf(command: Command, counted: boolean): Promise<ProgramHost> {
  const process = new GuestProcess(command);
  try {
    await process.expect(PROMPT, BOOT_TIMEOUT);
  } catch (error) {
    await process.kill();
    throw error;
  }
  return new Shell(process, counted);
}

/** The host itself. */
export function nativeHost(fileOf: (program: ProgramName) => string): ProgramHost {
  return {
    async run(program, milliseconds) {
      const command: Command = { program: fileOf(program), args: [String(milliseconds)] };
      const process = new GuestProcess(command);
      try {
        const begin = await process.expect(new RegExp(BEGIN), PROGRAM_TIMEOUT);
        const end = await process.expect(new RegExp(END), PROGRAM_TIMEOUT);
        const wall = end.at - begin.at;
        // It has ended, and the host's records of it with it; but its own clock of processor time is the host's.
        return runOf(end, wall, Math.max(wall - Number(end.match.groups?.cpu) / 1e9, 0));
      } finally {
        await process.kill();
      }
    },
    close: async () => {},
  };
}

function runOf({ match }: Mark, wall: number, waited: number): ProgramRun {
  const { verdict, iterations, ns, outcome = "" } = match.groups ?? {};
  if (verdict === "failed") throw new Error(`a repetition gave another result than the first: ${match[0].trim()}`);
  return { seconds: wall - waited, waited, guestSeconds: Number(ns) / 1e9, iterations: Number(iterations), outcome };
}
