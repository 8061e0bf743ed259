/** `npm run bench`: our machine, QEMU's translator (TCG) and the host itself on the same guest programs and kernels. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { progressOn } from "../src/hypervisor/catalogue/progress.ts";
import { compileAll, greeter, plainGuest, withPrograms } from "./guest-files.ts";
import { type HostFacts, hostFacts, load } from "./host.ts";
import { OURS, QEMU, QEMU_TCG, versionOf } from "./machines.ts";
import { type BenchOptions, parseOptions, USAGE } from "./options.ts";
import { measure, type Outcome } from "./rounds.ts";
import { table } from "./table.ts";
import { WORKLOADS } from "./workloads.ts";

const progress = progressOn(process.stderr);

async function bench(options: BenchOptions, directory: string): Promise<number> {
  const workloads = WORKLOADS.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
  const facts = await hostFacts();
  const loadBefore = load();
  const plain = await plainGuest({ progress });
  const programs = await compileAll(directory);
  for (const [name, reason] of programs.skipped) progress.note(`${name} is skipped: ${reason}`);
  const hasQemu = (await versionOf(QEMU)) !== undefined;
  if (!hasQemu) progress.note(`QEMU is skipped: ${QEMU} is not installed (Debian package qemu-system-x86)`);
  const outcome = await measure({
    workloads,
    emulators: hasQemu ? [OURS, QEMU_TCG] : [OURS],
    rounds: options.rounds,
    duration: options.duration,
    programs,
    plain,
    withPrograms: await withPrograms(plain, programs, directory),
    greeter: await greeter(directory),
    step: (text) => progress.step(text),
  });
  progress.finish();
  const rows = workloads.flatMap((workload) => workload.rows);
  console.log(`${table(rows, outcome.figures)}\n`);
  console.log(describeHost(facts, loadBefore, load(), options));
  for (const doubt of outcome.doubts) console.log(`note: ${doubt}`);
  for (const difference of outcome.differences) console.error(`WRONG RESULT: ${difference}`);
  if (options.json !== undefined) await writeJson(options.json, { facts, loadBefore, options, rows, outcome });
  return outcome.differences.length === 0 ? 0 : 1;
}

function describeHost(
  facts: HostFacts,
  loadBefore: number,
  loadAfter: number,
  { rounds, duration }: BenchOptions,
): string {
  const { date, processor, cores, system, node, v8, qemu, compiler } = facts;
  return [
    `medians of ${rounds} ${rounds === 1 ? "round" : "rounds"}, programs ${duration / 1000} s each; ${date} UTC`,
    `${processor}, ${cores} cores, ${system}; load ${loadBefore.toFixed(1)} before, ${loadAfter.toFixed(1)} after`,
    `Node ${node} (V8 ${v8}); ${qemu}; ${compiler}`,
  ].join("\n");
}

interface Report {
  readonly facts: HostFacts;
  readonly loadBefore: number;
  readonly options: BenchOptions;
  readonly rows: (typeof WORKLOADS)[number]["rows"];
  readonly outcome: Outcome;
}

async function writeJson(file: string, { facts, loadBefore, options, rows, outcome }: Report): Promise<void> {
  const { figures, doubts, differences } = outcome;
  const machine = (row: string, name: "ours" | "qemu" | "native") => ({
    median: figures.median(row, name) ?? null,
    values: figures.values(row, name),
  });
  const report = {
    host: { ...facts, load: [loadBefore, load()] },
    rounds: options.rounds,
    duration: options.duration,
    rows: rows.map((row) => ({
      name: row.name,
      text: row.text,
      unit: row.unit,
      better: row.better,
      ours: machine(row.name, "ours"),
      qemu: machine(row.name, "qemu"),
      native: machine(row.name, "native"),
      oursPerQemu: figures.ratio(row.name, "ours", "qemu") ?? null,
      oursPerNative: figures.ratio(row.name, "ours", "native") ?? null,
      target: row.target ?? null,
      met: figures.meets(row) ?? null,
    })),
    notes: doubts,
    differences,
  };
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
}

async function main(): Promise<number> {
  const options = parseOptions(
    process.argv.slice(2),
    WORKLOADS.map(({ name }) => name),
  );
  if (options === "help") {
    console.log(USAGE);
    return 0;
  }
  const directory = await mkdtemp(path.join(tmpdir(), "bunkhouse-bench-"));
  try {
    return await bench(options, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  progress.finish();
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}
