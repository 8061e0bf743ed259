/** Where `bunk run` puts what developers of the processor asked for: a profile, listings of regions, a trace. */
import { closeSync, openSync, writeSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { hostError } from "../disk/node/host-error.ts";
import type { Machine } from "../vm/machine.ts";
import { PlaceSampler } from "../vm/node/place-sampler.ts";
import type { ToolsDefinition } from "../vm/tools/machine-tools.ts";
import { profileReport } from "../vm/tools/profile-report.ts";
import { regionFiles } from "../vm/tools/region-report.ts";
import { ExitStatus } from "./exit-status.ts";
import { CliError, fileError } from "./failure.ts";
import type { ToolOptions } from "./run-options.ts";
import type { TraceOption } from "./trace-option.ts";

const STANDARD_ERROR = "-";
/** Regions that are listed: those that ran most. */
const MOST_LISTED = 200;

export class ToolOutputs {
  readonly definition: ToolsDefinition | undefined;
  readonly #options: ToolOptions;
  readonly #profile: OutputFile | undefined;
  readonly #trace: OutputFile | undefined;
  #sampler: PlaceSampler | undefined;

  /** Files are made before the guest starts. Throws CliError where one cannot be. */
  static async open(options: ToolOptions): Promise<ToolOutputs> {
    if (options.regions !== undefined) await makeDirectory(options.regions);
    return new ToolOutputs(options);
  }

  private constructor(options: ToolOptions) {
    const { profile, regions, trace } = options;
    this.#options = options;
    const hasFile = profile !== undefined && profile !== STANDARD_ERROR;
    this.#profile = hasFile ? new OutputFile("profile", profile) : undefined;
    this.#trace = trace && new OutputFile("trace", trace.file);
    const isCounted = profile !== undefined || regions !== undefined;
    if (!isCounted && !trace) return;
    this.definition = {
      profile: isCounted,
      listings: regions !== undefined,
      ...(trace ? { trace: this.#traceDefinition(trace) } : {}),
    };
  }

  #traceDefinition({ file, size, ...trace }: TraceOption): NonNullable<ToolsDefinition["trace"]> {
    void file;
    return { ...trace, limit: size, write: (text) => this.#trace?.write(text) };
  }

  /** The machine is made, and runs from now on. */
  start({ ram, tools }: Machine): void {
    const at = tools?.whereAt;
    if (this.#options.profile !== undefined && at !== undefined) this.#sampler = new PlaceSampler(ram.memory, at);
  }

  /** Writes what was found out. Throws CliError where it cannot. */
  async finish(machine: Machine | undefined): Promise<void> {
    const times = await this.#sampler?.stop();
    const profile = machine?.tools?.profile;
    if (machine && profile) {
      const text = profileReport(machine, times);
      if (this.#profile) this.#profile.write(text);
      else if (this.#options.profile !== undefined) process.stderr.write(`\n${text}`);
      if (this.#options.regions !== undefined) {
        await writeListings(this.#options.regions, regionFiles(profile, machine.instructions, MOST_LISTED));
      }
    }
    this.#profile?.close();
    this.#trace?.close();
  }
}

/** A file that is written in the machine's thread: what it does next may be what ends it. */
class OutputFile {
  readonly #what: string;
  readonly #file: number;
  #error: unknown;

  constructor(what: string, name: string) {
    this.#what = `write the ${what} to ${name}`;
    try {
      this.#file = openSync(name, "w");
    } catch (error) {
      throw fileError(hostError(this.#what, error).message);
    }
  }

  /** A failure is told at the end: the guest goes on without. */
  write(text: string): void {
    if (this.#error !== undefined) return;
    try {
      for (let bytes = Buffer.from(text); bytes.length > 0; ) bytes = bytes.subarray(writeSync(this.#file, bytes));
    } catch (error) {
      this.#error = error;
    }
  }

  close(): void {
    closeSync(this.#file);
    if (this.#error === undefined) return;
    throw new CliError(ExitStatus.hostFailure, hostError(this.#what, this.#error).message);
  }
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    if ((await readdir(directory)).length === 0) return;
  } catch (error) {
    throw fileError(hostError(`make the directory ${directory}`, error).message);
  }
  throw fileError(`--regions ${directory}: the directory must be empty, so that its files are those of one run`);
}

async function writeListings(directory: string, files: ReturnType<typeof regionFiles>): Promise<void> {
  try {
    for (const { name, text } of files) await writeFile(path.join(directory, name), text);
  } catch (error) {
    throw new CliError(ExitStatus.hostFailure, hostError(`write to ${directory}`, error).message);
  }
}
