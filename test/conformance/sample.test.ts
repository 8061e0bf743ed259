/** A few random tests of every form against the host's own processor; `npm run conformance` runs many. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Report, runJobs } from "./conformance.ts";
import { unsuitableHost } from "./native/native-processor.ts";
import { jobs } from "./plan.ts";
import { failureText } from "./report.ts";

/** Tests of each form in each mode. */
const STATES = 20;
/** Forms below which something is wrong with the test itself. */
const LEAST_FORMS = 1500;

test("every instruction does to registers, flags and memory what the host's processor does", {
  skip: unsuitableHost() ?? false,
}, async () => {
  const reports: Report[] = [];
  await runJobs(jobs(), { states: STATES, seed: 1 }, (report) => reports.push(report));
  const failures = reports.map(failureText).filter((text) => text !== undefined);
  assert.equal(failures.length, 0, failures.slice(0, 5).join("\n"));
  const tested = reports.filter(({ kind }) => kind === "result").length;
  assert.ok(tested >= LEAST_FORMS, `only ${tested} forms were tested`);
});
