/** Runs the program as a user does: a process of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";

const LAUNCHER = fileURLToPath(new URL("../../../bin/bunk.mjs", import.meta.url));

export interface Outcome {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

export interface Program {
  readonly process: ChildProcessWithoutNullStreams;
  /** Resolves when standard output has shown `text`. */
  shows(text: string): Promise<void>;
  readonly ended: Promise<Outcome>;
}

/** Starts `bunk`; `program` is another script of Node's in its place, `environment` is added to the own one. */
export function startBunk(
  args: readonly string[],
  program: string = LAUNCHER,
  environment: NodeJS.ProcessEnv = {},
): Program {
  const child = spawn(process.execPath, [program, ...args], { env: { ...process.env, ...environment } });
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  // A program that ends before it reads all is judged by its status.
  child.stdin.on("error", () => {});
  return {
    process: child,
    async shows(text) {
      while (!output.includes(text)) await once(child.stdout, "data");
    },
    ended: once(child, "close").then(([status]) => ({ status: status as number | null, output, errors })),
  };
}

/** Runs `bunk` to its end, with `input` piped in. */
export function bunk(args: readonly string[], input = "", environment: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const program = startBunk(args, undefined, environment);
  program.process.stdin.end(input);
  return program.ended;
}
