/** The measurements: the machines take turns in each round, so that a busy host slows down all of them alike. */
import { bootToShell, firstOutput } from "./boot-run.ts";
import { Figures } from "./figures.ts";
import type { BootFiles, Emulator, Machine, MachineName } from "./machines.ts";
import { ProgramHosts, type ProgramHostsOptions } from "./program-hosts.ts";
import { ResultCheck } from "./result-check.ts";
import type { ProgramRun } from "./shell.ts";
import { MEMORY, type Workload } from "./workloads.ts";

export interface Bench extends ProgramHostsOptions {
  readonly workloads: readonly Workload[];
  readonly machines: readonly Machine[];
  readonly rounds: number;
  /** Milliseconds of a program's run. */
  readonly duration: number;
  /** Guests as the catalogue has them, by the bits of the machine, and the one with a disk. */
  readonly plain: (machine: Machine) => BootFiles;
  readonly disk: BootFiles | undefined;
  readonly greeter: BootFiles;
}

export interface Outcome {
  readonly figures: Figures;
  /** Millions of guest instructions a second, where machines count them. */
  readonly instructionRates: Figures;
  /** What makes figures doubtful, one line each. */
  readonly doubts: readonly string[];
  /** Results that differ between machines, or that a program found wrong. */
  readonly differences: readonly string[];
  /** Machines that did not do what they were asked for. */
  readonly failures: readonly string[];
}

/** A run that got less of a processor than this is told of. */
const ENOUGH_SHARE = 0.8;
/** Seconds that the guest's clock may differ from the host's over a run: the host learns late of a mark when it is busy. */
const CLOCK_TOLERANCE = 0.25;
/** Milliseconds at least. */
const WARM_UP = 1000;
const MOST_REPETITIONS = 500;
const MEGA = 1e6;

export async function measure(bench: Bench): Promise<Outcome> {
  const rounds = new Rounds(bench);
  try {
    await rounds.run();
  } finally {
    await rounds.close();
  }
  return rounds.outcome;
}

class Rounds {
  readonly #figures = new Figures();
  readonly #instructionRates = new Figures();
  readonly #doubts: string[] = [];
  /** What part of a processor each run got. */
  readonly #shares: { readonly run: string; readonly share: number }[] = [];
  readonly #failures: string[] = [];
  readonly #results = new ResultCheck();
  readonly #bench: Bench;
  readonly #hosts: ProgramHosts;
  /** How often a command is run on a machine, by both names. */
  readonly #repetitions = new Map<string, number>();
  /** What is left out because it failed, by both names. */
  readonly #failed = new Set<string>();

  constructor(bench: Bench) {
    this.#bench = bench;
    this.#hosts = new ProgramHosts(bench);
  }

  get outcome(): Outcome {
    return {
      figures: this.#figures,
      instructionRates: this.#instructionRates,
      doubts: [...this.#describeShares(), ...this.#doubts],
      differences: this.#results.differences,
      failures: this.#failures,
    };
  }

  async run(): Promise<void> {
    const { workloads, rounds, machines, step } = this.#bench;
    for (let round = 0; round < rounds; round++) {
      for (const workload of workloads) {
        for (const machine of inTurn(
          machines.filter((each) => doesRun(each, workload)),
          round,
        )) {
          if (this.#failed.has(key(workload.name, machine.name))) continue;
          step(`round ${round + 1} of ${rounds}: ${workload.name}, ${machine.name}`);
          await this.#attempt(workload, machine, round);
        }
      }
    }
  }

  close(): Promise<void> {
    return this.#hosts.close();
  }

  async #attempt(workload: Workload, machine: Machine, round: number): Promise<void> {
    try {
      await this.#measure(workload, machine, round);
    } catch (error) {
      const [line = ""] = (error as Error).message.split("\n");
      this.#failures.push(`${workload.name}, ${machine.name}: ${line}`);
      this.#bench.note(`${workload.name}, ${machine.name}: ${(error as Error).message}`);
      this.#failed.add(key(workload.name, machine.name));
      // Whatever state it is in, another one starts for the next workload.
      await this.#hosts.discard(machine.name);
    }
  }

  async #measure(workload: Workload, machine: Machine, round: number): Promise<void> {
    const { directory, plain, disk, greeter } = this.#bench;
    const { emulator } = machine;
    switch (workload.kind) {
      case "program":
      case "command":
        return this.#program(workload, machine, round);
      case "boot":
        return emulator && this.#boot(workload, machine, emulator, plain(machine), round);
      case "disk-boot":
        return emulator && disk && this.#boot(workload, machine, emulator, disk, round);
      case "start": {
        if (emulator === undefined) return;
        const { seconds } = await firstOutput(emulator, greeter, directory);
        this.#figures.add(workload.name, machine.name, round, seconds * 1000);
      }
    }
  }

  async #boot(
    workload: Workload,
    { name }: Machine,
    emulator: Emulator,
    files: BootFiles,
    round: number,
  ): Promise<void> {
    const run = await bootToShell(emulator, files, this.#bench.directory);
    this.#figures.add(workload.name, name, round, run.seconds);
    if (run.aboveRam !== undefined && workload.kind === "boot") {
      this.#figures.add(MEMORY.name, name, round, run.aboveRam / MEGA);
    }
    this.#checkShare(workload.name, name, run.seconds, run.seconds + run.waited);
  }

  async #program(workload: Workload & { kind: "program" | "command" }, machine: Machine, round: number): Promise<void> {
    const host = await this.#hosts.open(machine);
    host.turn(true);
    try {
      const run =
        workload.kind === "program"
          ? await this.#timed(workload.name, machine.name, (milliseconds) =>
              host.program(workload.program, milliseconds),
            )
          : await this.#repeated(workload, machine.name, (times) => host.command(workload.command, times));
      this.#record(workload, machine, round, run);
    } finally {
      host.turn(false);
    }
  }

  /** A program that runs for a given time; before the first, one that lets translators see it. */
  async #timed(
    name: string,
    machine: MachineName,
    run: (milliseconds: number) => Promise<ProgramRun>,
  ): Promise<ProgramRun> {
    const { duration } = this.#bench;
    if (!this.#repetitions.has(key(name, machine))) await run(Math.max(duration, WARM_UP));
    this.#repetitions.set(key(name, machine), 1);
    return run(duration);
  }

  /** A command as often as it takes to last for the given time: the first run tells how often that is. */
  async #repeated(
    { name, command }: Workload & { kind: "command" },
    machine: MachineName,
    run: (times: number) => Promise<ProgramRun>,
  ): Promise<ProgramRun> {
    const duration = this.#bench.duration / 1000;
    if (command.prints === "speed") return run(Math.max(1, Math.round(duration)));
    const known = this.#repetitions.get(key(name, machine));
    if (known !== undefined) return run(known);
    const first = await run(1);
    const times = Math.min(Math.max(Math.round(duration / first.seconds), 1), MOST_REPETITIONS);
    this.#repetitions.set(key(name, machine), times);
    return times === 1 ? first : run(times);
  }

  #record({ name }: Workload, machine: Machine, round: number, run: ProgramRun): void {
    const { name: machineName, bits, emulator } = machine;
    this.#figures.add(name, machineName, round, run.iterations / run.seconds);
    if (run.instructions !== undefined) {
      this.#instructionRates.add(name, machineName, round, run.instructions / run.seconds / MEGA);
    }
    const share = this.#checkShare(name, machineName, run.seconds, run.wall);
    const drift = run.guestSeconds - run.wall;
    // On a busy host marks are noticed late.
    if (emulator?.virtualTime !== true && share >= ENOUGH_SHARE && Math.abs(drift) > CLOCK_TOLERANCE) {
      this.#doubts.push(`${name}, ${machineName}: the guest's clock was off by ${drift.toFixed(2)} s`);
    }
    this.#results.add(name, bits, machineName, run.outcome);
  }

  /** What part of a processor a run got. */
  #checkShare(what: string, machine: MachineName, seconds: number, wall: number): number {
    const share = Math.min(seconds / wall, 1);
    this.#shares.push({ run: `${what}, ${machine}`, share });
    return share;
  }

  /** One line on the runs that other work of the host slowed down: the time that they waited is not counted, but caches were shared. */
  #describeShares(): string[] {
    const short = this.#shares.filter(({ share }) => share < ENOUGH_SHARE).sort((a, b) => a.share - b.share);
    const [least] = short;
    if (least === undefined) return [];
    const limit = percent(ENOUGH_SHARE);
    return [
      `${short.length} of ${this.#shares.length} runs got less than ${limit} of a processor, the least ${percent(least.share)} (${least.run})`,
    ];
  }
}

const key = (workload: string, machine: MachineName): string => `${workload} ${machine}`;

function doesRun({ emulator, bits }: Machine, workload: Workload): boolean {
  if (workload.bits !== undefined && workload.bits !== bits) return false;
  if (workload.heavy === true && emulator?.slow === true) return false;
  switch (workload.kind) {
    case "program":
    case "command":
      return true;
    case "boot":
      return emulator !== undefined;
    case "disk-boot":
      return emulator?.disks === true;
    case "start":
      return emulator?.starts === true && bits === 64;
  }
}

/** The machines in another order each round, so that none always comes after the same other. */
function inTurn<T>(items: readonly T[], round: number): T[] {
  return items.map((_, i) => items[(i + round) % items.length] as T);
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(0)} %`;
}
