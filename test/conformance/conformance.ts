/** Runs jobs in a process of their own and collects what came of them; a crash there is one form's result. */
import { killedBy, runChild } from "./child.ts";
import { TIERS, type Tier } from "./guest-processor.ts";
import type { Job } from "./plan.ts";
import type { FormResult } from "./tester.ts";
import type { Answer, Order } from "./worker.ts";

export type Report =
  | { readonly job: Job; readonly kind: "result"; readonly result: FormResult }
  | { readonly job: Job; readonly kind: "skipped"; readonly reason: string }
  | { readonly job: Job; readonly kind: "failed"; readonly reason: string };

export interface Settings {
  /** Tests of each form. */
  readonly states: number;
  readonly seed: number;
  /** What is tested; all of it unless given. */
  readonly tiers?: readonly Tier[];
  /** Compares also what the manual leaves undefined. */
  readonly strict?: boolean;
  /** Adds prefixes that instructions do not ask for. */
  readonly prefixes?: boolean;
}

/** Runs all jobs and hands over each one's report. Rejects where no tests can be run at all. */
export async function runJobs(
  jobs: readonly Job[],
  settings: Settings,
  report: (report: Report) => void,
): Promise<void> {
  let rest = jobs;
  while (rest.length > 0) {
    const done = await runInChild(rest, settings, report);
    rest = rest.slice(done);
  }
}

/** Runs jobs in one child until it ends; how many were dealt with. */
async function runInChild(jobs: readonly Job[], settings: Settings, report: (report: Report) => void): Promise<number> {
  const order: Order = {
    jobs: jobs.map(({ form, bits }) => ({ form: form.id, bits })),
    states: settings.states,
    seed: settings.seed,
    tiers: settings.tiers ?? TIERS,
    strict: settings.strict ?? false,
    prefixes: settings.prefixes ?? false,
  };
  let done = 0;
  const ending = await runChild(new URL("worker.ts", import.meta.url), order, (answer: Answer) => {
    const job = jobs[answer.index] as Job;
    done = answer.index + 1;
    if (answer.kind === "result") report({ job, kind: "result", result: answer.result });
    else report({ job, kind: answer.kind, reason: answer.reason });
  });
  const job = jobs[done];
  if (job) {
    report({ job, kind: "failed", reason: killedBy(ending) });
    done++;
  }
  return done;
}
