/** Runs jobs in a process of their own and collects what came of them; a crash there is one form's result. */
import { fork } from "node:child_process";
import type { Job } from "./plan.ts";
import type { FormResult } from "./tester.ts";
import type { Answer, Order } from "./worker.ts";

export type Report =
  | { readonly job: Job; readonly kind: "result"; readonly result: FormResult }
  | { readonly job: Job; readonly kind: "skipped"; readonly reason: string }
  | { readonly job: Job; readonly kind: "crashed"; readonly reason: string };

export interface Settings {
  /** Tests of each form. */
  readonly states: number;
  readonly seed: number;
  /** Compares also what the manual leaves undefined. */
  readonly strict?: boolean;
}

/** Runs all jobs and hands over each one's report. */
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
      if (answer.kind === "start") return;
      done = answer.index + 1;
      if (answer.kind === "skipped") report({ job, kind: "skipped", reason: answer.reason });
      else report({ job, kind: "result", result: answer.result });
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const job = jobs[done];
      if (job) {
        const reason = signal ? `killed by ${signal}` : `exit status ${code}`;
        report({ job, kind: "crashed", reason: `${reason}${errors ? `\n${errors}` : ""}` });
        done++;
      }
      resolve(done);
    });
    const order: Order = {
      jobs: jobs.map(({ form, bits }) => ({ form: form.id, bits })),
      states: settings.states,
      seed: settings.seed,
      strict: settings.strict ?? false,
    };
    child.send(order);
  });
}
