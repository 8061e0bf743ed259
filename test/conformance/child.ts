/** A process of its own for native code, which could damage it. */
import { fork } from "node:child_process";

/** How a child has ended, and what it wrote to its standard error. */
export interface ChildEnding {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly errors: string;
  /** It was stopped because it gave no answer any more. */
  readonly wasStuck: boolean;
}

/**
 * Gives `order` to the module `worker` in a process of its own and hands over its answers until it ends; one that gives
 * none for `patience` milliseconds is stopped.
 */
export function runChild<Answer>(
  worker: URL,
  order: object,
  answered: (answer: Answer) => void,
  patience = Number.POSITIVE_INFINITY,
): Promise<ChildEnding> {
  const child = fork(worker, {
    serialization: "advanced",
    execArgv: ["--disable-warning=ExperimentalWarning"],
    stdio: ["ignore", "inherit", "pipe", "ipc"],
  });
  let errors = "";
  child.stderr?.on("data", (text) => {
    errors += text;
  });
  let wasStuck = false;
  let timer: NodeJS.Timeout | undefined;
  const wait = () => {
    clearTimeout(timer);
    if (patience === Number.POSITIVE_INFINITY) return;
    timer = setTimeout(() => {
      wasStuck = true;
      child.kill("SIGKILL");
    }, patience);
  };
  return new Promise((resolve, reject) => {
    child.on("message", (answer: Answer) => {
      wait();
      answered(answer);
    });
    child.on("error", reject);
    const disconnected = new Promise((resolve) => child.once("disconnect", resolve));
    child.on("close", async (code, signal) => {
      clearTimeout(timer);
      // What it sent may still be on its way.
      await disconnected;
      if (code) reject(new Error(`the process that runs tests gave up with exit status ${code}\n${errors}`));
      else resolve({ signal, code, errors, wasStuck });
    });
    wait();
    child.send(order);
  });
}

/** Why a test has no result. */
export function killedBy({ signal, errors, wasStuck }: ChildEnding): string {
  if (wasStuck) return "the process that ran it did not come to an end";
  return `the process that ran it was killed by ${signal}\n${errors}`;
}
