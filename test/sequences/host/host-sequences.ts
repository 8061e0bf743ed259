/** Runs sequences on the host's processor and on ours in a process of their own, and adds up what came of them. */
import { killedBy, runChild } from "../../conformance/child.ts";
import type { HostSequenceResult } from "./host-sequence-tester.ts";
import { HOST_TIER_NAMES, type HostTier } from "./run-guest.ts";
import type { Answer, Order } from "./worker.ts";

/** Milliseconds that no sequence takes, also where it has to be made shorter to tell of a difference. */
const PATIENCE = 120_000;
const MOST_FAILURES = 10;

export interface HostSequencesSettings {
  /** The seed of the first sequence; those of the next ones follow. */
  readonly first: number;
  readonly count: number;
  readonly tiers?: readonly HostTier[] | undefined;
  /** Told of each difference when it is found. */
  readonly failed?: (failure: string) => void;
}

export interface HostSequencesSum {
  /** Sequences that were compared, and those of which nothing was left that can be. */
  sequences: number;
  unfit: number;
  /** Runs, those of them that an exception ended, and their instructions. */
  runs: number;
  exceptions: number;
  instructions: number;
  /** Instructions in regions that were made. */
  translated: number;
  readonly failures: string[];
}

/** Rejects where no sequences can be run at all; stops after a few that differ. */
export async function runHostSequences({
  first,
  count,
  tiers = HOST_TIER_NAMES,
  failed = () => {},
}: HostSequencesSettings): Promise<HostSequencesSum> {
  const sum: HostSequencesSum = {
    sequences: 0,
    unfit: 0,
    runs: 0,
    exceptions: 0,
    instructions: 0,
    translated: 0,
    failures: [],
  };
  const fail = (failure: string) => {
    sum.failures.push(failure);
    failed(failure);
  };
  let next = first;
  while (next < first + count && sum.failures.length < MOST_FAILURES) {
    const { length } = sum.failures;
    const order: Order = { first: next, count: first + count - next, tiers, mostFailures: MOST_FAILURES - length };
    const ending = await runChild(
      new URL("worker.ts", import.meta.url),
      order,
      (answer: Answer) => {
        next = answer.seed + 1;
        if (answer.kind === "result") add(sum, answer.result);
        const failure = answer.kind === "result" ? answer.result.failure : `seed ${answer.seed}: ${answer.reason}`;
        if (failure !== undefined) fail(failure);
      },
      PATIENCE,
    );
    if (next === first + count || sum.failures.length > length) continue;
    fail(`seed ${next}: ${killedBy(ending)}`);
    next++;
  }
  return sum;
}

function add(sum: HostSequencesSum, { isFit, ...counts }: HostSequenceResult): void {
  if (isFit) sum.sequences++;
  else sum.unfit++;
  sum.runs += counts.runs;
  sum.exceptions += counts.exceptions;
  sum.instructions += counts.instructions;
  sum.translated += counts.translated;
}
