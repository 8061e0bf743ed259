/** The command line of `npm run bench`. */
import { parseArgs } from "node:util";

export interface BenchOptions {
  /** Names of the workloads to run; all where empty. */
  readonly only: readonly string[];
  readonly rounds: number;
  /** Milliseconds that a guest program runs for, on each machine in each round. */
  readonly duration: number;
  /** Where the figures go as JSON. */
  readonly json: string | undefined;
}

export const USAGE = `Usage: npm run bench -- [options]

  --only NAME    run this workload only; may be given several times
  --rounds N     rounds, of which the medians are shown (default 5)
  --quick        one round, and programs run for half a second instead of two
  --json FILE    write all figures to FILE
  --help         show this text`;

const ROUNDS = 5;
const DURATION = 2000;
const QUICK = { rounds: 1, duration: 500 };

/** "help", or the options. Throws an error with a message of one line where they make no sense. */
export function parseOptions(args: readonly string[], workloads: readonly string[]): BenchOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", multiple: true, default: [] },
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const unknown = values.only.find((name) => !workloads.includes(name));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: the workloads are ${workloads.join(", ")}`);
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
    throw new Error(`--rounds ${values.rounds}: must be a whole number from 1 up`);
  }
  return {
    only: values.only,
    rounds: rounds ?? (values.quick ? QUICK.rounds : ROUNDS),
    duration: values.quick ? QUICK.duration : DURATION,
    json: values.json,
  };
}
