/** Runs the program as a user does: a process of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

const LAUNCHER = fileURLToPath(new URL("../../../bin/bunk.mjs", import.meta.url));

export interface Outcome {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

export interface Program {
  readonly process: ChildProcessWithoutNullStreams;
  /** Resolves when standard output has shown `text`; rejects where it ends before. */
  shows(text: string): Promise<void>;
  readonly ended: Promise<Outcome>;
}

/** What a test that failed has left running would keep its file from ending. */
const running = new Set<ChildProcessWithoutNullStreams>();
after(() => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts `bunk`; `program` is another script of Node's in its place, `environment` is added to the own one. */
export function startBunk(
  args: readonly string[],
  program: string = LAUNCHER,
  environment: NodeJS.ProcessEnv = {},
): Program {
  const child = spawn(process.execPath, [program, ...args], { env: { ...process.env, ...environment } });
  running.add(child);
  child.once("close", () => running.delete(child));
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
      while (!output.includes(text)) {
        if (child.stdout.readableEnded) throw new Error(`the program ended without "${text}": ${output}${errors}`);
        await Promise.race([once(child.stdout, "data"), once(child.stdout, "end")]);
      }
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
