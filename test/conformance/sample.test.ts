/** A few random tests of every form against the host's own processor; `npm run conformance` runs many. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Report, runJobs } from "./conformance.ts";
import { TIERS } from "./guest-processor.ts";
import { unsuitableHost } from "./native/native-processor.ts";
import { jobs } from "./plan.ts";
import { failureText, leftToInterpreter } from "./report.ts";

/** Tests of each form in each mode: a region has to be made for each of the translator's. */
const STATES = { interpreter: 20, translator: 6 };
/** Forms below which something is wrong with the test itself. */
const LEAST_FORMS = 1500;

/** Forms that regions leave to the interpreter, which changes segments and flags of the system for them. */
const MOST_LEFT = 60;

for (const tier of TIERS) {
  test(`every instruction does in the ${tier} what the host's processor does to registers, flags and memory`, {
    skip: unsuitableHost() ?? false,
  }, async () => {
    const reports: Report[] = [];
    await runJobs(jobs(), { states: STATES[tier], seed: 1, tiers: [tier] }, (report) => reports.push(report));
    const failures = reports.map(failureText).filter((text) => text !== undefined);
    assert.equal(failures.length, 0, failures.slice(0, 5).join("\n"));
    const tested = reports.filter(({ kind }) => kind === "result").length;
    assert.ok(tested >= LEAST_FORMS, `only ${tested} forms were tested`);
    if (tier === "interpreter") return;
    const left = leftToInterpreter(reports);
    assert.ok(left.length <= MOST_LEFT, `regions leave too much to the interpreter: ${left.join(", ")}`);
  });
}
