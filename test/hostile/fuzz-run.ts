/** Runs hostile guests in processes of their own, and notices when one throws, hangs or grows. */
import { spawn } from "node:child_process";
import path from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import type { GuestReport } from "./hostile-guest.ts";

const MIB = 1024 * 1024;
/** Guests of one process: what leaks from one to the next adds up. */
export const SEEDS_PER_PROCESS = 16;
/** What a process may have in the host's memory after a guest, its garbage collected, and its JavaScript heap at most. */
export const RESIDENT_LIMIT = 450 * MIB;
const HEAP_LIMIT_MIB = 192;
/** A situation takes a fraction of a second; a host that is this slow has hung. */
const PATIENCE_MS = 120_000;

export interface FuzzOptions {
  readonly firstSeed: number;
  readonly seeds: number;
  readonly situations: number;
}

export interface GuestResult {
  readonly seed: number;
  readonly report: GuestReport;
  readonly resident: number;
}

/** A guest that broke its host; `message` is for the user, with the command that repeats it. */
export class FuzzFailure extends Error {}

type Message =
  | { kind: "situation"; seed: number; name: string }
  | { kind: "guest"; seed: number; report: GuestReport; memory: { rss: number } }
  | { kind: "failed"; seed: number; error: string };

/** One process with guests of `seeds` seeds from `firstSeed` on. Throws FuzzFailure at the first that fails. */
export async function* fuzz({ firstSeed, seeds, situations }: FuzzOptions): AsyncGenerator<GuestResult> {
  const program = path.join(import.meta.dirname, "fuzz-process.ts");
  const child = spawn(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      "--expose-gc",
      `--max-old-space-size=${HEAP_LIMIT_MIB}`,
      program,
      ...[firstSeed, seeds, situations].map(String),
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-4000);
  });
  const exit = new Promise<string>((resolve) => {
    child.once("close", (code, signal) => resolve(signal ?? `status ${code}`));
  });
  const late = () => child.kill("SIGKILL");
  let timer = setTimeout(late, PATIENCE_MS);
  let place = { seed: firstSeed, name: "start" };
  let done = 0;
  const failure = (seed: number, what: string, count = 1) =>
    new FuzzFailure(
      `seed ${seed} ${what}\nagain: npm run fuzz -- --seed ${seed - count + 1} --count ${count} --situations ${situations}`,
    );
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      clearTimeout(timer);
      timer = setTimeout(late, PATIENCE_MS);
      const message = JSON.parse(line) as Message;
      if (message.kind === "situation") place = message;
      else if (message.kind === "failed") throw failure(message.seed, `threw in ${place.name}: ${message.error}`);
      else {
        done++;
        const resident = message.memory.rss;
        if (resident > RESIDENT_LIMIT) {
          throw failure(message.seed, `left ${Math.round(resident / MIB)} MiB in use after ${done} guests`, done);
        }
        yield { seed: message.seed, report: message.report, resident };
      }
    }
    const end = await exit;
    if (done !== seeds) throw failure(place.seed, `ended its host with ${end} in ${place.name}: ${errors}`);
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
  }
}
