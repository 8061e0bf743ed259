/** `npm run bench`: our machine, other machines and the host itself on the same guest programs and kernels. */
import { rmSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { progressOn } from "../src/hypervisor/catalogue/progress.ts";
import { debianPrograms } from "./debian-programs.ts";
import { compileAll, DISK_GUEST, GUESTS, greeter, type Programs, plainGuest, withPrograms } from "./guest-files.ts";
import { type Bits, COMPILER } from "./guest-programs.ts";
import { hostFacts, load } from "./host.ts";
import { versionOf } from "./host-programs.ts";
import { type BootFiles, MACHINE_NAMES, MACHINES, type Machine } from "./machines.ts";
import { type BenchOptions, parseOptions, USAGE } from "./options.ts";
import { json, page, type Report, text } from "./report.ts";
import { measure } from "./rounds.ts";
import { rowsOf, WORKLOAD_NAMES, WORKLOADS, type Workload } from "./workloads.ts";

const PAGE = fileURLToPath(new URL("../docs/performance.md", import.meta.url));
const progress = progressOn(process.stderr);

function chosenWorkloads({ only, core }: BenchOptions): Workload[] {
  return WORKLOADS.filter((workload) => only?.includes(workload.name) ?? (!core || workload.core));
}

/** The machines that can run here; why others cannot goes to `leftOut`. */
async function presentMachines({ machines }: BenchOptions, leftOut: string[]): Promise<Machine[]> {
  const present: Machine[] = [];
  for (const machine of MACHINES) {
    if (machines !== undefined && !machines.includes(machine.name)) continue;
    const lacks = await machine.emulator?.lacks();
    if (lacks === undefined) present.push(machine);
    else leftOut.push(`${machine.name} is left out: ${lacks}`);
  }
  return present;
}

interface Files {
  readonly programs: Programs;
  readonly plain: BootFiles;
  readonly withPrograms: BootFiles;
  readonly debianRoot: string | undefined;
}

async function filesFor(bits: Bits, workloads: readonly Workload[], directory: string): Promise<Files> {
  const programs = await compileAll(bits, directory);
  const hasCommands = workloads.some(({ kind }) => kind === "command");
  const debianRoot = hasCommands ? await debianPrograms(bits, programs, progress) : undefined;
  const plain = await plainGuest(GUESTS[bits], { progress });
  const initrd = path.join(directory, `initrd-${bits}`);
  return { programs, plain, debianRoot, withPrograms: await withPrograms(plain, programs, debianRoot, initrd) };
}

async function bench(options: BenchOptions, directory: string): Promise<number> {
  if ((await versionOf(COMPILER)) === undefined) throw new Error(`${COMPILER} is missing: apt-get install gcc`);
  const workloads = chosenWorkloads(options);
  const leftOut: string[] = [];
  const machines = await presentMachines(options, leftOut);
  for (const line of leftOut) progress.note(line);
  const facts = await hostFacts();
  const before = load();
  const files = new Map<Bits, Files>();
  for (const { bits } of machines) {
    if (!files.has(bits)) files.set(bits, await filesFor(bits, workloads, directory));
  }
  const of = (bits: Bits) => files.get(bits) as Files;
  for (const [name, reason] of [...files.values()].flatMap(({ programs }) => [...programs.skipped])) {
    leftOut.push(`${name} is left out: ${reason}`);
  }
  const hasDisk = workloads.some(({ kind }) => kind === "disk-boot");
  const outcome = await measure({
    workloads,
    machines,
    directory,
    ...{ rounds: options.rounds, duration: options.duration },
    plain: ({ bits }) => of(bits).plain,
    programs: (bits) => of(bits).programs,
    withPrograms: (bits) => of(bits).withPrograms,
    debianRoot: (bits) => of(bits).debianRoot,
    disk: hasDisk ? await plainGuest(DISK_GUEST, { progress }) : undefined,
    greeter: await greeter(directory),
    step: (line) => progress.step(line),
    note: (line) => progress.note(line),
  });
  progress.finish();
  const command = ["npm run bench", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
  const loads = [before, load()] as const;
  await tell({ facts, load: loads, options, command, rows: rowsOf(workloads), machines, leftOut, outcome });
  return outcome.differences.length === 0 && outcome.failures.length === 0 ? 0 : 1;
}

async function tell(report: Report): Promise<void> {
  const { options, outcome } = report;
  console.log(text(report));
  for (const difference of outcome.differences) console.error(`WRONG RESULT: ${difference}`);
  if (options.write) await writeFile(PAGE, page(report));
  if (options.json !== undefined) await writeFile(options.json, json(report));
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2), { workloads: WORKLOAD_NAMES, machines: MACHINE_NAMES });
  if (options === "help" || options === "list") {
    console.log(
      options === "help" ? USAGE : `workloads: ${WORKLOAD_NAMES.join(" ")}\nmachines: ${MACHINE_NAMES.join(" ")}`,
    );
    return 0;
  }
  const directory = await mkdtemp(path.join(tmpdir(), "bunkhouse-bench-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  return bench(options, directory);
}

try {
  process.exitCode = await main();
} catch (error) {
  progress.finish();
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}
