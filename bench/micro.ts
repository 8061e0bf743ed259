/**
 * A program of bench/guest on the processor alone, in this thread, for whoever works on the processor:
 *
 *     node bin/node26.mjs bench/micro.ts integer-64                     instructions a second, result against native
 *     node bin/node26.mjs bench/micro.ts --ms 3000 --profile 30 fib-64  and where the time goes
 *     node bin/node26.mjs --cpu-prof bench/micro.ts integer-64          a profile for Chrome's tools
 *     node bin/node26.mjs bench/micro.ts all
 *
 * Time is processor time of this thread, so that other work on the host matters little. Each program starts on a new
 * processor; figures are of the second half of the time, when what is hot has been translated. Regions are made on
 * another thread, as in a machine; --in-place makes them on this one, --interpret makes none.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { Session } from "node:inspector";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { parseArgs, promisify } from "node:util";
import type { ProcessorOptions } from "../src/cpu/processor-options.ts";
import { InPlace } from "../src/cpu/translate/in-place.ts";
import { TranslationThread } from "../src/vm/node/translation-thread.ts";
import { BareGuest } from "./bare-guest.ts";
import { type Bits, compile, fileName, isBare, PROGRAM_NAMES, type ProgramName } from "./guest-programs.ts";
import { timesByFunction } from "./profile-times.ts";
import { BENCH_LINES, type Counted } from "./program-lines.ts";
import { figure, markdownTable } from "./table.ts";

interface MicroProgram {
  readonly name: ProgramName;
  readonly bits: Bits;
}
const PROGRAMS: readonly MicroProgram[] = PROGRAM_NAMES.filter(isBare).flatMap((name) => [
  { name, bits: 64 },
  { name, bits: 32 },
]);
const NAMES = PROGRAMS.map(({ name, bits }) => fileName(name, bits));
const SAMPLE_MICROSECONDS = 200;
/** The host's event loop gets its turn this often, in milliseconds, as in a machine (src/vm/machine.ts). */
const YIELD_EVERY = 5;

interface MicroRun extends Counted {
  /** Guest instructions a second, in the second half of the time. */
  readonly instructionRate: number;
  /** The program's repetitions a second, likewise. */
  readonly rate: number;
}

/** Milliseconds of processor time of this thread. */
function now(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function parseOutput(output: string): Counted {
  const match = BENCH_LINES.end.exec(output);
  if (match === null) throw new Error(`the program wrote: ${output}`);
  return BENCH_LINES.parse(match);
}

interface Moment {
  readonly at: number;
  readonly instructions: number;
}
const perSecond = (from: Moment, to: Moment) => ((to.instructions - from.instructions) / (to.at - from.at)) * 1000;

/** Runs a program file; `onBegin` and `onEnd` are called around what is timed. */
async function runBare(
  file: Uint8Array,
  { milliseconds, regions }: MicroOptions,
  onBegin: () => void,
  onEnd: () => void,
): Promise<MicroRun> {
  let output = "";
  const moments: Moment[] = [];
  let timed = false;
  const note = () => moments.push({ at: now(), instructions: guest.processor.instructions });
  const guest = new BareGuest(file, {
    args: [String(milliseconds)],
    regions,
    now,
    write: (text) => {
      output += text;
      timed = BENCH_LINES.begin.test(text);
      note();
      (timed ? onBegin : onEnd)();
    },
  });
  let yieldedAt = now();
  await guest.run(() => {
    if (timed) note();
    if (now() - yieldedAt < YIELD_EVERY) return undefined;
    yieldedAt = now();
    return new Promise((resolve) => setImmediate(resolve));
  });
  const [begin, end] = [moments[0], moments.at(-1)];
  if (begin === undefined || end === undefined || begin === end) throw new Error(`the program wrote: ${output}`);
  const middle = moments.find(({ at }) => at >= (begin.at + end.at) / 2 && at < end.at) ?? begin;
  const counted = parseOutput(output);
  const instructionRate = perSecond(middle, end);
  return {
    ...counted,
    instructionRate,
    rate: (counted.iterations * instructionRate) / (end.instructions - begin.instructions),
  };
}

async function runNative(file: string, milliseconds: number): Promise<Counted | undefined> {
  try {
    return parseOutput((await promisify(execFile)(file, [String(milliseconds)])).stdout);
  } catch {
    return undefined;
  }
}

/** Samples of V8's profiler between begin and end. */
class Sampler {
  readonly #session = new Session();
  readonly #lines: number;
  constructor(lines: number) {
    this.#lines = lines;
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.setSamplingInterval", { interval: SAMPLE_MICROSECONDS });
  }
  begin(): void {
    this.#session.post("Profiler.start");
  }
  end(): void {
    this.#session.post("Profiler.stop", (error, result) => {
      if (error) throw error;
      const { nodes, samples = [], timeDeltas = [] } = result.profile;
      const times = timesByFunction({ nodes, samples, timeDeltas });
      const all = times.reduce((sum, { seconds }) => sum + seconds, 0);
      for (const { name, seconds } of times.slice(0, this.#lines)) {
        console.log(`${((100 * seconds) / all).toFixed(1).padStart(5)} %  ${name}`);
      }
    });
  }
}

interface MicroOptions {
  readonly milliseconds: number;
  readonly profileLines: number | undefined;
  readonly native: boolean;
  readonly regions: ProcessorOptions["regions"];
}

/** One line of the table; throws where the result is wrong. */
async function measure({ name, bits }: MicroProgram, directory: string, options: MicroOptions): Promise<string[]> {
  const compiled = await compile(name, bits, directory);
  if ("skipped" in compiled) throw new Error(compiled.skipped);
  const { milliseconds, profileLines } = options;
  const native = options.native ? await runNative(compiled.file, Math.min(milliseconds, 300)) : undefined;
  const file = await readFile(compiled.file);
  if (profileLines !== undefined) console.log(`\n${fileName(name, bits)}`);
  const sampler = profileLines === undefined ? undefined : new Sampler(profileLines);
  const run = await runBare(
    file,
    options,
    () => sampler?.begin(),
    () => sampler?.end(),
  );
  if (native !== undefined && native.outcome !== run.outcome) {
    throw new Error(`${fileName(name, bits)} gives ${run.outcome}, natively ${native.outcome}`);
  }
  const nativeRate = native && native.iterations / (native.cpuSeconds ?? native.guestSeconds);
  return [
    fileName(name, bits),
    figure(run.instructionRate / 1e6),
    figure(run.rate),
    figure(nativeRate),
    nativeRate === undefined ? "-" : `${((100 * run.rate) / nativeRate).toFixed(1)} %`,
    run.outcome,
  ];
}

function regionsOf(interpret: boolean, inPlace: boolean): ProcessorOptions["regions"] {
  if (interpret) return undefined;
  return (settings) => (inPlace ? new InPlace(settings) : new TranslationThread(settings));
}

function parse(args: readonly string[]): { programs: MicroProgram[]; options: MicroOptions } {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      ms: { type: "string", default: "1000" },
      profile: { type: "string" },
      "no-native": { type: "boolean", default: false },
      "in-place": { type: "boolean", default: false },
      interpret: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  const unknown = positionals.find((name) => name !== "all" && !NAMES.includes(name));
  if (positionals.length === 0 || unknown !== undefined) {
    throw new Error(`${unknown ?? "usage"}: name programs: all, ${NAMES.join(", ")}`);
  }
  const milliseconds = Number(values.ms);
  if (!(milliseconds > 0)) throw new Error(`--ms ${values.ms}: must be milliseconds`);
  return {
    programs: PROGRAMS.filter(
      ({ name, bits }) => positionals.includes("all") || positionals.includes(fileName(name, bits)),
    ),
    options: {
      milliseconds,
      profileLines: values.profile === undefined ? undefined : Number(values.profile),
      native: !values["no-native"],
      regions: regionsOf(values.interpret, values["in-place"]),
    },
  };
}

const directory = await mkdtemp(path.join(tmpdir(), "bunkhouse-micro-"));
try {
  const { programs, options } = parse(process.argv.slice(2));
  const lines: string[][] = [];
  for (const program of programs) lines.push(await measure(program, directory, options));
  const head = ["program", "million instructions/s", "iterations/s", "native", "of native", "result"];
  console.log(markdownTable([head, ...lines], 1));
} catch (error) {
  console.error(`micro: ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}
