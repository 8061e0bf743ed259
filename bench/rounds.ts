/** The measurements: the machines take turns in each round, so that a busy host slows down all of them alike. */

import { bootToShell, firstOutput } from "./boot-run.ts";
import { Figures } from "./figures.ts";
import type { Programs } from "./guest-files.ts";
import type { ProgramName } from "./guest-programs.ts";
import type { BootFiles, Emulator, MachineName } from "./machines.ts";
import { nativeHost, type ProgramHost, shellOf } from "./program-run.ts";
import { BOOT_ROW, instructionRate, MEMORY_ROW, rate, START_ROW, type Workload } from "./workloads.ts";

export interface Bench {
  readonly workloads: readonly Workload[];
  readonly emulators: readonly Emulator[];
  readonly rounds: number;
  /** Milliseconds of a program's run. */
  readonly duration: number;
  readonly programs: Programs;
  readonly plain: BootFiles;
  readonly withPrograms: BootFiles;
  readonly greeter: BootFiles;
  /** Told what is done now. */
  readonly step: (text: string) => void;
}

export interface Outcome {
  readonly figures: Figures;
  /** What makes figures doubtful, one line each. */
  readonly doubts: readonly string[];
  /** Results that differ between machines: a machine computes wrongly. */
  readonly differences: readonly string[];
}

/** A run that got less of a processor than this is told of. */
const ENOUGH_SHARE = 0.8;
/** Seconds that the guest's clock may differ from the host's over a run: the host learns late of a mark when it is busy. */
const CLOCK_TOLERANCE = 0.15;

const MEGA = 1e6;

export async function measure(bench: Bench): Promise<Outcome> {
  const rounds = new Rounds(bench);
  try {
    await rounds.run();
  } finally {
    await rounds.close();
  }
  return rounds;
}

class Rounds implements Outcome {
  readonly figures = new Figures();
  readonly doubts: string[] = [];
  readonly differences: string[] = [];
  readonly #bench: Bench;
  readonly #hosts = new Map<MachineName, ProgramHost>();
  readonly #outcomes = new Map<ProgramName, { machine: MachineName; outcome: string }>();

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  async run(): Promise<void> {
    const { workloads, rounds, step } = this.#bench;
    await this.#openHosts();
    for (let round = 0; round < rounds; round++) {
      for (const workload of workloads) {
        step(`round ${round + 1} of ${rounds}: ${workload.name}`);
        if (workload.kind === "program") await this.#program(workload.name, round);
        else if (workload.kind === "boot") await this.#boot(round);
        else await this.#start(round);
      }
    }
  }

  async close(): Promise<void> {
    for (const host of this.#hosts.values()) await host.close();
  }

  /** Programs run in machines that stay up for all rounds. */
  async #openHosts(): Promise<void> {
    const { workloads, emulators, programs, withPrograms, step } = this.#bench;
    if (!workloads.some(({ kind }) => kind === "program")) return;
    this.#hosts.set(
      "native",
      nativeHost((program) => programs.files.get(program) ?? ""),
    );
    for (const emulator of emulators) {
      step(`starting the machine for programs: ${emulator.name}`);
      this.#hosts.set(emulator.name, await shellOf(emulator.programs.boot(withPrograms), emulator.programs.counted));
    }
  }

  async #program(program: ProgramName, round: number): Promise<void> {
    const { programs, duration } = this.#bench;
    if (!programs.files.has(program)) return;
    for (const [machine, host] of inTurn([...this.#hosts], round)) {
      const run = await host.run(program, duration);
      this.figures.add(rate(program), machine, run.iterations / run.seconds);
      if (run.instructions !== undefined) {
        this.figures.add(instructionRate(program), machine, run.instructions / run.seconds / MEGA);
      }
      this.#checkShare(program, machine, run);
      const drift = run.guestSeconds - run.seconds - run.waited;
      if (Math.abs(drift) > CLOCK_TOLERANCE) {
        this.doubts.push(`${program}, ${machine}: the guest's clock was off by ${drift.toFixed(2)} s`);
      }
      this.#compare(program, machine, run.outcome);
    }
  }

  #compare(program: ProgramName, machine: MachineName, outcome: string): void {
    const first = this.#outcomes.get(program);
    if (first === undefined) this.#outcomes.set(program, { machine, outcome });
    else if (first.outcome !== outcome) {
      this.differences.push(`${program}: ${first.outcome} on ${first.machine}, but ${outcome} on ${machine}`);
    }
  }

  async #boot(round: number): Promise<void> {
    for (const emulator of inTurn(this.#bench.emulators, round)) {
      const run = await bootToShell(emulator, this.#bench.plain);
      this.figures.add(BOOT_ROW, emulator.name, run.seconds);
      if (run.aboveRam !== undefined) this.figures.add(MEMORY_ROW, emulator.name, run.aboveRam / MEGA);
      this.#checkShare("boot", emulator.name, run);
    }
  }

  async #start(round: number): Promise<void> {
    for (const emulator of inTurn(this.#bench.emulators, round)) {
      const run = await firstOutput(emulator, this.#bench.greeter);
      this.figures.add(START_ROW, emulator.name, run.seconds * 1000);
    }
  }

  #checkShare(what: string, machine: MachineName, { seconds, waited }: { seconds: number; waited: number }): void {
    const share = seconds / (seconds + waited);
    if (share < ENOUGH_SHARE) this.doubts.push(`${what}, ${machine}: got ${percent(share)} of a processor in one run`);
  }
}

/** The machines in another order each round, so that none always comes after the same other. */
function inTurn<T>(items: readonly T[], round: number): T[] {
  return items.map((_, i) => items[(i + round) % items.length] as T);
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(0)} %`;
}
