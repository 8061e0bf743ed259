/**
 * `npm run conformance -- [--form TEXT] [--states N] [--seed N] [--strict] [--prefixes] [--list] [--json FILE]`: tests instructions
 * against the host's own processor. Exit status 1 where they differ.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Report, runJobs } from "./conformance.ts";
import { unsuitableHost } from "./native/native-processor.ts";
import { jobName, jobs } from "./plan.ts";
import { failureText, summary } from "./report.ts";

const { values } = parseArgs({
  options: {
    /** Only forms whose name, as --list gives it, holds this text. */
    form: { type: "string", default: "" },
    states: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    /** Compares also what the manual leaves undefined. */
    strict: { type: "boolean", default: false },
    /** Adds prefixes that instructions do not ask for. */
    prefixes: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    /** Counts of each form, for documents. */
    json: { type: "string" },
  },
});

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
const settings = {
  states: Number(values.states),
  seed: Number(values.seed),
  strict: values.strict,
  prefixes: values.prefixes,
};
await runJobs(wanted, settings, (report) => {
  reports.push(report);
  const failure = failureText(report);
  if (failure !== undefined) process.stdout.write(`${failure}\n`);
  if (process.stderr.isTTY) process.stderr.write(`\r${reports.length} of ${wanted.length}`);
});
process.stdout.write(`${summary(reports)}\n`);
if (values.json !== undefined) {
  const rows = reports.map((report) => ({
    form: report.job.form.text,
    name: report.job.form.instruction.name,
    bits: report.job.bits,
    ...(report.kind === "result"
      ? { tests: report.result.tests, faults: report.result.faults, mismatches: report.result.mismatches }
      : { [report.kind]: report.reason }),
  }));
  writeFileSync(values.json, `${JSON.stringify(rows, undefined, 1)}\n`);
}
process.exitCode = reports.some((report) => failureText(report) !== undefined) ? 1 : 0;
