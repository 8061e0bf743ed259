/** `npm run conformance`: tests instructions against the host's own processor; `-- --help` tells how. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Report, runJobs } from "./conformance.ts";
import { TIERS } from "./guest-processor.ts";
import { unsuitableHost } from "./native/native-processor.ts";
import { jobName, jobs } from "./plan.ts";
import { failureText, leftToInterpreter, summary } from "./report.ts";

const HELP = `npm run conformance -- [OPTION...]

Executes instructions with random operands on random states, on the host's processor and on ours, and
compares registers, flags, memory and exceptions. Exit status 1 where they differ.

  --form TEXT   only forms whose name, as --list gives it, holds TEXT
  --tier TIER   only the interpreter, or only the translator
  --left        list the forms that the translator leaves to the interpreter
  --states N    tests of each form in each size of code (1000)
  --seed N      which tests: the same for the same N (1)
  --seeds N     so many seeds, counted up from --seed (1)
  --strict      compare also what the manual leaves undefined
  --prefixes    add prefixes that instructions do not ask for
  --list        only list the forms
  --json FILE   write each form's counts to FILE
`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    form: { type: "string", default: "" },
    tier: { type: "string" },
    left: { type: "boolean", default: false },
    states: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    strict: { type: "boolean", default: false },
    prefixes: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    json: { type: "string" },
  },
});

if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const wanted = jobs(values.form);
if (values.list) {
  for (const job of wanted) process.stdout.write(`${jobName(job)}\n`);
  process.exit(0);
}
const unsuitable = unsuitableHost();
if (unsuitable !== undefined) {
  process.stdout.write(`skipped: ${unsuitable}\n`);
  process.exit(0);
}

const reports: Report[] = [];
const { strict, prefixes } = values;
const tiers = values.tier === undefined ? TIERS : TIERS.filter((tier) => tier === values.tier);
const [states, first, seeds] = [values.states, values.seed, values.seeds].map(Number) as [number, number, number];
for (let seed = first; seed < first + seeds; seed++) {
  await runJobs(wanted, { states, seed, tiers, strict, prefixes }, (report) => {
    reports.push(report);
    const failure = failureText(report);
    if (failure !== undefined) process.stdout.write(`seed ${seed}: ${failure}\n`);
    if (process.stderr.isTTY) process.stderr.write(`\r${reports.length} of ${wanted.length * seeds}`);
  });
}
process.stdout.write(`${summary(reports)}\n`);
if (tiers.includes("translator")) {
  const left = leftToInterpreter(reports);
  process.stdout.write(`left to the interpreter: ${left.length} forms\n`);
  if (values.left) process.stdout.write(left.map((name) => `  ${name}\n`).join(""));
}
if (values.json !== undefined) {
  const rows = reports.map((report) => ({
    form: report.job.form.text,
    name: report.job.form.instruction.name,
    bits: report.job.bits,
    ...(report.kind === "result"
      ? {
          tests: report.result.tests,
          faults: report.result.faults,
          translated: report.result.translated,
          mismatches: report.result.mismatches,
        }
      : { [report.kind]: report.reason }),
  }));
  writeFileSync(values.json, `${JSON.stringify(rows, undefined, 1)}\n`);
}
process.exitCode = reports.some((report) => failureText(report) !== undefined) ? 1 : 0;
