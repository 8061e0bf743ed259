/** The program `bunk`, started by bin/bunk.mjs. */
import { readFileSync } from "node:fs";
import process from "node:process";
import { type Invocation, parseCommandLine } from "./command-line.ts";
import { describeFailure } from "./failure.ts";

const DEFAULT_COLUMNS = 80;

/** Does what was asked; returns the exit status. The commands are loaded where needed: help should not wait for them. */
async function perform(invocation: Invocation): Promise<number> {
  switch (invocation.verb) {
    case "run":
      return (await import("./run-command.ts")).runCommand(invocation.options);
    case "list":
      return print(await (await import("./list-command.ts")).listCommand());
    case "cache":
      return print(await (await import("./cache-command.ts")).cacheCommand());
    case "cache clean":
      return print(await (await import("./cache-command.ts")).cleanCommand(invocation.guests));
    case "disk create":
    case "disk info":
    case "disk convert":
    case "disk resize":
    case "disk check":
    case "disk partitions":
    case "disk snapshot": {
      const { text, status } = await (await import("./disk/disk-command.ts")).diskCommand(invocation);
      await print(text);
      return status;
    }
    case "screenshot":
    case "sendkeys":
    case "floppy":
      await (await import("./control/control-commands.ts")).controlCommand(invocation);
      return 0;
    case "print":
      return print(invocation.text);
  }
}

/** Resolves when the text has left the process, or its reader is gone. */
function print(text: string): Promise<number> {
  return new Promise((resolve) => {
    process.stdout.once("error", () => resolve(0));
    process.stdout.write(text, () => resolve(0));
  });
}

function fail(error: unknown): number {
  const { status, text } = describeFailure(error);
  process.stderr.write(`bunk: ${text}\n`);
  return status;
}

function version(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

// By `exit`, whose handlers put the terminal back.
process.on("uncaughtException", (error) => process.exit(fail(error)));
// A message that nobody can read is no reason to fail in another way than it tells.
process.stderr.on("error", () => {});

let status: number;
try {
  const settings = { version: version(), columns: process.stdout.columns || DEFAULT_COLUMNS };
  status = await perform(parseCommandLine(process.argv.slice(2), settings));
} catch (error) {
  status = fail(error);
}
process.exit(status);
