/** Running the host's programs (apt, dpkg, tar, mkfs): collected output, one-line errors, progress of apt. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { CatalogueError } from "./failure.ts";

export interface ToolOptions {
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Text for the program's standard input; none means an empty input. */
  readonly input?: string | undefined;
  /** Receives each line that the program writes to its file descriptor 3. */
  readonly onStatusLine?: ((line: string) => void) | undefined;
}

/** The file descriptor behind `onStatusLine`, as apt's option `APT::Status-Fd` wants it. */
export const STATUS_FD = 3;

/** Runs a program and returns its standard output. Throws CatalogueError where it is missing or fails. */
export async function runTool(tool: string, args: readonly string[], options: ToolOptions = {}): Promise<Uint8Array> {
  const child = start(tool, args, options);
  const output: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => output.push(chunk));
  const statusStream = child.stdio[STATUS_FD] as Readable | undefined;
  if (options.onStatusLine && statusStream) createInterface(statusStream).on("line", options.onStatusLine);
  if (options.input !== undefined) {
    child.stdin?.on("error", () => {}); // A program that ends before it reads all is judged by its status.
    child.stdin?.end(options.input);
  }
  await finished(child, tool, args);
  return Buffer.concat(output);
}

export async function runToolForText(tool: string, args: readonly string[], options?: ToolOptions): Promise<string> {
  return new TextDecoder().decode(await runTool(tool, args, options));
}

/** Runs `first | second`, each a program with its arguments. */
export async function runPipe(
  first: readonly [string, ...string[]],
  second: readonly [string, ...string[]],
  options: ToolOptions = {},
): Promise<void> {
  const [firstTool, ...firstArgs] = first;
  const [secondTool, ...secondArgs] = second;
  const producer = start(firstTool, firstArgs, options);
  const consumer = start(secondTool, secondArgs, { ...options, input: "" });
  if (producer.stdout && consumer.stdin) {
    producer.stdout.pipe(consumer.stdin);
    // tar stops at the archive's end mark and leaves the padding after it; the producer has to be rid of it.
    consumer.stdin.on("error", () => {});
    consumer.stdin.on("close", () => producer.stdout?.resume());
  }
  const outcomes = await Promise.allSettled([
    finished(producer, firstTool, firstArgs),
    finished(consumer, secondTool, secondArgs),
  ]);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

function start(tool: string, args: readonly string[], options: ToolOptions): ChildProcess {
  return spawn(tool, args, {
    cwd: options.cwd,
    signal: options.signal,
    // An ordinary user's PATH on Debian leaves out the sbin directories, where mkfs and others lie.
    env: { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C.UTF-8", ...options.env },
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe", options.onStatusLine ? "pipe" : "ignore"],
  });
}

async function finished(child: ChildProcess, tool: string, args: readonly string[]): Promise<void> {
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    errors = (errors + chunk).slice(-8192);
  });
  try {
    const [code, signal] = (await once(child, "close")) as [number | null, string | null];
    if (code === 0) return;
    const status = code === null ? `signal ${signal}` : `status ${code}`;
    const command = [tool, args.find((arg) => !arg.startsWith("-")) ?? ""].join(" ").trim();
    throw new CatalogueError({ kind: "tool-failed", command, status, said: essence(errors) });
  } catch (error) {
    // EACCES stands for the same where the search path has a directory that this user may not look into.
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "EACCES") throw new CatalogueError({ kind: "tool-missing", tool });
    throw error;
  }
}

/** One line out of a program's complaints: the first that is marked as an error, or else the last. */
function essence(errors: string): string {
  const lines = errors.split("\n").filter((line) => line.trim() !== "");
  const aptError = lines.find((line) => line.startsWith("E: "))?.slice(3);
  return aptError ?? lines.find((line) => /\berror\b/.test(line)) ?? lines.at(-1) ?? "";
}
