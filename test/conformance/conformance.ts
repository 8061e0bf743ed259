/** Runs jobs in a process of their own and collects what came of them; a crash there is one form's result. */
import { fork } from "node:child_process";
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
function runInChild(jobs: readonly Job[], settings: Settings, report: (report: Report) => void): Promise<number> {
  const child = fork(new URL("worker.ts", import.meta.url), {
    serialization: "advanced",
    execArgv: ["--disable-warning=ExperimentalWarning"],
    stdio: ["ignore", "inherit", "pipe", "ipc"],
  });
  let errors = "";
  child.stderr?.on("data", (text) => {
    errors += text;
  });
  let done = 0;
  return new Promise((resolve, reject) => {
    child.on("message", (answer: Answer) => {
      const job = jobs[answer.index] as Job;
      done = answer.index + 1;
      if (answer.kind === "result") report({ job, kind: "result", result: answer.result });
      else report({ job, kind: answer.kind, reason: answer.reason });
    });
    child.on("error", reject);
    const disconnected = new Promise((resolve) => child.once("disconnect", resolve));
    child.on("close", async (code, signal) => {
      // What it sent may still be on its way.
      await disconnected;
      const job = jobs[done];
      if (job && signal === null) {
        reject(new Error(`the process that runs tests gave up with exit status ${code}\n${errors}`));
        return;
      }
      if (job) {
        report({ job, kind: "failed", reason: `the process that ran it was killed by ${signal}\n${errors}` });
        done++;
      }
      resolve(done);
    });
    const order: Order = {
      jobs: jobs.map(({ form, bits }) => ({ form: form.id, bits })),
      states: settings.states,
      seed: settings.seed,
      tiers: settings.tiers ?? TIERS,
      strict: settings.strict ?? false,
      prefixes: settings.prefixes ?? false,
    };
    child.send(order);
  });
}
