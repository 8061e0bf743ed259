/** What is told of a machine at its first instruction and at the loader's prompt, and the figures of the time between. */
import { busiestThread, type ThreadTime } from "./process-figures.ts";

export const START_MARK = "MARK start";
export const PROMPT_MARK = "MARK prompt";

export interface LoaderMark {
  /** Seconds of the host's clock. */
  readonly at: number;
  /** Of the guest, where the machine counts them. */
  readonly instructions?: number;
  readonly threads: ReadonlyMap<string, ThreadTime>;
}

export interface LoaderRun {
  /** Seconds by the host's clock, less those that the thread which runs the guest waited for a processor. */
  readonly seconds: number;
  /** Seconds of processor time of that thread, and of all. */
  readonly guestThread: number;
  readonly allThreads: number;
  readonly instructions: number | undefined;
}

/** A line that bench/loader-machine.ts writes; undefined where it is none. */
export function parseMark(line: string, name: string): LoaderMark | undefined {
  if (!line.startsWith(`${name} `)) return undefined;
  const { at, instructions, threads } = JSON.parse(line.slice(name.length + 1)) as {
    at: number;
    instructions: number;
    threads: [string, number, number][];
  };
  return { at, instructions, threads: new Map(threads.map(([thread, ran, waited]) => [thread, { ran, waited }])) };
}

export function runBetween(start: LoaderMark, prompt: LoaderMark): LoaderRun {
  const { ran, waited } = busiestThread(start.threads, prompt.threads);
  let allThreads = 0;
  for (const [thread, time] of prompt.threads) allThreads += time.ran - (start.threads.get(thread)?.ran ?? 0);
  return {
    seconds: prompt.at - start.at - waited,
    guestThread: ran,
    allThreads,
    instructions: prompt.instructions === undefined ? undefined : prompt.instructions - (start.instructions ?? 0),
  };
}
