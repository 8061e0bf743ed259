/** The command line of `npm run bench`. */
import { parseArgs } from "node:util";

export interface BenchOptions {
  /** Names of the workloads to run; undefined for those that `core` says. */
  readonly only: readonly string[] | undefined;
  /** The core workloads alone. */
  readonly core: boolean;
  /** Names of the machines; undefined for all. */
  readonly machines: readonly string[] | undefined;
  readonly rounds: number;
  /** Milliseconds that a guest program runs for, on each machine in each round. */
  readonly duration: number;
  /** Where the figures go as JSON. */
  readonly json: string | undefined;
  /** The page of figures is written anew. */
  readonly write: boolean;
}

export const USAGE = `Usage: npm run bench -- [options]

  --only NAME,...      run these workloads only
  --machines NAME,...  on these machines only
  --rounds N           rounds, of which the medians are shown (default 3)
  --duration SECONDS   for how long a program runs on each machine in each round (default 1.5)
  --quick              one round of half a second, core workloads
  --write              write the tables to docs/performance.md
  --json FILE          write all figures to FILE
  --list               show the names of workloads and machines
  --help               show this text`;

const ROUNDS = 3;
const DURATION = 1500;
const QUICK = { rounds: 1, duration: 500 };

export interface Names {
  readonly workloads: readonly string[];
  readonly machines: readonly string[];
}

/** "help", "list", or the options. Throws an error with a message of one line where they make no sense. */
export function parseOptions(args: readonly string[], names: Names): BenchOptions | "help" | "list" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", multiple: true },
      machines: { type: "string", multiple: true },
      rounds: { type: "string" },
      duration: { type: "string" },
      quick: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      json: { type: "string" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  if (values.list) return "list";
  const only = listed("only", values.only, "workloads", names.workloads);
  const rounds = numbered(
    "rounds",
    values.rounds,
    (value) => Number.isInteger(value) && value > 0,
    "a whole number from 1 up",
  );
  const seconds = numbered("duration", values.duration, (value) => value >= 0.05, "seconds, at least 0.05");
  return {
    only,
    core: values.quick && only === undefined,
    machines: listed("machines", values.machines, "machines", names.machines),
    rounds: rounds ?? (values.quick ? QUICK.rounds : ROUNDS),
    duration: seconds === undefined ? (values.quick ? QUICK.duration : DURATION) : seconds * 1000,
    json: values.json,
    write: values.write,
  };
}

function listed(
  option: string,
  given: readonly string[] | undefined,
  what: string,
  known: readonly string[],
): readonly string[] | undefined {
  const names = given?.flatMap((text) => text.split(",")).filter((name) => name !== "");
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`--${option} ${unknown}: the ${what} are ${known.join(", ")}`);
  return names;
}

function numbered(
  option: string,
  text: string | undefined,
  fits: (value: number) => boolean,
  what: string,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !fits(value)) throw new Error(`--${option} ${text}: must be ${what}`);
  return value;
}
