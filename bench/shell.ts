/** Runs of programs: in a machine's shell, or on the host itself. */
import process from "node:process";
import type { CommandSpec } from "./commands.ts";
import { DEBIAN_DIRECTORY, PROGRAM_DIRECTORY } from "./guest-files.ts";
import { type Command, GuestProcess } from "./guest-process.ts";
import { type Bits, fileName, type ProgramName } from "./guest-programs.ts";
import { busiestThread, threadTimes } from "./process-figures.ts";
import { BENCH_LINES, COUNT, type Counted, type LineFormat, SPEED_LINES } from "./program-lines.ts";

export interface ProgramRun extends Counted {
  /** Seconds that the thread which executes the guest was on a processor of the host; by its clock where it does not tell. */
  readonly seconds: number;
  /** Seconds of the host's clock. */
  readonly wall: number;
  /** Guest instructions, where the machine counts them. */
  readonly instructions?: number;
}

/** Where programs run. */
export interface ProgramHost {
  /** A program of bench/guest for so many milliseconds of its clock. */
  program(name: ProgramName, milliseconds: number): Promise<ProgramRun>;
  /** A program of Debian so many times, or for so many seconds. */
  command(spec: CommandSpec, times: number): Promise<ProgramRun>;
  /** Whether it is this host's turn: others may be stopped. */
  turn(on: boolean): void;
  close(): Promise<void>;
}

export const PROMPT = /bunkhouse:~# /;
/** For a machine that is much slower than today's, on a busy host. */
export const BOOT_TIMEOUT = 1_800_000;
const PROGRAM_TIMEOUT = 1_800_000;
/** Programs of Debian would look for the host's language. */
const ENVIRONMENT = "LC_ALL=C";

const formatOf = ({ prints }: CommandSpec): LineFormat => (prints === "repeat" ? BENCH_LINES : SPEED_LINES);

export interface ShellOptions {
  readonly bits: Bits;
  /** The machine stamps programs' lines with instruction counts (our-machine.ts). */
  readonly counted: boolean;
  /** It may be stopped while others run. */
  readonly pausable?: boolean;
  /** Debian's programs are there. */
  readonly debian?: boolean;
}

class Shell implements ProgramHost {
  readonly #process: GuestProcess;
  readonly #options: ShellOptions;

  constructor(guest: GuestProcess, options: ShellOptions) {
    this.#process = guest;
    this.#options = options;
  }

  async prepare(): Promise<void> {
    await this.#process.expect(PROMPT, BOOT_TIMEOUT);
    if (this.#options.debian !== true) return;
    const mounts = ["dev", "proc", "tmp"].map((name) => `mount -o bind /${name} ${DEBIAN_DIRECTORY}/${name}`);
    this.#process.type(`${mounts.join("; ")}\n`);
    await this.#process.expect(PROMPT, PROGRAM_TIMEOUT);
  }

  program(name: ProgramName, milliseconds: number): Promise<ProgramRun> {
    return this.#run(`${PROGRAM_DIRECTORY}/${fileName(name, this.#options.bits)} ${milliseconds} wait`, BENCH_LINES);
  }

  command(spec: CommandSpec, times: number): Promise<ProgramRun> {
    return this.#run(
      `${ENVIRONMENT} chroot ${DEBIAN_DIRECTORY} /bin/sh /bench/commands/${spec.name} ${times}`,
      formatOf(spec),
    );
  }

  async #run(line: string, format: LineFormat): Promise<ProgramRun> {
    const guest = this.#process;
    const { counted } = this.#options;
    const stamped = (pattern: RegExp) => (counted ? new RegExp(pattern.source + COUNT.source) : pattern);
    guest.type(`${line}\n`);
    const begin = await guest.expect(stamped(format.begin), PROGRAM_TIMEOUT);
    const before = await threadTimes(guest.pid);
    const startedAt = format.waits ? guest.type("\n") : begin.at;
    const end = await guest.expect(stamped(format.end), PROGRAM_TIMEOUT);
    // Whenever this is read: a guest that has nothing more to do is not on a processor.
    const { ran } = busiestThread(before, await threadTimes(guest.pid));
    await guest.expect(PROMPT, PROGRAM_TIMEOUT);
    const wall = end.at - startedAt;
    const run = { ...format.parse(end.match), seconds: ran > 0 ? Math.min(ran, wall) : wall, wall };
    if (!counted) return run;
    const count = ({ groups }: RegExpExecArray) => Number(groups?.instructions);
    return { ...run, instructions: count(end.match) - count(begin.match) };
  }

  turn(on: boolean): void {
    if (this.#options.pausable === true) this.#process.pause(!on);
  }

  close(): Promise<void> {
    return this.#process.kill();
  }
}

/** The shell of the machine that `command` starts. */
export async function shellOf(command: Command, options: ShellOptions): Promise<ProgramHost> {
  const guest = new GuestProcess(command);
  const shell = new Shell(guest, options);
  try {
    await shell.prepare();
  } catch (error) {
    await guest.kill();
    throw error;
  }
  return shell;
}

/** Programs whose work is done by other processes as well. */
const WITH_CHILDREN: ReadonlySet<ProgramName> = new Set(["fork", "pipe"]);

/** The host itself: compiled programs by name, and the root directory of Debian's programs where there is one. */
export function nativeHost(bits: Bits, files: ReadonlyMap<string, string>, root: string | undefined): ProgramHost {
  const run = async (command: Command, format: LineFormat, alone = true): Promise<ProgramRun> => {
    const guest = new GuestProcess(command);
    try {
      const begin = await guest.expect(format.begin, PROGRAM_TIMEOUT);
      const startedAt = format.waits ? guest.type("\n") : begin.at;
      const end = await guest.expect(format.end, PROGRAM_TIMEOUT);
      const wall = end.at - startedAt;
      const counted = format.parse(end.match);
      // It has ended, and the host's records of it with it; its own clock of processor time is the host's.
      return { ...counted, seconds: (alone ? counted.cpuSeconds : undefined) ?? wall, wall };
    } finally {
      await guest.kill();
    }
  };
  return {
    async program(name, milliseconds) {
      const program = files.get(fileName(name, bits)) ?? "";
      return run({ program, args: [String(milliseconds), "wait"] }, BENCH_LINES, !WITH_CHILDREN.has(name));
    },
    async command(spec, times) {
      if (root === undefined) throw new Error("there are no programs of Debian");
      // Others than root become root of a name space of their own.
      const enter = process.getuid?.() === 0 ? ["chroot", root] : ["unshare", "-r", "-R", root];
      const [program = "", ...args] = [...enter, "/bin/sh", `/bench/commands/${spec.name}`, String(times)];
      return run({ program, args, env: { LC_ALL: "C", PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } }, formatOf(spec));
    },
    turn() {},
    close: async () => {},
  };
}
